//! How a process ended.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::Signal;

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExitStatus {
    /// It called `exit` with this status, 0 to 255.
    Exited(i32),
    /// The signal with this number killed it.
    Signaled(i32),
}

impl ExitStatus {
    /// The status that a shell reports: the exit status, or 128 plus the signal's number.
    pub const fn code(self) -> i32 {
        match self {
            Self::Exited(status) => status,
            Self::Signaled(signal) => 128 + signal,
        }
    }

    /// Whether it ended with status 0.
    pub const fn success(self) -> bool {
        matches!(self, Self::Exited(0))
    }

    /// From the encoding of `wait(2)`.
    pub(crate) const fn from_wait_status(status: i32) -> Self {
        match status & 0x7f {
            0 => Self::Exited((status >> 8) & 0xff),
            signal => Self::Signaled(signal),
        }
    }
}

impl fmt::Display for ExitStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Exited(status) => write!(f, "exit status {status}"),
            Self::Signaled(number) => match Signal::new(number) {
                Some(signal) => write!(f, "signal {number} ({signal})"),
                None => write!(f, "signal {number}"),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decodes_the_kernel_encoding() {
        assert_eq!(ExitStatus::from_wait_status(0), ExitStatus::Exited(0));
        assert_eq!(ExitStatus::from_wait_status(0x2a00), ExitStatus::Exited(42));
        assert_eq!(ExitStatus::from_wait_status(9), ExitStatus::Signaled(9));
        // Bit 7: a core was dumped.
        assert_eq!(ExitStatus::from_wait_status(0x8b), ExitStatus::Signaled(11));
    }

    #[test]
    fn reads_like_a_shell() {
        assert_eq!(ExitStatus::Exited(3).code(), 3);
        assert_eq!(ExitStatus::Signaled(15).code(), 143);
        assert_eq!(ExitStatus::Exited(0).to_string(), "exit status 0");
        assert_eq!(ExitStatus::Signaled(9).to_string(), "signal 9 (SIGKILL)");
        assert_eq!(
            ExitStatus::Signaled(37).to_string(),
            "signal 37 (SIGRTMIN+3)"
        );
    }
}
