//! Between a command and a stack's supervisor: one that lives, one to be made, or the remains
//! of one that was killed.

use std::ops::ControlFlow;

use anyhow::{Context, Result};
use coop_launcher::logs::LogWriter;
use coop_launcher::store::{ContainerId, Lock, Name, StackName, State, Status};
use coop_launcher::supervisor::{
    self, Attachment, Client, Report, Request, RestartPolicy, Supervisor,
};
use coop_ns::pidfd;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use crate::host::Host;
use crate::plan::ContainerPlan;
use crate::realize::{self, PLANNING, Planned};
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
        let planning = self.host.store.dirs().stack_run(&self.stack).join(PLANNING);
        if let Some(lock) = self.lock.take()
            // What could not be given back stays on record.
            && !planning.exists()
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
        if mend(host, &state).with_context(|| format!("mend container {}", state.name))? {
            live.push(state.id);
        }
    }
    let planning = host.store.dirs().stack_run(stack).join(PLANNING);
    coop_launcher::journal::unwind(&planning, |_, record| {
        let mut planned: Planned = serde_json::from_str(record)?;
        planned
            .containers
            .retain(|container| host.store.load_state(&container.id).is_err());
        realize::give_back(host, &planned);
        Ok(())
    })?;
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

/// The stack's containers, oldest first.
pub(crate) fn containers(host: &Host, stack: &StackName) -> Result<Vec<State>> {
    Ok(host
        .store
        .list()?
        .into_iter()
        .filter(|state| state.stack == *stack)
        .collect())
}

/// Brings what is written of a container that nobody looks after in line with the kernel.
/// Says whether it runs.
fn mend(host: &Host, state: &State) -> Result<bool> {
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
        Status::Restarting if state.current_status() == Status::Restarting => return Ok(true),
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

/// Removes a container that does not run, with its anonymous volumes.
pub(crate) fn remove(host: &Host, id: &ContainerId) -> Result<()> {
    remove_by(host, id, realize::remove_container)
}

/// As [`remove`], but its anonymous volumes stay.
pub(crate) fn remove_but_volumes(host: &Host, id: &ContainerId) -> Result<()> {
    remove_by(host, id, realize::remove_container_but_volumes)
}

fn remove_by(
    host: &Host,
    id: &ContainerId,
    remove: fn(&Host, &ContainerPlan) -> Result<()>,
) -> Result<()> {
    let plan: ContainerPlan = host.store.load_config(id)?;
    // There is a journal still when something could not be undone at the container's end.
    supervisor::undo_run(&host.store, &Wires::new(host), id)?;
    remove(host, &plan)?;
    // So does the stack's directory.
    let nobody = host.store.supervisor(&plan.stack)?.is_none();
    if nobody && host.store.dirs().stack_run(&plan.stack).exists() {
        drop(keeper(host, &plan.stack)?);
    }
    Ok(())
}

fn adopt(host: &Host, stack: &StackName, lock: Lock, live: &[ContainerId]) -> Result<()> {
    let client = supervisor::detach(&host.store.dirs().stack_run(stack), |peer| {
        let wires = Wires::new(host);
        lock.record_owner()?;
        let mut supervisor = Supervisor::new(&host.store, &wires, stack, lock)?;
        supervisor.adopt(live);
        drop(peer);
        supervisor.run()
    })?;
    // End of file: it has adopted them.
    while client.next()?.is_some() {}
    Ok(())
}

/// Has containers created and started by the stack's supervisor, which is made when there is
/// none, and tells `report` what happens.
pub(crate) fn start_detached<'a>(
    host: &'a Host,
    stack: &StackName,
    keeper: Keeper<'a>,
    ids: &[ContainerId],
    report: &mut dyn FnMut(&Report),
) -> Result<()> {
    let request = Request::Start { ids: ids.to_vec() };
    ask_or_start(host, stack, keeper, &request, ids, report)
}

/// Has containers stopped in the order of their dependencies and started again. Those that do
/// not run are started.
pub(crate) fn restart(
    host: &Host,
    stack: &StackName,
    ids: &[ContainerId],
    timeout: Option<std::time::Duration>,
    report: &mut dyn FnMut(&Report),
) -> Result<()> {
    if ids.is_empty() {
        return Ok(());
    }
    let request = Request::Restart {
        ids: ids.to_vec(),
        timeout,
    };
    ask_or_start(host, stack, keeper(host, stack)?, &request, ids, report)
}

