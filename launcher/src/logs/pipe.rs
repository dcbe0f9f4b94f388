//! Named pipes between a container and whoever supervises it.

use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{
    AtFlags, CWD, FileType, Gid, Mode, OFlags, Uid, chownat, fstat, mknodat, openat, unlink,
};
use rustix::io::Errno;

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

    /// An end to write to a pipe that the container reads from, non-blocking.
    ///
    /// # Errors
    /// As [`LogPipe::open_rw`]; `ENXIO` when nobody has it open for reading.
    pub fn open_writer(path: &Path) -> Result<OwnedFd, LogError> {
        open(path, OFlags::WRONLY | OFlags::NONBLOCK)
    }
}

/// What there was to take from a container's output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// This many bytes; there may be more.
    Some(usize),
    /// Nothing now; someone may still write.
    Nothing,
    /// Nothing, and nobody can write any more.
    End,
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

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::unix::fs::MetadataExt;
    use std::process::Command;

    use super::*;

    #[test]
    fn a_pipe_of_an_earlier_run_is_replaced_and_belongs_to_the_containers_user() {
        let dir = tempfile::tempdir().unwrap();
        let pipe = dir.path().join("stdout");
        let (uid, gid) = if rustix::process::geteuid().is_root() {
            (Uid::from_raw(1_000_033), Gid::from_raw(1_000_034))
        } else {
            eprintln!("not root: the owner is the caller");
            (rustix::process::getuid(), rustix::process::getgid())
        };
        LogPipe::create(&pipe, uid, gid).unwrap();
        let old = LogPipe::open_rw(&pipe).unwrap();
        rustix::io::write(&old, b"of the old run").unwrap();
        LogPipe::create(&pipe, uid, gid).unwrap();
        let reader = LogPipe::open_reader(&pipe).unwrap();
        let _new = LogPipe::open_rw(&pipe).unwrap();
        let old = rustix::io::read(&reader, &mut [0; 10]);
        assert_eq!(old.unwrap_err(), Errno::AGAIN);
        let metadata = pipe.metadata().unwrap();
        assert_eq!(
            (metadata.uid(), metadata.gid()),
            (uid.as_raw(), gid.as_raw())
        );
        assert_eq!(metadata.mode() & 0o7777, 0o600);
    }

    #[test]
    fn only_a_pipe_is_opened_as_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        File::create(&path).unwrap();
        assert_eq!(LogPipe::open_rw(&path).unwrap_err().source, Errno::INVAL);
        let link = dir.path().join("link");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        assert_eq!(LogPipe::open_reader(&link).unwrap_err().source, Errno::LOOP);
    }

    #[test]
    fn a_program_can_open_its_standard_output_again() {
        let dir = tempfile::tempdir().unwrap();
        let pipe = dir.path().join("stdout");
        LogPipe::create(&pipe, rustix::process::getuid(), rustix::process::getgid()).unwrap();
        let reader = LogPipe::open_reader(&pipe).unwrap();
        // nginx and others log to /dev/stdout, a link to /proc/self/fd/1.
        let status = Command::new("sh")
            .args(["-c", "echo again > /proc/self/fd/1"])
            .stdout(LogPipe::open_rw(&pipe).unwrap())
            .status()
            .unwrap();
        assert!(status.success());
        let mut text = [0; 10];
        let length = rustix::io::read(&reader, &mut text).unwrap();
        assert_eq!(text[..length], *b"again\n");
    }
}
