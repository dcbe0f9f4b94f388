//! What is wrong with a stack file, shown where it is wrong.

use super::path::NodePath;
use super::source::{Location, Source};
use std::fmt;

/// One problem, or one warning, about a stack file.
///
/// The planner reports its own findings with this type as well:
///
/// ```ignore
/// Diagnostic::at(NodePath::service("web").key("ports").index(0), "web: cannot publish port 8080: address already in use")
///     .note("held by nginx (pid 812), listening on 0.0.0.0:8080")
///     .help("stop it, or publish another port: \"8081:80\"")
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Diagnostic {
    /// One sentence: what and why.
    pub message: String,
    /// Where; `None` is the file as a whole.
    pub place: Option<Place>,
    /// Further facts, one line each.
    pub notes: Vec<String>,
    /// What to do about it.
    pub help: Option<String>,
}

/// The spot that a [`Diagnostic`] points at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    /// The value at a path; of a mapping or a list, the key that holds it.
    Value(NodePath),
    /// The key at the end of a path.
    Key(NodePath),
    /// A line and a column, both counted from one.
    Position {
        /// The line.
        line: usize,
        /// The column in characters.
        column: usize,
    },
}

impl Diagnostic {
    /// A problem of the file as a whole.
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            place: None,
            notes: Vec::new(),
            help: None,
        }
    }

    /// A problem with the value at `path`.
    pub(crate) fn at(path: NodePath, message: impl Into<String>) -> Self {
        Self {
            place: Some(Place::Value(path)),
            ..Self::new(message)
        }
    }

    /// A problem with the key at the end of `path`.
    pub(crate) fn at_key(path: NodePath, message: impl Into<String>) -> Self {
        Self {
            place: Some(Place::Key(path)),
            ..Self::new(message)
        }
    }

    /// A problem at a known position.
    pub(crate) fn at_position(line: usize, column: usize, message: impl Into<String>) -> Self {
        Self {
            place: Some(Place::Position { line, column }),
            ..Self::new(message)
        }
    }

    /// Adds a line with a further fact.
    pub(crate) fn note(mut self, note: impl Into<String>) -> Self {
        self.notes.push(note.into());
        self
    }

    /// Says what to do about it.
    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// The message, where it is with the source line and a caret, and the help; no
    /// newline at the end.
    pub(crate) fn render(&self, source: &Source) -> String {
        let location = self.place.as_ref().and_then(|place| source.locate(place));
        self.render_at(source, location)
    }

    fn render_at(&self, source: &Source, location: Option<Location>) -> String {
        let mut lines = vec![visible(&self.message)];
        lines.extend(self.notes.iter().map(|note| format!("  {}", visible(note))));
        match location {
            Some(at) => {
                lines.push(format!("  in {}:{}:{}", source.name(), at.line, at.column));
                lines.extend(source.excerpt(&at));
            }
            None => lines.push(format!("  in {}", source.name())),
        }
        lines.extend(
            self.help
                .iter()
                .map(|help| format!("  help: {}", visible(help))),
        );
        lines.join(
            "
",
        )
    }

    /// This problem alone as an error that needs the source no more.
    pub(crate) fn into_report(self, source: &Source) -> Report {
        Report::new(source, &[self])
    }
}

/// Text of the file's author made safe for a terminal: a control character cannot
/// move the cursor or change colours.
pub(super) fn visible(text: &str) -> String {
    text.chars()
        .map(|c| {
            if c.is_control() && c != '\t' {
                char::REPLACEMENT_CHARACTER
            } else {
                c
            }
        })
        .collect()
}

/// Problems of a stack file, rendered: what makes a command fail.
///
/// Displays as all of them, separated by an empty line; the second and later ones
/// start with `error: `, as the caller writes before the first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Report {
    problems: Vec<String>,
}

/// The most problems that are shown: nobody reads more.
const SHOWN: usize = 50;

impl Report {
    /// Renders `diagnostics` against their source, in the order of the file.
    pub(crate) fn new(source: &Source, diagnostics: &[Diagnostic]) -> Self {
        let locator = source.locator();
        let mut located: Vec<(Option<Location>, &Diagnostic)> = diagnostics
            .iter()
            .map(|d| (d.place.as_ref().and_then(|place| locator.locate(place)), d))
            .collect();
        located.sort_by_key(|(location, _)| location.map(|l| (l.line, l.column)));
        let shown = located.iter().take(SHOWN);
        let mut problems: Vec<String> = shown
            .map(|(location, d)| d.render_at(source, *location))
            .collect();
        if located.len() > SHOWN {
            problems.push(format!(
                "and {} more problems, at least",
                located.len() - SHOWN
            ));
        }
        Self { problems }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            if index > 0 {
                f.write_str("\n\nerror: ")?;
            }
            f.write_str(problem)?;
        }
        Ok(())
    }
}

impl std::error::Error for Report {}
