//! Waking up when a log grows or a state changes.

use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::inotify;
use rustix::io::{Errno, read, retry_on_intr};

use super::LogError;

/// Becomes readable when a file in one of its directories changes: for containers'
/// directories, when the log gets a line, when the state is saved, and when the container is
/// removed. See inotify(7).
#[derive(Debug)]
pub struct DirWatch {
    fd: OwnedFd,
}

impl DirWatch {
    /// A watch of nothing.
    ///
    /// # Errors
    /// [`LogError`]; `EMFILE` at the user's limit of inotify instances.
    pub fn new() -> Result<Self, LogError> {
        let flags = inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK;
        let fd = inotify::init(flags).map_err(LogError::at("watch", Path::new("containers")))?;
        Ok(Self { fd })
    }

    /// Watches one more directory.
    ///
    /// # Errors
    /// [`LogError`]; `ENOSPC` at the user's limit of watches.
    pub fn add(&self, dir: &Path) -> Result<(), LogError> {
        use inotify::WatchFlags;
        let events = WatchFlags::MODIFY
            | WatchFlags::CREATE
            | WatchFlags::MOVED_TO
            | WatchFlags::MOVE_SELF
            | WatchFlags::DELETE_SELF
            | WatchFlags::ONLYDIR;
        inotify::add_watch(&self.fd, dir, events)
            .map(drop)
            .map_err(LogError::at("watch", dir))
    }

    /// Waits for a change, however long it takes, and forgets it.
    ///
    /// # Errors
    /// [`LogError`].
    pub fn wait(&self) -> Result<(), LogError> {
        let mut fds = [PollFd::new(&self.fd, PollFlags::IN)];
        retry_on_intr(|| poll(&mut fds, None))
            .map_err(LogError::at("watch", Path::new("containers")))?;
        self.forget_changes();
        Ok(())
    }

    /// Makes the descriptor wait for the next change. To be called before the files are read.
    pub fn forget_changes(&self) {
        let mut buffer = [MaybeUninit::uninit(); 4096];
        // What has changed does not matter: whoever was woken looks at everything.
        loop {
            match read(&self.fd, &mut buffer[..]) {
                Ok((read, _)) if !read.is_empty() => {}
                Err(Errno::INTR) => {}
                _ => return,
            }
        }
    }
}

impl AsFd for DirWatch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
