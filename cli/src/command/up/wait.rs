//! `up --wait`: until everything runs, and is healthy where somebody looks.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use coop_launcher::store::{ContainerId, Health, State, Status};

use crate::host::Host;
use crate::plan::ContainerPlan;
use crate::supervise::Interrupts;

/// How long to sleep before looking again.
const PAUSE: Duration = Duration::from_millis(50);

/// What is to be said of a container that is waited for.
#[derive(Debug, PartialEq, Eq)]
enum Progress {
    Ready,
    Wait,
    Never(String),
}

/// Waits for these containers; `false` when the user does not want to any longer.
///
/// # Errors
/// When one has failed or is unhealthy, or the time is over.
pub(super) fn wait(
    host: &Host,
    ids: &[ContainerId],
    timeout: Option<Duration>,
    interrupts: &Interrupts,
) -> Result<bool> {
    let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
    let mut waiting = Vec::new();
    for id in ids {
        let plan: ContainerPlan = host.store.load_config(id)?;
        waiting.push((id, plan.unit.name, plan.unit.health.is_some()));
    }
    loop {
        let mut open = Vec::new();
        for (id, name, checked) in waiting {
            match progress(&host.store.load_state(id)?, checked) {
                Progress::Ready => {}
                Progress::Wait => open.push((id, name, checked)),
                Progress::Never(why) => bail!("container {name} {why}"),
            }
        }
        waiting = open;
        let Some((_, name, _)) = waiting.first() else {
            return Ok(true);
        };
        if interrupts.came()? {
            return Ok(false);
        }
        if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            bail!("application not healthy after the time to wait: container {name} is not ready");
        }
        std::thread::sleep(PAUSE);
    }
}

/// As compose: one that has ended well is ready, too.
fn progress(state: &State, checked: bool) -> Progress {
    match (state.status, state.health) {
        (Status::Stopped, _) if state.exit_code == Some(0) => Progress::Ready,
        (Status::Stopped, _) => Progress::Never(match (&state.error, state.exit_code) {
            (Some(error), _) => error.clone(),
            (None, Some(code)) => format!("exited ({code})"),
            (None, None) => "has ended".into(),
        }),
        (_, Some(Health::Unhealthy)) => Progress::Never("is unhealthy".into()),
        (Status::Running | Status::Paused, Some(Health::Healthy)) => Progress::Ready,
        (Status::Running | Status::Paused, _) if !checked => Progress::Ready,
        _ => Progress::Wait,
    }
}
