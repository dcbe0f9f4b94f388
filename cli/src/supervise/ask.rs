//! Requests to a stack's supervisor, and what comes of them.

use std::time::Duration;

use anyhow::Result;
use coop_launcher::store::{ContainerId, StackName};
use coop_launcher::supervisor::{self, Client, Report, Request, Supervisor};

use super::interrupt::{Heard, Interrupts};
use super::{Keeper, Vacancy, keeper};
use crate::host::Host;
use crate::wire::Wires;

/// What became of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    /// It is done.
    Done,
    /// The user does not want it any more: what is under way goes on.
    Interrupted,
    /// There is no supervisor, or it ended without a word.
    None,
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
    ask_or_start(host, stack, keeper, &request, ids, None, report).map(drop)
}

/// As [`start_detached`], until the user interrupts it.
pub(crate) fn start_until<'a>(
    host: &'a Host,
    stack: &StackName,
    keeper: Keeper<'a>,
    ids: &[ContainerId],
    interrupts: &Interrupts,
    report: &mut dyn FnMut(&Report),
) -> Result<Answer> {
    let request = Request::Start { ids: ids.to_vec() };
    ask_or_start(host, stack, keeper, &request, ids, Some(interrupts), report)
}

/// Has containers stopped in the order of their dependencies and started again, as `request`,
/// a [`Request::Restart`] of `ids`, says. Those that do not run are started.
pub(crate) fn restart(
    host: &Host,
    stack: &StackName,
    ids: &[ContainerId],
    request: &Request,
    report: &mut dyn FnMut(&Report),
) -> Result<()> {
    if ids.is_empty() {
        return Ok(());
    }
    let keeper = keeper(host, stack)?;
    ask_or_start(host, stack, keeper, request, ids, None, report).map(drop)
}

/// Asks the stack's supervisor, or makes one that starts the containers: where there is none,
/// nothing runs.
fn ask_or_start<'a>(
    host: &'a Host,
    stack: &StackName,
    mut keeper: Keeper<'a>,
    request: &Request,
    ids: &[ContainerId],
    interrupts: Option<&Interrupts>,
    report: &mut dyn FnMut(&Report),
) -> Result<Answer> {
    loop {
        match keeper {
            Keeper::Nobody(vacancy) => {
                let start = Request::Start { ids: ids.to_vec() };
                let client = fork_supervisor(host, stack, vacancy, &start)?;
                return match follow(&client, stack, interrupts, report)? {
                    Answer::None => Err(ended_unexpectedly(stack)),
                    answer => Ok(answer),
                };
            }
            Keeper::Supervisor => {
                if let Some(client) = ask(host, stack, request)? {
                    match follow(&client, stack, interrupts, report)? {
                        Answer::None => {}
                        answer => return Ok(answer),
                    }
                }
            }
        }
        // It was ending when it was asked, with the last of its containers.
        keeper = super::keeper(host, stack)?;
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
    request_until(host, stack, request, None, report).map(|answer| answer == Answer::Done)
}

fn request_until(
    host: &Host,
    stack: &StackName,
    request: &Request,
    interrupts: Option<&Interrupts>,
    report: &mut dyn FnMut(&Report),
) -> Result<Answer> {
    while let Keeper::Supervisor = keeper(host, stack)? {
        if let Some(client) = ask(host, stack, request)? {
            match follow(&client, stack, interrupts, report)? {
                Answer::None => {}
                answer => return Ok(answer),
            }
        }
    }
    Ok(Answer::None)
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
            Some(client) if follow(&client, stack, None, report)? == Answer::Done => Ok(true),
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
    timeout: Option<Duration>,
    report: &mut dyn FnMut(&Report),
) -> Result<()> {
    if ids.is_empty() {
        return Ok(());
    }
    request(host, stack, &stop_request(ids, timeout), report).map(drop)
}

/// As [`stop`]; when the user is too impatient for that, they are killed.
pub(crate) fn stop_or_kill(
    host: &Host,
    stack: &StackName,
    ids: &[ContainerId],
    interrupts: &Interrupts,
    report: &mut dyn FnMut(&Report),
) -> Result<()> {
    let mut asked = stop_request(ids, None);
    while !ids.is_empty()
        && request_until(host, stack, &asked, Some(interrupts), report)? == Answer::Interrupted
    {
        asked = stop_request(ids, Some(Duration::ZERO));
    }
    Ok(())
}

fn stop_request(ids: &[ContainerId], timeout: Option<Duration>) -> Request {
    Request::Stop {
        ids: ids.to_vec(),
        timeout,
        signal: None,
    }
}

/// Asks for the end of containers without waiting for it, which lasts as long as the
/// connection is kept. None: nobody looks after the stack, so nothing of it runs.
pub(crate) fn begin_to_stop(
    host: &Host,
    stack: &StackName,
    ids: &[ContainerId],
    timeout: Option<Duration>,
) -> Result<Option<Client>> {
    while let Keeper::Supervisor = keeper(host, stack)? {
        if let Some(client) = ask(host, stack, &stop_request(ids, timeout))? {
            return Ok(Some(client));
        }
    }
    Ok(None)
}

/// Sends a request to the stack's supervisor; none when it has just ended.
pub(super) fn ask(host: &Host, stack: &StackName, request: &Request) -> Result<Option<Client>> {
    let Some(client) = Client::connect(&host.store.dirs().stack_run(stack))? else {
        // It holds its lock a moment longer than its socket.
        std::thread::sleep(Duration::from_millis(1));
        return Ok(None);
    };
    Ok(client.request(request)?.then_some(client))
}

fn ended_unexpectedly(stack: &StackName) -> anyhow::Error {
    anyhow::anyhow!(
        "stack {stack}: its supervisor ended unexpectedly\n  help: `coop ps -a` shows what is left"
    )
}

/// What a supervisor said before it ended of its own failure.
pub(super) fn broken(stack: &StackName, error: &str) -> anyhow::Error {
    anyhow::anyhow!(
        "stack {stack}: its supervisor has failed: {error}\n  help: `coop ps -a` shows what is left"
    )
}

fn follow(
    client: &Client,
    stack: &StackName,
    interrupts: Option<&Interrupts>,
    report: &mut dyn FnMut(&Report),
) -> Result<Answer> {
    let mut heard = false;
    loop {
        if let Some(interrupts) = interrupts
            && interrupts.or(client)? == Heard::Interrupt
        {
            return Ok(Answer::Interrupted);
        }
        match client.next()? {
            Some(Report::Done) => return Ok(Answer::Done),
            Some(Report::Broken { error }) => return Err(broken(stack, &error)),
            Some(other) => report(&other),
            None if heard => return Err(ended_unexpectedly(stack)),
            None => return Ok(Answer::None),
        }
        heard = true;
    }
}
