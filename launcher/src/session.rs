//! A user and one process: streams both ways, signals and window size, until it ends.
//!
//! For processes that no supervisor looks after, such as `exec`'s.

use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;

use coop_ns::{ExitStatus, Signal};
use rustix::event::epoll;
use rustix::io::Errno;

use crate::signals::{FORWARDABLE, SignalError, SignalFd};
use crate::terminal::{self, Progress, Relay, TerminalError};

const SIGNAL: u64 = 0;
const EXIT: u64 = 1;
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

    /// Runs until the process has ended and its output is delivered.
    ///
    /// # Errors
    /// [`SessionError`]; the process goes on then.
    pub fn run(mut self, pidfd: &Rc<OwnedFd>) -> Result<ExitStatus, SessionError> {
        let events = epoll::create(epoll::CreateFlags::CLOEXEC).map_err(SessionError::Wait)?;
        let watch = |fd: &dyn AsFd, token| {
            epoll::add(
                &events,
                fd.as_fd(),
                epoll::EventData::new_u64(token),
                epoll::EventFlags::IN,
            )
            .map_err(SessionError::Wait)
        };
        watch(&self.signals, SIGNAL)?;
        watch(&pidfd.as_fd(), EXIT)?;
        let mut status = None;
        loop {
            let progress = self.streams.pump()?;
            if let (Some(status), Progress::Done) = (status, progress) {
                return Ok(status);
            }
            self.streams.register(&events, STREAMS)?;
            let mut ready: Vec<epoll::Event> = Vec::with_capacity(8);
            match epoll::wait(&events, rustix::buffer::spare_capacity(&mut ready), None) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(errno) => return Err(SessionError::Wait(errno)),
            }
            for event in ready {
                match event.data.u64() {
                    SIGNAL => self.on_signal(pidfd)?,
                    EXIT => {
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
