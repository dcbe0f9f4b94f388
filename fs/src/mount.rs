//! What is mounted in a container, and its host side: opening every source before the
//! clone, because the child in its user namespace may not reach the path.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, FileType, fstat};
use rustix::io::Errno;
use rustix::mount::OpenTreeFlags;
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::cgroup_mount::CgroupLayout;
use crate::detached::{clone_tree, id_map_tree};
use crate::dev::{self, Device};
use crate::error::{Operation, at};
use crate::options::{MountAttributes, MountOptions};
use crate::path::normalize_target;
use crate::sys::{Change, RECURSIVE, mount_setattr};

/// One mount of a container. A list of them is mounted in its order, so that a mount
/// below another comes after it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Mount {
    /// `/proc` of the container's pid namespace.
    Proc,
    /// `/sys`, as the container's network namespace sees it. Falls back to the host's
    /// mounts of `/sys`, read-only, where the container shares the host's network.
    Sysfs {
        /// Whether nothing can be written through it.
        readonly: bool,
    },
    /// `/sys/fs/cgroup`, of the same versions and hierarchies as the host has it. Shows
    /// the cgroup namespace of the process that mounts it.
    Cgroup {
        /// Whether nothing can be written through it.
        readonly: bool,
    },
    /// `/dev`: a small tmpfs with the standard nodes and links, and directories for
    /// [`Mount::Devpts`], [`Mount::Shm`] and [`Mount::Mqueue`].
    Dev {
        /// Devices besides the standard ones.
        devices: Vec<Device>,
        /// The `SELinux` context of everything in it.
        #[serde(default)]
        context: Option<String>,
    },
    /// `/dev/pts`: terminals of the container's own.
    Devpts,
    /// `/dev/mqueue`: POSIX message queues of the container's IPC namespace.
    Mqueue,
    /// `/dev/shm`: POSIX shared memory.
    Shm {
        /// Its limit in bytes.
        size: u64,
        /// The `SELinux` context of everything in it.
        #[serde(default)]
        context: Option<String>,
    },
    /// Memory as a filesystem; nosuid, nodev and noexec unless the options say otherwise.
    Tmpfs {
        /// The directory in the container.
        target: PathBuf,
        /// Its limit in bytes; half of the host's memory without.
        size: Option<u64>,
        /// The mode of its root; 1777 without.
        mode: Option<u32>,
        /// Further options.
        options: MountOptions,
    },
    /// A file or directory of the host.
    Bind {
        /// The path on the host.
        source: PathBuf,
        /// The path in the container.
        target: PathBuf,
        /// Its options.
        options: MountOptions,
    },
}

/// Docker's size of `/dev/shm` in bytes: 64 MiB.
pub const DEFAULT_SHM_SIZE: u64 = 64 << 20;

impl Mount {
    /// The mounts that every container has, in order.
    pub fn standard(shm_size: u64) -> Vec<Self> {
        vec![
            Self::Proc,
            Self::Dev {
                devices: Vec::new(),
                context: None,
            },
            Self::Devpts,
            Self::Shm {
                size: shm_size,
                context: None,
            },
            Self::Mqueue,
            Self::Sysfs { readonly: true },
            Self::Cgroup { readonly: true },
        ]
    }

    /// A bind mount, writable.
    pub fn bind(source: impl Into<PathBuf>, target: impl Into<PathBuf>) -> Self {
        let (source, target) = (source.into(), target.into());
        Self::Bind {
            source,
            target,
            options: MountOptions::default(),
        }
    }

    /// A bind mount that nothing can be written through.
    pub fn bind_readonly(source: impl Into<PathBuf>, target: impl Into<PathBuf>) -> Self {
        let (source, target) = (source.into(), target.into());
        Self::Bind {
            source,
            target,
            options: MountOptions::default().readonly(),
        }
    }

    /// A tmpfs with `options` such as `size=64m,mode=700,exec`.
    ///
    /// # Errors
    /// [`Error::UnknownOption`] or [`Error::InvalidOption`].
    pub fn tmpfs(target: impl Into<PathBuf>, options: &str) -> Result<Self, Error> {
        let options = options.parse()?;
        Ok(Self::Tmpfs {
            target: target.into(),
            size: None,
            mode: None,
            options,
        })
    }

    /// Where it is mounted in the container.
    pub fn target(&self) -> &Path {
        match self {
            Self::Proc => Path::new("/proc"),
            Self::Sysfs { .. } => Path::new("/sys"),
            Self::Cgroup { .. } => Path::new("/sys/fs/cgroup"),
            Self::Dev { .. } => Path::new("/dev"),
            Self::Devpts => Path::new("/dev/pts"),
            Self::Mqueue => Path::new("/dev/mqueue"),
            Self::Shm { .. } => Path::new("/dev/shm"),
            Self::Tmpfs { target, .. } | Self::Bind { target, .. } => target,
        }
    }
}

/// A [`Mount`] whose source is open.
///
/// The descriptors are inherited by the child, which attaches what is behind them with
/// [`enter`](crate::enter). Dropping it in the parent afterwards does not undo anything.
#[derive(Debug)]
pub struct OpenMount {
    pub(crate) mount: Mount,
    pub(crate) source: Source,
}

/// Where the child finds what it attaches.
#[derive(Debug)]
pub(crate) enum Source {
    /// In the kernel: the child makes a new instance.
    New,
    /// A detached tree, opened by the privileged parent.
    Tree { tree: OwnedFd, kind: TargetKind },
    /// The host's way of mounting cgroups.
    Cgroup(CgroupLayout),
    /// Still to be opened, by the child itself.
    Deferred,
}

