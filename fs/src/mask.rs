//! Paths that a container must not read, and paths that it must not write.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, FileType, OFlags, fstat, statat};
use rustix::io::Errno;
use rustix::mount::{OpenTreeFlags, mount, mount_bind, mount_bind_recursive, open_tree};
use rustix::process::fchdir;

use crate::Error;
use crate::detached::attach;
use crate::detached::{clone_tree, proc_path};
use crate::enter::KernelMounts;
use crate::error::{Operation, at};
use crate::options::MountAttributes;
use crate::resolve::open_in_root;
use crate::sys::{Change, RECURSIVE, mount_setattr};

/// What Docker hides of `/proc` and `/sys`: they tell about the host or its keys, or
/// reach its hardware.
pub const DEFAULT_MASKED_PATHS: [&str; 12] = [
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
];

/// What Docker makes read-only of `/proc`: it configures the whole host.
pub const DEFAULT_READONLY_PATHS: [&str; 5] = [
    "/proc/bus",
    "/proc/fs",
    "/proc/irq",
    "/proc/sys",
    "/proc/sysrq-trigger",
];

/// Hides each path.
pub(crate) fn hide(
    root: BorrowedFd<'_>,
    kernel: &KernelMounts,
    paths: &[PathBuf],
) -> Result<(), Error> {
    let mut empty = EmptyDir::default();
    for below in Below::all(kernel) {
        let mut entered = false;
        for (path, name) in below.select(paths) {
            // Looked at first: a bind mount that fails costs the wait for an RCU grace period,
            // in which the kernel drops the clone that it made.
            let failed = at(Operation::Mask, path);
            let found = match statat(below.top, name, AtFlags::SYMLINK_NOFOLLOW) {
                Err(Errno::NOENT) => continue,
                found => FileType::from_raw_mode(found.map_err(&failed)?.st_mode),
            };
            entered = below.enter(entered)?;
            if found == FileType::Directory {
                empty.mount_on(name, path)?;
            } else {
                // The source is the host's own /dev/null, which no image can have replaced.
                mount_bind("/dev/null", name).map_err(failed)?;
            }
        }
    }
    elsewhere(kernel, paths).try_for_each(|path| hide_in_image(root, path))
}

/// Makes each path read-only, with what is mounted below it.
pub(crate) fn make_readonly(
    root: BorrowedFd<'_>,
    kernel: &KernelMounts,
    paths: &[PathBuf],
) -> Result<(), Error> {
    for below in Below::all(kernel) {
        let mut entered = false;
        for (path, name) in below.select(paths) {
            entered = below.enter(entered)?;
            match mount_bind_recursive(name, name) {
                Ok(()) => {}
                Err(Errno::NOENT) => continue,
                Err(errno) => return Err(at(Operation::MakeReadOnly, path)(errno)),
            }
            let change = Change::set(MountAttributes::RDONLY);
            mount_setattr(CWD, name, RECURSIVE, change)
                .map_err(at(Operation::MakeReadOnly, path))?;
        }
    }
    elsewhere(kernel, paths).try_for_each(|path| make_readonly_in_image(root, path))
}

/// The paths below one of the kernel's filesystems. No image can have put a symlink
/// there, so that a relative path needs no look before the mount: one call for each.
struct Below<'a> {
    top: BorrowedFd<'a>,
    prefix: &'static str,
}

impl<'a> Below<'a> {
    fn all(kernel: &'a KernelMounts) -> impl Iterator<Item = Self> {
        let proc = kernel.proc.as_ref().map(|top| Self {
            top: top.as_fd(),
            prefix: "/proc",
        });
        let sys = kernel.sys.as_ref().map(|top| Self {
            top: top.as_fd(),
            prefix: "/sys",
        });
        proc.into_iter().chain(sys)
    }

