//! A supervisor that the user watches: signals from the terminal, output to it, input from it.

use std::os::fd::{AsFd, OwnedFd};

use coop_ns::Signal;

use super::reactor::{Reactor, Token};
use super::spec::UnitSpec;
use super::{Report, Supervisor, SupervisorError, kernel};
use crate::logs::Stream;
use crate::signals::{FORWARDABLE, SignalFd};
use crate::terminal::{DetachKeys, Progress, RawMode, Relay};

/// What is shown to the user.
pub trait Show {
    /// Something happened to a container.
    fn report(&mut self, report: &Report);
    /// A container wrote something.
    fn output(&mut self, unit: &UnitSpec, stream: Stream, bytes: &[u8]);
    /// The user has asked for the end of all containers ([`OnSignal::Stop`]), for the `times`th
    /// time: from the second on they are killed. Nothing has been done about it yet.
    fn interrupted(&mut self, times: u32);
    /// One container has ended, and so all others are about to be stopped
    /// ([`Foreground::on_end`]).
    fn aborting(&mut self);
}

/// What the end of one container, that does not come back, means for all others.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OnEnd {
    /// Nothing.
    #[default]
    GoOn,
    /// They are stopped.
    StopAll,
    /// They are stopped when it has failed.
    StopAllAfterFailure,
}

impl OnEnd {
    /// Whether all are stopped after an end with this exit status.
    pub fn stops_all(self, exit_code: Option<i32>) -> bool {
        match self {
            Self::GoOn => false,
            Self::StopAll => true,
            Self::StopAllAfterFailure => exit_code != Some(0),
        }
    }
}

/// What a signal to the supervisor means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnSignal {
    /// The first one stops all containers, the second kills them: `up`.
    Stop,
    /// It is for the one container: `run`.
    Forward,
}

/// Whether all containers are stopped because one has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Abort {
    Unwanted,
    Wanted,
    Begun,
}

/// The user's side of a supervisor. See the module.
pub struct Foreground<'a> {
    show: &'a mut dyn Show,
    signals: SignalFd,
    on_signal: OnSignal,
    interrupts: u32,
    on_end: OnEnd,
    abort: Abort,
    /// The user's input on its way into the container.
    input: Relay,
    /// The user's terminal, whose window the container's has, and the container's.
    window: (Option<OwnedFd>, Option<OwnedFd>),
    raw: Option<RawMode>,
    /// The user has typed the detach keys.
    left: bool,
}

impl<'a> Foreground<'a> {
    /// Shows by `show`, and blocks the signals that it takes.
    ///
    /// # Errors
    /// [`SupervisorError::Signal`].
    pub fn new(show: &'a mut dyn Show, on_signal: OnSignal) -> Result<Self, SupervisorError> {
        let mut signals = FORWARDABLE.to_vec();
        signals.push(Signal::WINCH);
        let signals = SignalFd::new(&signals).map_err(|error| SupervisorError::Kernel {
            operation: error.operation,
            source: error.source,
        })?;
        Ok(Self {
            show,
            signals,
            on_signal,
            interrupts: 0,
            on_end: OnEnd::default(),
            abort: Abort::Unwanted,
            input: Relay::default(),
            window: (None, None),
            raw: None,
            left: false,
        })
    }

    /// What the end of one container means for all others.
    pub fn on_end(mut self, on_end: OnEnd) -> Self {
        self.on_end = on_end;
        self
    }

    /// Passes the user's input on to `container`, the writing end of a pipe.
    ///
    /// # Errors
    /// [`SupervisorError::Terminal`].
    pub fn with_input(
        mut self,
        user: impl AsFd,
        container: OwnedFd,
    ) -> Result<Self, SupervisorError> {
        self.input.add_input(user, container)?;
        Ok(self)
    }

    /// Passes the user's input on to the container's terminal once it has one, and keeps its
    /// window as large as the user's.
    ///
    /// The user's terminal is as it was when this is dropped. `keys` leave the container: it
    /// goes on, under this supervisor in the background ([`Outcome::detached`]).
    ///
    /// [`Outcome::detached`]: super::Outcome::detached
    pub fn with_terminal(mut self, user: OwnedFd, raw: RawMode, keys: &DetachKeys) -> Self {
        self.window.0 = Some(user);
        self.raw = Some(raw);
        self.input.detach_by(keys);
        self
    }

