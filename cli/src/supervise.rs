//! Between a command and a stack's supervisor: one that lives, one to be made, or the remains
//! of one that was killed.

mod ask;
mod interrupt;
mod mend;
mod removal;

use std::ops::ControlFlow;

use anyhow::{Context, Result};
use coop_launcher::store::{ContainerId, Lock, Name, StackName, State, Status};
use coop_launcher::supervisor::{
    self, Attachment, Client, Report, Request, RestartPolicy, Supervisor,
};
use std::os::fd::{BorrowedFd, OwnedFd};

pub(crate) use self::ask::{
    Answer, begin_to_stop, request, request_all, restart, start_detached, start_until, stop,
    stop_or_kill,
};
pub(crate) use self::interrupt::{INTERRUPTED, Interrupts};
pub(crate) use self::mend::{orphaned_journals, orphans};
pub(crate) use self::removal::{remove, remove_but_volumes, remove_several};
use crate::host::Host;
use crate::plan::ContainerPlan;
use crate::realize;
use crate::wire::Wires;

/// Who looks after a stack.
pub(crate) enum Keeper<'a> {
    /// A supervisor lives.
    Supervisor,
    /// Nobody, and nothing of it runs: the caller has the lock.
    Nobody(Vacancy<'a>),
}

/// The lock of a stack that nobody looks after. Who does not take it leaves no trace.
pub(crate) struct Vacancy<'a> {
    host: &'a Host,
    stack: StackName,
    lock: Option<Lock>,
}

impl Vacancy<'_> {
    /// The stack.
    pub(crate) fn stack(&self) -> &StackName {
        &self.stack
    }

    /// The lock, for a supervisor.
    pub(crate) fn take(mut self) -> Result<Lock> {
        self.lock
            .take()
            .context("the stack's lock was taken already")
    }
}

impl Drop for Vacancy<'_> {
    fn drop(&mut self) {
        if let Some(lock) = self.lock.take()
            && let Err(error) = self.host.store.remove_stack(&self.stack, lock)
        {
            log::warn!("{error}");
        }
    }
}

/// Finds out who looks after the stack, after mending what a killed supervisor or command
/// left: containers that run get a new supervisor, what ended is written down as ended, what
/// never began is removed.
pub(crate) fn keeper<'a>(host: &'a Host, stack: &StackName) -> Result<Keeper<'a>> {
    if let Some(record) = realize::abandoned_planning(host, stack)? {
        realize::finish_planning(host, &record).with_context(|| format!("mend stack {stack}"))?;
    }
    let Some(lock) = free_lock(host, stack)? else {
        return Ok(Keeper::Supervisor);
    };
    let vacancy = Vacancy {
        host,
        stack: stack.clone(),
        lock: Some(lock),
    };
    host.store.finish_rename(stack, crate::wire::write_name)?;
    let mut live = Vec::new();
    for state in containers(host, stack)? {
        if mend::mend(host, &state).with_context(|| format!("mend container {}", state.name))? {
            live.push(state.id);
        }
    }
    if live.is_empty() {
        return Ok(Keeper::Nobody(vacancy));
    }
    log::info!(
        "stack {stack}: {} containers have lost their supervisor: starting a new one",
        live.len()
    );
    adopt(host, stack, vacancy.take()?, &live)?;
    Ok(Keeper::Supervisor)
}

/// The stack's lock; none when it has a supervisor.
///
/// Half-made containers of a launch that was killed share its lock until they have noticed:
/// that is waited for.
fn free_lock(host: &Host, stack: &StackName) -> Result<Option<Lock>> {
    const PAUSE: std::time::Duration = std::time::Duration::from_millis(1);
    const TRIES: u32 = 5000;
    for _ in 0..TRIES {
        match host.store.stack_lock(stack) {
            Ok(Some(lock)) => return Ok(Some(lock)),
            Ok(None) if host.store.supervisor(stack)?.is_some() => return Ok(None),
            Ok(None) => {}
            // On a full or read-only disk a supervisor still answers.
            Err(_) if matches!(host.store.supervisor(stack), Ok(Some(_))) => return Ok(None),
            Err(error) => return Err(error.into()),
        }
        std::thread::sleep(PAUSE);
    }
    anyhow::bail!(
        "stack {stack}: its supervisor is gone, but a process of its holds on to its lock"
    )
}

