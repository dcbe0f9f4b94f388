//! seccomp profiles for containers: which system calls a process may make.
//!
//! **Status: no filter is loaded yet.** The only profile is [`Profile::Unconfined`], which
//! leaves every system call allowed. This crate holds the place of the filter in the
//! pipeline (the last step before `execve`) and in saved plans; profiles and their compiler
//! to BPF come next. A container is confined by its namespaces, capabilities and
//! `no_new_privs` alone until then.
//!
//! # Example
//!
//! ```
//! use coop_seccomp::{Mode, Profile, mode};
//!
//! let before = mode()?;
//! Profile::Unconfined.apply()?;
//! assert_eq!(mode()?, before);
//! println!("seccomp: {before}"); // seccomp: off
//! # Ok::<(), coop_seccomp::Error>(())
//! ```

mod action;
mod arch;
mod call;
mod compile;
mod cost;
mod difference;
mod disassemble;
mod errno;
mod evaluate;
mod explain;
mod instruction;
mod listener;
mod load;
mod multiplexed;
pub mod policy;
mod program;
mod resolve;
mod simulate;
mod sys;
mod table;
mod verify;

use std::fmt;

pub use action::Action;
pub use arch::{Arch, UnknownArch};
pub use call::Call;
pub use compile::CompileError;
pub use difference::{Decision, Difference, Subject};
pub use errno::errno_of_name;
pub use explain::{ArchExplanation, Case, Explanation, NumberedCall, Reason};
pub use instruction::Instruction;
pub use listener::{Answer, ListenError, Listener, Notification};
pub use load::{LoadError, action_available};
pub use policy::{Comparison, Condition, Flags, Newest, Policy, Rule, Unknown};
pub use program::Program;
pub use simulate::Outcome;
pub use table::is_known;
pub use verify::{Invalid, MAX_INSTRUCTIONS, verify};

use rustix::fs::{Mode as FileMode, OFlags, open};
use rustix::io::{Errno, read, retry_on_intr};
use serde::{Deserialize, Serialize};

/// What a process may call.
///
/// Not exhaustive, since filtering profiles are to come.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Profile {
    /// Every system call is allowed; no filter is loaded.
    #[default]
    Unconfined,
}

impl Profile {
    /// Puts the profile in force for the calling thread and what it executes.
    /// For [`Profile::Unconfined`] that changes nothing: filters that are in force stay.
    ///
    /// # Errors
    /// None yet.
    pub fn apply(&self) -> Result<(), Error> {
        match self {
            Self::Unconfined => Ok(()),
        }
    }
}

/// Whether system calls of a process are filtered, by the field `Seccomp` of
/// `/proc/PID/status`; see `proc_pid_status(5)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// 0: all are allowed.
    Off,
    /// 1: only `read`, `write`, `_exit` and `sigreturn` are.
    Strict,
    /// 2: BPF programs decide.
    Filter,
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Off => "off",
            Self::Strict => "strict",
            Self::Filter => "filter",
        })
    }
}

/// What can go wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// `/proc/thread-self/status` cannot be read.
    #[error("read /proc/thread-self/status")]
    ReadStatus(#[source] Errno),
    /// The kernel says nothing about seccomp, being built without it, or something unknown.
    #[error("no known seccomp mode in /proc/thread-self/status")]
    UnknownMode,
}

/// The mode of the calling thread.
///
/// # Errors
/// [`Error::ReadStatus`], [`Error::UnknownMode`].
pub fn mode() -> Result<Mode, Error> {
    let status = read_status().map_err(Error::ReadStatus)?;
    parse_mode(&status).ok_or(Error::UnknownMode)
}

fn read_status() -> Result<Vec<u8>, Errno> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    let file = open("/proc/thread-self/status", flags, FileMode::empty())?;
    let mut status = Vec::new();
    let mut buffer = [0; 2048];
    loop {
        match retry_on_intr(|| read(&file, &mut buffer))? {
            0 => return Ok(status),
            n => status.extend_from_slice(&buffer[..n]),
        }
    }
}

fn parse_mode(status: &[u8]) -> Option<Mode> {
    let value = status
        .split(|byte| *byte == b'\n')
        .find_map(|line| line.strip_prefix(b"Seccomp:"))?;
    match value.trim_ascii() {
        b"0" => Some(Mode::Off),
        b"1" => Some(Mode::Strict),
        b"2" => Some(Mode::Filter),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mode_is_read_from_its_own_line() {
        let status = |value| format!("NoNewPrivs:\t0\nSeccomp:\t{value}\nSeccomp_filters:\t2\n");
        assert_eq!(parse_mode(status(0).as_bytes()), Some(Mode::Off));
        assert_eq!(parse_mode(status(2).as_bytes()), Some(Mode::Filter));
        assert_eq!(parse_mode(status(7).as_bytes()), None);
        assert_eq!(parse_mode(b"Seccomp_filters:\t0\n"), None);
    }

    #[test]
    fn unconfined_is_the_default_and_changes_nothing() {
        let before = mode().unwrap();
        Profile::default().apply().unwrap();
        assert_eq!(mode().unwrap(), before);
    }

    #[test]
    fn a_profile_is_saved_by_name_and_an_unknown_one_is_refused() {
        let json = serde_json::to_string(&Profile::Unconfined).unwrap();
        assert_eq!(json, r#""unconfined""#);
        assert_eq!(
            serde_json::from_str::<Profile>(&json).unwrap(),
            Profile::Unconfined
        );
        assert!(serde_json::from_str::<Profile>(r#""default""#).is_err());
    }
}
