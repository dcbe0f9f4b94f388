//! Go's `text/template` over JSON values, as far as users of Docker's `--format` know it.
//!
//! A template is lexed ([`lex`]), parsed once ([`parse`]) and evaluated for each value
//! ([`eval`]) with Go's and Docker's functions ([`functions`], [`printf`]). What Go does by
//! types is done by the shape of the JSON: an object whose keys all begin with a capital is a
//! struct, in which an unknown field is an error; any other object is a map, in which an
//! unknown key has no value.

mod eval;
mod functions;
mod lex;
mod parse;
mod printf;
#[cfg(test)]
mod tests;

use std::fmt;

use serde_json::{Map, Value};

use eval::{Headings, Labels, Machine};
use parse::Node;

/// Blocks in blocks, and parentheses in parentheses: deeper is an error, not a full stack.
const MAX_DEPTH: usize = 64;

/// A parsed template.
#[derive(Debug)]
pub(crate) struct Template {
    nodes: Vec<Node>,
    source: String,
}

impl Template {
    /// Parses a template for a single document: `inspect --format`.
    pub(crate) fn parse(source: &str) -> Result<Self, TemplateError> {
        parse::parse(source)
            .map(|nodes| Self {
                nodes,
                source: source.to_owned(),
            })
            .map_err(|fault| fault.in_text(Stage::Parsing, source))
    }

    /// Parses a template for the rows of a list, where Docker takes `\t` and `\n` outside of
    /// the braces for tab and end of line.
    pub(crate) fn parse_row(source: &str) -> Result<Self, TemplateError> {
        let mut template = Self::parse(source)?;
        parse::expand_escapes(&mut template.nodes);
        Ok(template)
    }

    /// The text for one value.
    pub(crate) fn render(&self, data: &Value) -> Result<String, TemplateError> {
        self.run(Machine::new(data, Labels::None))
    }

    /// The text for one row, of which `{{.Label "key"}}` asks these labels.
    pub(crate) fn render_row(
        &self,
        row: &Value,
        labels: &Map<String, Value>,
    ) -> Result<String, TemplateError> {
        self.run(Machine::new(row, Labels::Of(labels)))
    }

    /// The heading of a table of such rows: each field stands for its own heading.
    pub(crate) fn render_headings(&self, heading: Headings<'_>) -> Result<String, TemplateError> {
        self.run(Machine::new(&Value::Null, Labels::None).with_headings(heading))
    }

    fn run(&self, machine: Machine<'_>) -> Result<String, TemplateError> {
        machine
            .run(&self.nodes)
            .map_err(|fault| fault.in_text(Stage::Executing, &self.source))
    }
}

/// What is wrong with a template, or with the value that it was made for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{stage}: {line}:{column}: {message}")]
pub(crate) struct TemplateError {
    stage: Stage,
    line: usize,
    column: usize,
    message: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Parsing,
    Executing,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Parsing => "template parsing error",
            Self::Executing => "template execution error",
        })
    }
}

/// A message and the place in the template, as an offset in bytes.
#[derive(Debug)]
struct Fault {
    at: usize,
    message: String,
}

impl Fault {
    fn new(at: usize, message: impl Into<String>) -> Self {
        Self {
            at,
            message: message.into(),
        }
    }

    /// With line and column, both from 1, the column in characters.
    fn in_text(self, stage: Stage, source: &str) -> TemplateError {
        let before = source.get(..self.at).unwrap_or(source);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        TemplateError {
            stage,
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
            message: self.message,
        }
    }
}