/// The stack's containers, oldest first. A removal that was killed is gone on with.
pub(crate) fn containers(host: &Host, stack: &StackName) -> Result<Vec<State>> {
    let mut states = host.store.of_stack(stack)?;
    for state in states.iter().filter(|it| it.status == Status::Removing) {
        if let Err(error) = removal::go_on(host, &state.id) {
            log::warn!("remove container {}: {error:#}", state.name);
        }
    }
    states.retain(|state| state.status != Status::Removing || is_there(host, state));
    Ok(states)
}

fn is_there(host: &Host, state: &State) -> bool {
    host.store.dirs().container(&state.id).exists()
}

fn adopt(host: &Host, stack: &StackName, lock: Lock, live: &[ContainerId]) -> Result<()> {
    let client = supervisor::detach(&host.store.dirs().stack_run(stack), |peer| {
        let wires = Wires::new(host);
        lock.record_owner()?;
        let mut supervisor = Supervisor::new(&host.store, &wires, stack, lock)?;
        supervisor.adopt(live);
        drop(peer.take());
        supervisor.run()
    })?;
    // End of file: it has adopted them.
    while let Some(report) = client.next()? {
        if let Report::Broken { error } = report {
            return Err(ask::broken(stack, &error));
        }
    }
    Ok(())
}

/// Has a container's output written to these pipes, and opens its input: see
/// [`Client::attach`]. The connection tells of the end of this run.
pub(crate) fn attach(
    host: &Host,
    state: &State,
    output: &[BorrowedFd<'_>],
) -> Result<(Client, Box<State>, Option<OwnedFd>)> {
    while let Keeper::Supervisor = keeper(host, &state.stack)? {
        let Some(client) = Client::connect(&host.store.dirs().stack_run(&state.stack))? else {
            std::thread::sleep(std::time::Duration::from_millis(1));
            continue;
        };
        match client.attach(&state.id, output)? {
            Attachment::Attached { state, input } => return Ok((client, state, input)),
            Attachment::Refused(why) => anyhow::bail!("{why}"),
            Attachment::Gone => {}
        }
    }
    anyhow::bail!("You cannot attach to a stopped container, start it first")
}

/// Tells what happens to containers from now on, until `report` has heard enough, or none of
/// them lives or waits for its restart.
pub(crate) fn watch(
    host: &Host,
    stack: &StackName,
    ids: &[ContainerId],
    report: &mut dyn FnMut(&Report) -> ControlFlow<()>,
) -> Result<()> {
    let request = Request::Watch { ids: ids.to_vec() };
    while let Keeper::Supervisor = keeper(host, stack)? {
        let Some(client) = ask::ask(host, stack, &request)? else {
            continue;
        };
        loop {
            match client.next()? {
                Some(Report::Done) => return Ok(()),
                Some(other) if report(&other).is_break() => return Ok(()),
                Some(_) => {}
                // Another supervisor, if it was killed, knows what has become of them.
                None => break,
            }
        }
    }
    Ok(())
}

/// Gives a container another name, and its state as it is then.
pub(crate) fn rename(host: &Host, state: &State, name: &Name) -> Result<()> {
    loop {
        let request = Request::Rename {
            id: state.id.clone(),
            name: name.clone(),
        };
        match keeper(host, &state.stack)? {
            Keeper::Nobody(_vacancy) => {
                crate::wire::rename(host, &state.id, name)?;
                return Ok(());
            }
            Keeper::Supervisor => {
                let mut refused = None;
                let done = self::request(host, &state.stack, &request, &mut |report| {
                    if let Report::Refused { error, .. } = report {
                        refused = Some(error.clone());
                    }
                })?;
                match refused {
                    Some(error) => anyhow::bail!("{error}"),
                    None if done => return Ok(()),
                    // It ended meanwhile.
                    None => {}
                }
            }
        }
    }
}

/// A container's status as users are told: [`State::current_status`], but for an end that its
/// supervisor, which lives, has not written down yet. Only that one knows whether its restart
/// policy brings the container back.
pub(crate) fn status_of(host: &Host, state: &State) -> Status {
    let current = state.current_status();
    let unrecorded = current == Status::Stopped && state.status != Status::Stopped;
    if !unrecorded || state.stop_requested || !state.is_of_this_boot() {
        return current;
    }
    let plan = host.store.load_config::<ContainerPlan>(&state.id);
    let is_restarted = plan.is_ok_and(|plan| plan.unit.restart != RestartPolicy::No);
    if is_restarted && matches!(host.store.supervisor(&state.stack), Ok(Some(_))) {
        return state.status;
    }
    current
}
