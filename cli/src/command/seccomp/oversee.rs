//! A process that answers for the filters of others.

use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;

use anyhow::{Context, Result};
use coop_launcher::helper;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};

/// It is a process of its own since who starts a container waits for its `execve`, which in turn
/// waits for the answer.
pub(super) struct Overseeing {
    process: OwnedFd,
    /// Where filters' listeners are handed over.
    pub(super) socket: Rc<OwnedFd>,
}

impl Overseeing {
    /// Starts a process that does `work` with the other end of the socket.
    pub(super) fn start(work: impl FnOnce(&OwnedFd) -> Result<()>) -> Result<Self> {
        let (ours, theirs) = socketpair(
            AddressFamily::UNIX,
            SocketType::SEQPACKET,
            SocketFlags::CLOEXEC,
            None,
        )
        .context("make a socket pair")?;
        let process = helper::start(&theirs, |socket| match work(socket) {
            Ok(()) => 0,
            Err(error) => {
                crate::ui::error(&error);
                1
            }
        });
        Ok(Self {
            process: process.context("start a process that answers for filters")?,
            socket: Rc::new(ours),
        })
    }

    /// Waits for its end, and tells whether all went well. Nobody else must have the socket any
    /// more, or it would wait for them.
    pub(super) fn finish(self) -> Result<bool> {
        drop(self.socket);
        Ok(coop_ns::pidfd::wait(self.process.as_fd())?.success())
    }

    /// Ends it, whatever it is about.
    pub(super) fn kill(self) -> Result<()> {
        let pidfd = self.process.as_fd();
        coop_ns::pidfd::send_signal(pidfd, coop_ns::Signal::KILL)?;
        coop_ns::pidfd::wait(pidfd)?;
        Ok(())
    }
}
