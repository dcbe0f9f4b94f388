//! Where one fetch works at a time.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use rustix::fs::FlockOperation;
use rustix::io::Errno;

/// A directory that is empty at first and goes with the fetch. What a killed one left goes with
/// the next.
pub(super) struct Workspace {
    dir: PathBuf,
    _lock: File,
}

impl Workspace {
    /// Waits for another fetch of the same `name`.
    ///
    /// # Errors
    /// When it cannot be made.
    pub(super) fn take(cache: &Path, name: &str) -> Result<Self> {
        let parent = cache.join(name);
        fs::create_dir_all(&parent)
            .with_context(|| format!("cannot create {}", parent.display()))?;
        let lock = lock(&parent)?;
        let dir = parent.join("work");
        let make = || {
            if dir.symlink_metadata().is_ok() {
                fs::remove_dir_all(&dir)?;
            }
            fs::create_dir(&dir)
        };
        make().with_context(|| format!("cannot make {}", dir.display()))?;
        Ok(Self { dir, _lock: lock })
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }
}

impl Drop for Workspace {
    fn drop(&mut self) {
        // What cannot be removed now is in the way of nothing: the next fetch tries again.
        let _ = fs::remove_dir_all(&self.dir);
    }
}

/// One fetch of a release at a time. The lock goes with this process, however it ends.
///
/// # Errors
/// When it cannot be taken.
pub(super) fn lock(cache: &Path) -> Result<File> {
    let path = cache.join("lock");
    let take = || {
        let file = File::create(&path)?;
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Err(Errno::WOULDBLOCK) => {
                eprintln!("another fetch of this release is running: waiting for it");
                rustix::fs::flock(&file, FlockOperation::LockExclusive)?;
            }
            taken => taken?,
        }
        std::io::Result::Ok(file)
    };
    take().with_context(|| format!("cannot lock {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_killed_fetch_left_goes_with_the_next() {
        let cache = tempfile::tempdir().unwrap();
        let killed = Workspace::take(cache.path(), "debian-12").unwrap();
        fs::create_dir_all(killed.path("root/etc")).unwrap();
        let dir = killed.dir.clone();
        // Its lock goes with a killed process, its directory does not.
        fs::rename(&dir, cache.path().join("aside")).unwrap();
        drop(killed);
        fs::rename(cache.path().join("aside"), &dir).unwrap();

        let next = Workspace::take(cache.path(), "debian-12").unwrap();
        assert!(!next.path("root").exists());
        drop(next);
        assert!(!dir.exists());
    }
}
