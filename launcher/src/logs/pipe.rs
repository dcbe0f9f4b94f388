//! Named pipes between a container and whoever supervises it.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{
    AtFlags, CWD, FileType, Gid, Mode, OFlags, Uid, chownat, fstat, mknodat, openat, unlink,
};
use rustix::io::{Errno, read, retry_on_intr};

use super::LogError;

/// How a container's output gets to the supervisor, and outlives it.
///
/// The container holds its end open for reading *and* writing: without a reader it neither
/// gets `EPIPE` nor loses what it wrote, and the next supervisor finds it in the pipe. Only
/// when the pipe is full (64 KiB) and nobody reads does the container wait. The pipe's content
/// ends with its last descriptor, so open the reader before the launching process closes its
/// own copy of the container's end.
#[derive(Debug)]
pub enum LogPipe {}

impl LogPipe {
    /// Makes the pipe, mode 0600, owned by the user that the container's process runs as, in
    /// the host's ids: so that it can open `/dev/stdout` again. One that an earlier run left
    /// is replaced.
    ///
    /// # Errors
    /// [`LogError`]; `EPERM` when the caller may not give files away.
    pub fn create(path: &Path, owner: Uid, group: Gid) -> Result<(), LogError> {
        let make = || mknodat(CWD, path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0);
        match make() {
            Err(Errno::EXIST) => {
                unlink(path).map_err(LogError::at("replace", path))?;
                make()
            }
            result => result,
        }
        .map_err(LogError::at("create", path))?;
        chownat(
            CWD,
            path,
            Some(owner),
            Some(group),
            AtFlags::SYMLINK_NOFOLLOW,
        )
        .map_err(LogError::at("change the owner of", path))
    }

    /// The container's end, blocking, to become its standard output or error.
    ///
    /// # Errors
    /// [`LogError`]; `EINVAL` when there is something else than a pipe.
    pub fn open_rw(path: &Path) -> Result<OwnedFd, LogError> {
        open(path, OFlags::RDWR)
    }

    /// The supervisor's end, non-blocking.
    ///
    /// # Errors
    /// As [`LogPipe::open_rw`].
    pub fn open_reader(path: &Path) -> Result<OwnedFd, LogError> {
        open(path, OFlags::RDONLY | OFlags::NONBLOCK)
    }

    /// Reads all that is in the pipe now; at most 1 MiB, which is more than fits, should
    /// someone go on writing.
    ///
    /// # Errors
    /// The kernel's, but for [`Errno::AGAIN`], and for [`Errno::IO`], which is how the master
    /// of a terminal says that nobody has it open any more: it may be drained as well.
    pub fn drain(fd: impl AsFd, mut sink: impl FnMut(&[u8])) -> Result<End, Errno> {
        let mut buffer = [0; 16 * 1024];
        let mut total = 0;
        while total < 1024 * 1024 {
            match retry_on_intr(|| read(&fd, &mut buffer)) {
                Ok(0) | Err(Errno::IO) => return Ok(End::Closed),
                Ok(length) => {
                    sink(&buffer[..length]);
                    total += length;
                }
                Err(Errno::AGAIN) => break,
                Err(errno) => return Err(errno),
            }
        }
        Ok(End::Open)
    }
}

/// How a pipe is after it was emptied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Someone may still write to it.
    Open,
    /// Nobody has it open for writing.
    Closed,
}

fn open(path: &Path, flags: OFlags) -> Result<OwnedFd, LogError> {
    let flags = flags | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NOCTTY;
    let fd = openat(CWD, path, flags, Mode::empty()).map_err(LogError::at("open", path))?;
    let status = fstat(&fd).map_err(LogError::at("look at", path))?;
    if FileType::from_raw_mode(status.st_mode) != FileType::Fifo {
        return Err(LogError::at("use as a pipe", path)(Errno::INVAL));
    }
    Ok(fd)
}
