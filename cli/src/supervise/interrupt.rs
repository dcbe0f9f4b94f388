//! The user's wish to end what a command has begun: Ctrl-C, or `SIGTERM`.

use std::os::fd::{AsFd, BorrowedFd};

use anyhow::{Context, Result};
use coop_launcher::signals::SignalFd;
use coop_ns::Signal;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;

/// The exit status of a command that the user has interrupted: 128 and `SIGINT`.
pub(crate) const INTERRUPTED: i32 = 130;

/// Signals that end a command, taken as events from now on: what it has begun is its to end.
#[derive(Debug)]
pub(crate) struct Interrupts(SignalFd);

/// What came first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Heard {
    /// The user's wish.
    Interrupt,
    /// Something of the other side.
    Other,
}

impl Interrupts {
    /// # Errors
    /// When there are no descriptors left.
    pub(crate) fn new() -> Result<Self> {
        Ok(Self(SignalFd::new(&[
            Signal::INT,
            Signal::TERM,
            Signal::HUP,
        ])?))
    }

    /// Whether the user has asked since the last look.
    pub(crate) fn came(&self) -> Result<bool> {
        Ok(self.0.read()?.is_some())
    }

    /// Waits until the user asks or `other` is readable.
    pub(super) fn or(&self, other: impl AsFd) -> Result<Heard> {
        loop {
            let mut fds = [
                PollFd::new(&self.0, PollFlags::IN),
                PollFd::new(&other, PollFlags::IN),
            ];
            match poll(&mut fds, None) {
                Ok(_) if !fds[1].revents().is_empty() => return Ok(Heard::Other),
                Ok(_) => {}
                Err(Errno::INTR) => continue,
                Err(errno) => return Err(errno).context("wait for the stack's supervisor"),
            }
            if self.came()? {
                return Ok(Heard::Interrupt);
            }
        }
    }
}

/// Readable when the user has asked.
impl AsFd for Interrupts {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
