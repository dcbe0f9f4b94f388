//! The container's terminal, made by the child itself.

use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::fs::{CWD, FileType, Mode, OFlags, fstat, major, minor, openat};
use rustix::io::Errno;
use rustix::process::{getpid, getsid, ioctl_tiocsctty, setsid};
use rustix::pty::{OpenptFlags, ioctl_tiocgptpeer, ptsname, unlockpt};
use rustix::stdio::{dup2_stderr, dup2_stdin, dup2_stdout};

use super::TerminalError;

const MULTIPLEXER: &str = "/dev/ptmx";
const SLAVE: &str = "/dev/pts";

/// Opens a new pseudoterminal of the container's own `devpts` instance: master and slave.
///
/// For the child side, with the container's root as its own. In a container that has been
/// running, its root user may have put anything at `/dev/ptmx`; what is opened is checked to
/// be a pseudoterminal before the master is given to a process outside.
///
/// # Errors
/// [`TerminalError::Call`]: `ENOENT` without `/dev/ptmx`, `ENOSPC` when the instance has no
/// more terminals. [`TerminalError::NotPty`].
pub fn open_pty_in_container() -> Result<(OwnedFd, OwnedFd), TerminalError> {
    // NONBLOCK: should it be a pipe, the open must not wait for its other end.
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let master = openat(CWD, MULTIPLEXER, flags, Mode::empty())
        .map_err(TerminalError::at("open /dev/ptmx in the container"))?;
    check_device(
        &master,
        |major, minor| (major, minor) == (5, 2),
        MULTIPLEXER,
    )?;
    unlockpt(&master).map_err(TerminalError::at("unlock the container's terminal"))?;
    let slave = open_slave(&master)?;
    check_device(&slave, |major, _| (136..=143).contains(&major), SLAVE)?;
    Ok((master, slave))
}

/// By the master, which no path in the container can lead astray; before Linux 4.13 by name.
fn open_slave(master: &OwnedFd) -> Result<OwnedFd, TerminalError> {
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let slave = match ioctl_tiocgptpeer(master, flags) {
        Err(Errno::INVAL | Errno::NOTTY) => ptsname(master, Vec::new()).and_then(|path| {
            let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
            openat(CWD, path, flags, Mode::empty())
        }),
        result => result,
    };
    slave.map_err(TerminalError::at("open the container's terminal"))
}

/// See Documentation/admin-guide/devices.txt of the kernel: 5:2 is `/dev/ptmx`, 136 to 143
/// are the slaves.
fn check_device(
    fd: &OwnedFd,
    expected: impl Fn(u32, u32) -> bool,
    path: &'static str,
) -> Result<(), TerminalError> {
    let status = fstat(fd).map_err(TerminalError::at("look at the container's terminal"))?;
    let is_device = FileType::from_raw_mode(status.st_mode) == FileType::CharacterDevice;
    if is_device && expected(major(status.st_rdev), minor(status.st_rdev)) {
        Ok(())
    } else {
        Err(TerminalError::NotPty { path })
    }
}

/// Makes the calling process the leader of a session whose terminal is `slave`, which becomes
/// its standard input, output and error. For the child side.
///
/// # Errors
/// [`TerminalError::Call`]; `EPERM` when the process leads a process group, or the terminal is
/// another session's.
pub fn make_controlling(slave: BorrowedFd<'_>) -> Result<(), TerminalError> {
    match setsid() {
        Ok(_) => {}
        // It leads one already.
        Err(Errno::PERM) if getsid(None) == Ok(getpid()) => {}
        Err(errno) => return Err(TerminalError::at("start a session")(errno)),
    }
    ioctl_tiocsctty(slave).map_err(TerminalError::at("take the terminal for the session"))?;
    dup2_stdin(slave)
        .and_then(|()| dup2_stdout(slave))
        .and_then(|()| dup2_stderr(slave))
        .map_err(TerminalError::at("make the terminal the standard streams"))
}