    fn select<'p>(&self, paths: &'p [PathBuf]) -> impl Iterator<Item = (&'p Path, &'p Path)> {
        let prefix = self.prefix;
        paths
            .iter()
            .filter_map(move |path| Some((path.as_path(), below(path, prefix)?)))
    }

    fn enter(&self, entered: bool) -> Result<bool, Error> {
        if !entered {
            fchdir(self.top).map_err(at(Operation::ChangeDirectory, self.prefix))?;
        }
        Ok(true)
    }
}

fn below<'p>(path: &'p Path, prefix: &str) -> Option<&'p Path> {
    path.strip_prefix(prefix)
        .ok()
        .filter(|name| !name.as_os_str().is_empty())
}

fn elsewhere<'p>(
    kernel: &KernelMounts,
    paths: &'p [PathBuf],
) -> impl Iterator<Item = &'p Path> + use<'p> {
    let (proc, sys) = (kernel.proc.is_some(), kernel.sys.is_some());
    paths.iter().map(PathBuf::as_path).filter(move |path| {
        !(proc && below(path, "/proc").is_some() || sys && below(path, "/sys").is_some())
    })
}

/// One empty read-only tmpfs, mounted over every directory that is hidden.
#[derive(Default)]
struct EmptyDir {
    tree: Option<OwnedFd>,
}

impl EmptyDir {
    fn mount_on(&mut self, name: &Path, path: &Path) -> Result<(), Error> {
        let failed = at(Operation::Mask, path);
        if let Some(tree) = &self.tree {
            return mount_bind(proc_path(tree), name).map_err(failed);
        }
        let attributes = (MountAttributes::INERT | MountAttributes::RDONLY).mount_flags();
        mount(c"tmpfs", name, c"tmpfs", attributes, c"size=0k").map_err(&failed)?;
        self.tree = Some(open_tree(CWD, name, OpenTreeFlags::OPEN_TREE_CLOEXEC).map_err(failed)?);
        Ok(())
    }
}

/// Hides a path that the image may have made a symlink of: it is resolved in the root
/// first and mounted by descriptor.
fn hide_in_image(root: BorrowedFd<'_>, path: &Path) -> Result<(), Error> {
    let Some(target) = open_existing(root, path)? else {
        return Ok(());
    };
    let failed = at(Operation::Mask, path);
    let stat = fstat(&target).map_err(&failed)?;
    if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
        let attributes = (MountAttributes::INERT | MountAttributes::RDONLY).mount_flags();
        fchdir(&target).map_err(&failed)?;
        return mount(c"tmpfs", c".", c"tmpfs", attributes, c"size=0k").map_err(failed);
    }
    let null = clone_tree(Path::new("/dev/null"), OpenTreeFlags::empty())?;
    attach(null.as_fd(), target.as_fd()).map_err(failed)
}

fn make_readonly_in_image(root: BorrowedFd<'_>, path: &Path) -> Result<(), Error> {
    let Some(target) = open_existing(root, path)? else {
        return Ok(());
    };
    let failed = at(Operation::MakeReadOnly, path);
    let flags = OpenTreeFlags::OPEN_TREE_CLONE
        | OpenTreeFlags::OPEN_TREE_CLOEXEC
        | OpenTreeFlags::AT_EMPTY_PATH
        | OpenTreeFlags::AT_RECURSIVE;
    let tree = open_tree(&target, c"", flags).map_err(&failed)?;
    let change = Change::set(MountAttributes::RDONLY);
    mount_setattr(&tree, c"", AtFlags::EMPTY_PATH | RECURSIVE, change).map_err(&failed)?;
    attach(tree.as_fd(), target.as_fd()).map_err(failed)
}

fn open_existing(root: BorrowedFd<'_>, path: &Path) -> Result<Option<OwnedFd>, Error> {
    match open_in_root(root, path, OFlags::PATH) {
        Ok(target) => Ok(Some(target)),
        Err(Error::System {
            errno: Errno::NOENT,
            ..
        }) => Ok(None),
        Err(error) => Err(error),
    }
}
