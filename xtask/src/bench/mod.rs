//! `cargo xtask bench`: Coop beside its peers and beside the floor, measured in one run.

mod bundle;
mod contest;
mod hierarchies;
mod machine;
mod measure;
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

use anyhow::{Context, Result};
use clap::Args;

use crate::cargo;
use contest::Rounds;
use machine::Machine;
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
    /// The youki to compare with, where it is not in PATH
    #[arg(long, value_name = "PATH")]
    youki: Option<PathBuf>,
    /// The coop to measure instead of a release build of this tree
    #[arg(long, value_name = "PATH")]
    coop: Option<PathBuf>,
}

/// Measures and reports.
///
/// # Errors
/// When a scenario cannot be run.
pub(crate) fn run(options: &Options) -> Result<()> {
    let results = cargo::target_directory()?.join("bench");
    let tools = Tools::find(options)?;
    let site = Site::enter(&results)?;
    sys::catch_signals();
    let machine = Machine::here(&site, &tools);
    let stand = Stand::new(&site, &tools)?;
    let scenarios = match &options.scenarios[..] {
        [] => &Scenario::ALL,
        named => named,
    };
    for scenario in scenarios {
        let report = measure(*scenario, &stand, &machine, options.rounds)?;
        save(&results, &report)?;
        if options.json {
            println!("{}", serde_json::to_string_pretty(&report)?);
        } else if options.markdown {
            println!("{}\n\n{}", report.title, table::markdown(&report));
        } else {
            println!("{}\n{}", report.title, table::text(&report));
        }
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
        rows: outcome.rows,
        goals: outcome.goals,
        notes: outcome.notes,
        machine: machine.clone(),
    })
}

fn save(results: &Path, report: &Report) -> Result<()> {
    let file = results.join(format!("{}.json", report.scenario));
    let text = serde_json::to_vec_pretty(report)?;
    fs::write(&file, text).with_context(|| format!("write {}", file.display()))
}
