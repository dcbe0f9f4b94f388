//! The child's side of each mount.

use std::ffi::{CStr, CString};
use std::fmt::Write as _;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::AtFlags;
use rustix::io::Errno;
use rustix::mount::{MountPropagationFlags, OpenTreeFlags, mount};
use rustix::process::fchdir;

use crate::Error;
use crate::cgroup_mount::{self, CgroupLayout};
use crate::detached;
use crate::detached::clone_tree;
use crate::dev;
use crate::error::{Operation, at};
use crate::mount::{Mount, OpenMount, Source, TargetKind, kind_of, open_bind};
use crate::options::{MountAttributes, MountOptions};
use crate::path::normalize_target;
use crate::resolve::{kernel_dir, mount_point};
use crate::sys::{Change, RECURSIVE, mount_setattr};

/// Mounts one entry of the container's list below `root`.
pub(crate) fn attach_mount(root: BorrowedFd<'_>, open: &OpenMount) -> Result<(), Error> {
    let path = open.mount.target();
    match (&open.mount, &open.source) {
        (Mount::Proc, _) => proc(kernel_dir(root, path)?.as_fd()),
        (Mount::Sysfs { readonly }, _) => sysfs(kernel_dir(root, path)?.as_fd(), *readonly),
        (Mount::Devpts, _) => devpts(kernel_dir(root, path)?.as_fd()),
        (Mount::Mqueue, _) => {
            let new = New {
                fstype: c"mqueue",
                attributes: MountAttributes::INERT,
                data: None,
            };
            new.mount_on(kernel_dir(root, path)?.as_fd(), path)
        }
        (Mount::Dev { .. } | Mount::Shm { .. }, Source::Tree { tree, .. }) => {
            let target = kernel_dir(root, path)?;
            detached::attach(tree.as_fd(), target.as_fd()).map_err(at(Operation::Attach, path))
        }
        (Mount::Shm { size, context }, _) => {
            let target = kernel_dir(root, path)?;
            let mut data = format!("mode=1777,size={size},nr_inodes={}", inodes(*size));
            if let Some(context) = context {
                // Quoted: its categories are separated as options are.
                let _ = write!(data, ",context=\"{context}\"");
            }
            tmpfs(target.as_fd(), path, MountAttributes::INERT, &data)
        }
        (Mount::Cgroup { readonly }, source) => {
            let target = kernel_dir(root, path)?;
            match source {
                Source::Cgroup(layout) => cgroup_mount::attach(layout, target.as_fd(), *readonly),
                _ => cgroup_mount::attach(&CgroupLayout::of_host()?, target.as_fd(), *readonly),
            }
        }
        (Mount::Dev { devices, context }, _) => {
            let target = kernel_dir(root, path)?;
            dev::attach_unprivileged(devices, context.as_deref(), target.as_fd())
        }
        (
            Mount::Tmpfs {
                target,
                size,
                mode,
                options,
            },
            _,
        ) => {
            let target = normalize_target(target)?;
            let data = tmpfs_data(*size, *mode, options);
            let dir = mount_point(root, &target, TargetKind::Directory)?;
            tmpfs(
                dir.as_fd(),
                &target,
                options.over(MountAttributes::INERT),
                &data,
            )
        }
        (Mount::Bind { target, .. }, Source::Tree { tree, kind }) => {
            bind(root, tree.as_fd(), *kind, target)
        }
        (
            Mount::Bind {
                source,
                target,
                options,
            },
            _,
        ) => match open_bind(source, options)? {
            Source::Tree { tree, kind } => bind(root, tree.as_fd(), kind, target),
            Source::New | Source::Cgroup(_) | Source::Deferred => Ok(()),
        },
    }
}

/// A new instance of one of the kernel's filesystems.
struct New<'a> {
    fstype: &'a CStr,
    attributes: MountAttributes,
    data: Option<&'a CStr>,
}

impl New<'_> {
    /// Mounts it on a directory by way of the working directory: "." cannot be
    /// redirected by anything in the image, and `mount(2)` is one call where `fsopen(2)`
    /// and what follows are four.
    fn mount_on(&self, target: BorrowedFd<'_>, path: &Path) -> Result<(), Error> {
        self.try_mount_on(target)
            .map_err(at(Operation::Mount, path))
    }

    fn try_mount_on(&self, target: BorrowedFd<'_>) -> Result<(), Errno> {
        fchdir(target)?;
        mount(
            self.fstype,
            c".",
            self.fstype,
            self.attributes.mount_flags(),
            self.data,
        )
    }
}

