//! Putting a program in force.

use rustix::io::Errno;
use rustix::process::Pid;

use crate::listener::Listener;
use crate::policy::Flags;
use crate::{Action, Program, sys};

/// Why a filter was not loaded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// `EACCES`: the thread may still gain privileges, and is not privileged itself. Set
    /// `no_new_privs`, see `PR_SET_NO_NEW_PRIVS` of `prctl(2)`.
    #[error("load a seccomp filter with neither no_new_privs nor CAP_SYS_ADMIN")]
    NotPermitted(#[source] Errno),
    /// `EINVAL`, `ENOSYS`: the kernel has no seccomp filters, or does not know a flag.
    #[error("load a seccomp filter with flags {flags:?}, which this kernel does not support")]
    Unsupported {
        /// The flags that were asked for.
        flags: Flags,
        /// What the kernel said.
        #[source]
        errno: Errno,
    },
    /// With [`Flags::TSYNC`]: another thread has a filter of its own, so that it cannot get
    /// this one. The kernel does not tell which when a listener was asked for.
    #[error("load a seccomp filter in all threads: one has another filter")]
    OtherThread(Option<Pid>),
    /// `EBUSY`: another filter of this process has a listener already.
    #[error("load a second seccomp filter with a listener")]
    SecondListener(#[source] Errno),
    /// `ENOMEM`: with this one, the filters of this thread have more than 32,768 instructions
    /// together (four more for each), or memory ran out.
    #[error("load one more seccomp filter: too many instructions, or no memory")]
    TooMany(#[source] Errno),
    /// Anything else.
    #[error("load a seccomp filter")]
    Load(#[source] Errno),
    /// The kernel does not tell how large its notifications are.
    #[error("ask for the sizes of seccomp notifications")]
    NotificationSizes(#[source] Errno),
    /// The kernel does not tell which actions it knows.
    #[error("ask whether the kernel knows the seccomp action \"{action}\"")]
    ActionAvailable {
        /// The action.
        action: Action,
        /// What the kernel said.
        #[source]
        errno: Errno,
    },
}

impl Program {
    /// Puts the filter in force for the calling thread (with [`Flags::TSYNC`] for all threads of
    /// the process) and what it starts, on top of those in force. There is no way back.
    ///
    /// The thread needs `no_new_privs` or `CAP_SYS_ADMIN`. What [`Action::Notify`] is for fails
    /// with `ENOSYS`: see [`load_with_listener`](Self::load_with_listener).
    /// [`Flags::WAIT_KILLABLE_RECV`] means nothing without a listener, and is left out: the kernel
    /// would refuse it.
    ///
    /// # Errors
    /// [`LoadError`].
    pub fn load(&self, flags: Flags) -> Result<(), LoadError> {
        let flags = flags - Flags::WAIT_KILLABLE_RECV;
        match sys::set_mode_filter(self.instructions(), flags.bits()) {
            Ok(0) => Ok(()),
            Ok(thread) => Err(LoadError::OtherThread(Pid::from_raw(thread as i32))),
            Err(errno) => Err(load_error(flags, errno)),
        }
    }

    /// The same, with a listener who decides on calls that [`Action::Notify`] is for. At most one
    /// filter of a process has one.
    ///
    /// The caller is under the filter at once: when it is to hand the listener to another
    /// process, what it needs for that must not be among the calls that notify.
    ///
    /// # Errors
    /// [`LoadError`].
    pub fn load_with_listener(&self, flags: Flags) -> Result<Listener, LoadError> {
        // Asked before, since the filter cannot be taken back.
        let sizes = sys::notif_sizes().map_err(LoadError::NotificationSizes)?;
        // The result is a descriptor, so it cannot be the id of a thread as well.
        let extra = if flags.contains(Flags::TSYNC) {
            sys::TSYNC_ESRCH
        } else {
            0
        };
        match sys::set_mode_filter_listened(self.instructions(), flags.bits() | extra) {
            Ok(fd) => Ok(Listener::new(fd, sizes)),
            Err(Errno::SRCH) => Err(LoadError::OtherThread(None)),
            Err(errno) => Err(load_error(flags, errno)),
        }
    }
}

fn load_error(flags: Flags, errno: Errno) -> LoadError {
    match errno {
        Errno::ACCESS => LoadError::NotPermitted(errno),
        Errno::INVAL | Errno::NOSYS => LoadError::Unsupported { flags, errno },
        Errno::BUSY => LoadError::SecondListener(errno),
        Errno::NOMEM => LoadError::TooMany(errno),
        _ => LoadError::Load(errno),
    }
}

/// Whether the kernel knows an action. For one that it does not know it kills the process.
///
/// # Errors
/// [`LoadError::ActionAvailable`], from a kernel before 4.14.
pub fn action_available(action: Action) -> Result<bool, LoadError> {
    sys::action_available(action.kind())
        .map_err(|errno| LoadError::ActionAvailable { action, errno })
}
