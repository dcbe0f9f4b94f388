//! From a path in the document to a line and a column.
//!
//! The typed data remembers no positions. When a problem is to be shown, the text is
//! parsed once more with a parser that reports where each value stands.

use super::diagnostic::Place;
use super::merge;
use super::path::{NodePath, Segment};
use super::source::Location;
use saphyr_parser::{Event, Parser, Span};
use std::collections::HashMap;

/// How many merge keys inside merged mappings are followed.
const MAX_MERGES: usize = 32;

/// A text that places are looked up in.
pub(super) struct Locator<'t> {
    text: &'t str,
    index: Option<Index>,
}

impl<'t> Locator<'t> {
    /// Parses the text; one that cannot be parsed has only positions.
    pub(super) fn new(text: &'t str) -> Self {
        Self {
            text,
            index: Index::new(text),
        }
    }

    /// Where `place` is; the nearest thing around it that is there.
    pub(super) fn locate(&self, place: &Place) -> Option<Location> {
        let (path, key) = match place {
            Place::Position { line, column } => {
                return Some(Location {
                    line: *line,
                    column: *column,
                    width: 1,
                });
            }
            Place::Value(path) => (path, false),
            Place::Key(path) => (path, true),
        };
        self.index
            .as_ref()?
            .find(path, key)
            .map(|span| width(self.text, span))
    }
}

/// A span as a location on its first line.
fn width(text: &str, span: Span) -> Location {
    let (line, start) = (span.start.line(), span.start.col());
    let end = if span.end.line() == line {
        span.end.col()
    } else {
        let line = text.lines().nth(line.saturating_sub(1)).unwrap_or_default();
        line.trim_end().chars().count()
    };
    Location {
        line,
        column: start + 1,
        width: end.saturating_sub(start).max(1),
    }
}

/// A document as spans.
struct Index {
    nodes: Vec<Marked>,
    /// Anchors by the parser's number for them.
    anchors: HashMap<usize, usize>,
}

struct Marked {
    span: Span,
    kind: Kind,
}

enum Kind {
    Scalar(String),
    Alias(usize),
    List(Vec<usize>),
    /// Keys and values in turn.
    Map(Vec<usize>),
}

impl Index {
    /// Reads the first document, as far as it can be read.
    fn new(text: &str) -> Option<Self> {
        let mut index = Self {
            nodes: Vec::new(),
            anchors: HashMap::new(),
        };
        let mut open: Vec<usize> = Vec::new();
        for event in Parser::new_from_str(text) {
            let Ok((event, span)) = event else { break };
            let (kind, anchor) = match event {
                Event::Scalar(text, _, anchor, _) => (Kind::Scalar(text.into_owned()), anchor),
                Event::Alias(anchor) => (Kind::Alias(anchor), 0),
                Event::SequenceStart(anchor, _) => (Kind::List(Vec::new()), anchor),
                Event::MappingStart(anchor, _) => (Kind::Map(Vec::new()), anchor),
                Event::SequenceEnd | Event::MappingEnd => {
                    open.pop();
                    continue;
                }
                Event::DocumentEnd => break,
                _ => continue,
            };
            let id = index.nodes.len();
            if let Some(parent) = open.last() {
                match &mut index.nodes[*parent].kind {
                    Kind::List(items) | Kind::Map(items) => items.push(id),
                    Kind::Scalar(_) | Kind::Alias(_) => {}
                }
            }
            if matches!(kind, Kind::List(_) | Kind::Map(_)) {
                open.push(id);
            }
            if anchor != 0 {
                index.anchors.insert(anchor, id);
            }
            index.nodes.push(Marked { span, kind });
        }
        (!index.nodes.is_empty()).then_some(index)
    }

    /// The span of the value at `path`, or of the last key. A value that spans lines
    /// is shown by its key.
    fn find(&self, path: &NodePath, key_wanted: bool) -> Option<Span> {
        let mut at = 0;
        let mut shown = None;
        for segment in path.segments() {
            let step = match segment {
                Segment::Index(index) => self.item(at, *index).map(|value| (None, value)),
                Segment::Key(key) => {
                    let entry = self
                        .entry(at, key, 0)
                        .map(|(key, value)| (Some(key), value));
                    entry.or_else(|| self.word(at, key).map(|value| (None, value)))
                }
            };
            // What is not in the file is missing from the last thing that is.
            let Some((key, value)) = step else {
                return shown;
            };
            at = value;
            let key = key.map(|key| self.nodes[key].span);
            let last = std::ptr::eq(segment, path.segments().last()?);
            shown = match (&self.nodes[value].kind, key) {
                (_, Some(key)) if last && key_wanted => Some(key),
                (Kind::List(_) | Kind::Map(_), Some(key)) => Some(key),
                (Kind::Scalar(text), Some(key)) if text.is_empty() => Some(key),
                _ => Some(self.nodes[value].span),
            };
        }
        shown
    }

