//! The working directory of the container's process.

use std::os::fd::AsFd;
use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::process::{fchdir, getcwd};

use crate::Error;
use crate::error::{Operation, at};
use crate::mount::TargetKind;
use crate::path::normalize_target;
use crate::resolve::{mount_point, open_in_root};

/// Enters a directory that must exist, in the child after [`enter`](crate::enter).
///
/// It is resolved in the root without magic links such as `/proc/self/fd/7`, and where
/// the process has ended up is checked: a descriptor of the host's that is still open
/// must not become a way out (CVE-2024-21626).
///
/// # Errors
/// [`Error::System`] naming the path: `ENOENT`, `ENOTDIR`, `EACCES`;
/// [`Error::WorkingDirOutside`].
pub fn enter_working_dir(path: &Path) -> Result<(), Error> {
    enter_dir(path, |root, path| {
        open_in_root(root, path, OFlags::PATH | OFlags::DIRECTORY)
    })
}

/// Like [`enter_working_dir`], and makes the directory if it is missing, owned by the
/// user of this process, as Docker does for `WORKDIR` and `--workdir`.
///
/// # Errors
/// Those of [`enter_working_dir`], and [`Error::System`] when it cannot be made.
pub fn create_working_dir(path: &Path) -> Result<(), Error> {
    enter_dir(path, |root, path| match normalize_target(path) {
        Ok(target) => mount_point(root, &target, TargetKind::Directory),
        Err(_) => open_in_root(root, path, OFlags::PATH | OFlags::DIRECTORY),
    })
}

fn enter_dir(
    path: &Path,
    open: impl Fn(std::os::fd::BorrowedFd<'_>, &Path) -> Result<std::os::fd::OwnedFd, Error>,
) -> Result<(), Error> {
    if !path.is_absolute() {
        return Err(Error::InvalidTarget {
            path: path.to_owned(),
        });
    }
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = openat(CWD, "/", flags, Mode::empty()).map_err(at(Operation::Open, "/"))?;
    let dir = open(root.as_fd(), path)?;
    fchdir(&dir).map_err(at(Operation::ChangeDirectory, path))?;
    let current = getcwd(Vec::new()).map_err(at(Operation::ChangeDirectory, path))?;
    // The kernel says "(unreachable)/..." for what is not below the root.
    if current.as_bytes().starts_with(b"/") {
        Ok(())
    } else {
        Err(Error::WorkingDirOutside {
            path: path.to_owned(),
        })
    }
}
