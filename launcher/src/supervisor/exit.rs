//! How a container's first process ended, which need not be our child.

use std::fmt;
use std::os::fd::BorrowedFd;

use coop_ns::{ExitStatus, pidfd};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::store::ProcStat;

/// How a process ended, as far as that can be known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct End(Option<ExitStatus>);

impl End {
    /// It is not known how.
    pub(super) const UNSEEN: Self = Self(None);

    /// As a shell has it.
    pub(super) fn code(self) -> Option<i32> {
        self.0.map(ExitStatus::code)
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(status) => status.fmt(f),
            None => f.write_str("exit status unknown"),
        }
    }
}

/// How the process behind `pidfd` ended; a child is reaped. `None` while it runs.
///
/// An adopted container is the child of whoever takes orphans. Until that one reaps it,
/// `/proc` tells; from then on the kernel keeps the status for those who hold a pidfd
/// (`PIDFD_GET_INFO`, Linux 6.15).
pub(super) fn of(pidfd: BorrowedFd<'_>) -> Option<End> {
    if let Ok(status) = pidfd::try_wait(pidfd) {
        return status.map(|status| End(Some(status)));
    }
    let reaped = || pidfd::exit_info(pidfd).ok().flatten();
    // It may be reaped between the first two looks.
    let status = reaped().or_else(|| of_zombie(pidfd)).or_else(reaped);
    Some(End(status))
}

/// Whether the process behind `pidfd` has ended, reaped or not.
pub(super) fn has_ended(pidfd: BorrowedFd<'_>) -> bool {
    let mut fds = [PollFd::from_borrowed_fd(pidfd, PollFlags::IN)];
    poll(&mut fds, Some(&Timespec::default())).is_ok_and(|ready| ready > 0)
}

fn of_zombie(pidfd: BorrowedFd<'_>) -> Option<ExitStatus> {
    let pid = pidfd::pid(pidfd).ok()?;
    let stat = ProcStat::of(pid).ok()??;
    // Still the same process: a pid is not given away before its process is reaped.
    pidfd::pid(pidfd).ok()?;
    stat.exit_status()
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use super::*;

    #[test]
    fn a_process_has_ended_before_and_after_it_is_reaped() {
        let mut child = std::process::Command::new("cat")
            .stdin(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let held = pidfd::open(rustix::process::Pid::from_child(&child)).unwrap();
        assert!(!has_ended(held.as_fd()));
        drop(child.stdin.take());
        let mut fds = [PollFd::new(&held, PollFlags::IN)];
        poll(&mut fds, None).unwrap();
        assert!(has_ended(held.as_fd()));
        child.wait().unwrap();
        assert!(has_ended(held.as_fd()));
    }
}
