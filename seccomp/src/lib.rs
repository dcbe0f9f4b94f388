//! seccomp profiles for containers: which system calls a process may make.
//!
//! A [`Policy`] says which calls are allowed. It comes from a profile: one of this library
//! ([`profiles`]), of the OCI runtime-spec ([`oci`]), or of Docker or Podman ([`docker`]). It is
//! [compiled](Policy::compile) to a [`Program`] of classic BPF, which can be
//! [run](Program::run) here, and [loaded](Program::load) into the kernel.
//!
//! # Example
//!
//! ```
//! use coop_seccomp::{Action, Arch, BuiltIn, Call, Capabilities, Context, KernelVersion};
//!
//! let context = Context {
//!     arch: Arch::native(),
//!     capabilities: Capabilities::NONE,
//!     kernel: KernelVersion::running(),
//! };
//! let policy = BuiltIn::Default.policy(&context);
//! let program = policy.compile(context.arch)?;
//!
//! let mount = context.arch.number_of("mount").expect("every kernel has it");
//! let outcome = program.run(&Call::new(context.arch, mount));
//! assert_eq!(outcome.action(), Action::Errno(1)); // EPERM
//! # Ok::<(), coop_seccomp::CompileError>(())
//! ```

mod action;
mod arch;
mod call;
mod compile;
mod context;
mod cost;
mod difference;
mod disassemble;
pub mod docker;
mod errno;
mod evaluate;
mod explain;
mod filter;
mod instruction;
mod listener;
mod load;
mod multiplexed;
pub mod oci;
pub mod policy;
mod profile_error;
pub mod profiles;
mod program;
pub mod record;
mod resolve;
mod simulate;
mod sys;
mod table;
mod verify;

use std::fmt;

pub use action::Action;
pub use arch::{Arch, UnknownArch};
pub use call::Call;
pub use compile::{CompileError, MAX_CONDITIONS};
pub use context::{Capabilities, Context, KernelVersion, NotAVersion};
pub use difference::{Decision, Difference, Subject};
pub use errno::errno_of_name;
pub use explain::{ArchExplanation, Case, Explanation, NumberedCall, Reason};
pub use filter::{Filter, Filtered};
pub use instruction::Instruction;
pub use listener::{Answer, ListenError, Listener, Notification};
pub use load::{LoadError, action_available};
pub use policy::{Comparison, Condition, Flags, Newest, Policy, Rule, Unknown};
pub use profile_error::{Place, ProfileError};
pub use profiles::{BuiltIn, UnknownProfile};
pub use program::Program;
pub use record::{RecordError, Recorded, Recorder, Refusal, Watcher, record_to, watch_to};
pub use simulate::Outcome;
pub use table::is_known;
pub use verify::{Invalid, MAX_INSTRUCTIONS, verify};

use rustix::fs::{Mode as FileMode, OFlags, open};
use rustix::io::{Errno, read, retry_on_intr};

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
}
