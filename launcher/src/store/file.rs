//! Files that a reader sees whole or not at all.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{
    AtFlags, CWD, Mode, OFlags, RenameFlags, fsync, openat, renameat, renameat_with, unlinkat,
};
use rustix::io::{Errno, retry_on_intr, write};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::StoreError;

pub(super) fn encode(value: &impl Serialize, path: &Path) -> Result<Vec<u8>, StoreError> {
    serde_json::to_vec(value).map_err(|source| StoreError::Encode {
        path: path.to_owned(),
        source,
    })
}

/// Reads a file of JSON; `None` when there is no such file.
pub(super) fn load<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, StoreError> {
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if is_gone(&error) => return Ok(None),
        Err(error) => return Err(StoreError::std_io("read", path)(error)),
    };
    serde_json::from_slice(&bytes)
        .map(Some)
        .map_err(|source| StoreError::Decode {
            path: path.to_owned(),
            source,
        })
}

pub(super) fn is_gone(error: &std::io::Error) -> bool {
    error.kind() == std::io::ErrorKind::NotFound
}

/// Makes the file, mode 0600; `path` is for the message.
pub(super) fn write_new(
    dir: BorrowedFd<'_>,
    name: &str,
    bytes: &[u8],
    path: &Path,
) -> Result<OwnedFd, StoreError> {
    let flags =
        OFlags::CREATE | OFlags::TRUNC | OFlags::WRONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let file = openat(dir, name, flags, Mode::RUSR | Mode::WUSR)
        .map_err(StoreError::io("create", path))?;
    write_all(file.as_fd(), bytes).map_err(StoreError::io("write", path))?;
    Ok(file)
}

pub(super) fn write_all(file: BorrowedFd<'_>, mut bytes: &[u8]) -> Result<(), Errno> {
    while !bytes.is_empty() {
        match retry_on_intr(|| write(file, bytes))? {
            0 => return Err(Errno::IO),
            written => bytes = &bytes[written..],
        }
    }
    Ok(())
}

/// Puts new content in place of the file at `path` in one step: five system calls.
///
/// By exchange and not by plain rename: a file that is renamed over another one is flushed to
/// the disk by ext4 and Btrfs at once (`auto_da_alloc` in `ext4(5)`), which takes as long as
/// all the rest three times over. After a power cut the file may be empty, until [`sync`].
pub(super) fn replace(path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    // The thread's id, so that two writers never share a temporary file. What a killed
    // writer leaves goes with the directory.
    let temporary = format!("{}.{}", path.display(), rustix::thread::gettid());
    write_new(CWD, &temporary, bytes, path)?;
    let replaced = exchange(&temporary, path).map_err(StoreError::io("replace", path));
    if replaced.is_err() {
        // Nothing better can be done when this fails as well.
        let _ = unlinkat(CWD, &temporary, AtFlags::empty());
    }
    replaced
}

/// Like `rename`, but `from` is removed only when `to` has its content.
fn exchange(from: &str, to: &Path) -> Result<(), Errno> {
    match renameat_with(CWD, from, CWD, to, RenameFlags::EXCHANGE) {
        Ok(()) => unlinkat(CWD, from, AtFlags::empty()),
        // There is none yet, or the filesystem cannot exchange.
        Err(Errno::NOENT | Errno::INVAL | Errno::NOSYS) => renameat(CWD, from, CWD, to),
        Err(errno) => Err(errno),
    }
}

/// Waits until a file or the names in a directory are on the disk.
pub(super) fn sync(path: &Path) -> Result<(), StoreError> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let file = openat(CWD, path, flags, Mode::empty()).map_err(StoreError::io("open", path))?;
    fsync(&file).map_err(StoreError::io("sync", path))
}
