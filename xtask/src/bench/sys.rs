//! The system calls that rustix does not have.

use std::io;
use std::process::Child;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// How a process ended, and what it and all that it waited for had used.
pub(crate) struct End {
    /// As `wait(2)` encodes it.
    pub(crate) status: i32,
    /// In user mode.
    pub(crate) user: Duration,
    /// In the kernel.
    pub(crate) system: Duration,
}

/// `wait4(2)`.
///
/// # Errors
/// Those of the call; a signal that comes meanwhile is none.
pub(crate) fn wait(child: &Child) -> io::Result<End> {
    let mut status = 0;
    // SAFETY: plain numbers, for which zero is a value.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    loop {
        let id = child.id().cast_signed();
        // SAFETY: both structures outlive the call.
        let pid = unsafe { libc::wait4(id, &raw mut status, 0, &raw mut usage) };
        if pid >= 0 {
            return Ok(End {
                status,
                user: duration(usage.ru_utime),
                system: duration(usage.ru_stime),
            });
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
}

fn duration(time: libc::timeval) -> Duration {
    Duration::from_secs(time.tv_sec as u64) + Duration::from_micros(time.tv_usec as u64)
}

static STOP: AtomicBool = AtomicBool::new(false);

/// Lets `SIGINT`, `SIGTERM` and `SIGHUP` only set a mark, so that what was made is removed.
pub(crate) fn catch_signals() {
    extern "C" fn mark(_signal: libc::c_int) {
        STOP.store(true, Ordering::Relaxed);
    }
    for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGHUP] {
        // SAFETY: the handler does nothing that a signal handler must not do.
        unsafe { libc::signal(signal, mark as *const () as libc::sighandler_t) };
    }
}

/// Whether one of those signals came.
pub(crate) fn stop_asked() -> bool {
    STOP.load(Ordering::Relaxed)
}
