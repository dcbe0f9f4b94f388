//! One `epoll(7)` instance with typed tokens.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::event::{Timespec, epoll};
use rustix::io::Errno;

/// What became ready. The numbers index the supervisor's containers or clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Token {
    /// A signal is pending.
    Signal,
    /// Someone connects to the control socket.
    Listener,
    /// A client of the control socket sent something or went away.
    Client(u32),
    /// A container's first process ended.
    Exit(u32),
    /// A container wrote to its standard output, or to its terminal.
    Stdout(u32),
    /// A container wrote to its standard error.
    Stderr(u32),
    /// A health check ended.
    Check(u32),
    /// A viewer's pipe has room, or nobody reads from it.
    Viewer(u32),
    /// A health check printed something.
    CheckOutput(u32),
    /// The user's input, or the container's room for it.
    Input,
    /// The service beside the containers has something to do.
    Service,
}

impl Token {
    pub(crate) fn encode(self) -> u64 {
        let (kind, index) = match self {
            Self::Signal => (0, 0),
            Self::Listener => (1, 0),
            Self::Client(index) => (2, index),
            Self::Exit(index) => (3, index),
            Self::Stdout(index) => (4, index),
            Self::Stderr(index) => (5, index),
            Self::Check(index) => (6, index),
            Self::Input => (7, 0),
            Self::Viewer(index) => (8, index),
            Self::CheckOutput(index) => (9, index),
            Self::Service => (10, 0),
        };
        (kind << 32) | u64::from(index)
    }

    /// Whether someone who talks to the supervisor has to do with it.
    pub(crate) fn is_of_client(self) -> bool {
        matches!(self, Self::Listener | Self::Client(_))
    }

    fn decode(data: u64) -> Self {
        let index = data as u32;
        match data >> 32 {
            0 => Self::Signal,
            1 => Self::Listener,
            2 => Self::Client(index),
            3 => Self::Exit(index),
            4 => Self::Stdout(index),
            5 => Self::Stderr(index),
            6 => Self::Check(index),
            8 => Self::Viewer(index),
            9 => Self::CheckOutput(index),
            10 => Self::Service,
            _ => Self::Input,
        }
    }
}

/// Before Linux 5.11, milliseconds have to fit into 31 bits: no month does.
const A_DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// What is watched, and nothing else: descriptors stay with their owners.
#[derive(Debug)]
pub(crate) struct Reactor {
    epoll: OwnedFd,
}

impl Reactor {
    pub(crate) fn new() -> Result<Self, Errno> {
        Ok(Self {
            epoll: epoll::create(epoll::CreateFlags::CLOEXEC)?,
        })
    }

    /// Watches `fd` for input.
    pub(crate) fn watch(&self, fd: impl AsFd, token: Token) -> Result<(), Errno> {
        let data = epoll::EventData::new_u64(token.encode());
        epoll::add(&self.epoll, fd, data, epoll::EventFlags::IN)
    }

    /// Watches `fd`, which is watched for input already, for room to write as well, or no more.
    pub(crate) fn watch_for_room(
        &self,
        fd: impl AsFd,
        token: Token,
        wanted: bool,
    ) -> Result<(), Errno> {
        let data = epoll::EventData::new_u64(token.encode());
        let mut flags = epoll::EventFlags::IN;
        flags.set(epoll::EventFlags::OUT, wanted);
        epoll::modify(&self.epoll, fd, data, flags)
    }

    /// Stops watching `fd`. One that is not watched is fine.
    pub(crate) fn forget(&self, fd: impl AsFd) {
        let _ = epoll::delete(&self.epoll, fd);
    }

    /// Waits until something is ready or `timeout` is over, or a day.
    pub(crate) fn wait(&self, timeout: Option<Duration>) -> Result<Vec<Token>, Errno> {
        let timeout = timeout
            .map(|timeout| timeout.min(A_DAY))
            .map(|timeout| Timespec {
                tv_sec: timeout.as_secs().try_into().unwrap_or(i64::MAX),
                tv_nsec: timeout.subsec_nanos().into(),
            });
        let mut events = Vec::with_capacity(32);
        match epoll::wait(
            &self.epoll,
            rustix::buffer::spare_capacity(&mut events),
            timeout.as_ref(),
        ) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
        Ok(events
            .iter()
            .map(|event: &epoll::Event| Token::decode(event.data.u64()))
            .collect())
    }
}

impl AsFd for Reactor {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.epoll.as_fd()
    }
}
