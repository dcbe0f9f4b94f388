//! A stack file's text, and the lines of it that an error shows.

use super::diagnostic::{Place, visible};
use super::locate::Locator;
use std::path::{Path, PathBuf};

/// The stack file as it was read.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    file: PathBuf,
    text: String,
}

/// A spot in a [`Source`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Location {
    /// Line, counted from one.
    pub line: usize,
    /// Column in characters, counted from one.
    pub column: usize,
    /// Number of characters on that line, at least one.
    pub width: usize,
}

/// The most characters of a line that are shown: YAML is also JSON, and that may be
/// one line of a megabyte.
const SHOWN: usize = 120;

impl Source {
    /// The file's path, as it was given or found.
    pub(crate) fn file(&self) -> &Path {
        &self.file
    }

    /// `file` as the user named it, and its text.
    pub(crate) fn new(file: impl Into<PathBuf>, text: impl Into<String>) -> Self {
        Self {
            file: file.into(),
            text: text.into(),
        }
    }

    /// The text.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// The file's name for a message.
    pub(super) fn name(&self) -> String {
        visible(&self.file.to_string_lossy())
    }

    /// Finds a spot in the text; reads the text anew, since only an error needs it.
    pub(crate) fn locate(&self, place: &Place) -> Option<Location> {
        self.locator().locate(place)
    }

    /// For finding several spots.
    pub(super) fn locator(&self) -> Locator<'_> {
        Locator::new(&self.text)
    }

    /// The source line with a caret below it, as lines to print.
    pub(super) fn excerpt(&self, location: &Location) -> Vec<String> {
        let Some(line) = self.text.lines().nth(location.line - 1) else {
            return Vec::new();
        };
        let chars: Vec<char> = visible(line).chars().collect();
        let start = location.column - 1;
        if start > chars.len() {
            return Vec::new();
        }
        let from = if chars.len() <= SHOWN {
            0
        } else {
            start.saturating_sub(SHOWN / 2)
        };
        let to = chars.len().min(from + SHOWN);
        let shown: String = chars[from..to].iter().collect();
        let ellipsis = |cut: bool| if cut { "…" } else { "" };
        let (head, tail) = (ellipsis(from > 0), ellipsis(to < chars.len()));
        // A tab of the line stays a tab below it, so that the caret stays in place.
        let mut indent: String = if from > 0 {
            " ".to_owned()
        } else {
            String::new()
        };
        indent.extend(
            chars[from..start]
                .iter()
                .map(|c| if *c == '\t' { '\t' } else { ' ' }),
        );
        let carets = "^".repeat(location.width.clamp(1, to.max(start + 1) - start));
        let number = location.line.to_string();
        let gutter = " ".repeat(number.len());
        vec![
            format!("  {gutter} |"),
            format!("  {number} | {head}{shown}{tail}"),
            format!("  {gutter} | {indent}{carets}"),
        ]
    }
}
