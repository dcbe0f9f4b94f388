//! Stacks whose supervisor or command was killed.

use anyhow::{Result, anyhow};
use coop_launcher::store::{StackName, State, Status, StoreError};

use super::{Findings, lasting};
use crate::host::Host;
use crate::{realize, supervise};

pub(super) fn check(host: &Host, findings: &mut Findings) -> Result<()> {
    for stack in host.store.stacks()? {
        check_stack(host, &stack, findings)?;
    }
    for id in host.store.ids()? {
        match host.store.load_state(&id) {
            Ok(_) | Err(StoreError::Gone { .. }) => {}
            Err(error) => findings.hopeless(&anyhow!(error).context(format!(
                "container {}: its state cannot be read\n  \
                 help: remove {} when nothing of it runs",
                id.short(),
                host.store.dirs().container(&id).display()
            ))),
        }
    }
    Ok(())
}

fn check_stack(host: &Host, stack: &StackName, findings: &mut Findings) -> Result<()> {
    let wrong = lasting(|| diagnose(host, stack))?;
    let Some((last, others)) = wrong.split_last() else {
        return Ok(());
    };
    for wrong in others {
        findings.found(&wrong.text, wrong.remedy, || Ok(()))?;
    }
    // One call mends all of them.
    findings.found(&last.text, last.remedy, || {
        drop(supervise::keeper(host, stack)?);
        let left = diagnose(host, stack)?;
        anyhow::ensure!(left.is_empty(), "it is still so");
        Ok(())
    })
}

/// What is wrong with one container or stack.
#[derive(PartialEq, Eq)]
struct Wrong {
    text: String,
    remedy: &'static str,
}

/// Everything that the keeper of this stack would put right; nothing when it has a supervisor
/// or a command works on it.
fn diagnose(host: &Host, stack: &StackName) -> Result<Vec<Wrong>> {
    if host.store.supervisor(stack)?.is_some() {
        let abandoned = realize::abandoned_planning(host, stack)?.is_some();
        let wrong = abandoned.then(|| Wrong {
            text: format!("stack {stack}: a killed command has left its plans"),
            remedy: "removed",
        });
        return Ok(wrong.into_iter().collect());
    }
    let mut wrong = Vec::new();
    for state in supervise::containers(host, stack)? {
        if let Some((what, remedy)) = condition(host, &state) {
            wrong.push(Wrong {
                text: format!("container {}: {what}", state.name),
                remedy,
            });
        }
    }
    if wrong.is_empty() && host.store.dirs().stack_run(stack).exists() {
        wrong.push(Wrong {
            text: format!("stack {stack}: a killed command has left its lock and its plans"),
            remedy: "removed",
        });
    }
    Ok(wrong)
}

fn condition(host: &Host, state: &State) -> Option<(&'static str, &'static str)> {
    let journal = host
        .store
        .dirs()
        .container_run(&state.id)
        .join(coop_launcher::JOURNAL);
    let alive = state.init_alive();
    match state.status {
        Status::Running | Status::Paused if alive => {
            Some(("runs without a supervisor", "a new one looks after it"))
        }
        Status::Restarting
            if state.pid.is_none() && state.current_status() == Status::Restarting =>
        {
            Some((
                "waits for its restart without a supervisor",
                "a new one looks after it",
            ))
        }
        Status::Running | Status::Paused | Status::Restarting => {
            Some(("has ended, and nobody has written it down", "written down"))
        }
        Status::Stopped if journal.exists() => {
            Some(("has ended, and has left things in the kernel", "removed"))
        }
        Status::Created if state.pid.is_none() && !journal.exists() => None,
        Status::Creating | Status::Created => Some(("was never started", "taken back")),
        Status::Removing => Some(("is half removed", "removed")),
        Status::Stopped => None,
    }
}
