//! A user and one process: streams both ways, signals and window size, until it ends or the
//! user has seen enough.
//!
//! For processes that no supervisor looks after, such as `exec`'s, and for containers whose
//! supervisor is another process (`attach`).

use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;

use coop_ns::{ExitStatus, Signal};
use rustix::event::epoll;
use rustix::io::Errno;

use crate::signals::{FORWARDABLE, SignalError, SignalFd};
use crate::store::State;
use crate::supervisor::{Client, ControlError, Report};
use crate::terminal::{self, Progress, Relay, TerminalError, Winsize};

const SIGNAL: u64 = 0;
/// The process has ended, or the supervisor says something.
const OTHER_SIDE: u64 = 1;
const STREAMS: u64 = 2;

/// Errors of a [`Session`].
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// Streams could not be moved.
    #[error(transparent)]
    Terminal(#[from] TerminalError),
    /// Signals could not be taken.
    #[error(transparent)]
    Signal(#[from] SignalError),
    /// The event loop failed.
    #[error("wait for the process")]
    Wait(#[source] Errno),
    /// How the process ended cannot be told.
    #[error(transparent)]
    Status(#[from] coop_ns::Error),
    /// The container's supervisor could not be heard.
    #[error(transparent)]
    Control(#[from] ControlError),
}

/// How a [`Session`] with a process ended.
#[derive(Debug)]
pub enum SessionEnd {
    /// The process did.
    Ended(ExitStatus),
    /// The user typed the detach keys: the process goes on, and needs someone who takes its
    /// output ([`Session::discard_output`]).
    Detached(Box<Session>),
}

/// How a [`Session`] with a container ended.
#[derive(Debug)]
pub enum AttachEnd {
    /// This run of the container did.
    Ended(Box<State>),
    /// The user typed the detach keys.
    Detached,
    /// The user's side got a signal that was not passed on.
    Interrupted(Signal),
    /// The supervisor is gone, and the container may go on.
    Lost,
}

/// What becomes of a signal that the user's side gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnSignal {
    /// It was passed on.
    Passed,
    /// It ends the session.
    Leave,
}

/// What passes between the user and the process. See the module.
#[derive(Debug)]
pub struct Session {
    signals: SignalFd,
    streams: Relay,
    window: Option<(OwnedFd, OwnedFd)>,
}

impl Session {
    /// Takes the user's signals from now on: before the process is started, so that none is
    /// lost.
    ///
    /// # Errors
    /// [`SessionError::Signal`].
    pub fn new() -> Result<Self, SessionError> {
        let mut signals = FORWARDABLE.to_vec();
        signals.push(Signal::WINCH);
        Ok(Self {
            signals: SignalFd::new(&signals)?,
            streams: Relay::default(),
            window: None,
        })
    }

    /// What moves between the user and the process.
    pub fn streams(&mut self) -> &mut Relay {
        &mut self.streams
    }

    /// Connects the process's terminal with the user's standard streams, and keeps its window
    /// as large as the user's.
    ///
    /// # Errors
    /// [`SessionError::Terminal`].
    pub fn connect_terminal(&mut self, master: OwnedFd) -> Result<(), SessionError> {
        let user = std::io::stdin();
        let copies = (
            rustix::io::fcntl_dupfd_cloexec(&user, 3),
            rustix::io::fcntl_dupfd_cloexec(&master, 3),
        );
        if let (Ok(user), Ok(process)) = copies {
            self.window = Some((user, process));
        }
        self.resize();
        self.streams = Relay::terminal(user, std::io::stdout(), master)?;
        Ok(())
    }

    fn resize(&self) {
        if let Some((user, process)) = &self.window {
            // A user without a window leaves the kernel's default.
            let _ = terminal::copy_size(user, process);
        }
    }

    /// Connects the user's streams with a container that a supervisor looks after: its output,
    /// and, when that is open, its input.
    ///
    /// # Errors
    /// [`SessionError::Terminal`].
    pub fn connect_container(
        &mut self,
        input: Option<OwnedFd>,
        stdout: OwnedFd,
        stderr: Option<OwnedFd>,
    ) -> Result<(), SessionError> {
        if let Some(input) = input {
            self.streams.add_input(std::io::stdin(), input)?;
        }
        self.streams.add_output(stdout, std::io::stdout())?;
        if let Some(stderr) = stderr {
            self.streams.add_output(stderr, std::io::stderr())?;
        }
        Ok(())
    }

    /// Keeps the window of a container's terminal as large as the user's. The program in it
    /// is made to draw itself again.
    ///
    /// # Errors
    /// [`SessionError::Wait`] when there are no more descriptors.
    pub fn connect_window(&mut self, master: impl AsFd) -> Result<(), SessionError> {
        let copy = |fd: &dyn AsFd| {
            rustix::io::fcntl_dupfd_cloexec(fd.as_fd(), 3).map_err(SessionError::Wait)
        };
        let (user, process) = (copy(&std::io::stdin())?, copy(&master)?);
        if let Ok(size) = terminal::size(&user) {
            // Only a change of the size is told to the program.
            let other = Winsize {
                ws_row: size.ws_row.saturating_add(1),
                ws_col: size.ws_col.saturating_add(1),
                ..size
            };
            let _ = terminal::set_size(&process, other);
        }
        self.window = Some((user, process));
        self.resize();
        Ok(())
    }

    /// Runs until the process has ended and its output is delivered, or the user detaches.
    ///
    /// # Errors
    /// [`SessionError`]; the process goes on then.
    pub fn run(mut self, pidfd: &Rc<OwnedFd>) -> Result<SessionEnd, SessionError> {
        let events = self.events(&pidfd.as_fd())?;
        let mut status = None;
        loop {
            match (self.streams.pump()?, status) {
                (Progress::Detached, _) => return Ok(SessionEnd::Detached(Box::new(self))),
                (Progress::Done, Some(status)) => return Ok(SessionEnd::Ended(status)),
                _ => {}
            }
            self.streams.register(&events, STREAMS)?;
            for token in wait(&events)? {
                match token {
                    SIGNAL => self.on_signal(pidfd)?,
                    OTHER_SIDE => {
                        let _ = epoll::delete(&events, pidfd);
                        status = Some(coop_ns::pidfd::wait(pidfd.as_fd())?);
                        // What it wrote is still delivered, however slowly the user reads.
                        self.streams.end_output();
                    }
                    _ => {}
                }
            }
        }
    }

    /// Runs until `client`, by which the container was attached, tells of its end, and its
    /// output is delivered; or until the user leaves. `on_signal` is asked about each signal.
    ///
    /// # Errors
    /// [`SessionError`]; the container goes on then.
    pub fn follow(
        mut self,
        client: &Client,
        on_signal: &mut dyn FnMut(Signal) -> OnSignal,
    ) -> Result<AttachEnd, SessionError> {
        let events = self.events(client)?;
        let mut end = None;
        loop {
            match self.streams.pump()? {
                Progress::Detached => return Ok(AttachEnd::Detached),
                Progress::Done if end.is_some() => return Ok(end.unwrap_or(AttachEnd::Lost)),
                _ => {}
            }
            self.streams.register(&events, STREAMS)?;
            for token in wait(&events)? {
                match token {
                    SIGNAL => {
                        while let Some(received) = self.signals.read()? {
                            if received.signal == Signal::WINCH {
                                self.resize();
                            } else if on_signal(received.signal) == OnSignal::Leave {
                                return Ok(AttachEnd::Interrupted(received.signal));
                            }
                        }
                    }
                    OTHER_SIDE => {
                        end = match client.next()? {
                            Some(Report::Exited(state) | Report::Restarting(state)) => {
                                Some(AttachEnd::Ended(state))
                            }
                            Some(Report::Done) | None => Some(AttachEnd::Lost),
                            Some(_) => continue,
                        };
                        let _ = epoll::delete(&events, client);
                        self.streams.end_output();
                    }
                    _ => {}
                }
            }
        }
    }

    /// Takes what the process still writes, until it ends, and throws it away: a process that
    /// the user has left is not to stand still, nor to end, for want of a reader.
    ///
    /// # Errors
    /// [`SessionError`].
    pub fn discard_output(mut self, pidfd: &Rc<OwnedFd>) -> Result<(), SessionError> {
        self.streams.discard_output()?;
        // With it goes the last hold on the user's terminal.
        self.window = None;
        let events = epoll::create(epoll::CreateFlags::CLOEXEC).map_err(SessionError::Wait)?;
        watch(&events, &pidfd.as_fd(), OTHER_SIDE)?;
        loop {
            self.streams.pump()?;
            self.streams.register(&events, STREAMS)?;
            if wait(&events)?.contains(&OTHER_SIDE) {
                return Ok(());
            }
        }
    }

    fn events(&self, other_side: &dyn AsFd) -> Result<OwnedFd, SessionError> {
        let events = epoll::create(epoll::CreateFlags::CLOEXEC).map_err(SessionError::Wait)?;
        watch(&events, &self.signals, SIGNAL)?;
        watch(&events, other_side, OTHER_SIDE)?;
        Ok(events)
    }

    fn on_signal(&self, pidfd: &OwnedFd) -> Result<(), SessionError> {
        while let Some(received) = self.signals.read()? {
            if received.signal == Signal::WINCH {
                self.resize();
            } else {
                // One that has ended meanwhile is fine.
                let _ = coop_ns::pidfd::send_signal(pidfd.as_fd(), received.signal);
            }
        }
        Ok(())
    }
}

fn watch(events: &OwnedFd, fd: &dyn AsFd, token: u64) -> Result<(), SessionError> {
    let data = epoll::EventData::new_u64(token);
    epoll::add(events, fd.as_fd(), data, epoll::EventFlags::IN).map_err(SessionError::Wait)
}

/// The tokens of what is ready.
fn wait(events: &OwnedFd) -> Result<Vec<u64>, SessionError> {
    let mut ready: Vec<epoll::Event> = Vec::with_capacity(8);
    match epoll::wait(events, rustix::buffer::spare_capacity(&mut ready), None) {
        Ok(_) | Err(Errno::INTR) => Ok(ready.iter().map(|event| event.data.u64()).collect()),
        Err(errno) => Err(SessionError::Wait(errno)),
    }
}
