//! A report as a table, on a terminal and in a document.

use std::fmt::Write;

use comfy_table::presets::{ASCII_MARKDOWN, UTF8_FULL_CONDENSED};
use comfy_table::{CellAlignment, Table, TableStyle};

use super::machine::Machine;
use super::report::{Report, Row, Unit};

/// For a terminal.
pub(crate) fn text(report: &Report) -> String {
    let mut text = format!("{}\n{}\n", report.title, table(report, UTF8_FULL_CONDENSED));
    for goal in goals(report) {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "goal: {goal}");
    }
    for note in &report.notes {
        let _ = writeln!(text, "- {note}");
    }
    text
}

/// For a document.
pub(crate) fn markdown(report: &Report) -> String {
    let mut text = format!(
        "**{}**\n\n{}\n\n",
        report.title,
        table(report, ASCII_MARKDOWN)
    );
    for goal in goals(report) {
        let _ = writeln!(text, "- Goal: {goal}");
    }
    for note in &report.notes {
        let _ = writeln!(text, "- {note}");
    }
    text
}

/// Where it was measured, as a paragraph.
pub(crate) fn machine(machine: &Machine) -> String {
    let governor = machine.governor.as_deref().unwrap_or("not to be read");
    format!(
        "Measured on {} × {}, governor {governor}, Linux {}, cgroup {}, load average {:.2} before; \
         Coop at {}; {}.",
        machine.processors,
        machine.processor,
        machine.kernel,
        machine.cgroup,
        machine.load,
        machine.commit,
        machine.versions.join(", ")
    )
}

fn goals(report: &Report) -> impl Iterator<Item = String> {
    report.goals.iter().map(|goal| {
        let verdict = if goal.is_met() { "met" } else { "not met" };
        let (measured, limit) = (goal.measured, goal.limit);
        // As close as that, two digits would not tell which is more.
        let digits = if (measured - limit).abs() < 0.01 {
            4
        } else {
            2
        };
        format!(
            "{}: {measured:.digits$}, at most {limit:.digits$}: {verdict}",
            goal.text
        )
    })
}

fn table(report: &Report, style: TableStyle) -> Table {
    let has_steps = report.rows.iter().any(|row| !row.step.is_empty());
    let mut table = Table::new();
    table.load_style(style);
    let numbers = ["median", "± IQR/2", "processor", "to coop", "to floor"];
    let names: &[&str] = if has_steps { &["", "by"] } else { &["by"] };
    table.set_header(names.iter().chain(&numbers));
    let mut last = "";
    for row in &report.rows {
        let mut cells = cells(report, row);
        if has_steps {
            // A name stands once, above what it is the name of.
            let step = if row.step == last { "" } else { &row.step };
            cells.insert(0, step.to_owned());
            last = &row.step;
        }
        table.add_row(cells);
    }
    for column in table.column_iter_mut().skip(names.len()) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

fn cells(report: &Report, row: &Row) -> Vec<String> {
    let name = row.contender.clone();
    let Some(value) = row.value else {
        return vec![name, row.missing.clone().unwrap_or_default()];
    };
    let spread = if value.count > 1 {
        format!("± {}", show(value.spread() / 2.0, row.unit))
    } else {
        String::new()
    };
    let ratio = |other: Option<&Row>| {
        let other = other.and_then(Row::median);
        other.map_or_else(String::new, |other| format!("{:.2}", value.median / other))
    };
    let cpu = row.cpu.map(|cpu| show(cpu.median, Unit::Seconds));
    vec![
        name,
        show(value.median, row.unit),
        spread,
        cpu.unwrap_or_default(),
        ratio(report.ours(row)),
        ratio(report.floor(row)),
    ]
}

/// A number with its unit.
pub(crate) fn show(value: f64, unit: Unit) -> String {
    match unit {
        Unit::Seconds if value >= 1.0 => format!("{value:.2} s"),
        Unit::Seconds => format!("{:.2} ms", value * 1e3),
        Unit::Bytes => format!("{:.0} KiB", value / 1024.0),
        Unit::PerSecond if value >= 1e6 => format!("{:.1} M/s", value / 1e6),
        Unit::PerSecond => format!("{:.1} k/s", value / 1e3),
        Unit::BytesPerSecond => format!("{:.0} MiB/s", value / f64::from(1 << 20)),
        Unit::Count => format!("{value:.1}"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::report::example;
    use super::*;

    #[test]
    fn a_report_on_a_terminal() {
        insta::assert_snapshot!(text(&example()));
    }

    #[test]
    fn a_report_in_a_document() {
        insta::assert_snapshot!(markdown(&example()));
    }

    #[test]
    fn a_machine_in_a_sentence() {
        insta::assert_snapshot!(machine(&example().machine));
    }

    #[test]
    fn numbers_have_units_that_fit_them() {
        assert_eq!(show(0.0123, Unit::Seconds), "12.30 ms");
        assert_eq!(show(1.5, Unit::Seconds), "1.50 s");
        assert_eq!(show(1_310_720.0, Unit::Bytes), "1280 KiB");
        assert_eq!(show(2_144_855.0, Unit::PerSecond), "2.1 M/s");
        assert_eq!(show(3_082.0, Unit::PerSecond), "3.1 k/s");
    }
}
