//! What a supervisor in the background has to say for itself: a file in its stack's directory,
//! which goes with the stack.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::Errno;

const NAME: &str = "supervisor.log";

/// What the file may hold: then it begins anew.
const MOST: u64 = 256 * 1024;

/// Whether this process is a supervisor in the background.
static DETACHED: AtomicBool = AtomicBool::new(false);

/// Whether what this process logs is read later, by whoever looks for the reason of something.
/// A line needs its time then.
pub fn is_detached() -> bool {
    DETACHED.load(Ordering::Relaxed)
}

pub(super) fn path(stack_dir: &Path) -> PathBuf {
    stack_dir.join(NAME)
}

/// Opens the file to become standard error.
pub(super) fn open(stack_dir: &Path) -> Result<OwnedFd, Errno> {
    DETACHED.store(true, Ordering::Relaxed);
    let flags =
        OFlags::WRONLY | OFlags::APPEND | OFlags::CREATE | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    openat(CWD, path(stack_dir), flags, Mode::RUSR | Mode::WUSR)
}

/// Empties a file that has become too large.
pub(super) fn bound(path: &Path) {
    let Ok(status) = rustix::fs::lstat(path) else {
        return;
    };
    if status.st_size.cast_unsigned() > MOST
        && let Ok(file) = openat(
            CWD,
            path,
            OFlags::WRONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW,
            Mode::empty(),
        )
        && rustix::fs::ftruncate(&file, 0).is_ok()
    {
        log::warn!("what was logged before is dropped: it was more than {MOST} bytes");
    }
}