    fn target(&self, node: usize) -> usize {
        match &self.nodes[node].kind {
            Kind::Alias(anchor) => self.anchors.get(anchor).copied().unwrap_or(node),
            _ => node,
        }
    }

    fn item(&self, list: usize, index: usize) -> Option<usize> {
        match &self.nodes[self.target(list)].kind {
            Kind::List(items) => items.get(index).copied(),
            _ => None,
        }
    }

    /// The element of a list that is this text: where a mapping is also written as a
    /// list, as with `depends_on: [db]` and `environment: [NAME=value]`.
    fn word(&self, list: usize, text: &str) -> Option<usize> {
        let Kind::List(items) = &self.nodes[self.target(list)].kind else {
            return None;
        };
        let names = |word: &str| {
            word.strip_prefix(text)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('='))
        };
        items
            .iter()
            .copied()
            .find(|item| match &self.nodes[self.target(*item)].kind {
                Kind::Scalar(word) => names(word),
                _ => false,
            })
    }

    /// The entry of a mapping by key: the last one, since of two equal keys the
    /// second is the one too many; or else the one that a merge key brings.
    fn entry(&self, map: usize, key: &str, depth: usize) -> Option<(usize, usize)> {
        let Kind::Map(entries) = &self.nodes[self.target(map)].kind else {
            return None;
        };
        let named = |wanted: &str| {
            entries
                .chunks_exact(2)
                .rev()
                .find_map(|pair| match &self.nodes[pair[0]].kind {
                    Kind::Scalar(text) if text == wanted => Some((pair[0], pair[1])),
                    _ => None,
                })
        };
        if let Some(found) = named(key) {
            return Some(found);
        }
        if depth > MAX_MERGES {
            return None;
        }
        let (_, merged) = named(merge::KEY)?;
        match &self.nodes[self.target(merged)].kind {
            Kind::List(sources) => sources
                .iter()
                .find_map(|source| self.entry(*source, key, depth + 1)),
            _ => self.entry(merged, key, depth + 1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn locate(text: &str, place: &Place) -> Option<Location> {
        Locator::new(text).locate(place)
    }

    const TEXT: &str = "\
x-base: &base
  image: alpine
  deep: {a: [1, &two 2]}
services:
  web:
    <<: *base
    ports:
      - \"8080:80\"
      - 9090:90 # comment
    command: >
      folded
      text
  \"db\": {<<: [*base], user: *two}
";

    fn value(path: NodePath) -> (usize, usize, usize) {
        let found = locate(TEXT, &Place::Value(path)).unwrap();
        (found.line, found.column, found.width)
    }

    #[test]
    fn scalars_lists_and_mappings() {
        let web = NodePath::service("web");
        assert_eq!(value(web.key("ports").index(0)), (8, 9, 9));
        assert_eq!(value(web.key("ports").index(1)), (9, 9, 7));
        assert_eq!(value(web.key("ports")), (7, 5, 5));
        assert_eq!(value(web.clone()), (5, 3, 3));
        assert_eq!(value(NodePath::service("db").key("user")), (13, 29, 4));
        assert_eq!(value(NodePath::service("db")), (13, 3, 4));
    }

    #[test]
    fn a_merged_value_is_where_it_is_written() {
        assert_eq!(value(NodePath::service("web").key("image")), (2, 10, 6));
        let deep = NodePath::service("db").key("deep").key("a").index(0);
        assert_eq!(value(deep), (3, 14, 1));
    }

    #[test]
    fn a_key_is_shown_on_request_and_what_is_missing_by_its_parent() {
        let key = locate(TEXT, &Place::Key(NodePath::service("web").key("command"))).unwrap();
        assert_eq!((key.line, key.column, key.width), (10, 5, 7));
        assert_eq!(
            value(NodePath::service("web").key("healthcheck").key("test")),
            (5, 3, 3)
        );
        assert!(locate(TEXT, &Place::Value(NodePath::root().key("nope"))).is_none());
        assert!(locate("", &Place::Value(NodePath::service("web"))).is_none());
    }

    #[test]
    fn a_mapping_that_merges_itself_ends() {
        let text = "a: &a {<<: *a}\n";
        assert!(locate(text, &Place::Value(NodePath::root().key("a").key("b"))).is_some());
    }
}
