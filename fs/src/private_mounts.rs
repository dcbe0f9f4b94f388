//! A mount namespace, a copy or another's, for the length of one call.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::mount::{MountPropagationFlags, mount_change};
use rustix::process::{chroot, fchdir};
use rustix::thread::{
    LinkNameSpaceType, ThreadNameSpaceType, UnshareFlags, move_into_link_name_space,
    move_into_thread_name_spaces, unshare_unsafe,
};

use crate::Error;
use crate::error::{Operation, at};

/// Runs `work` in a copy of this thread's mount namespace, where nothing that is mounted
/// is seen by anybody else; the copy is gone afterwards.
pub(crate) fn with_private_mounts<T>(work: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
    let before = Place::here()?;
    // SAFETY: of this thread's state the filesystem context is unshared too (root, working
    // directory, umask), which `Place` puts back; the table of descriptors is not.
    unsafe { unshare_unsafe(UnshareFlags::NEWNS) }.map_err(at(Operation::EnterNamespace, "mnt"))?;
    let worked = mount_change(
        "/",
        MountPropagationFlags::PRIVATE | MountPropagationFlags::REC,
    )
    .map_err(at(Operation::SetPropagation, "/"))
    .and_then(|()| work());
    before.go_back()?;
    worked
}

/// Runs `work` among the mounts of the process behind `pidfd`.
pub(crate) fn with_mounts_of<T>(
    pidfd: BorrowedFd<'_>,
    work: impl FnOnce() -> Result<T, Error>,
) -> Result<T, Error> {
    let before = Place::here()?;
    move_into_thread_name_spaces(pidfd, ThreadNameSpaceType::MOUNT)
        .map_err(at(Operation::EnterNamespace, "mnt"))?;
    let worked = work();
    before.go_back()?;
    worked
}

/// Where a thread is among the mounts: namespace, root and working directory.
struct Place {
    namespace: OwnedFd,
    root: OwnedFd,
    working_dir: OwnedFd,
}

impl Place {
    fn here() -> Result<Self, Error> {
        let open = |path: &str, flags| {
            openat(CWD, path, flags | OFlags::CLOEXEC, Mode::empty())
                .map_err(at(Operation::Open, Path::new(path)))
        };
        let dir = OFlags::PATH | OFlags::DIRECTORY;
        Ok(Self {
            namespace: open("/proc/thread-self/ns/mnt", OFlags::RDONLY)?,
            root: open("/", dir)?,
            working_dir: open(".", dir)?,
        })
    }

    fn go_back(&self) -> Result<(), Error> {
        let kind = Some(LinkNameSpaceType::Mount);
        move_into_link_name_space(self.namespace.as_fd(), kind)
            .map_err(at(Operation::EnterNamespace, "mnt"))?;
        // Entering a mount namespace leads to its topmost root.
        fchdir(&self.root)
            .and_then(|()| chroot("."))
            .and_then(|()| fchdir(&self.working_dir))
            .map_err(at(Operation::ChangeDirectory, "/"))
    }
}
