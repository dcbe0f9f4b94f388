//! `coop attach`: the user's streams and a container that runs already.

use std::io::IsTerminal;
use std::os::fd::{AsFd, OwnedFd};

use anyhow::{Context, Result, bail};
use coop_launcher::logs::Stream;
use coop_launcher::session::{AttachEnd, OnSignal, Session};
use coop_launcher::store::State;
use coop_launcher::supervisor::Request;
use coop_launcher::terminal::{DetachKeys, RawMode};
use coop_ns::Signal;
use rustix::pipe::{PipeFlags, pipe_with};

use crate::args::{AttachArgs, StackArgs};
use crate::host::Host;
use crate::plan::ContainerPlan;
use crate::{load, supervise};

/// What a shell makes of a program that a signal ended: 128 and the signal's number.
const SIGNALLED: i32 = 128;

/// What passes between the user and the container besides its output.
pub(super) struct Wanted<'a> {
    /// Whether the user's input goes to the container.
    pub(super) input: bool,
    /// Whether signals do. Not to one with a terminal: there they are keys.
    pub(super) signals: bool,
    /// What leaves it.
    pub(super) detach_keys: &'a DetachKeys,
}

/// `coop attach`: ends with the container, and with its exit status.
pub(super) fn attach(host: &Host, stack: &StackArgs, args: &AttachArgs) -> Result<i32> {
    let state = load::resolve_replica(host, stack, &args.name, args.replica)?;
    let wanted = Wanted {
        input: !args.no_stdin,
        signals: args.sig_proxy,
        detach_keys: &args.detach_keys,
    };
    connect(host, &state, &wanted)?.map_or_else(detached, Ok)
}

/// Connects the user with the container until one of them ends it, and gives its exit status;
/// none when the user has typed the detach keys.
pub(super) fn connect(host: &Host, state: &State, wanted: &Wanted<'_>) -> Result<Option<i32>> {
    let plan: ContainerPlan = host.store.load_config(&state.id)?;
    let terminal = plan.process.terminal;
    // Before anything else, so that no signal is lost.
    let mut session = Session::new()?;
    session.streams().detach_by(wanted.detach_keys);
    let (stdout, their_stdout) = pipe()?;
    let (stderr, their_stderr) = pipe()?;
    let theirs = [their_stdout.as_fd(), their_stderr.as_fd()];
    // A terminal has one stream only.
    let theirs = if terminal { &theirs[..1] } else { &theirs[..] };
    let (client, _, input) = supervise::attach(host, state, theirs)?;
    drop((their_stdout, their_stderr));

    if let Some(master) = input.as_ref().filter(|_| terminal)
        && std::io::stdin().is_terminal()
    {
        session.connect_window(master)?;
    }
    let input = input.filter(|_| wanted.input);
    let raw = (terminal && input.is_some() && std::io::stdin().is_terminal())
        .then(|| RawMode::enter(std::io::stdin()))
        .transpose()?;
    session.connect_container(input, stdout, (!terminal).then_some(stderr))?;
    let pass = wanted.signals && !terminal;
    let end = session.follow(&client, &mut |signal| {
        if pass && send(host, state, signal).is_ok() {
            OnSignal::Passed
        } else {
            OnSignal::Leave
        }
    });
    drop(raw);
    match end.with_context(|| state.name.to_string())? {
        AttachEnd::Ended(state) => match state.exit_code {
            Some(code) => Ok(Some(code)),
            None => bail!("container {}: nobody saw how it ended", state.name),
        },
        AttachEnd::Detached => Ok(None),
        AttachEnd::Interrupted(signal) => Ok(Some(SIGNALLED + signal.number())),
        AttachEnd::Lost => bail!(
            "container {}: its supervisor has gone\n  help: it goes on: attach again",
            state.name
        ),
    }
}

/// Docker's words and exit status when the user has typed the detach keys.
pub(super) fn detached() -> Result<i32> {
    crate::ui::print_bytes(Stream::Stderr, b"read escape sequence\n")?;
    Ok(1)
}

/// Passes a signal on. One that has just ended does not mind.
fn send(host: &Host, state: &State, signal: Signal) -> Result<()> {
    let request = Request::Signal {
        ids: vec![state.id.clone()],
        signal: signal.number(),
    };
    supervise::request(host, &state.stack, &request, &mut |_| ()).map(drop)
}

fn pipe() -> Result<(OwnedFd, OwnedFd)> {
    pipe_with(PipeFlags::CLOEXEC).context("make a pipe")
}
