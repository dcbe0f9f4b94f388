//! Attributes of a process that limit it or protect it.

use rustix::fs::Mode;
use rustix::process::{DumpableBehavior, Pid, set_dumpable_behavior};
use rustix::thread::set_no_new_privs;

use super::Error;
use crate::{Signal, procfs, sys};

/// Has no later `execve` grant rights that the process has not: set-user-id bits and file
/// capabilities count no more, for it and all its children. Cannot be undone. See
/// `PR_SET_NO_NEW_PRIVS(2const)`.
///
/// # Errors
/// [`Error::NoNewPrivs`].
pub fn no_new_privs() -> Result<(), Error> {
    set_no_new_privs(true).map_err(Error::NoNewPrivs)
}

/// Sets the file mode creation mask and returns the old one. Bits beyond 0777 do not count.
pub fn umask(mask: u32) -> u32 {
    rustix::process::umask(Mode::from_bits_retain(mask)).bits()
}

/// Until the next `execve`, keeps all others without `CAP_SYS_PTRACE` over the initial user
/// namespace from tracing the process and from opening its files in `/proc`: a container
/// that a new process enters cannot reach through it to the host's binary or descriptors
/// (CVE-2019-5736). See `PR_SET_DUMPABLE(2const)`.
///
/// To be called when the id map is written, since an unprivileged parent cannot write it
/// afterwards. The process itself cannot write its own files in `/proc` either when it is in
/// a user namespace.
///
/// # Errors
/// [`Error::NotDumpable`].
pub fn set_not_dumpable() -> Result<(), Error> {
    set_dumpable_behavior(DumpableBehavior::NotDumpable).map_err(Error::NotDumpable)
}

/// Sends the calling process a signal when its parent ends; see `PR_SET_PDEATHSIG(2const)`.
/// A change of user clears it, so it comes after that; and a parent that has ended before
/// sends nothing, so check that it is there afterwards.
///
/// # Errors
/// [`Error::ParentDeathSignal`].
pub fn set_parent_death_signal(signal: Signal) -> Result<(), Error> {
    sys::set_parent_death_signal(signal.number())
        .map_err(|source| Error::ParentDeathSignal { signal, source })
}

/// Makes a process more (up to 1000) or less (down to -1000) likely to be killed when memory
/// is short; see `proc_pid_oom_score_adj(5)`. To be called from outside of the container:
/// lowering needs `CAP_SYS_RESOURCE` in the initial user namespace.
///
/// # Errors
/// [`Error::OomScoreAdj`]: `EACCES` without that right, `EINVAL` beyond the range.
pub fn set_oom_score_adj(pid: Pid, value: i16) -> Result<(), Error> {
    let path = format!("/proc/{}/oom_score_adj", pid.as_raw_nonzero());
    procfs::write_file(&path, value.to_string().as_bytes()).map_err(|source| Error::OomScoreAdj {
        pid,
        value,
        source,
    })
}
