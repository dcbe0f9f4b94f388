//! Reports as a part of a document.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use super::report::Report;
use super::table;

const BEGIN: &str = "<!-- bench: written by `cargo xtask bench --readme` -->\n";
const END: &str = "<!-- /bench -->\n";

/// Where was measured, and all tables.
pub(crate) fn of(reports: &[Report]) -> String {
    let mut parts = vec![machines(reports)];
    parts.extend(reports.iter().map(table::markdown));
    parts.join("\n")
}

/// A paragraph for each machine, or state of one, that reports were made on.
pub(crate) fn machines(reports: &[Report]) -> String {
    let mut machines: Vec<_> = reports
        .iter()
        .map(|it| table::machine(&it.machine))
        .collect();
    machines.dedup();
    machines.join("\n") + "\n"
}

/// Replaces what stands between the marks of the file `path`.
///
/// # Errors
/// When it cannot be read or written, or has no marks.
pub(crate) fn write_into(path: &Path, reports: &[Report]) -> Result<()> {
    let file = path.display();
    let text = fs::read_to_string(path).with_context(|| format!("read {file}"))?;
    let text = between_marks(&text, &of(reports))
        .with_context(|| format!("{file} has no line {BEGIN:?} with a line {END:?} after it"))?;
    fs::write(path, text).with_context(|| format!("write {file}"))
}

fn between_marks(text: &str, new: &str) -> Option<String> {
    let (before, rest) = text.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}\n{}\n\n{END}{after}", new.trim()))
}

#[cfg(test)]
mod tests {
    use super::super::report::example;
    use super::*;

    #[test]
    fn what_is_between_the_marks_is_replaced_and_nothing_else() {
        let text = format!("before\n{BEGIN}old\n{END}after\n");
        let once = between_marks(&text, "new").unwrap();
        assert_eq!(once, format!("before\n{BEGIN}\nnew\n\n{END}after\n"));
        assert_eq!(between_marks(&once, "new"), Some(once));
    }

    #[test]
    fn a_document_without_marks_is_left_alone() {
        assert_eq!(between_marks("text\n", "new"), None);
        assert_eq!(between_marks(&format!("{END}{BEGIN}"), "new"), None);
    }

    #[test]
    fn the_readme_has_the_marks() {
        let readme = crate::cargo::workspace().join("README.md");
        let readme = fs::read_to_string(readme).unwrap();
        assert!(between_marks(&readme, "").is_some());
    }

    #[test]
    fn one_machine_is_told_once() {
        let reports = [example(), example()];
        assert_eq!(machines(&reports).lines().count(), 1);
    }
}
