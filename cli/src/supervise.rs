//! Between a command and a stack's supervisor: one that lives, one to be made, or the remains
//! of one that was killed.

use anyhow::{Context, Result};
use coop_launcher::store::{ContainerId, Lock, StackName, State, Status};
use coop_launcher::supervisor::{self, Client, Report, Request, Supervisor};
use coop_ns::pidfd;
use std::os::fd::AsFd;

use crate::host::Host;
use crate::plan::ContainerPlan;
use crate::realize::{self, PLANNING, Planned};
use crate::wire::Wires;

/// Who looks after a stack.
pub(crate) enum Keeper {
    /// A supervisor lives.
    Supervisor,
    /// Nobody, and nothing of it runs: the caller has the lock.
    Nobody(Lock),
}

/// Finds out who looks after the stack, after mending what a killed supervisor or command
/// left: containers that run get a new supervisor, what ended is written down as ended, what
/// never began is removed.
pub(crate) fn keeper(host: &Host, stack: &StackName) -> Result<Keeper> {
    let Some(lock) = host.store.stack_lock(stack)? else { return Ok(Keeper::Supervisor) };
    let mut live = Vec::new();
    for state in containers(host, stack)? {
        if mend(host, &state).with_context(|| format!("mend container {}", state.name))? {
            live.push(state.id);
        }
    }
    let planning = host.store.dirs().stack_run(stack).join(PLANNING);
    coop_launcher::journal::unwind(&planning, |_, record| {
        let mut planned: Planned = serde_json::from_str(record)?;
        planned.ids.retain(|id| host.store.load_state(id).is_err());
        realize::give_back(host, &planned);
        Ok(())
    })?;
    if live.is_empty() {
        return Ok(Keeper::Nobody(lock));
    }
    log::info!("stack {stack}: {} containers have lost their supervisor: starting a new one", live.len());
    adopt(host, stack, lock, &live)?;
    Ok(Keeper::Supervisor)
}

/// The stack's containers, oldest first.
pub(crate) fn containers(host: &Host, stack: &StackName) -> Result<Vec<State>> {
    Ok(host.store.list()?.into_iter().filter(|state| state.stack == *stack).collect())
}

/// Brings what is written of a container that nobody looks after in line with the kernel.
/// Says whether it runs.
fn mend(host: &Host, state: &State) -> Result<bool> {
    let begun = state.started.is_some();
    match state.status {
        Status::Stopped => return Ok(false),
        Status::Running | Status::Paused | Status::Restarting if state.init_alive() => return Ok(true),
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
            &mut [rustix::event::PollFd::new(&init, rustix::event::PollFlags::IN)],
            None,
        );
    }
    let wires = Wires::new(host);
    supervisor::undo_run(&host.store, &wires, &state.id)?;
    if begun {
        let mut state = state.clone();
        state.status = Status::Stopped;
        state.clear_init();
        state.finished.get_or_insert_with(std::time::SystemTime::now);
        state.error = Some("ended while no supervisor was there to see how".into());
        host.store.save_state(&state)?;
    } else {
        remove(host, &state.id)?;
    }
    Ok(false)
}

/// Removes a container that does not run.
pub(crate) fn remove(host: &Host, id: &ContainerId) -> Result<()> {
    let plan: ContainerPlan = host.store.load_config(id)?;
    realize::remove_container(host, &plan)
}

fn adopt(host: &Host, stack: &StackName, lock: Lock, live: &[ContainerId]) -> Result<()> {
    let client = supervisor::detach(|_peer| {
        let wires = Wires::new(host);
        lock.record_owner()?;
        let mut supervisor = Supervisor::new(&host.store, &wires, stack, lock)?;
        supervisor.adopt(live)?;
        drop(_peer);
        supervisor.run()
    })?;
    // End of file: it has adopted them.
    while client.next()?.is_some() {}
    Ok(())
}

/// Has containers created and started by the stack's supervisor, which is made when there is
/// none, and tells `report` what happens.
pub(crate) fn start_detached(
    host: &Host,
    stack: &StackName,
    keeper: Keeper,
    ids: &[ContainerId],
    report: &mut dyn FnMut(&Report),
) -> Result<()> {
    let request = Request::Start { ids: ids.to_vec() };
    let client = match keeper {
        Keeper::Supervisor => {
            let client = connect(host, stack)?;
            client.request(&request)?;
            client
        }
        Keeper::Nobody(lock) => supervisor::detach(|peer| {
            let wires = Wires::new(host);
            lock.record_owner()?;
            let mut supervisor = Supervisor::new(&host.store, &wires, stack, lock)?;
            supervisor.first_client(peer, request)?;
            supervisor.run()
        })?,
    };
    follow(&client, stack, report)
}

/// Has containers stopped, those that depend on others first.
pub(crate) fn stop(
    host: &Host,
    stack: &StackName,
    ids: &[ContainerId],
    timeout: Option<std::time::Duration>,
    report: &mut dyn FnMut(&Report),
) -> Result<()> {
    if ids.is_empty() {
        return Ok(());
    }
    match keeper(host, stack)? {
        // Nothing runs.
        Keeper::Nobody(_) => Ok(()),
        Keeper::Supervisor => {
            let Some(client) = Client::connect(&host.store.dirs().stack_run(stack))? else {
                // It ended just now, with the last of its containers.
                return Ok(());
            };
            client.request(&Request::Stop { ids: ids.to_vec(), timeout })?;
            follow(&client, stack, report)
        }
    }
}

fn connect(host: &Host, stack: &StackName) -> Result<Client> {
    Client::connect(&host.store.dirs().stack_run(stack))?
        .with_context(|| format!("stack {stack}: its supervisor has just ended\n  help: try again"))
}

fn follow(client: &Client, stack: &StackName, report: &mut dyn FnMut(&Report)) -> Result<()> {
    loop {
        match client.next()? {
            Some(Report::Done) => return Ok(()),
            Some(other) => report(&other),
            None => anyhow::bail!(
                "stack {stack}: its supervisor ended unexpectedly\n  help: `coop ps -a` shows what is left"
            ),
        }
    }
}
