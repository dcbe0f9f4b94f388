//! `coop rm`, and the removal that other commands share.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use coop_launcher::store::{ContainerId, StackName, State, Status};
use coop_launcher::supervisor::Request;

use super::several::Several;
use crate::args::{RmArgs, StackArgs};
use crate::host::Host;
use crate::supervise;
use crate::ui::Progress;

/// `coop rm`.
pub(crate) fn rm(host: &Host, stack: &StackArgs, args: &RmArgs) -> Result<i32> {
    let mut several = Several::find(host, stack, &args.names)?;
    for stack in several.by_stack().keys() {
        drop(supervise::keeper(host, stack)?);
    }
    if args.force {
        let timeout = Some(Duration::ZERO);
        several.ask(
            |ids| Request::Stop {
                ids,
                timeout,
                signal: None,
            },
            |_| Ok(()),
        );
    } else {
        several.each(has_ended);
    }
    let remove = if args.volumes {
        supervise::remove
    } else {
        supervise::remove_but_volumes
    };
    several.each(|host, state| {
        // What was mended above, or goes with its end (--rm), may be gone now.
        if host.store.load_state(&state.id).is_err() {
            return Ok(());
        }
        remove(host, &state.id).with_context(|| format!("remove container {}", state.name))
    });
    several.finish()
}

fn has_ended(host: &Host, state: &State) -> Result<()> {
    let Ok(state) = host.store.load_state(&state.id) else {
        return Ok(());
    };
    let is = match supervise::status_of(host, &state) {
        Status::Running => "running",
        Status::Paused => "paused",
        Status::Restarting => "restarting",
        _ if state.init_alive() => "being started",
        _ => return Ok(()),
    };
    bail!(
        "container {} is {is}\n  help: stop it first, or remove it with --force",
        state.name
    )
}

/// Stops containers of a stack in the order of their dependencies, and removes them.
pub(super) fn stop_and_remove(
    host: &Host,
    stack: &StackName,
    ids: &[ContainerId],
    timeout: Option<Duration>,
    progress: &mut Progress,
) -> Result<()> {
    let running: Vec<_> = ids
        .iter()
        .filter_map(|id| host.store.load_state(id).ok())
        .filter(State::init_alive)
        .collect();
    progress.stopping(running.iter().map(|state| state.name.as_str()));
    supervise::stop(host, stack, ids, timeout, &mut |report| {
        progress.report(report);
    })?;
    let mut networks = BTreeSet::new();
    supervise::remove_several(host, ids, |plan| {
        networks.extend(plan.network.networks().map(str::to_owned));
        progress.line("Container", &plan.unit.name, "Removed");
    })?;
    for network in networks {
        if host.networks.get(&network)?.is_none() {
            progress.line("Network", &network, "Removed");
        }
    }
    Ok(())
}