    /// Whether the user has left.
    pub(super) fn has_left(&self) -> bool {
        self.left
    }

    /// Takes the user out of the event loop.
    pub(super) fn unwatch(&mut self, reactor: &Reactor) {
        reactor.forget(&self.signals);
        self.input.unregister(reactor);
    }

    /// Whether a signal has asked for the end of all containers.
    pub(super) fn was_interrupted(&self) -> bool {
        self.interrupts > 0
    }

    pub(super) fn watch(&mut self, reactor: &Reactor) -> Result<(), SupervisorError> {
        reactor
            .watch(&self.signals, Token::Signal)
            .map_err(kernel("watch signals"))?;
        self.pump(reactor)
    }

    fn take_terminal(&mut self, master: OwnedFd, reactor: &Reactor) -> Result<(), SupervisorError> {
        if let Some(user) = &self.window.0 {
            let copy =
                rustix::io::fcntl_dupfd_cloexec(&master, 3).map_err(kernel("copy the terminal"))?;
            self.input.add_input(user, copy)?;
        }
        self.window.1 = Some(master);
        self.resize();
        self.pump(reactor)
    }

    fn resize(&self) {
        if let (Some(user), Some(container)) = &self.window {
            // A user without a window leaves the kernel's default.
            let _ = crate::terminal::copy_size(user, container);
        }
    }

    pub(super) fn pump(&mut self, reactor: &Reactor) -> Result<(), SupervisorError> {
        // Once: what can move at once is registered as ready, and others get their turn.
        if self.input.pump()? == Progress::Detached {
            self.left = true;
            return Ok(());
        }
        Ok(self.input.register(reactor, Token::Input.encode())?)
    }

    pub(super) fn output(&mut self, unit: &UnitSpec, stream: Stream, bytes: &[u8]) {
        self.show.output(unit, stream, bytes);
    }

    pub(super) fn report(&mut self, report: &Report) {
        self.show.report(report);
    }
}

impl Supervisor<'_> {
    /// The container's terminal: its output, and where the user's input goes.
    pub(super) fn foreground_terminal(
        &mut self,
        index: usize,
        master: OwnedFd,
    ) -> Result<(), SupervisorError> {
        if let Some(foreground) = &mut self.foreground {
            let copy =
                rustix::io::fcntl_dupfd_cloexec(&master, 3).map_err(kernel("copy the terminal"))?;
            foreground.take_terminal(copy, &self.reactor)?;
        }
        self.units[index].watch_terminal(master, &self.reactor)
    }

    /// Takes note of an end that may mean the end of all.
    pub(super) fn abort_after(&mut self, exit_code: Option<i32>) {
        if let Some(foreground) = &mut self.foreground
            && foreground.abort == Abort::Unwanted
            && foreground.interrupts == 0
            && foreground.on_end.stops_all(exit_code)
        {
            foreground.abort = Abort::Wanted;
        }
    }

    /// Stops all containers when one has ended that is not to be outlived.
    pub(super) fn abort_if_wanted(&mut self) {
        if let Some(foreground) = &mut self.foreground
            && foreground.abort == Abort::Wanted
        {
            foreground.abort = Abort::Begun;
            foreground.show.aborting();
            self.ask_all_to_stop();
        }
    }

    pub(super) fn on_signal(&mut self) {
        loop {
            let Some(foreground) = &mut self.foreground else {
                return;
            };
            let Ok(Some(received)) = foreground.signals.read() else {
                return;
            };
            if received.signal == Signal::WINCH {
                foreground.resize();
                continue;
            }
            match foreground.on_signal {
                OnSignal::Forward => {
                    for index in 0..self.units.len() {
                        self.pass_on(index, received.signal);
                    }
                }
                OnSignal::Stop => {
                    foreground.interrupts += 1;
                    foreground.show.interrupted(foreground.interrupts);
                    if foreground.interrupts == 1 {
                        self.ask_all_to_stop();
                    } else {
                        self.kill_all();
                    }
                }
            }
        }
    }
}
