//! Work in another network namespace, and back.

use std::fs::File;
use std::os::fd::AsFd;
use std::path::PathBuf;

use rustix::io::Errno;
use rustix::process::Pid;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::error::{Error, errno};

/// The network namespace that the calling thread was in.
#[derive(Debug)]
pub(crate) struct Home(File);

impl Home {
    pub(crate) fn open() -> Result<Self, Error> {
        open(PathBuf::from("/proc/thread-self/ns/net")).map(|(_, file)| Self(file))
    }

    /// Works in the network namespace of `pid`, to which this thread alone goes.
    ///
    /// What a file of `/proc/sys/net` means depends on who opens it, and so does an ioctl on a
    /// socket that is made there.
    pub(crate) fn within<T>(
        &self,
        pid: Pid,
        work: impl FnOnce() -> Result<T, Error>,
    ) -> Result<T, Error> {
        let (path, there) = open(PathBuf::from(format!("/proc/{}/ns/net", pid.as_raw_pid())))?;
        let failed = |source| Error::Namespace {
            path: path.clone(),
            source,
        };
        enter(&there).map_err(failed)?;
        let done = work();
        enter(&self.0).map_err(failed)?;
        done
    }
}

fn open(path: PathBuf) -> Result<(PathBuf, File), Error> {
    match File::open(&path) {
        Ok(file) => Ok((path, file)),
        Err(error) => Err(Error::Namespace {
            path,
            source: errno(&error),
        }),
    }
}

fn enter(namespace: &File) -> Result<(), Errno> {
    move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))
}