fn bind(
    root: BorrowedFd<'_>,
    tree: BorrowedFd<'_>,
    kind: TargetKind,
    target: &Path,
) -> Result<(), Error> {
    let path = normalize_target(target)?;
    let target = mount_point(root, &path, kind)?;
    detached::attach(tree, target.as_fd()).map_err(|errno| mismatch(&path, kind, &target, errno))
}

/// The kernel has one errno for many mistakes; the most frequent one is told apart.
fn mismatch(path: &Path, kind: TargetKind, target: &OwnedFd, errno: Errno) -> Error {
    let name = |kind| match kind {
        TargetKind::Directory => "directory",
        TargetKind::File => "file",
    };
    match kind_of(target.as_fd()) {
        Ok(found) if found != kind => {
            let (mounted, found) = (name(kind), name(found));
            Error::KindMismatch {
                target: path.to_owned(),
                mounted,
                found,
            }
        }
        _ => at(Operation::Attach, path)(errno),
    }
}

fn proc(target: BorrowedFd<'_>) -> Result<(), Error> {
    let path = Path::new("/proc");
    let new = New {
        fstype: c"proc",
        attributes: MountAttributes::INERT,
        data: None,
    };
    match new.try_mount_on(target) {
        // The pid namespace is the host's: only its own root may mount a proc that shows it.
        // What the host has mounted there may be seen.
        Err(Errno::PERM) => host_mounts(path, MountAttributes::INERT, target),
        done => done.map_err(at(Operation::Mount, path)),
    }
}

/// Mounts what the host has at `path`, with these attributes besides its own.
fn host_mounts(
    path: &Path,
    attributes: MountAttributes,
    target: BorrowedFd<'_>,
) -> Result<(), Error> {
    let tree = clone_tree(path, OpenTreeFlags::AT_RECURSIVE)?;
    let all = AtFlags::EMPTY_PATH | RECURSIVE;
    let change = Change {
        propagation: MountPropagationFlags::PRIVATE,
        ..Change::set(attributes)
    };
    mount_setattr(&tree, c"", all, change).map_err(at(Operation::SetAttributes, path))?;
    detached::attach(tree.as_fd(), target).map_err(at(Operation::Attach, path))
}

fn sysfs(target: BorrowedFd<'_>, readonly: bool) -> Result<(), Error> {
    let path = Path::new("/sys");
    let mut attributes = MountAttributes::INERT;
    attributes.set(MountAttributes::RDONLY, readonly);
    let new = New {
        fstype: c"sysfs",
        attributes,
        data: None,
    };
    match new.try_mount_on(target) {
        // The network namespace belongs to the host: only its own root may mount a sysfs
        // that shows it. What the host has mounted there may be seen, not written.
        Err(Errno::PERM) => host_mounts(
            path,
            MountAttributes::INERT | MountAttributes::RDONLY,
            target,
        ),
        done => done.map_err(at(Operation::Mount, path)),
    }
}

fn devpts(target: BorrowedFd<'_>) -> Result<(), Error> {
    let attributes = MountAttributes::NOSUID | MountAttributes::NOEXEC;
    let new = |data| New {
        fstype: c"devpts",
        attributes,
        data: Some(data),
    };
    // The group `tty` is 5 on every distribution that containers are made of.
    match new(c"newinstance,ptmxmode=0666,mode=0620,gid=5").try_mount_on(target) {
        // The user namespace has no such group.
        Err(Errno::INVAL) => {
            new(c"newinstance,ptmxmode=0666,mode=0620").mount_on(target, Path::new("/dev/pts"))
        }
        done => done.map_err(at(Operation::Mount, "/dev/pts")),
    }
}

fn tmpfs(
    target: BorrowedFd<'_>,
    path: &Path,
    attributes: MountAttributes,
    data: &str,
) -> Result<(), Error> {
    let data = CString::new(data).map_err(|_| Error::InvalidTarget {
        path: path.to_owned(),
    })?;
    New {
        fstype: c"tmpfs",
        attributes,
        data: Some(data.as_c_str()),
    }
    .mount_on(target, path)
}

/// How many files a `/dev/shm` of so many bytes may have. An empty one takes none of them, but a
/// KiB of the kernel's memory: without a number it would be half as many as the host has pages.
fn inodes(size: u64) -> u64 {
    (size / 1024).max(1024)
}

fn tmpfs_data(size: Option<u64>, mode: Option<u32>, options: &MountOptions) -> String {
    // The kernel takes the last of two, so what the options say comes last.
    let mut data = format!("mode={:o}", mode.unwrap_or(0o1777));
    if let Some(size) = size {
        // Writing to a string cannot fail.
        let _ = write!(data, ",size={size}");
    }
    for word in &options.data {
        data.push(',');
        data.push_str(word);
    }
    data
}
