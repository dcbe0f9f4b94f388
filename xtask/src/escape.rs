//! `cargo xtask escape`: the hostile-container suite, and its table.

use std::fs;
use std::path::Path;
use std::process::Stdio;

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use comfy_table::presets::UTF8_FULL_CONDENSED;
use comfy_table::{ContentArrangement, Table};
use serde::{Deserialize, Serialize};

use crate::build::{self, Profile};
use crate::test::INTEGRATION;
use crate::{cargo, packages};

/// The test program of `tests/tests/escape.rs`.
const PROGRAM: &str = "escape";

#[derive(Args)]
pub(crate) struct Options {
    /// Print JSON: every run of every row, with its flags
    #[arg(long)]
    json: bool,
    /// Attack containers of the release build of coop
    #[arg(long)]
    release: bool,
}

/// What the tests say of one row; see `tests/src/escape/report.rs`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Row {
    /// Its place in the table.
    place: usize,
    /// How many there are.
    of: usize,
    part: String,
    name: String,
    attack: String,
    guards: Vec<Guard>,
    default: Run,
    off: Option<Run>,
    no_switch: Option<String>,
    verdict: Verdict,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Guard {
    name: String,
    off: Vec<String>,
    alone: Option<Run>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Run {
    flags: Vec<String>,
    expected: String,
    outcome: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Verdict {
    Holds,
    Broken,
    Absent,
}

/// Runs every row on containers of this machine and prints the table.
///
/// # Errors
/// Without root; when something cannot be built; when a row does not hold, or is missing.
pub(crate) fn run(options: &Options) -> Result<()> {
    if !rustix::process::geteuid().is_root() {
        bail!(
            "the attacks run in real containers and need root: sudo env PATH=\"$PATH\" cargo xtask escape"
        );
    }
    packages::ensure_packages()?;
    let profile = if options.release {
        Profile::Release
    } else {
        Profile::Debug
    };
    let coop = build::coop(profile)?;
    let directory = tempfile::tempdir().context("a directory for the report")?;
    let report = directory.path().join("report");

    let mut tests = cargo::cargo(["test", "--package", INTEGRATION, "--test", PROGRAM]);
    tests
        .arg("--no-fail-fast")
        .env("COOP_BIN", coop)
        .env("COOP_ESCAPE_REPORT", &report)
        // Standard output is the table's.
        .stdout(Stdio::from(std::io::stderr()));
    let passed = cargo::run("attacks", &mut tests);
    let rows = match read(&report) {
        Ok(rows) => rows,
        // That the tests could not be built or begun says more than that they left no report.
        Err(unread) => return passed.and(Err(unread)),
    };
    if options.json {
        println!("{}", serde_json::to_string_pretty(&rows)?);
    } else {
        println!("{}\n{}", table(&rows), summary(&rows));
    }
    passed?;
    ensure!(
        rows.first().is_some_and(|row| row.of == rows.len()),
        "some rows were not run"
    );
    ensure!(
        rows.iter().all(|row| row.verdict != Verdict::Broken),
        "some rows do not hold"
    );
    Ok(())
}

/// The rows in the order of the table; threads of the test have written them.
fn read(report: &Path) -> Result<Vec<Row>> {
    let text = fs::read_to_string(report).context("read the report of the attacks")?;
    let rows: Result<Vec<Row>, _> = text.lines().map(serde_json::from_str).collect();
    let mut rows = rows.context("the report of the attacks")?;
    rows.sort_by_key(|row| row.place);
    Ok(rows)
}

fn table(rows: &[Row]) -> Table {
    let mut table = Table::new();
    table
        .load_style(UTF8_FULL_CONDENSED)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_header(["attack", "stopped by", "by default", "guards off", "holds"]);
    let mut part = "";
    for row in rows {
        if row.part != part {
            part = &row.part;
            table.add_row([part.to_uppercase().as_str(), "", "", "", ""]);
        }
        let guards: Vec<_> = row.guards.iter().map(|guard| guard.name.as_str()).collect();
        let off = match (&row.off, &row.no_switch) {
            (Some(run), Some(why)) => format!("on the host: {} (no switch: {why})", run.outcome),
            (None, Some(why)) => format!("no switch: {why}"),
            (Some(run), None) => format!("{}\n{}", run.outcome, run.flags.join(" ")),
            (None, None) => String::new(),
        };
        let attack = format!("{}\n{}", row.name, row.attack);
        let holds = holds(row);
        table.add_row([
            &attack,
            &guards.join(", "),
            &row.default.outcome,
            &off,
            &holds,
        ]);
    }
    table
}

fn holds(row: &Row) -> String {
    match row.verdict {
        Verdict::Holds => "yes".into(),
        Verdict::Absent => "not in this kernel".into(),
        Verdict::Broken => {
            let alone = row.guards.iter().filter_map(|guard| guard.alone.as_ref());
            let runs = std::iter::once(&row.default).chain(alone).chain(&row.off);
            let wrong = runs.filter(|run| !run.outcome.starts_with(&run.expected));
            let wrong: Vec<_> = wrong
                .map(|run| {
                    let flags = run.flags.join(" ");
                    format!("{} instead of {} ({flags})", run.outcome, run.expected)
                })
                .collect();
            format!("NO\n{}", wrong.join("\n"))
        }
    }
}

fn summary(rows: &[Row]) -> String {
    let count = |verdict| rows.iter().filter(|row| row.verdict == verdict).count();
    let switches = rows.iter().filter(|row| row.no_switch.is_none()).count();
    format!(
        "{} attacks: {} denied as they should be, {} not, {} on what this kernel does not have; \
         {switches} have a switch",
        rows.len(),
        count(Verdict::Holds),
        count(Verdict::Broken),
        count(Verdict::Absent),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(verdict: Verdict) -> Row {
        let run = |flags: &[&str], expected: &str, outcome: &str| Run {
            flags: flags.iter().map(ToString::to_string).collect(),
            expected: expected.into(),
            outcome: outcome.into(),
        };
        Row {
            place: 0,
            of: 1,
            part: "mounts".into(),
            name: "mount".into(),
            attack: "mount a filesystem".into(),
            guards: vec![Guard {
                name: "no SYS_ADMIN".into(),
                off: vec!["--cap-add".into(), "SYS_ADMIN".into()],
                alone: None,
            }],
            default: run(&[], "denied: EPERM", "denied: EPERM"),
            off: Some(run(
                &["--cap-add", "SYS_ADMIN"],
                "succeeded",
                "denied: EBUSY",
            )),
            no_switch: None,
            verdict,
        }
    }

    #[test]
    fn the_table_tells_what_was_stopped_by_what_and_what_was_not() {
        let rows = [row(Verdict::Holds), row(Verdict::Broken)];
        insta::assert_snapshot!(format!("{}\n{}", table(&rows), summary(&rows)));
    }
}
