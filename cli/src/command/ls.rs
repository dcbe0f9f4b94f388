//! `coop ls`: all stacks.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use coop_launcher::store::{State, Status};
use serde_json::json;

use crate::args::{Filter, LsArgs};
use crate::host::Host;
use crate::plan::ContainerPlan;
use crate::ui::{lines, listing, print};

/// `coop ls`, in the words of `docker compose ls`.
pub(super) fn ls(host: &Host, args: &LsArgs) -> Result<i32> {
    Filter::check(&args.filter, &["name"])?;
    super::ps::mend_all(host)?;
    let mut stacks: BTreeMap<String, Vec<State>> = BTreeMap::new();
    for state in host.store.list()? {
        stacks
            .entry(state.stack.to_string())
            .or_default()
            .push(state);
    }
    stacks.retain(|name, states| {
        (args.all || states.iter().any(is_live))
            && Filter::any(&args.filter, "name", |part| name.contains(part))
    });
    if args.quiet {
        print(&lines(stacks.keys()))?;
        return Ok(0);
    }
    let rows: Vec<_> = stacks
        .iter()
        .map(|(name, states)| {
            json!({
                "Name": name,
                "Status": status(states),
                "ConfigFiles": config_files(host, states),
            })
        })
        .collect();
    let columns = [
        ("NAME", "Name"),
        ("STATUS", "Status"),
        ("CONFIG FILES", "ConfigFiles"),
    ];
    print(&listing(&args.format, &columns, &rows)?)?;
    Ok(0)
}

/// The files that the stack was brought up from; containers of `coop run` have none.
fn config_files(host: &Host, states: &[State]) -> String {
    let file = |state: &State| {
        let plan: ContainerPlan = host.store.load_config(&state.id).ok()?;
        Some(plan.stack_file?.display().to_string())
    };
    let files: BTreeSet<_> = states.iter().filter_map(file).collect();
    if files.is_empty() {
        return "N/A".to_owned();
    }
    files.into_iter().collect::<Vec<_>>().join(",")
}

fn is_live(state: &State) -> bool {
    matches!(
        state.current_status(),
        Status::Running | Status::Paused | Status::Restarting
    )
}

/// How many are in which state: `exited(1), running(2)`.
fn status(states: &[State]) -> String {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for state in states {
        *counts
            .entry(super::ps::status_word(state.current_status()))
            .or_default() += 1;
    }
    let words: Vec<_> = counts
        .into_iter()
        .map(|(word, count)| format!("{word}({count})"))
        .collect();
    words.join(", ")
}
