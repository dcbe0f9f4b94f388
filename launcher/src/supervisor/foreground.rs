//! A supervisor that the user watches: signals from the terminal, output to it, input from it.

use std::os::fd::{AsFd, OwnedFd};

use coop_ns::Signal;
use rustix::io::Errno;

use super::reactor::{Reactor, Token};
use super::spec::UnitSpec;
use super::unit::Unit;
use super::{Report, Supervisor, SupervisorError, kernel};
use crate::logs::Stream;
use crate::signals::{FORWARDABLE, SignalFd};

/// What is shown to the user.
pub trait Show {
    /// Something happened to a container.
    fn report(&mut self, report: &Report);
    /// A container wrote something.
    fn output(&mut self, unit: &UnitSpec, stream: Stream, bytes: &[u8]);
}

/// What a signal to the supervisor means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnSignal {
    /// The first one stops all containers, the second kills them: `up`.
    Stop,
    /// It is for the one container: `run`.
    Forward,
}

/// The user's side of a supervisor. See the module.
pub struct Foreground<'a> {
    show: &'a mut dyn Show,
    signals: SignalFd,
    on_signal: OnSignal,
    interrupts: u32,
    input: Option<Input>,
    master: Option<OwnedFd>,
}

/// The user's input on its way into the container.
struct Input {
    from: OwnedFd,
    to: Option<OwnedFd>,
    buffer: Vec<u8>,
    /// Regular files are always ready, and `epoll` does not take them.
    pollable: bool,
}

impl<'a> Foreground<'a> {
    /// Shows by `show`, and blocks the signals that it takes.
    ///
    /// # Errors
    /// [`SupervisorError::Kernel`].
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
            input: None,
            master: None,
        })
    }

    /// Passes what comes from `from` on to `to`, or to the container's terminal once it has
    /// one.
    pub fn with_input(mut self, from: OwnedFd, to: Option<OwnedFd>) -> Self {
        self.input = Some(Input {
            from,
            to,
            buffer: Vec::new(),
            pollable: true,
        });
        self
    }

    pub(super) fn watch(&mut self, reactor: &Reactor) -> Result<(), SupervisorError> {
        reactor
            .watch(&self.signals, Token::Signal)
            .map_err(kernel("watch signals"))?;
        if let Some(input) = &mut self.input
            && input.to.is_some()
        {
            input.begin(reactor)?;
        }
        Ok(())
    }

    /// The container has a terminal: input goes there, and the user's window is its window.
    fn take_terminal(&mut self, master: OwnedFd, reactor: &Reactor) -> Result<(), SupervisorError> {
        if let Some(input) = &mut self.input {
            let copy = master
                .try_clone()
                .map_err(|error| SupervisorError::Kernel {
                    operation: "copy the terminal",
                    source: Errno::from_io_error(&error).unwrap_or(Errno::IO),
                })?;
            input.to = Some(copy);
            input.begin(reactor)?;
        }
        self.master = Some(master);
        self.resize();
        Ok(())
    }

    fn resize(&self) {
        if let (Some(master), Some(input)) = (&self.master, &self.input) {
            // A user without a window leaves the kernel's default.
            let _ = crate::terminal::copy_size(input.from.as_fd(), master.as_fd());
        }
    }

    pub(super) fn pump(&mut self, token: Token, reactor: &Reactor) {
        if let Some(input) = &mut self.input
            && !input.pump(token, reactor)
        {
            self.input = None;
        }
    }

    pub(super) fn output(&mut self, unit: &UnitSpec, stream: Stream, bytes: &[u8]) {
        self.show.output(unit, stream, bytes);
    }

    pub(super) fn report(&mut self, report: &Report) {
        self.show.report(report);
    }
}

impl Input {
    fn begin(&mut self, reactor: &Reactor) -> Result<(), SupervisorError> {
        if let Some(to) = &self.to {
            rustix::io::ioctl_fionbio(to, true)
                .map_err(kernel("make the container's input non-blocking"))?;
        }
        match reactor.watch(&self.from, Token::UserInput) {
            Ok(()) => Ok(()),
            Err(Errno::PERM) => {
                self.pollable = false;
                self.await_room(reactor);
                Ok(())
            }
            Err(errno) => Err(kernel("watch standard input")(errno)),
        }
    }

    fn await_room(&self, reactor: &Reactor) {
        if let Some(to) = &self.to {
            let _ = reactor.watch_output(to, Token::ContainerInput);
        }
    }

    /// Moves what can be moved; `false` at the end of the input.
    fn pump(&mut self, token: Token, reactor: &Reactor) -> bool {
        if self.buffer.is_empty() {
            let mut chunk = [0; 4096];
            match rustix::io::read(&self.from, &mut chunk) {
                Ok(0) => {
                    reactor.forget(&self.from);
                    if let Some(to) = &self.to {
                        reactor.forget(to);
                    }
                    return false;
                }
                Ok(length) => self.buffer.extend_from_slice(&chunk[..length]),
                Err(Errno::AGAIN | Errno::INTR) => return true,
                Err(_) => {
                    reactor.forget(&self.from);
                    return false;
                }
            }
        }
        let Some(to) = &self.to else { return true };
        match rustix::io::write(to, &self.buffer) {
            Ok(written) => drop(self.buffer.drain(..written)),
            Err(Errno::AGAIN | Errno::INTR) => {}
            Err(_) => {
                // The container takes no more: the rest has nowhere to go.
                reactor.forget(&self.from);
                reactor.forget(to);
                return false;
            }
        }
        let waiting_for_room = token == Token::ContainerInput;
        if !self.buffer.is_empty() && !waiting_for_room {
            reactor.forget(&self.from);
            self.await_room(reactor);
        } else if self.buffer.is_empty() && waiting_for_room && self.pollable {
            reactor.forget(to);
            let _ = reactor.watch(&self.from, Token::UserInput);
        }
        true
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
                OnSignal::Forward => self
                    .units
                    .iter()
                    .for_each(|unit| forward(unit, received.signal)),
                OnSignal::Stop => {
                    foreground.interrupts += 1;
                    if foreground.interrupts == 1 {
                        self.ask_all_to_stop()
                    } else {
                        self.kill_all()
                    }
                }
            }
        }
    }
}

fn forward(unit: &Unit, signal: Signal) {
    if let Some(signal) = rustix::process::Signal::from_named_raw(signal.number()) {
        unit.signal(signal);
    }
}
