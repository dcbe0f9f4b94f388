//! Deciding on calls of others: [`Action::Notify`](crate::Action::Notify).

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

use rustix::io::{Errno, FdFlags, retry_on_intr};
use rustix::process::Pid;

use crate::{Call, sys};

/// Who is asked when a filter says notify: `seccomp_unotify(2)`.
///
/// The descriptor is readable while a call waits, and hung up when no process with the filter
/// is left.
#[derive(Debug)]
pub struct Listener {
    fd: OwnedFd,
    sizes: sys::NotifSizes,
}

/// A call that waits for an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Notification {
    /// What an answer names.
    pub id: u64,
    /// The thread that waits, where the listener's pid namespace has it. Before it is used for
    /// anything, see [`Listener::is_waiting`].
    pub thread: Option<Pid>,
    /// The call. What its arguments point to can change at any time.
    pub call: Call,
}

/// What becomes of a call that waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// It is not made and returns this.
    Value(i64),
    /// It is not made and fails.
    Errno(Errno),
    /// It is made, as if by [`Action::Allow`](crate::Action::Allow).
    ///
    /// This is no means of protection: what the arguments point to may have changed since it was
    /// looked at.
    Continue,
}

/// What went wrong between a listener and the kernel.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ListenError {
    /// The kernel does not tell how large its notifications are.
    #[error("ask for the sizes of seccomp notifications")]
    Sizes(#[source] Errno),
    /// No notification could be received.
    #[error("receive a seccomp notification")]
    Receive(#[source] Errno),
    /// A notification could not be answered.
    #[error("answer seccomp notification {id:#x}")]
    Answer {
        /// Which one.
        id: u64,
        /// What the kernel said.
        #[source]
        errno: Errno,
    },
    /// The kernel does not tell whether a call still waits.
    #[error("ask whether the call of seccomp notification {id:#x} still waits")]
    IsWaiting {
        /// Which one.
        id: u64,
        /// What the kernel said.
        #[source]
        errno: Errno,
    },
    /// A descriptor could not be put into the process that waits.
    #[error("add a file descriptor to the process of seccomp notification {id:#x}")]
    AddFd {
        /// Which one.
        id: u64,
        /// What the kernel said.
        #[source]
        errno: Errno,
    },
}

impl Listener {
    pub(crate) fn new(fd: OwnedFd, sizes: sys::NotifSizes) -> Self {
        Self { fd, sizes }
    }

    /// One whose descriptor came from another process.
    ///
    /// # Errors
    /// [`ListenError::Sizes`].
    pub fn from_fd(fd: OwnedFd) -> Result<Self, ListenError> {
        let sizes = sys::notif_sizes().map_err(ListenError::Sizes)?;
        Ok(Self { fd, sizes })
    }

    /// Waits for a call. `None`: one was there, and its thread was ended or interrupted.
    ///
    /// # Errors
    /// [`ListenError::Receive`].
    pub fn receive(&self) -> Result<Option<Notification>, ListenError> {
        match retry_on_intr(|| sys::receive(self.fd.as_fd(), self.sizes.notif)) {
            Ok(notif) => Ok(Some(Notification {
                id: notif.id,
                thread: Pid::from_raw(notif.pid as i32),
                call: notif.data,
            })),
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(ListenError::Receive(errno)),
        }
    }

    /// Whether the call still waits. Ask *after* something of the thread was opened by its id
    /// (its memory, say): only then it is certain that the id was not another's by then.
    ///
    /// # Errors
    /// [`ListenError::IsWaiting`].
    pub fn is_waiting(&self, id: u64) -> Result<bool, ListenError> {
        sys::id_valid(self.fd.as_fd(), id).map_err(|errno| ListenError::IsWaiting { id, errno })
    }

    /// Answers. `false`: nobody waits any more.
    ///
    /// # Errors
    /// [`ListenError::Answer`].
    pub fn answer(&self, id: u64, answer: Answer) -> Result<bool, ListenError> {
        let mut response = sys::NotifResp {
            id,
            ..Default::default()
        };
        match answer {
            Answer::Value(value) => response.val = value,
            Answer::Errno(errno) => response.error = -errno.raw_os_error(),
            Answer::Continue => response.flags = sys::CONTINUE,
        }
        match sys::send(self.fd.as_fd(), self.sizes.resp, response) {
            Ok(()) => Ok(true),
            Err(Errno::NOENT) => Ok(false),
            Err(errno) => Err(ListenError::Answer { id, errno }),
        }
    }

    /// Puts a copy of a descriptor into the process that waits, in place of `number` where one
    /// is given, and returns its number there. The call goes on waiting. From Linux 5.9 on.
    ///
    /// # Errors
    /// [`ListenError::AddFd`]: `ENOENT` when nobody waits any more.
    pub fn add_fd(
        &self,
        id: u64,
        fd: BorrowedFd<'_>,
        number: Option<RawFd>,
        flags: FdFlags,
    ) -> Result<RawFd, ListenError> {
        self.add(id, fd, number, flags, 0)
    }

    /// The same, and answers with its number in the same step, so that the process never has a
    /// descriptor that it does not know of. From Linux 5.14 on.
    ///
    /// # Errors
    /// [`ListenError::AddFd`]: `ENOENT` when nobody waits any more.
    pub fn answer_with_fd(
        &self,
        id: u64,
        fd: BorrowedFd<'_>,
        flags: FdFlags,
    ) -> Result<RawFd, ListenError> {
        self.add(id, fd, None, flags, sys::ADDFD_SEND)
    }

    fn add(
        &self,
        id: u64,
        fd: BorrowedFd<'_>,
        number: Option<RawFd>,
        flags: FdFlags,
        how: u32,
    ) -> Result<RawFd, ListenError> {
        let close_on_exec = if flags.contains(FdFlags::CLOEXEC) {
            libc::O_CLOEXEC
        } else {
            0
        };
        let request = sys::NotifAddFd {
            id,
            flags: how | number.map_or(0, |_| sys::ADDFD_SETFD),
            srcfd: fd.as_raw_fd() as u32,
            newfd: number.unwrap_or(0) as u32,
            newfd_flags: close_on_exec as u32,
        };
        sys::add_fd(self.fd.as_fd(), request).map_err(|errno| ListenError::AddFd { id, errno })
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl From<Listener> for OwnedFd {
    fn from(listener: Listener) -> Self {
        listener.fd
    }
}
