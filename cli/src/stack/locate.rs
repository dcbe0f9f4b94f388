//! From a path in the document to a line and a column.
use super::diagnostic::Place;
use super::source::Location;

pub(super) fn locate(_text: &str, place: &Place) -> Option<Location> {
    match place {
        Place::Position { line, column } => Some(Location {
            line: *line,
            column: *column,
            width: 1,
        }),
        Place::Value(_) | Place::Key(_) => None,
    }
}