/// Asks the stack's supervisor, or makes one that starts the containers: where there is none,
/// nothing runs.
fn ask_or_start<'a>(
    host: &'a Host,
    stack: &StackName,
    mut keeper: Keeper<'a>,
    request: &Request,
    ids: &[ContainerId],
    report: &mut dyn FnMut(&Report),
) -> Result<()> {
    loop {
        match keeper {
            Keeper::Nobody(vacancy) => {
                let start = Request::Start { ids: ids.to_vec() };
                let client = fork_supervisor(host, stack, vacancy, &start)?;
                return match follow(&client, stack, report)? {
                    Answer::Done => Ok(()),
                    Answer::None => Err(ended_unexpectedly(stack)),
                };
            }
            Keeper::Supervisor => {
                if let Some(client) = ask(host, stack, request)?
                    && follow(&client, stack, report)? == Answer::Done
                {
                    return Ok(());
                }
            }
        }
        // It was ending when it was asked, with the last of its containers.
        keeper = self::keeper(host, stack)?;
    }
}

/// Asks the stack's supervisor for something and tells `report` what happens until it is done.
/// `false`: nobody looks after the stack, so nothing of it runs or waits for its restart.
pub(crate) fn request(
    host: &Host,
    stack: &StackName,
    request: &Request,
    report: &mut dyn FnMut(&Report),
) -> Result<bool> {
    while let Keeper::Supervisor = keeper(host, stack)? {
        if let Some(client) = ask(host, stack, request)?
            && follow(&client, stack, report)? == Answer::Done
        {
            return Ok(true);
        }
    }
    Ok(false)
}

/// As [`request`], for several stacks: all supervisors are asked before the first is waited
/// for, so that what takes each of them time is done side by side.
pub(crate) fn request_all(
    host: &Host,
    requests: &[(StackName, Request)],
    report: &mut dyn FnMut(&Report),
) -> Vec<Result<bool>> {
    let asked: Vec<_> = { requests.iter() }
        .map(|(stack, request)| match keeper(host, stack)? {
            Keeper::Supervisor => ask(host, stack, request),
            Keeper::Nobody(_) => Ok(None),
        })
        .collect();
    { requests.iter().zip(asked) }
        .map(|((stack, request), client)| match client? {
            Some(client) if follow(&client, stack, report)? == Answer::Done => Ok(true),
            // It was ending when it was asked.
            _ => self::request(host, stack, request, report),
        })
        .collect()
}

fn fork_supervisor(
    host: &Host,
    stack: &StackName,
    vacancy: Vacancy<'_>,
    request: &Request,
) -> Result<Client> {
    let lock = vacancy.take()?;
    Ok(supervisor::detach(
        &host.store.dirs().stack_run(stack),
        |peer| {
            let wires = Wires::new(host);
            lock.record_owner()?;
            let mut supervisor = Supervisor::new(&host.store, &wires, stack, lock)?;
            supervisor.first_client(peer, request.clone())?;
            supervisor.run()
        },
    )?)
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
    let request = Request::Stop {
        ids: ids.to_vec(),
        timeout,
    };
    self::request(host, stack, &request, report).map(drop)
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
        let Some(client) = ask(host, stack, &request)? else {
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

/// Sends a request to the stack's supervisor; none when it has just ended.
fn ask(host: &Host, stack: &StackName, request: &Request) -> Result<Option<Client>> {
    let Some(client) = Client::connect(&host.store.dirs().stack_run(stack))? else {
        // It holds its lock a moment longer than its socket.
        std::thread::sleep(std::time::Duration::from_millis(1));
        return Ok(None);
    };
    Ok(client.request(request)?.then_some(client))
}

fn ended_unexpectedly(stack: &StackName) -> anyhow::Error {
    anyhow::anyhow!(
        "stack {stack}: its supervisor ended unexpectedly\n  help: `coop ps -a` shows what is left"
    )
}

/// What became of a request.
#[derive(Debug, PartialEq, Eq)]
enum Answer {
    /// It is done.
    Done,
    /// The supervisor ended without a word.
    None,
}

fn follow(client: &Client, stack: &StackName, report: &mut dyn FnMut(&Report)) -> Result<Answer> {
    let mut heard = false;
    loop {
        match client.next()? {
            Some(Report::Done) => return Ok(Answer::Done),
            Some(other) => report(&other),
            None if heard => return Err(ended_unexpectedly(stack)),
            None => return Ok(Answer::None),
        }
        heard = true;
    }
}

/// The networks that a container is on.
pub(crate) fn networks_of(host: &Host, id: &ContainerId) -> Result<Vec<String>> {
    let plan: ContainerPlan = host.store.load_config(id)?;
    Ok(match plan.network {
        crate::plan::Connection::Bridge { network, .. } => vec![network],
        _ => Vec::new(),
    })
}
