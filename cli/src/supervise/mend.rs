//! A container that nobody looks after: what a killed supervisor or command left of it.

use std::os::fd::AsFd;
use std::path::PathBuf;

use anyhow::Result;
use coop_launcher::logs::LogWriter;
use coop_launcher::store::{ContainerId, State, Status};
use coop_launcher::supervisor::{self, RestartPolicy};
use coop_ns::pidfd;

use super::remove;
use crate::host::Host;
use crate::plan::ContainerPlan;
use crate::wire::Wires;

/// Brings what is written of a container that nobody looks after in line with the kernel.
/// Says whether it runs.
pub(super) fn mend(host: &Host, state: &State) -> Result<bool> {
    // Another command is at it: see `containers`.
    if state.status == Status::Removing {
        return Ok(false);
    }
    let begun = state.started.is_some();
    let journal = host
        .store
        .dirs()
        .container_run(&state.id)
        .join(coop_launcher::JOURNAL);
    match state.status {
        Status::Stopped if !journal.exists() => return Ok(false),
        Status::Created if state.awaits_start && !journal.exists() => return Ok(false),
        Status::Running | Status::Paused if state.init_alive() => return Ok(true),
        // With a process, it is one whose start was under way.
        Status::Restarting
            if state.pid.is_none() && state.current_status() == Status::Restarting =>
        {
            return Ok(true);
        }
        _ => {}
    }
    if let Some(init) = state.live_init()
        && let Ok(init) = pidfd::open(init)
        && state.init_alive()
    {
        // Its launch was killed before the program was started. It ends by itself, this is
        // only sooner.
        let _ = pidfd::send_signal(init.as_fd(), coop_ns::Signal::KILL);
        let _ = rustix::event::poll(
            &mut [rustix::event::PollFd::new(
                &init,
                rustix::event::PollFlags::IN,
            )],
            None,
        );
    }
    let wires = Wires::new(host);
    supervisor::undo_run(&host.store, &wires, &state.id)?;
    if !begun && state.awaits_start {
        let mut state = state.clone();
        state.wait_for_start();
        host.store.save_state(&state)?;
        return Ok(false);
    }
    let plan: Option<ContainerPlan> = host.store.load_config(&state.id).ok();
    if !begun || plan.as_ref().is_some_and(|plan| plan.remove_at_exit) {
        remove(host, &state.id)?;
        return Ok(false);
    }
    if let Some(plan) = &plan {
        finish_log(host, plan);
    }
    let mut state = state.clone();
    let comes_back = ended_unseen(&mut state, plan.map(|plan| plan.unit.restart));
    host.store.save_state(&state)?;
    Ok(comes_back)
}

/// Carries out the journals of containers that are gone: they say what is left in the kernel.
/// One that cannot be carried out stays for the next try.
pub(crate) fn orphaned_journals(host: &Host) -> Result<()> {
    for id in orphans(host)? {
        if let Err(error) = supervisor::undo_run(&host.store, &Wires::new(host), &id) {
            log::warn!("container {}: {error}", id.short());
        }
    }
    Ok(())
}

/// Containers that are gone and have left a journal.
pub(crate) fn orphans(host: &Host) -> Result<Vec<ContainerId>> {
    let live = host.store.dirs().run.join("containers");
    let orphan = |path: PathBuf| {
        let id = ContainerId::parse(path.file_name()?.to_str()?).ok()?;
        let left = path.parent() == Some(&live) && path.join(coop_launcher::JOURNAL).exists();
        left.then_some(id)
    };
    Ok(host.store.stale()?.into_iter().filter_map(orphan).collect())
}

/// Brings into the log what the killed supervisor of an ended container had taken of its output.
fn finish_log(host: &Host, plan: &ContainerPlan) {
    let path = host.store.dirs().container_log(&plan.unit.id);
    let finished = LogWriter::open(&path, plan.unit.log.clone()).and_then(|mut log| log.flush());
    // It waits beside the log for the next start.
    if let Err(error) = finished {
        log::warn!("{}: {error}: {}", plan.unit.name, error.source);
    }
}

/// Writes down that a container ended, and nobody saw how. Says whether its restart policy
/// brings it back, which no policy does over a reboot.
fn ended_unseen(state: &mut State, policy: Option<RestartPolicy>) -> bool {
    if state.status == Status::Stopped {
        // That it ended was seen; it could not be undone.
        return false;
    }
    let ran = matches!(state.status, Status::Running | Status::Paused);
    // A launch by request that was killed is for the one who asked; a restart goes on.
    let counts = state.is_of_this_boot() && (ran || state.restarts > 0);
    state.set_stopped(None);
    state.stop = None;
    state.error = Some("ended while no supervisor was there to see how".into());
    counts && policy.is_some_and(|policy| supervisor::comes_back(policy, state))
}
