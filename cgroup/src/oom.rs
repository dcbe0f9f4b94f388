//! Being told that a group runs out of memory.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::{self, Errno};

use crate::dir::{Dir, is_gone};
use crate::error::Error;
use crate::stats::keyed_or_zero;

/// A descriptor that becomes readable (`POLLIN`) when the group's out-of-memory state
/// changes: an eventfd registered through `cgroup.event_control` on v1, an inotify
/// descriptor on `memory.events` on v2.
///
/// It also becomes readable at other times (on v1 when the group is removed, on v2 at every
/// other memory event, such as reaching `high`), so ask [`Self::drain`] for the number.
/// On v2 it says nothing when the group is removed: watch the process as well.
#[derive(Debug)]
pub struct OomWatch {
    pub(crate) fd: OwnedFd,
    /// Directory and name of the file that counts.
    pub(crate) dir: Dir,
    pub(crate) counter: &'static str,
}

impl OomWatch {
    /// Makes the descriptor quiet again and returns how many processes the OOM killer has
    /// killed in the group until now.
    ///
    /// The kernel signals v1's event before it kills, so the number may lag behind the
    /// event by one; read it again when the process has ended. A group that is gone has 0.
    ///
    /// # Errors
    /// [`Error::Read`].
    pub fn drain(&self) -> Result<u64, Error> {
        let mut events = [0; 4096];
        match io::read(&self.fd, &mut events) {
            Ok(_) | Err(Errno::AGAIN | Errno::INTR) => {}
            Err(source) => {
                return Err(Error::Read {
                    path: self.dir.path().join(self.counter),
                    source,
                });
            }
        }
        match self.dir.read(self.counter) {
            Ok(text) => Ok(keyed_or_zero(&text, "oom_kill")),
            Err(error) if is_gone(&error) => Ok(0),
            Err(error) => Err(error),
        }
    }
}

impl AsFd for OomWatch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
