//! Clock offsets of a time namespace.

use serde::{Deserialize, Serialize};

use rustix::process::Pid;

use crate::{Error, Namespaces, procfs, sys};

/// How far a clock of the namespace is ahead of the host's; may be behind, as long as the
/// clock does not become negative.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TimeOffset {
    /// Whole seconds.
    pub seconds: i64,
    /// Nanoseconds to add, below 1,000,000,000.
    #[serde(default)]
    pub nanoseconds: u32,
}

/// The clocks that a time namespace can shift, see `time_namespaces(7)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TimeOffsets {
    /// `CLOCK_MONOTONIC`
    #[serde(default)]
    pub monotonic: TimeOffset,
    /// `CLOCK_BOOTTIME`, and with it `/proc/uptime`.
    #[serde(default)]
    pub boottime: TimeOffset,
}

/// Creates a time namespace that the caller does not enter itself: its next child does, and
/// so does the caller at its next `execve` (from Linux 6.0). Until then
/// [`set_time_offsets`] can set its clocks.
///
/// # Errors
/// [`Error::UnshareTime`]: `EPERM` without `CAP_SYS_ADMIN`, `EINVAL` without kernel support.
pub fn unshare_time() -> Result<(), Error> {
    sys::unshare(Namespaces::TIME).map_err(Error::UnshareTime)
}

/// Sets the offsets of the time namespace that children of `pid` will be in.
///
/// # Errors
/// [`Error::SetTimeOffsets`]: `EACCES` when a process has entered the namespace before,
/// `EPERM` without `CAP_SYS_TIME` in the user namespace that owns it, `ERANGE` when a clock
/// would be negative or beyond the kernel's limit of 146 years.
pub fn set_time_offsets(pid: Pid, offsets: &TimeOffsets) -> Result<(), Error> {
    let TimeOffsets {
        monotonic,
        boottime,
    } = offsets;
    let text = format!(
        "monotonic {} {}\nboottime {} {}\n",
        monotonic.seconds, monotonic.nanoseconds, boottime.seconds, boottime.nanoseconds
    );
    let path = format!("/proc/{}/timens_offsets", pid.as_raw_nonzero());
    procfs::write_file(&path, text.as_bytes())
        .map_err(|source| Error::SetTimeOffsets { pid, source })
}
