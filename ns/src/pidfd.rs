//! Process descriptors: signals, waiting and exit status without races on reused pids.

use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

use rustix::io::{Errno, retry_on_intr};
use rustix::process::{Pid, PidfdFlags, WaitId, WaitIdOptions, WaitIdStatus, pidfd_open, waitid};

use crate::{Error, ExitStatus, Signal, procfs, sys};

/// Opens a process, see `pidfd_open(2)`. To be sure that it is the right one, compare its
/// [`start_time`] afterwards with the one remembered.
///
/// # Errors
/// [`Error::OpenProcess`]: `ESRCH` when there is no such process.
pub fn open(pid: Pid) -> Result<OwnedFd, Error> {
    pidfd_open(pid, PidfdFlags::empty()).map_err(|source| Error::OpenProcess { pid, source })
}

/// Sends a signal, see `pidfd_send_signal(2)`.
///
/// # Errors
/// [`Error::SendSignal`]: `ESRCH` when the process was reaped, `EPERM` without the right.
pub fn send_signal(pidfd: BorrowedFd<'_>, signal: Signal) -> Result<(), Error> {
    sys::pidfd_send_signal(pidfd, signal.number())
        .map_err(|source| Error::SendSignal { signal, source })
}

/// Waits until a child ends, and reaps it; see `waitid(2)`.
///
/// # Errors
/// [`Error::Wait`]: `ECHILD` when the process is no child of the caller, or reaped already.
pub fn wait(pidfd: BorrowedFd<'_>) -> Result<ExitStatus, Error> {
    loop {
        if let Some(status) = reap(pidfd, WaitIdOptions::EXITED)? {
            return Ok(status);
        }
    }
}

/// Reaps a child if it has ended; `None` while it runs.
///
/// # Errors
/// [`Error::Wait`], as for [`wait`].
pub fn try_wait(pidfd: BorrowedFd<'_>) -> Result<Option<ExitStatus>, Error> {
    reap(pidfd, WaitIdOptions::EXITED | WaitIdOptions::NOHANG)
}

fn reap(pidfd: BorrowedFd<'_>, options: WaitIdOptions) -> Result<Option<ExitStatus>, Error> {
    let status = retry_on_intr(|| waitid(WaitId::PidFd(pidfd), options)).map_err(Error::Wait)?;
    Ok(status.as_ref().and_then(decode))
}

fn decode(status: &WaitIdStatus) -> Option<ExitStatus> {
    let exited = status.exit_status().map(ExitStatus::Exited);
    exited.or_else(|| status.terminating_signal().map(ExitStatus::Signaled))
}

/// How a process ended that need not be a child of the caller, by `PIDFD_GET_INFO`
/// (`ioctl_pidfd(2)`). `None` while it runs, and also while it is dead but its parent has
/// not reaped it. The pidfd must have been opened before that.
///
/// # Errors
/// [`Error::ProcessInfo`]: `ENOTTY` before Linux 6.13, `ESRCH` for a reaped process before
/// Linux 6.15, `EREMOTE` for a process outside of the caller's pid namespace.
pub fn exit_info(pidfd: BorrowedFd<'_>) -> Result<Option<ExitStatus>, Error> {
    let status = sys::pidfd_exit_code(pidfd).map_err(Error::ProcessInfo)?;
    Ok(status.map(ExitStatus::from_wait_status))
}

/// The process id behind `pidfd`, in the pid namespace of the `/proc` that is mounted.
///
/// # Errors
/// [`Error::ProcessInfo`]: `ESRCH` when the process was reaped or has no id there.
pub fn pid(pidfd: BorrowedFd<'_>) -> Result<Pid, Error> {
    let path = format!("/proc/self/fdinfo/{}", pidfd.as_raw_fd());
    let info = procfs::read_file(&path).map_err(Error::ProcessInfo)?;
    parse_pid(&info).map_err(Error::ProcessInfo)
}

/// The `Pid:` line of `/proc/self/fdinfo`: -1 for a reaped process, 0 for one outside.
fn parse_pid(fdinfo: &[u8]) -> Result<Pid, Errno> {
    let line = fdinfo
        .split(|byte| *byte == b'\n')
        .find_map(|line| line.strip_prefix(b"Pid:"))
        .ok_or(Errno::INVAL)?;
    let number: i32 = std::str::from_utf8(line)
        .ok()
        .and_then(|text| text.trim().parse().ok())
        .ok_or(Errno::INVAL)?;
    match number {
        1.. => Pid::from_raw(number).ok_or(Errno::SRCH),
        _ => Err(Errno::SRCH),
    }
}

/// When the process started, in clock ticks after boot: field 22 of `/proc/PID/stat`, see
/// `proc_pid_stat(5)`. Pid and start time together name a process until the next boot.
///
/// # Errors
/// [`Error::StartTime`]: `ENOENT` or `ESRCH` when there is no such process.
pub fn start_time(pid: Pid) -> Result<u64, Error> {
    let path = format!("/proc/{}/stat", pid.as_raw_nonzero());
    procfs::read_file(&path)
        .and_then(|stat| parse_start_time(&stat).ok_or(Errno::INVAL))
        .map_err(|source| Error::StartTime { pid, source })
}

fn parse_start_time(stat: &[u8]) -> Option<u64> {
    // The second field is the command in parentheses, which may itself contain spaces,
    // parentheses and newlines: the last `)` ends it.
    let command_end = stat.iter().rposition(|byte| *byte == b')')?;
    let after_command = std::str::from_utf8(stat.get(command_end + 1..)?).ok()?;
    // The next is field 3.
    after_command.split_ascii_whitespace().nth(19)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const FIELDS_3_TO_24: &str = "S 1 1 1 0 -1 4194560 100 0 0 0 1 2 3 4 20 0 1 0 987654 1000 20";

    #[test]
    fn start_time_is_found_behind_a_hostile_command_name() {
        for command in ["sh", "a b", ") S 1 (", "x\n)", "((("] {
            let stat = format!("12 ({command}) {FIELDS_3_TO_24}");
            assert_eq!(
                parse_start_time(stat.as_bytes()),
                Some(987_654),
                "{command}"
            );
        }
        assert_eq!(parse_start_time(b"12 (sh) S 1 1"), None);
        assert_eq!(parse_start_time(b""), None);
    }

    #[test]
    fn a_reaped_or_foreign_process_has_no_pid() {
        let info = |pid| format!("pos:\t0\nflags:\t02\nPid:\t{pid}\nNSpid:\t{pid}\n");
        let pid = parse_pid(info(42).as_bytes()).unwrap();
        assert_eq!(pid.as_raw_nonzero().get(), 42);
        assert_eq!(parse_pid(info(-1).as_bytes()), Err(Errno::SRCH));
        assert_eq!(parse_pid(info(0).as_bytes()), Err(Errno::SRCH));
        assert_eq!(parse_pid(b"pos:\t0\n"), Err(Errno::INVAL));
    }

    #[test]
    fn our_own_start_time_is_stable() {
        let pid = rustix::process::getpid();
        assert_eq!(start_time(pid).unwrap(), start_time(pid).unwrap());
    }

    proptest! {
        #[test]
        fn start_time_is_found_behind_any_command(command in any::<Vec<u8>>()) {
            let mut stat = b"1 (".to_vec();
            stat.extend(command);
            stat.extend(format!(") {FIELDS_3_TO_24}").bytes());
            prop_assert_eq!(parse_start_time(&stat), Some(987_654));
        }

        #[test]
        fn no_stat_line_makes_the_parser_panic(stat in any::<Vec<u8>>()) {
            let _ = parse_start_time(&stat);
        }
    }
}
