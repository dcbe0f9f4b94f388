//! Typing on somebody else's terminal.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;

use rustix::process::setsid;
use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt};

use crate::{Attack, Attempt, attack};

pub(crate) const ATTACKS: &[Attack] = &[
    attack("type-on-stdin", type_on_stdin),
    attack("type-on-terminal", type_on_terminal),
];

/// `TIOCSTI` on standard input: a shell behind it would execute what is typed.
fn type_on_stdin(_: &[String]) -> Attempt {
    push(io::stdin().as_raw_fd())
}

/// The same on a new terminal of its own, which is the controlling one.
fn type_on_terminal(_: &[String]) -> Attempt {
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY;
    let master = openpt(flags)?;
    grantpt(&master)?;
    unlockpt(&master)?;
    let terminal = File::from(ioctl_tiocgptpeer(&master, flags)?);
    // Process 1 of a container leads a session already.
    let _ = setsid();
    rustix::process::ioctl_tiocsctty(&terminal)?;
    push(terminal.as_raw_fd())
}

fn push(terminal: i32) -> Attempt {
    let byte = b'x';
    // SAFETY: the call reads one byte.
    if unsafe { libc::ioctl(terminal, libc::TIOCSTI, &raw const byte) } < 0 {
        return Err(io::Error::last_os_error().into());
    }
    Ok("typed".into())
}
