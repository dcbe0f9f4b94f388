//! Columns, as Docker's lists have them.

use std::fmt::{self, Write as _};
use std::io::Write as _;

use tabwriter::TabWriter;

/// Rows of cells, aligned when displayed.
#[derive(Debug)]
pub(crate) struct Table {
    text: String,
}

impl Table {
    /// A table with a heading only.
    pub(crate) fn new(heading: &[&str]) -> Self {
        let mut table = Self {
            text: String::new(),
        };
        table.row(heading);
        table
    }

    /// Adds a row below.
    pub(crate) fn row(&mut self, cells: &[impl AsRef<str>]) {
        for (index, cell) in cells.iter().enumerate() {
            if index > 0 {
                self.text.push('\t');
            }
            self.text.extend(cell.as_ref().chars().map(visible));
        }
        self.text.push('\n');
    }
}

/// A cell is one line of its own, and moves no cursor.
fn visible(c: char) -> char {
    if c.is_control() {
        char::REPLACEMENT_CHARACTER
    } else {
        c
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Docker's: at least seven wide, three blanks between.
        let mut writer = TabWriter::new(Vec::new()).minwidth(7).padding(3);
        writer
            .write_all(self.text.as_bytes())
            .map_err(|_| fmt::Error)?;
        let bytes = writer.into_inner().map_err(|_| fmt::Error)?;
        f.write_str(&String::from_utf8_lossy(&bytes))
    }
}

/// Each item on a line of its own.
pub(crate) fn lines(items: impl IntoIterator<Item = impl fmt::Display>) -> String {
    items.into_iter().fold(String::new(), |mut text, item| {
        // Into a string: cannot fail.
        let _ = writeln!(text, "{item}");
        text
    })
}

/// A command as Docker lists it: words with blanks in them are in quotes.
pub(crate) fn command_line(words: &[String]) -> String {
    let words: Vec<_> = words
        .iter()
        .map(|word| {
            if word.contains(' ') {
                format!("'{word}'")
            } else {
                word.clone()
            }
        })
        .collect();
    words.join(" ")
}

/// The text, cut to so many characters, the last of which tells of it: `…`.
pub(crate) fn ellipsis(text: &str, width: usize) -> String {
    match text.char_indices().nth(width.saturating_sub(1)) {
        Some((cut, last)) if cut + last.len_utf8() < text.len() => format!("{}…", &text[..cut]),
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_dockers() {
        let mut table = Table::new(&["NAME", "IMAGE", "PORTS"]);
        table.row(&["a", "coop/host:latest", ""]);
        table.row(&["a-longer-name", "x", "80/tcp"]);
        let shown = table.to_string();
        let lines: Vec<_> = shown.lines().map(|line| format!("{line}|")).collect();
        insta::assert_snapshot!(lines.join("\n"), @r"
        NAME            IMAGE              PORTS|
        a               coop/host:latest   |
        a-longer-name   x                  80/tcp|
        ");
    }

    #[test]
    fn a_cell_cannot_break_out() {
        let mut table = Table::new(&["A"]);
        table.row(&["x\ny\tz\x1b[2J"]);
        assert_eq!(table.to_string(), "A\nx\u{fffd}y\u{fffd}z\u{fffd}[2J\n");
    }

    #[test]
    fn long_text_is_cut_between_characters() {
        assert_eq!(ellipsis("sleep 1000", 10), "sleep 1000");
        assert_eq!(ellipsis("sleep 10000", 10), "sleep 100…");
        assert_eq!(ellipsis("ääääää", 4), "äää…");
        assert_eq!(ellipsis("", 4), "");
    }
}
