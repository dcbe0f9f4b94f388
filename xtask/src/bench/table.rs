//! A report as a table, on a terminal and in a document.

use std::fmt::Write;

use comfy_table::presets::{ASCII_MARKDOWN, UTF8_FULL_CONDENSED};
use comfy_table::{CellAlignment, Table, TableStyle};

use super::report::{Report, Row, Unit};

/// For a terminal.
pub(crate) fn text(report: &Report) -> String {
    render(report, UTF8_FULL_CONDENSED)
}

/// For a document.
pub(crate) fn markdown(report: &Report) -> String {
    render(report, ASCII_MARKDOWN)
}

fn render(report: &Report, style: TableStyle) -> String {
    let mut table = Table::new();
    table.load_style(style);
    table.set_header([
        "",
        "median",
        "half of them within",
        "processor time",
        "ratio to coop",
        "to floor",
    ]);
    for row in &report.rows {
        table.add_row(cells(report, row));
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    let mut text = format!("{table}\n");
    for goal in &report.goals {
        let verdict = if goal.is_met() { "met" } else { "NOT met" };
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "goal: {}: {:.2}, at most {:.2}: {verdict}",
            goal.text, goal.measured, goal.limit
        );
    }
    text
}

fn cells(report: &Report, row: &Row) -> Vec<String> {
    let mut name = row.contender.clone();
    if !row.step.is_empty() {
        let _ = write!(name, ": {}", row.step);
    }
    let Some(value) = row.value else {
        return vec![name, row.missing.clone().unwrap_or_default()];
    };
    let show = |value: f64| show(value, row.unit);
    let spread = format!("± {}", show(value.spread() / 2.0));
    let ratio = |to: &str| {
        let other = report
            .rows
            .iter()
            .find(|it| it.contender.starts_with(to) && it.step == row.step);
        let other = other.and_then(Row::median);
        other.map_or_else(String::new, |other| format!("{:.2}", value.median / other))
    };
    let cpu = row.cpu.map_or_else(String::new, |cpu| show(cpu.median));
    vec![
        name,
        show(value.median),
        spread,
        cpu,
        ratio("coop"),
        ratio("floor"),
    ]
}

fn show(value: f64, unit: Unit) -> String {
    match unit {
        Unit::Seconds => format!("{:.2} ms", value * 1e3),
        Unit::Bytes => format!("{:.2} MiB", value / f64::from(1 << 20)),
        Unit::PerSecond => format!("{value:.0}/s"),
        Unit::BytesPerSecond => format!("{:.0} MiB/s", value / f64::from(1 << 20)),
        Unit::Count => format!("{value:.0}"),
    }
}
