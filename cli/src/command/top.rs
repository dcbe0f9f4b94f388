//! `coop top`: the processes of a container, as ps(1) lists them.

mod columns;
mod options;
pub(crate) mod process;

use std::io::Write as _;

use anyhow::{Context, Result, bail};
use tabwriter::TabWriter;

use super::ui;
use crate::args::{StackArgs, TopArgs, UiArgs};
use crate::host::Host;
use crate::load;
use crate::plan::ContainerPlan;
use options::Options;
use process::{Machine, Process};

/// `coop top`.
pub(super) fn top(host: &Host, stack: &StackArgs, args: &TopArgs) -> Result<i32> {
    let Some(name) = &args.name else {
        return ui::ui(host, &UiArgs { interval: 1.0 });
    };
    let columns = Options::parse(&args.ps_options)?.columns;
    let state = load::resolve_replica(host, stack, name, args.replica)?;
    if !state.init_alive() {
        bail!(
            "container {} is not running\n  help: start it with `coop start {}`",
            state.name,
            state.name
        );
    }
    let plan: ContainerPlan = host.store.load_config(&state.id)?;
    let pids = match host.cgroup_of(&plan)? {
        Some(cgroup) => cgroup.pids()?,
        None => process::in_pid_namespace_of(&state, &plan)?,
    };
    let machine = Machine::look().context("look at the machine")?;
    let headings = columns
        .iter()
        .map(|column| column.heading.clone())
        .collect();
    let mut rows: Vec<Vec<String>> = vec![headings];
    for pid in pids {
        // One that has ended meanwhile is left out.
        if let Some(process) = Process::read(pid) {
            rows.push(
                columns
                    .iter()
                    .map(|column| (column.cell)(&process, &machine))
                    .collect(),
            );
        }
    }
    crate::ui::print(&table(&rows)?)?;
    Ok(0)
}

/// Docker's: each column but the last at least twenty wide, three of them blank.
fn table(rows: &[Vec<String>]) -> Result<String> {
    let mut writer = TabWriter::new(Vec::new()).minwidth(17).padding(3);
    for row in rows {
        let cells: Vec<_> = row.iter().map(|cell| visible(cell)).collect();
        writeln!(writer, "{}", cells.join("\t"))?;
    }
    let bytes = writer
        .into_inner()
        .map_err(|error| anyhow::anyhow!("{}", error.error()))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// A process names itself: what it says moves no cursor, and stays in its column.
fn visible(cell: &str) -> String {
    { cell.chars() }
        .map(|c| if c.is_control() { '?' } else { c })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_dockers() {
        let rows = [["UID", "PID", "CMD"], ["1000000", "12", "a\tb\x1b[2J"]];
        let rows = rows.map(|row| row.map(str::to_owned).to_vec());
        insta::assert_snapshot!(table(&rows).unwrap(), @r"
        UID                 PID                 CMD
        1000000             12                  a?b?[2J
        ");
    }
}
