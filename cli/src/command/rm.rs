//! `coop rm`, and the removal that other commands share.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use coop_launcher::store::{ContainerId, StackName, State};

use crate::args::{RmArgs, StackArgs};
use crate::host::{Host, require_root};
use crate::load::resolve;
use crate::supervise;
use crate::ui::Progress;

/// `coop rm`.
pub(crate) fn rm(host: &Host, stack: &StackArgs, args: &RmArgs) -> Result<i32> {
    require_root("remove containers")?;
    let mut exit_code = 0;
    for name in &args.names {
        let result = resolve(host, stack, name).and_then(|state| remove(host, &state, args.force));
        match result {
            Ok(()) => crate::ui::print(&format!("{name}\n"))?,
            Err(error) => {
                crate::ui::error(&error);
                exit_code = 1;
            }
        }
    }
    Ok(exit_code)
}

fn remove(host: &Host, state: &State, force: bool) -> Result<()> {
    drop(supervise::keeper(host, &state.stack)?);
    if state.init_alive() && !force {
        bail!(
            "container {} is running\n  help: stop it first, or remove it with --force",
            state.name
        );
    }
    // What was being mended above may be gone now.
    if host.store.load_state(&state.id).is_err() {
        return Ok(());
    }
    supervise::stop(
        host,
        &state.stack,
        std::slice::from_ref(&state.id),
        Some(Duration::ZERO),
        &mut |_| (),
    )?;
    supervise::remove(host, &state.id).with_context(|| format!("remove container {}", state.name))
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
    for id in ids {
        // Mending may have removed it.
        let Ok(state) = host.store.load_state(id) else {
            continue;
        };
        for network in supervise::networks_of(host, id)? {
            networks.insert(network);
        }
        supervise::remove(host, id).with_context(|| format!("remove container {}", state.name))?;
        progress.line("Container", state.name.as_str(), "Removed");
    }
    for network in networks {
        if host.networks.get(&network)?.is_none() {
            progress.line("Network", &network, "Removed");
        }
    }
    Ok(())
}
