//! `/dev/shm` of another container.

use std::os::fd::{BorrowedFd, OwnedFd};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{AtFlags, CWD, StatxAttributes, StatxFlags, stat, statx};
use rustix::io::Errno;
use rustix::mount::OpenTreeFlags;

use crate::Error;
use crate::detached::clone_tree;
use crate::error::{Operation, at};
use crate::mount::{Mount, OpenMount, Source, TargetKind};
use crate::private_mounts::with_mounts_of;

const SHM: &str = "/dev/shm";

/// How long another container may take to mount its `/dev/shm`: it is doing so already.
const PATIENCE: Duration = Duration::from_secs(10);

/// Has the container use the `/dev/shm` of the process behind `pidfd` instead of one of its
/// own, as those do that share an IPC namespace. Where that one is being set up still, it is
/// waited for. Needs `CAP_SYS_ADMIN` over both mount namespaces, and Linux 5.8.
///
/// # Errors
/// [`Error::System`]: `ESRCH` when the process has ended, `ENOENT` when it has none.
pub fn share_memory_of(mounts: &mut [OpenMount], pidfd: BorrowedFd<'_>) -> Result<(), Error> {
    let own = mounts
        .iter_mut()
        .find(|it| matches!(it.mount, Mount::Shm { .. }));
    if let Some(own) = own {
        own.source = Source::Tree {
            tree: clone_of(pidfd)?,
            kind: TargetKind::Directory,
        };
    }
    Ok(())
}

fn clone_of(pidfd: BorrowedFd<'_>) -> Result<OwnedFd, Error> {
    // Until it has mounts of its own it sees the host's.
    let hosts = stat(SHM).ok().map(|stat| stat.st_dev);
    let deadline = Instant::now() + PATIENCE;
    loop {
        let found = with_mounts_of(pidfd, || {
            if is_mount_root()? && stat(SHM).ok().map(|stat| stat.st_dev) != hosts {
                return clone_tree(SHM.as_ref(), OpenTreeFlags::empty()).map(Some);
            }
            Ok(None)
        })?;
        if let Some(tree) = found {
            return Ok(tree);
        }
        if ended(pidfd) {
            return Err(at(Operation::Open, SHM)(Errno::SRCH));
        }
        if Instant::now() > deadline {
            return Err(at(Operation::Open, SHM)(Errno::NOENT));
        }
        sleep(Duration::from_millis(1));
    }
}

fn is_mount_root() -> Result<bool, Error> {
    let flags = AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT;
    match statx(CWD, SHM, flags, StatxFlags::TYPE) {
        Ok(found) => Ok(found.stx_attributes.contains(StatxAttributes::MOUNT_ROOT)),
        Err(Errno::NOENT | Errno::NOTDIR) => Ok(false),
        Err(errno) => Err(at(Operation::Inspect, SHM)(errno)),
    }
}

fn ended(pidfd: BorrowedFd<'_>) -> bool {
    let mut fds = [PollFd::from_borrowed_fd(pidfd, PollFlags::IN)];
    poll(&mut fds, Some(&Timespec::default())).is_ok_and(|ready| ready > 0)
}
