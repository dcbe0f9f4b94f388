//! A small init for containers: `init: true`, `run --init`.
//!
//! Right before the program is executed the container's first process forks. The new process
//! executes it; the first one stays, forwards every signal to it, reaps whatever is orphaned,
//! and ends with the program's status.
//!
//! It is a copy of the host's binary that stays in the container, and must be of no use to
//! anyone there (CVE-2019-5736): it is not dumpable, so that only `CAP_SYS_PTRACE` over the
//! host's own user namespace opens its files in `/proc`; while it runs, its binary cannot be
//! written (`ETXTBSY`), and when it ends, so do all in its pid namespace. It has no
//! descriptor, and shows no argument of the command that started it.

use coop_ns::exit_child;
use rustix::process::{Pid, WaitOptions};

use crate::child::Confine;
use crate::error::BoxError;
use crate::signals::{AllBlocked, reset_for_child};
use crate::sys;

/// What a container whose init cannot do its work ends with.
const FAILED: i32 = 125;

/// Forks. Returns in the process that executes the program; the calling one never comes back.
///
/// # Errors
/// When no process can be made. In the new process: when its signals cannot be reset.
pub(crate) fn split(confine: Option<Confine>) -> Result<(), BoxError> {
    // Before there is anyone to forward to: none is lost.
    let blocked = AllBlocked::new()?;
    // SAFETY: the launch happens in a process with a single thread (see the crate's
    // documentation), and this is its copy.
    match unsafe { sys::fork() }? {
        None => {
            own_process_group();
            Ok(reset_for_child()?)
        }
        Some(program) => run(program, &blocked, confine),
    }
}

/// What the terminal sends reaches the program, and not the init with it. Without a terminal
/// there is nothing to take; SIGTTOU is blocked.
fn own_process_group() {
    if rustix::process::setpgid(None, None).is_ok() {
        let own = rustix::process::getpid();
        let _ = rustix::termios::tcsetpgrp(rustix::stdio::stdin(), own);
    }
}

fn run(program: Pid, signals: &AllBlocked, confine: Option<Confine>) -> ! {
    if hide().is_err() || confine.is_some_and(|confine| confine.run().is_err()) {
        exit_child(FAILED);
    }
    loop {
        match signals.wait() {
            Some(signal) if signal.number() == libc::SIGCHLD => {
                if let Some(code) = reap(program) {
                    exit_child(code);
                }
            }
            // Those that a process sends itself, or that a terminal sends in the background.
            Some(signal) if !OWN.contains(&signal.number()) => sys::kill(program, signal),
            _ => {}
        }
    }
}

const OWN: [i32; 9] = [
    libc::SIGFPE,
    libc::SIGILL,
    libc::SIGSEGV,
    libc::SIGBUS,
    libc::SIGABRT,
    libc::SIGTRAP,
    libc::SIGSYS,
    libc::SIGTTIN,
    libc::SIGTTOU,
];

/// Leaves nothing of the launcher that the container could get hold of.
fn hide() -> Result<(), BoxError> {
    coop_ns::privileges::set_not_dumpable()?;
    // Where it is not process 1, as with pid: host, orphans would go past it.
    rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?;
    rustix::thread::set_name(c"coop-init")?;
    sys::clear_arguments();
    // SAFETY: nothing of this process uses a descriptor any more, and it ends by `_exit`.
    unsafe { coop_ns::privileges::close_descriptors_from(0) }?;
    Ok(())
}

/// Reaps all that have ended; the program's exit status when it is among them.
fn reap(program: Pid) -> Option<i32> {
    let mut code = None;
    while let Ok(Some((pid, status))) = rustix::process::wait(WaitOptions::NOHANG) {
        if pid == program {
            code = status
                .exit_status()
                .or_else(|| status.terminating_signal().map(|signal| 128 + signal));
        }
    }
    code
}
