//! Locks that a killed owner cannot leave behind.
//!
//! All are `flock(2)`: the kernel drops one with the last descriptor of the open file. A
//! forked child shares its parent's lock until it closes the descriptor or executes
//! another program, so a supervisor can take over a lock by being forked.

use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FlockOperation, Mode, OFlags, flock, fstat, ftruncate, openat, stat};
use rustix::io::{Errno, pwrite, retry_on_intr};
use rustix::process::{Pid, getpid};

use super::procfs::ProcStat;
use super::{StoreError, make_private_dir};

/// Holds a file or directory against other processes until dropped.
#[derive(Debug)]
#[must_use = "the lock is released when this is dropped"]
pub struct Lock {
    // Closing is releasing. An explicit LOCK_UN would release a forked child's as well.
    file: OwnedFd,
    path: PathBuf,
}

impl Lock {
    /// Waits for the lock on a file, which is made when missing (mode 0600).
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn file(path: &Path) -> Result<Self, StoreError> {
        loop {
            let lock = Self {
                file: open_file(path)?,
                path: path.to_owned(),
            };
            lock.wait()?;
            if lock.is_current()? {
                return Ok(lock);
            }
        }
    }

    /// Takes the lock on a file if it is free; `None` if another process has it.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn try_file(path: &Path) -> Result<Option<Self>, StoreError> {
        loop {
            let lock = Self {
                file: open_file(path)?,
                path: path.to_owned(),
            };
            if !lock.attempt()? {
                return Ok(None);
            }
            if lock.is_current()? {
                return Ok(Some(lock));
            }
        }
    }

    /// Opens a directory to lock it; `None` when there is none.
    pub(super) fn open_dir(path: &Path) -> Result<Option<Self>, StoreError> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        match openat(CWD, path, flags, Mode::empty()) {
            Ok(file) => Ok(Some(Self {
                file,
                path: path.to_owned(),
            })),
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(StoreError::io("open", path)(errno)),
        }
    }

    pub(super) fn wait(&self) -> Result<(), StoreError> {
        retry_on_intr(|| flock(&self.file, FlockOperation::LockExclusive))
            .map_err(StoreError::io("lock", &self.path))
    }

    pub(super) fn attempt(&self) -> Result<bool, StoreError> {
        match retry_on_intr(|| flock(&self.file, FlockOperation::NonBlockingLockExclusive)) {
            Ok(()) => Ok(true),
            Err(Errno::WOULDBLOCK) => Ok(false),
            Err(errno) => Err(StoreError::io("lock", &self.path)(errno)),
        }
    }

    /// Whether the path still leads to what was locked: the last owner may have removed it
    /// while this process waited.
    pub(super) fn is_current(&self) -> Result<bool, StoreError> {
        let held = fstat(&self.file).map_err(StoreError::io("look at", &self.path))?;
        match stat(&self.path) {
            Ok(found) => Ok((held.st_dev, held.st_ino) == (found.st_dev, found.st_ino)),
            Err(Errno::NOENT) => Ok(false),
            Err(errno) => Err(StoreError::io("look at", &self.path)(errno)),
        }
    }

    /// The locked file or directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes the calling process into the locked file, for [`lock_owner`].
    ///
    /// # Errors
    /// [`StoreError::Io`], [`StoreError::Proc`].
    pub fn record_owner(&self) -> Result<(), StoreError> {
        let pid = getpid();
        let start = ProcStat::of(pid)?.map_or(0, |stat| stat.start_time);
        let line = format!("{} {start}\n", pid.as_raw_nonzero());
        ftruncate(&self.file, 0).map_err(StoreError::io("truncate", &self.path))?;
        pwrite(&self.file, line.as_bytes(), 0).map_err(StoreError::io("write", &self.path))?;
        Ok(())
    }
}

impl AsFd for Lock {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.file.as_fd()
    }
}

/// A lock that ends when this is dropped, even while forked processes have copies of it: a
/// container that waits for its start would hold it all the while.
#[derive(Debug)]
#[must_use = "the lock is released when this is dropped"]
pub struct OwnLock(Lock);

