//! Lists, in the form that the user asks for: a table, JSON, or a template of the user's own.

use std::fmt;
use std::str::FromStr;

use anyhow::Result;
use serde_json::Value;

use super::{Table, lines};

/// How a listing is printed: Docker's `--format`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum Format {
    /// Columns with a heading.
    #[default]
    Table,
    /// One object a line.
    Json,
    /// A Go template for each row.
    Template(String),
    /// The same as columns: what stands behind `table `.
    TableTemplate(String),
}

impl FromStr for Format {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Ok(match text {
            "" | "table" => Self::Table,
            "json" => Self::Json,
            _ => match text.strip_prefix("table ") {
                Some(template) => Self::TableTemplate(template.to_owned()),
                None => Self::Template(text.to_owned()),
            },
        })
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Table => f.write_str("table"),
            Self::Json => f.write_str("json"),
            Self::Template(template) => f.write_str(template),
            Self::TableTemplate(template) => write!(f, "table {template}"),
        }
    }
}

/// The list as text. Rows are objects with Docker's keys; `columns` are the table's, each with
/// its heading and the key of its cells.
pub(crate) fn listing(format: &Format, columns: &[(&str, &str)], rows: &[Value]) -> Result<String> {
    match format {
        Format::Json => Ok(lines(rows)),
        Format::Table => {
            let headings: Vec<_> = columns.iter().map(|(heading, _)| *heading).collect();
            let mut table = Table::new(&headings);
            for row in rows {
                let cells: Vec<_> = columns.iter().map(|(_, key)| cell(&row[*key])).collect();
                table.row(&cells);
            }
            Ok(table.to_string())
        }
        Format::Template(_) | Format::TableTemplate(_) => {
            anyhow::bail!("templates are not implemented yet")
        }
    }
}

fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