/// What a mount has to be mounted on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TargetKind {
    Directory,
    File,
}

impl OpenMount {
    /// What is mounted.
    pub fn mount(&self) -> &Mount {
        &self.mount
    }

    /// The detached tree, for mounts that have one.
    pub fn tree(&self) -> Option<BorrowedFd<'_>> {
        match &self.source {
            Source::Tree { tree, .. } => Some(tree.as_fd()),
            Source::New | Source::Cgroup(_) | Source::Deferred => None,
        }
    }
}

/// Opens every source as a detached tree, with its attributes and propagation set, and
/// makes the container's `/dev`; without `CAP_MKNOD` on the host that is left to the child,
/// as by [`defer_mounts`]. Needs `CAP_SYS_ADMIN` over the mount namespace.
///
/// # Errors
/// [`Error::System`] naming the source; [`Error::InvalidTarget`];
/// [`Error::DeviceOutsideDev`]; [`Error::NotADevice`].
pub fn open_mounts(mounts: &[Mount]) -> Result<Vec<OpenMount>, Error> {
    let open = |mount: &Mount| {
        let source = match mount {
            Mount::Bind {
                source,
                target,
                options,
            } => {
                normalize_target(target)?;
                open_bind(source, options)?
            }
            Mount::Dev { devices, context } => match dev::prepare(devices, context.as_deref()) {
                Ok(tree) => Source::Tree {
                    tree,
                    kind: TargetKind::Directory,
                },
                // Nobody makes nodes in a user namespace: the child binds the host's.
                Err(Error::System {
                    operation: Operation::Create,
                    errno: Errno::PERM,
                    ..
                }) => Source::Deferred,
                Err(error) => return Err(error),
            },
            Mount::Cgroup { .. } => Source::Cgroup(CgroupLayout::of_host()?),
            Mount::Tmpfs { target, .. } => {
                normalize_target(target)?;
                Source::New
            }
            Mount::Proc
            | Mount::Sysfs { .. }
            | Mount::Devpts
            | Mount::Mqueue
            | Mount::Shm { .. } => Source::New,
        };
        Ok(OpenMount {
            mount: mount.clone(),
            source,
        })
    };
    mounts.iter().map(open).collect()
}

/// Leaves every source to be opened by the child, as root of its own user namespace:
/// for a parent that has no privilege on the host. Device nodes are then bind mounts of
/// the host's.
pub fn defer_mounts(mounts: &[Mount]) -> Vec<OpenMount> {
    mounts
        .iter()
        .map(|mount| OpenMount {
            mount: mount.clone(),
            source: Source::Deferred,
        })
        .collect()
}

/// Id-maps an open mount for the user namespace of the child, so that what root owns on
/// the host's disk belongs to the container's root, and what the container's root makes
/// belongs to the host's root on disk. To be called by the parent before the child
/// attaches it. Does nothing for mounts that the child makes itself.
///
/// # Errors
/// [`Error::IdMapUnsupported`] when the filesystem, or one mounted below, cannot be
/// id-mapped; the mount can be used all the same, its files then belong to `nobody`.
pub fn id_map(mount: &OpenMount, userns: BorrowedFd<'_>) -> Result<(), Error> {
    let Some(tree) = mount.tree() else {
        return Ok(());
    };
    let object = match &mount.mount {
        // Another container's, of the same user namespace.
        Mount::Shm { .. } => return Ok(()),
        Mount::Bind { source, .. } => source,
        other => other.target(),
    };
    id_map_tree(tree, userns, object)
}

/// The source of a bind mount as a detached tree.
pub(crate) fn open_bind(source: &Path, options: &MountOptions) -> Result<Source, Error> {
    // Words for a new filesystem mean nothing to one that is there already.
    if let Some(option) = options.data.first() {
        return Err(Error::UnknownOption {
            option: option.clone(),
        });
    }
    let recursive = if options.recursive {
        OpenTreeFlags::AT_RECURSIVE
    } else {
        OpenTreeFlags::empty()
    };
    let tree = clone_tree(source, recursive)?;
    let all = AtFlags::EMPTY_PATH | RECURSIVE;
    // Without this the container's mounts would show up on a host that shares its own.
    let propagation = options.propagation;
    let same_reach = propagation.is_recursive() || !options.recursive;
    let mut change = Change {
        // What the host mounted read-only stays so.
        clear: options.clear - MountAttributes::RDONLY,
        ..Change::set(options.set)
    };
    if same_reach {
        change.propagation = propagation.flags();
    }
    mount_setattr(&tree, c"", all, change).map_err(at(Operation::SetAttributes, source))?;
    if !same_reach {
        let change = Change::propagation(propagation.flags());
        mount_setattr(&tree, c"", AtFlags::EMPTY_PATH, change)
            .map_err(at(Operation::SetPropagation, source))?;
    }
    let kind = kind_of(tree.as_fd()).map_err(at(Operation::Inspect, source))?;
    Ok(Source::Tree { tree, kind })
}

pub(crate) fn kind_of(tree: BorrowedFd<'_>) -> Result<TargetKind, Errno> {
    let mode = fstat(tree)?.st_mode;
    Ok(match FileType::from_raw_mode(mode) {
        FileType::Directory => TargetKind::Directory,
        _ => TargetKind::File,
    })
}
