//! One end of a [`Relay`](super::Relay): a descriptor that is used without waiting.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{CWD, FileType, Mode, OFlags, fcntl_getfl, fstat, openat};
use rustix::io::{Errno, fcntl_dupfd_cloexec, ioctl_fionbio, write};
use rustix::net::{SendFlags, Shutdown, send, shutdown};

use super::TerminalError;

#[derive(Debug)]
pub(super) struct Endpoint {
    pub(super) fd: OwnedFd,
    pub(super) kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Pipe or terminal, non-blocking for us alone.
    Stream,
    Socket,
    /// A regular file or a device that never waits: `epoll` does not take them.
    File,
}

impl Endpoint {
    /// A descriptor that is ours: nobody else minds that it does not block.
    pub(super) fn own(fd: OwnedFd) -> Result<Self, TerminalError> {
        let kind = kind_of(&fd)?;
        if kind == Kind::Stream {
            ioctl_fionbio(&fd, true)
                .map_err(TerminalError::at("make a standard stream non-blocking"))?;
        }
        Ok(Self { fd, kind })
    }

    /// A copy of the user's descriptor. `O_NONBLOCK` belongs to the open file, which the user
    /// shares with their shell: so a pipe or terminal is opened once more. A file must not be,
    /// as its position is shared as well, and it does not block anyway.
    pub(super) fn copy(fd: impl AsFd) -> Result<Self, TerminalError> {
        let fd = fd.as_fd();
        let kind = kind_of(fd)?;
        if kind == Kind::Stream
            && let Ok(fd) = reopen(fd)
        {
            return Ok(Self { fd, kind });
        }
        let fd = fcntl_dupfd_cloexec(fd, 3).map_err(TerminalError::at("copy a standard stream"))?;
        Ok(Self { fd, kind })
    }

    pub(super) fn is_ready(&self, events: PollFlags) -> Result<bool, TerminalError> {
        let mut fds = [PollFd::new(&self.fd, events)];
        match poll(
            &mut fds,
            Some(&Timespec {
                tv_sec: 0,
                tv_nsec: 0,
            }),
        ) {
            Ok(ready) => Ok(ready > 0),
            Err(Errno::INTR) => Ok(false),
            Err(errno) => Err(TerminalError::at("poll a standard stream")(errno)),
        }
    }

    pub(super) fn write(&self, bytes: &[u8]) -> Result<usize, Errno> {
        match self.kind {
            // NOSIGNAL as in Rust everywhere: EPIPE instead of SIGPIPE.
            Kind::Socket => send(&self.fd, bytes, SendFlags::DONTWAIT | SendFlags::NOSIGNAL),
            Kind::Stream | Kind::File => write(&self.fd, bytes),
        }
    }

    /// No more comes. Closing is enough for a pipe; a socket may be read from elsewhere.
    pub(super) fn end_input(&self) {
        if self.kind == Kind::Socket {
            let _ = shutdown(&self.fd, Shutdown::Write);
        }
    }
}

fn kind_of(fd: impl AsFd) -> Result<Kind, TerminalError> {
    let status = fstat(&fd).map_err(TerminalError::at("look at a standard stream"))?;
    Ok(match FileType::from_raw_mode(status.st_mode) {
        FileType::Socket => Kind::Socket,
        FileType::Fifo => Kind::Stream,
        FileType::CharacterDevice if rustix::termios::isatty(fd) => Kind::Stream,
        _ => Kind::File,
    })
}

fn reopen(fd: BorrowedFd<'_>) -> Result<OwnedFd, Errno> {
    let access = fcntl_getfl(fd)? & OFlags::RWMODE;
    let path = format!("/proc/self/fd/{}", fd.as_raw_fd());
    let flags = access | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    openat(CWD, path, flags, Mode::empty())
}
