//! What happens to a system call.

use std::cmp::Reverse;
use std::fmt;

use serde::{Deserialize, Serialize};

/// What the kernel does with a call: a return value of a filter, see `seccomp(2)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// The call is made.
    Allow,
    /// The call is not made and fails with this error number. The kernel takes more than 4095
    /// for 4095.
    Errno(u16),
    /// A tracer that asked for it (`PTRACE_O_TRACESECCOMP`) is told with this number, and
    /// decides; without one the call fails with `ENOSYS`.
    Trace(u16),
    /// The call is made and logged.
    Log,
    /// The calling thread ends, as if by `SIGSYS`.
    KillThread,
    /// The process ends, as if by `SIGSYS`.
    KillProcess,
    /// The call is not made; the thread gets a `SIGSYS` that it may handle.
    Trap,
    /// The call waits for the answer of who holds the listener of the filter; without one it
    /// fails with `ENOSYS`.
    Notify,
}

const KILL_PROCESS: u32 = 0x8000_0000;
const KILL_THREAD: u32 = 0x0000_0000;
const TRAP: u32 = 0x0003_0000;
const ERRNO: u32 = 0x0005_0000;
const USER_NOTIF: u32 = 0x7fc0_0000;
const TRACE: u32 = 0x7ff0_0000;
const LOG: u32 = 0x7ffc_0000;
const ALLOW: u32 = 0x7fff_0000;

/// `SECCOMP_RET_ACTION_FULL` and `SECCOMP_RET_DATA`: the halves of a return value.
const ACTION_MASK: u32 = 0xffff_0000;
const DATA_MASK: u32 = 0x0000_ffff;

impl Action {
    /// What a filter returns for it: `SECCOMP_RET_*` of `linux/seccomp.h`, with its data.
    pub const fn return_value(self) -> u32 {
        match self {
            Self::Allow => ALLOW,
            Self::Errno(errno) => ERRNO | errno as u32,
            Self::Trace(message) => TRACE | message as u32,
            Self::Log => LOG,
            Self::KillThread => KILL_THREAD,
            Self::KillProcess => KILL_PROCESS,
            Self::Trap => TRAP,
            Self::Notify => USER_NOTIF,
        }
    }

    /// What the kernel makes of a filter's return value. It kills the process for one that it
    /// does not know.
    pub const fn from_return_value(value: u32) -> Self {
        let data = (value & DATA_MASK) as u16;
        match value & ACTION_MASK {
            ALLOW => Self::Allow,
            ERRNO => Self::Errno(data),
            TRACE => Self::Trace(data),
            LOG => Self::Log,
            KILL_THREAD => Self::KillThread,
            TRAP => Self::Trap,
            USER_NOTIF => Self::Notify,
            _ => Self::KillProcess,
        }
    }

    /// The action without its data, as `SECCOMP_GET_ACTION_AVAIL` asks for it.
    pub(crate) const fn kind(self) -> u32 {
        self.return_value() & ACTION_MASK
    }

    /// Its rank among several filters that say different things: the kernel heeds the greatest.
    /// `KillProcess` is above `KillThread`, `Trap`, `Errno`, `Notify`, `Trace`, `Log`, and
    /// `Allow`, which is 0.
    pub fn precedence(self) -> u8 {
        const RISING: [u32; 8] = [
            ALLOW,
            LOG,
            TRACE,
            USER_NOTIF,
            ERRNO,
            TRAP,
            KILL_THREAD,
            KILL_PROCESS,
        ];
        RISING
            .iter()
            .zip(0..)
            .find_map(|(kind, rank)| (*kind == self.kind()).then_some(rank))
            .unwrap_or(u8::MAX)
    }

    /// The stricter of two, as the kernel ranks them; of two errors or trace messages the one
    /// with the smaller number.
    pub fn stricter(self, other: Self) -> Self {
        let rank = |action: Self| (action.precedence(), Reverse(action.return_value()));
        if rank(self) >= rank(other) {
            self
        } else {
            other
        }
    }

    /// Whether the call is made without anyone being asked.
    pub const fn lets_pass(self) -> bool {
        matches!(self, Self::Allow | Self::Log)
    }
}

impl fmt::Display for Action {
    /// `allow`, `errno EPERM`, `errno 4000`, `trace 7`, `kill process`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Allow => f.write_str("allow"),
            Self::Errno(errno) => match crate::errno::name(*errno) {
                Some(name) => write!(f, "errno {name}"),
                None => write!(f, "errno {errno}"),
            },
            Self::Trace(message) => write!(f, "trace {message}"),
            Self::Log => f.write_str("log"),
            Self::KillThread => f.write_str("kill thread"),
            Self::KillProcess => f.write_str("kill process"),
            Self::Trap => f.write_str("trap"),
            Self::Notify => f.write_str("notify"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Action; 8] = [
        Action::KillProcess,
        Action::KillThread,
        Action::Trap,
        Action::Errno(1),
        Action::Notify,
        Action::Trace(7),
        Action::Log,
        Action::Allow,
    ];

    #[test]
    fn a_return_value_leads_back_to_its_action() {
        for action in ALL {
            assert_eq!(Action::from_return_value(action.return_value()), action);
        }
        assert_eq!(Action::from_return_value(0x1234_0000), Action::KillProcess);
    }

    /// The kernel takes the smallest of the actions as signed numbers.
    #[test]
    fn precedence_is_that_of_the_kernel() {
        for pair in ALL.windows(2) {
            assert!(pair[0].precedence() > pair[1].precedence());
            assert!((pair[0].kind() as i32) < pair[1].kind() as i32);
            assert_eq!(pair[0].stricter(pair[1]), pair[0]);
            assert_eq!(pair[1].stricter(pair[0]), pair[0]);
        }
        assert_eq!(
            Action::Errno(38).stricter(Action::Errno(1)),
            Action::Errno(1)
        );
    }

    #[test]
    fn an_action_is_shown_by_the_name_of_its_error() {
        assert_eq!(Action::Errno(38).to_string(), "errno ENOSYS");
        assert_eq!(Action::Errno(4000).to_string(), "errno 4000");
        assert_eq!(Action::KillProcess.to_string(), "kill process");
    }
}
