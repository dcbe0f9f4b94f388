//! Locks between processes, and the place where half-finished work lies.

use std::fs::{self, File};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FlockOperation, Mode, OFlags, fstat, openat, stat};
use rustix::io::Errno;

use crate::digest::Digest;
use crate::error::{At as _, Error};
use crate::tree;

/// Extension of layers on their way out, which need no lock: any number of processes
/// may remove them at a time.
pub(super) const TRASH: &str = "removed";

/// A lock on a file, given back when dropped.
///
/// It belongs to the open file description (`flock(2)`): the kernel drops it when the
/// process dies, so there is no stale lock.
#[derive(Debug)]
pub struct Lock {
    _file: OwnedFd,
}

impl Lock {
    pub(super) fn take(path: &Path, operation: FlockOperation) -> Result<Self, Error> {
        let file = open(path)?;
        flock(&file, operation).at("lock", path)?;
        Ok(Self { _file: file })
    }
}

fn open(path: &Path) -> Result<OwnedFd, Error> {
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    openat(CWD, path, flags, Mode::RUSR | Mode::WUSR).at("open", path)
}

fn flock(file: &OwnedFd, operation: FlockOperation) -> Result<(), Errno> {
    rustix::io::retry_on_intr(|| rustix::fs::flock(file, operation))
}

/// A directory for one piece of work, gone with it (what lasts is renamed away), also
/// after a `kill -9`: whoever next works here removes what has no living owner.
#[derive(Debug)]
pub(crate) struct Workspace {
    dir: PathBuf,
    lock_path: PathBuf,
    _lock: OwnedFd,
}

impl Workspace {
    /// Takes the workspace for `key`, waiting while another process has it.
    ///
    /// `waiting` is called once when there is something to wait for.
    pub(crate) fn take(tmp: &Path, key: &str, waiting: impl FnOnce()) -> Result<Self, Error> {
        let name = Digest::of(key.as_bytes());
        let lock_path = tmp.join(format!("{}.lock", name.short()));
        let dir = tmp.join(name.short());
        let mut waiting = Some(waiting);
        let lock = loop {
            let file = open(&lock_path)?;
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => {}
                Err(Errno::WOULDBLOCK) => {
                    if let Some(waiting) = waiting.take() {
                        waiting();
                    }
                    flock(&file, FlockOperation::LockExclusive).at("lock", &lock_path)?;
                }
                Err(errno) => return Err(errno).at("lock", &lock_path),
            }
            // The holder before us unlinks the file: a lock on a file without a name
            // excludes nobody.
            if is_named(&file, &lock_path)? {
                break file;
            }
        };
        // From here on the drop cleans up.
        let workspace = Self {
            dir,
            lock_path,
            _lock: lock,
        };
        tree::remove(&workspace.dir)?;
        fs::create_dir(&workspace.dir).at("create", &workspace.dir)?;
        Ok(workspace)
    }

    /// A path inside, for the caller to create.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }
}

impl Drop for Workspace {
    fn drop(&mut self) {
        if let Err(error) = tree::remove(&self.dir) {
            log::warn!("{error}; the next import removes it");
            return;
        }
        // While the lock is held: see `take`.
        let _ = fs::remove_file(&self.lock_path);
    }
}

fn is_named(file: &OwnedFd, path: &Path) -> Result<bool, Error> {
    let ours = fstat(file.as_fd()).at("stat", path)?;
    match stat(path) {
        Ok(named) => Ok((named.st_dev, named.st_ino) == (ours.st_dev, ours.st_ino)),
        Err(Errno::NOENT) => Ok(false),
        Err(errno) => Err(errno).at("stat", path),
    }
}

/// What [`sweep`] would remove.
pub(crate) fn stale(tmp: &Path) -> Result<Vec<PathBuf>, Error> {
    let entries = match fs::read_dir(tmp) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.at("read", tmp)?,
    };
    let mut stale = Vec::new();
    for entry in entries {
        let path = entry.at("read", tmp)?.path();
        if path.extension().is_some_and(|e| e == "lock") {
            let Ok(file) = File::open(&path).map(OwnedFd::from) else {
                continue;
            };
            let alive = flock(&file, FlockOperation::NonBlockingLockExclusive).is_err();
            if !alive && is_named(&file, &path)? {
                stale.push(path);
            }
        } else if path.extension().is_some_and(|e| e == TRASH) {
            stale.push(path);
        }
    }
    Ok(stale)
}

/// Removes the workspaces of dead processes.
pub(crate) fn sweep(tmp: &Path) -> Result<(), Error> {
    for entry in fs::read_dir(tmp).at("read", tmp)? {
        let path = entry.at("read", tmp)?.path();
        if path.extension().is_some_and(|e| e == "lock") {
            let Ok(file) = File::open(&path) else {
                continue;
            };
            let file = OwnedFd::from(file);
            let alive = flock(&file, FlockOperation::NonBlockingLockExclusive).is_err();
            if alive || !is_named(&file, &path)? {
                continue;
            }
            log::info!("removing what a dead import left: {}", path.display());
            tree::remove(&path.with_extension(""))?;
            fs::remove_file(&path).at("remove", &path)?;
        } else if path.extension().is_some_and(|e| e == TRASH) {
            tree::remove(&path)?;
        }
    }
    Ok(())
}
