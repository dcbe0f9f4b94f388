//! `cargo xtask bench`: Coop beside its peers and beside the floor, measured in one run.

mod audit;
mod bundle;
mod chart;
mod clean_up;
mod contest;
mod document;
mod engine;
mod hierarchies;
mod machine;
mod measure;
mod processes;
mod report;
mod rootfs;
mod scenario;
mod site;
mod stand;
mod stats;
mod sys;
mod table;
mod tools;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::cargo;
use contest::Rounds;
use machine::{Built, Machine};
use report::Report;
use scenario::Scenario;
use site::Site;
use stand::Stand;
use tools::Tools;

#[derive(Args)]
pub(crate) struct Options {
    /// What to measure [default: everything]
    #[arg(value_enum)]
    scenarios: Vec<Scenario>,
    /// How often each contender is measured [default: as the scenario needs]
    #[arg(long)]
    rounds: Option<usize>,
    /// Print JSON instead of tables
    #[arg(long)]
    json: bool,
    /// Print tables for a document
    #[arg(long, conflicts_with = "json")]
    markdown: bool,
    /// Write tables into the README, between its marks
    #[arg(long, conflicts_with_all = ["json", "markdown"])]
    readme: bool,
    /// Measure nothing, and show the reports of earlier runs
    #[arg(long)]
    saved: bool,
    /// The youki to compare with, where it is not in PATH
    #[arg(long, value_name = "PATH")]
    youki: Option<PathBuf>,
    /// The coop to measure instead of a release build of this tree
    #[arg(long, value_name = "PATH")]
    coop: Option<PathBuf>,
}

/// What is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Text,
    Json,
    Markdown,
    Readme,
}

impl Options {
    fn scenarios(&self) -> &[Scenario] {
        match &self.scenarios[..] {
            [] => &Scenario::ALL,
            named => named,
        }
    }

    fn format(&self) -> Format {
        match self {
            Self { json: true, .. } => Format::Json,
            Self { markdown: true, .. } => Format::Markdown,
            Self { readme: true, .. } => Format::Readme,
            _ => Format::Text,
        }
    }
}

/// Measures and reports.
///
/// # Errors
/// When a scenario cannot be run.
pub(crate) fn run(options: &Options) -> Result<()> {
    let results = cargo::target_directory()?.join("bench");
    if options.saved {
        return show_saved(options, &results);
    }
    let tools = Tools::find(options)?;
    let site = Site::enter(&results)?;
    sys::catch_signals();
    let built = match options.coop {
        Some(_) => Built::Elsewhere,
        None => Built::Here,
    };
    let machine = Machine::here(&site, &tools, built);
    let stand = Stand::new(&site, &tools)?;
    let mut reports = Vec::new();
    for scenario in options.scenarios() {
        let report = measure(*scenario, &stand, &machine, options.rounds)?;
        save(&results, &report)?;
        if options.format() == Format::Text {
            println!("{}", table::text(&report));
        }
        reports.push(report);
    }
    print(&reports, options.format())?;
    eprintln!("bench: JSON and charts are in {}", results.display());
    Ok(())
}

/// Prints reports of an earlier run.
fn show_saved(options: &Options, results: &Path) -> Result<()> {
    let mut reports = Vec::new();
    for scenario in options.scenarios() {
        let file = results.join(format!("{}.json", scenario.name()));
        let text = match fs::read(&file) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            read => read.with_context(|| format!("read {}", file.display()))?,
        };
        let report: Report = serde_json::from_slice(&text)
            .with_context(|| format!("{} is of another version", file.display()))?;
        if options.format() == Format::Text {
            println!("{}", table::text(&report));
        }
        reports.push(report);
    }
    if reports.is_empty() {
        bail!(
            "nothing has been measured yet: no reports in {}",
            results.display()
        );
    }
    print(&reports, options.format())
}

/// Prints, or writes, what is not printed while it is measured.
fn print(reports: &[Report], format: Format) -> Result<()> {
    match format {
        Format::Json => println!("{}", serde_json::to_string_pretty(reports)?),
        Format::Markdown => println!("{}", document::of(reports)),
        Format::Readme => document::write_into(&cargo::workspace().join("README.md"), reports)?,
        Format::Text => println!("{}", document::machines(reports)),
    }
    Ok(())
}

fn measure(
    scenario: Scenario,
    stand: &Stand<'_>,
    machine: &Machine,
    rounds: Option<usize>,
) -> Result<Report> {
    let counted = rounds.unwrap_or(scenario.usual_rounds());
    let rounds = Rounds {
        warmup: (counted / 10).max(1),
        counted,
    };
    let name = scenario.name();
    eprintln!("bench: {name}: {counted} rounds");
    let outcome = scenario
        .measure(stand, rounds)
        .with_context(|| name.clone())?;
    Ok(Report {
        scenario: name,
        title: outcome.title.into(),
        rows: report::grouped(outcome.rows),
        goals: outcome.goals,
        notes: outcome.notes,
        machine: machine.clone(),
    })
}

fn save(results: &Path, report: &Report) -> Result<()> {
    let write = |extension: &str, content: Vec<u8>| {
        let file = results.join(format!("{}.{extension}", report.scenario));
        fs::write(&file, content).with_context(|| format!("write {}", file.display()))
    };
    write("json", serde_json::to_vec_pretty(report)?)?;
    write("svg", chart::svg(report).into_bytes())
}
