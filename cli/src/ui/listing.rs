//! Lists, in the form that the user asks for: a table, JSON, or a template of the user's own.

use std::fmt;
use std::str::FromStr;

use anyhow::Result;
use serde_json::{Map, Value};

use super::template::Template;
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

    /// Also checks a template's syntax, so that nothing is done before a mistake is told.
    fn from_str(text: &str) -> Result<Self, String> {
        let checked = |template: &str| match Template::parse(template) {
            Ok(_) => Ok(template.to_owned()),
            Err(error) => Err(error.to_string()),
        };
        Ok(match text {
            "" | "table" => Self::Table,
            "json" => Self::Json,
            _ => match text.strip_prefix("table ") {
                Some(template) => Self::TableTemplate(checked(template)?),
                None => Self::Template(checked(text)?),
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

/// The key of a row under which its labels are, as an object, for `{{.Label "key"}}`. It is
/// for templates only.
const LABELS: &str = "Label";

/// The list as text. Rows are objects with Docker's keys; `columns` are the table's, each with
/// its heading and the key of its cells.
///
/// A row may carry its labels as an object under `Label`, for templates to ask by
/// `{{.Label "key"}}`: it is never printed as a whole.
pub(crate) fn listing(format: &Format, columns: &[(&str, &str)], rows: &[Value]) -> Result<String> {
    match format {
        Format::Json => Ok(lines(rows.iter().map(|row| split_labels(row).0))),
        Format::Table => {
            let headings: Vec<_> = columns.iter().map(|(heading, _)| *heading).collect();
            let mut table = Table::new(&headings);
            for row in rows {
                let cells: Vec<_> = columns.iter().map(|(_, key)| cell(&row[*key])).collect();
                table.row(&cells);
            }
            Ok(table.to_string())
        }
        Format::Template(template) => {
            let template = Template::parse_row(template)?;
            let rendered = rows.iter().map(|row| render(&template, row));
            Ok(lines(rendered.collect::<Result<Vec<_>>>()?))
        }
        Format::TableTemplate(template) => {
            let template = Template::parse_row(template)?;
            let headings = template.render_headings(&|key| heading(columns, key))?;
            let mut table = Table::new(&headings.split('\t').collect::<Vec<_>>());
            for row in rows {
                for line in render(&template, row)?.split('\n') {
                    table.row(&line.split('\t').collect::<Vec<_>>());
                }
            }
            Ok(table.to_string())
        }
    }
}

/// One document as text: compact JSON, or by a template. Without a format of the user's own,
/// JSON to be read.
pub(crate) fn document(format: &Format, value: &Value) -> Result<String> {
    let mut text = match format {
        Format::Table => format!("{value:#}"),
        Format::Json => value.to_string(),
        Format::Template(template) | Format::TableTemplate(template) => {
            Template::parse(template)?.render(value)?
        }
    };
    text.push('\n');
    Ok(text)
}

fn render(template: &Template, row: &Value) -> Result<String> {
    let (row, labels) = split_labels(row);
    Ok(template.render_row(&row, &labels)?)
}

/// The row as it is printed, and its labels.
fn split_labels(row: &Value) -> (Value, Map<String, Value>) {
    let mut row = row.clone();
    let labels = row.as_object_mut().and_then(|keys| keys.remove(LABELS));
    match labels {
        Some(Value::Object(labels)) => (row, labels),
        _ => (row, Map::new()),
    }
}

/// That of the column with this key; otherwise its words in capitals: `CREATED AT`.
fn heading(columns: &[(&str, &str)], key: &str) -> String {
    if let Some((heading, _)) = columns.iter().find(|(_, of)| *of == key) {
        return (*heading).to_owned();
    }
    let mut words = String::new();
    let mut in_word = false;
    for c in key.chars() {
        if c.is_uppercase() && in_word {
            words.push(' ');
        }
        in_word = c.is_lowercase();
        words.extend(c.to_uppercase());
    }
    words
}

fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const COLUMNS: [(&str, &str); 2] = [("CONTAINER ID", "ID"), ("NAMES", "Names")];

    fn shown(format: &str) -> String {
        let rows = [
            json!({"ID": "aaa", "Names": "web", "CreatedAt": "then", "Label": {"tier": "front"}}),
            json!({"ID": "bbb", "Names": "a-longer-name", "CreatedAt": "now", "Label": {}}),
        ];
        let format: Format = format.parse().unwrap();
        let text = listing(&format, &COLUMNS, &rows).unwrap_or_else(|error| format!("{error:#}\n"));
        lines(text.lines().map(str::trim_end))
    }

    #[test]
    fn rows_are_columns_objects_or_what_the_template_says() {
        let formats = [
            "table",
            "json",
            "{{.Names}}: {{.ID}}",
            "table {{.ID}}\\t{{.CreatedAt}}\\t{{.Label \"tier\"}}",
            "{{json .}}",
            "{{.Nmes}}",
        ];
        let all = lines(formats.map(|format| format!("--format '{format}'\n{}", shown(format))));
        insta::assert_snapshot!(all);
    }

    #[test]
    fn a_mistake_in_a_template_is_told_before_anything_is_done() {
        let error = "{{.ID".parse::<Format>().unwrap_err();
        assert_eq!(error, "template parsing error: 1:1: unclosed action");
    }

    #[test]
    fn a_document_is_json_or_what_the_template_says() {
        let value = json!({"Name": "/web", "State": {"Pid": 1}});
        let shown = |format: &str| document(&format.parse().unwrap(), &value).unwrap();
        assert_eq!(shown("{{.State.Pid}} {{.Name}}"), "1 /web\n");
        assert_eq!(shown("json"), "{\"Name\":\"/web\",\"State\":{\"Pid\":1}}\n");
    }
}
