//! The child's side: from the host's mounts to the container's.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, FsWord, Mode, PROC_SUPER_MAGIC, fstatfs};
use rustix::mount::{
    MountPropagationFlags, MoveMountFlags, UnmountFlags, mount_change, move_mount, unmount,
};
use rustix::process::{chdir, fchdir, pivot_root, umask};
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::attach::attach_mount;
use crate::detached::open_dir;
use crate::error::{Operation, at};
use crate::mask;
use crate::mount::{Mount, OpenMount};
use crate::options::{MountAttributes, Propagation};
use crate::resolve::kernel_dir;
use crate::sys::{Change, mount_setattr};
use crate::sysctl::{Sysctl, write_sysctl};

/// `SYSFS_MAGIC` of `statfs(2)`.
const SYSFS_MAGIC: FsWord = 0x6265_6572;

/// How the container's root is shut.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RootSettings {
    /// Whether nothing can be written to the root itself; the mounts below it keep their
    /// own options.
    pub readonly: bool,
    /// Paths that the container must not read: `/dev/null` over files, an empty
    /// directory over directories. What is missing is passed over.
    pub masked_paths: Vec<PathBuf>,
    /// Paths that the container must not write. What is missing is passed over.
    pub readonly_paths: Vec<PathBuf>,
    /// How mounts made later in the container travel.
    pub propagation: Propagation,
    /// Kernel parameters to set before `/proc/sys` becomes read-only.
    pub sysctls: Vec<Sysctl>,
}

impl Default for RootSettings {
    /// A writable root with Docker's masked and read-only paths.
    fn default() -> Self {
        Self {
            readonly: false,
            masked_paths: mask::DEFAULT_MASKED_PATHS
                .iter()
                .map(PathBuf::from)
                .collect(),
            readonly_paths: mask::DEFAULT_READONLY_PATHS
                .iter()
                .map(PathBuf::from)
                .collect(),
            propagation: Propagation::default(),
            sysctls: Vec::new(),
        }
    }
}

impl RootSettings {
    /// A writable root with nothing masked or read-only: for a privileged container.
    pub fn unmasked() -> Self {
        Self {
            masked_paths: Vec::new(),
            readonly_paths: Vec::new(),
            ..Self::default()
        }
    }
}

/// Makes the detached mount `root` the root of this process and of its mount namespace,
/// with `mounts` in it, and leaves nothing of the host's mounts. The working directory
/// is `/` afterwards and the umask 022.
///
/// The process must be alone in a new mount namespace, be root there (`setgid(0)` and
/// `setuid(0)` after the maps are written, when it has a user namespace of its own), be
/// in its pid, network and IPC namespaces, and, for [`Mount::Cgroup`], in its cgroup
/// namespace.
///
/// # Errors
/// The first step that failed, with the path inside the container.
pub fn enter(
    root: BorrowedFd<'_>,
    mounts: &[OpenMount],
    settings: &RootSettings,
) -> Result<(), Error> {
    umask(Mode::from_raw_mode(0o022));
    // Nothing that is mounted from here on may reach the host, but what the host
    // unmounts meanwhile shall not be kept busy here.
    mount_change(
        "/",
        MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC,
    )
    .map_err(at(Operation::SetPropagation, "/"))?;
    attach_root(root)?;
    for mount in mounts {
        attach_mount(root, mount)?;
    }
    let kernel_mounts = KernelMounts::open(root, mounts)?;
    if let Some(proc) = &kernel_mounts.proc {
        for sysctl in &settings.sysctls {
            write_sysctl(proc.as_fd(), sysctl)?;
        }
    }
    mask::hide(root, &kernel_mounts, &settings.masked_paths)?;
    mask::make_readonly(root, &kernel_mounts, &settings.readonly_paths)?;
    pivot(root)?;
    set_propagation(settings.propagation)?;
    if settings.readonly {
        mount_setattr(
            root,
            c"",
            AtFlags::EMPTY_PATH,
            Change::set(MountAttributes::RDONLY),
        )
        .map_err(at(Operation::MakeReadOnly, "/"))?;
    }
    Ok(())
}

/// Mounts one more entry once [`enter`] is done: what could not be mounted before, such as
/// [`Mount::Cgroup`] by a process that joins its cgroup last.
///
/// # Errors
/// As [`enter`].
pub fn mount_inside(mount: &OpenMount) -> Result<(), Error> {
    let root = open_dir(Path::new("/"))?;
    attach_mount(root.as_fd(), mount)?;
    chdir(c"/").map_err(at(Operation::ChangeDirectory, "/"))
}

/// Makes an attached mount the root and drops the old one.
///
/// See `pivot_root(2)`, `pivot_root(".", ".")`: stacking the old root on the new one
/// needs no directory inside the image, so a read-only image works.
///
/// # Errors
/// [`Error::System`]: `EINVAL` when the root is an initial ramdisk or on a shared mount.
pub fn pivot(root: BorrowedFd<'_>) -> Result<(), Error> {
    fchdir(root).map_err(at(Operation::ChangeDirectory, "/"))?;
    pivot_root(c".", c".").map_err(at(Operation::Pivot, "/"))?;
    // The old root is now stacked on top of the new one at ".": detaching it also drops
    // every host mount below it, busy or not.
    unmount(c".", UnmountFlags::DETACH).map_err(at(Operation::DetachOldRoot, "/"))?;
    chdir(c"/").map_err(at(Operation::ChangeDirectory, "/"))
}

/// Stacks the root on the host's: "/" always exists, and nothing needs to be made for it.
fn attach_root(root: BorrowedFd<'_>) -> Result<(), Error> {
    move_mount(
        root,
        c"",
        CWD,
        c"/",
        MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH,
    )
    .map_err(at(Operation::Attach, "/"))
}

fn set_propagation(propagation: Propagation) -> Result<(), Error> {
    // Every mount of the new root is private or as its own options say.
    if matches!(propagation, Propagation::Private | Propagation::RPrivate) {
        return Ok(());
    }
    let recursive = if propagation.is_recursive() {
        MountPropagationFlags::REC
    } else {
        MountPropagationFlags::empty()
    };
    mount_change("/", propagation.flags() | recursive).map_err(at(Operation::SetPropagation, "/"))
}

/// The roots of the kernel's filesystems in the container, for paths below them: no
/// image can have put a symlink there.
pub(crate) struct KernelMounts {
    pub(crate) proc: Option<OwnedFd>,
    pub(crate) sys: Option<OwnedFd>,
}

impl KernelMounts {
    fn open(root: BorrowedFd<'_>, mounts: &[OpenMount]) -> Result<Self, Error> {
        // A bind mount may be on top by now: only what the kernel itself serves is taken.
        let open = |present: bool, path: &str, magic: FsWord| -> Result<Option<OwnedFd>, Error> {
            if !present {
                return Ok(None);
            }
            let top = kernel_dir(root, Path::new(path))?;
            let stat = fstatfs(&top).map_err(at(Operation::Inspect, path))?;
            Ok((stat.f_type == magic).then_some(top))
        };
        let has = |wanted: fn(&Mount) -> bool| mounts.iter().any(|it| wanted(it.mount()));
        Ok(Self {
            proc: open(
                has(|it| matches!(it, Mount::Proc)),
                "/proc",
                PROC_SUPER_MAGIC,
            )?,
            sys: open(
                has(|it| matches!(it, Mount::Sysfs { .. })),
                "/sys",
                SYSFS_MAGIC,
            )?,
        })
    }
}