impl OwnLock {
    pub(super) fn new(lock: Lock) -> Self {
        Self(lock)
    }
}

impl Drop for OwnLock {
    fn drop(&mut self) {
        // The close that follows does it as well where there is no copy.
        let _ = flock(&self.0.file, FlockOperation::Unlock);
    }
}

/// How often a directory that is removed again at once is made.
const TRIES: u32 = 100;

fn open_file(path: &Path) -> Result<OwnedFd, StoreError> {
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let open = || openat(CWD, path, flags, Mode::RUSR | Mode::WUSR);
    let mut result = open();
    // The last owner of a lock removes its directory, maybe as soon as it is made.
    for _ in 0..TRIES {
        if !matches!(result, Err(Errno::NOENT)) {
            break;
        }
        make_private_dir(path.parent().unwrap_or(path))?;
        result = open();
    }
    result.map_err(StoreError::io("open", path))
}

/// The living process that wrote itself into a lock file; `None` without a file, or when
/// the process is gone. Takes no lock, so it never gets in a supervisor's way.
///
/// # Errors
/// [`StoreError::Io`].
pub fn lock_owner(path: &Path) -> Result<Option<Pid>, StoreError> {
    let mut text = Vec::new();
    match std::fs::File::open(path) {
        Ok(file) => file
            // Two numbers; the rest of a file that is not ours is of no interest.
            .take(64)
            .read_to_end(&mut text)
            .map_err(StoreError::std_io("read", path))?,
        Err(error) if super::file::is_gone(&error) => return Ok(None),
        Err(error) => return Err(StoreError::std_io("open", path)(error)),
    };
    let Some((pid, start_time)) = parse_owner(&text) else {
        return Ok(None);
    };
    let alive =
        ProcStat::of(pid)?.is_some_and(|stat| stat.start_time == start_time && !stat.has_ended());
    Ok(alive.then_some(pid))
}

fn parse_owner(text: &[u8]) -> Option<(Pid, u64)> {
    let (pid, start_time) = std::str::from_utf8(text).ok()?.trim_end().split_once(' ')?;
    let pid = pid
        .parse()
        .ok()
        .filter(|&pid: &i32| pid > 0)
        .and_then(Pid::from_raw)?;
    Some((pid, start_time.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_keeps_others_out_until_it_is_dropped() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("deep/lock");
        let held = Lock::try_file(&path).unwrap().unwrap();
        assert!(Lock::try_file(&path).unwrap().is_none());
        drop(held);
        assert!(Lock::try_file(&path).unwrap().is_some());
    }

    #[test]
    fn a_removed_lock_file_does_not_let_two_in() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("lock");
        let first = Lock::file(&path).unwrap();
        // Another process opened the old file, then the owner removed it and left.
        let waiting = Lock {
            file: open_file(&path).unwrap(),
            path: path.clone(),
        };
        std::fs::remove_file(&path).unwrap();
        drop(first);
        waiting.wait().unwrap();
        assert!(!waiting.is_current().unwrap());
        let second = Lock::try_file(&path).unwrap().unwrap();
        assert!(second.is_current().unwrap());
    }

    #[test]
    fn the_owner_is_known_while_it_lives_and_garbage_is_nobody() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("lock");
        assert_eq!(lock_owner(&path).unwrap(), None);
        let lock = Lock::file(&path).unwrap();
        assert_eq!(lock_owner(&path).unwrap(), None);
        lock.record_owner().unwrap();
        lock.record_owner().unwrap();
        assert_eq!(lock_owner(&path).unwrap(), Some(getpid()));
        for text in [
            "1",
            "x y",
            "1 99999999999",
            "-4 1",
            "99999999999 1",
            "0 0",
            "1 1\u{e9}",
        ] {
            std::fs::write(&path, text).unwrap();
            assert_eq!(lock_owner(&path).unwrap(), None, "{text}");
        }
    }
}
