//! One error type: which operation failed, on what, and why.

use std::fmt;
use std::path::{Path, PathBuf};

use rustix::io::Errno;

/// What was being done when the kernel refused.
///
/// Displayed as a verb phrase that reads on with the object: `mount /proc`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Operation {
    /// `open(2)`, `openat2(2)` or `open_tree(2)`.
    Open,
    /// Reading a file or a directory.
    Read,
    /// `stat(2)` and its relatives.
    Inspect,
    /// `mkdir(2)`, `mknod(2)`, `symlink(2)` or `open(2)` with `O_CREAT`.
    Create,
    /// `chown(2)`.
    ChangeOwner,
    /// `chmod(2)`.
    ChangeMode,
    /// `unlink(2)` or `rmdir(2)`.
    Remove,
    /// Copying a file or its metadata.
    Copy,
    /// `mount(2)` or `fsopen(2)` to `fsmount(2)`.
    Mount,
    /// `move_mount(2)` of a detached mount.
    Attach,
    /// `mount_setattr(2)`.
    SetAttributes,
    /// Changing the propagation type of a mount.
    SetPropagation,
    /// Mounting something empty over a path.
    Mask,
    /// Making a path read-only.
    MakeReadOnly,
    /// `pivot_root(2)`.
    Pivot,
    /// Detaching what was the root before `pivot_root(2)`.
    DetachOldRoot,
    /// `chdir(2)`.
    ChangeDirectory,
    /// Setting a kernel parameter.
    SetSysctl,
    /// `unshare(2)` or `setns(2)`.
    EnterNamespace,
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Open => "open",
            Self::Read => "read",
            Self::Inspect => "inspect",
            Self::Create => "create",
            Self::ChangeOwner => "change the owner of",
            Self::ChangeMode => "change the mode of",
            Self::Remove => "remove",
            Self::Copy => "copy",
            Self::Mount => "mount",
            Self::Attach => "attach the mount for",
            Self::SetAttributes => "set the mount attributes of",
            Self::SetPropagation => "set the mount propagation of",
            Self::Mask => "mask",
            Self::MakeReadOnly => "make read-only",
            Self::Pivot => "pivot the root to",
            Self::DetachOldRoot => "detach the old root from",
            Self::ChangeDirectory => "change the working directory to",
            Self::SetSysctl => "set sysctl",
            Self::EnterNamespace => "enter namespace",
        })
    }
}

/// Why a root filesystem could not be built, entered or removed.
///
/// The text names the operation and the object; the errno, where there is one, is the
/// [`source`](std::error::Error::source).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A system call failed.
    #[error("{operation} {}", object.display())]
    System {
        /// What was being done.
        operation: Operation,
        /// The path it was done to: inside the container when the step belongs to the
        /// container, else on the host.
        object: PathBuf,
        /// What the kernel answered.
        #[source]
        errno: Errno,
    },
    /// The mount cannot be id-mapped by this kernel or this filesystem. The caller may
    /// go on without the map or with another isolation.
    #[error("id-map {}: this kernel or its filesystem does not support it", object.display())]
    IdMapUnsupported {
        /// The path of the mount on the host.
        object: PathBuf,
        /// `EINVAL`, `EPERM`, `EOPNOTSUPP` or `ENOSYS`.
        #[source]
        errno: Errno,
    },
    /// The kernel refused to make the overlay.
    #[error("mount overlay for upper {}{}", upper.display(), Detail(detail))]
    Overlay {
        /// The overlay's upper directory on the host.
        upper: PathBuf,
        /// What the kernel's log of the mount says; empty when it says nothing.
        detail: String,
        /// What the kernel answered.
        #[source]
        errno: Errno,
    },
    /// A directory that the kernel's own filesystems are mounted on is a symlink.
    #[error("{} is a symlink in the image; it must be a directory", target.display())]
    SymlinkTarget {
        /// The path inside the container.
        target: PathBuf,
    },
    /// A file was to be mounted on a directory, or a directory on a file.
    #[error("cannot mount a {mounted} on {}, which is a {found}", target.display())]
    KindMismatch {
        /// The path inside the container.
        target: PathBuf,
        /// What the source is.
        mounted: &'static str,
        /// What the target is.
        found: &'static str,
    },
    /// More symlinks than the kernel itself would follow.
    #[error("{} has too many levels of symlinks", target.display())]
    SymlinkLoop {
        /// The path inside the container.
        target: PathBuf,
    },
    /// A path inside the container that is empty, relative, or has a NUL byte.
    #[error("{path:?} is not an absolute path in the container")]
    InvalidTarget {
        /// The path as given.
        path: PathBuf,
    },
    /// A device whose target is not below `/dev`.
    #[error("device {}: the target must be below /dev", target.display())]
    DeviceOutsideDev {
        /// The path inside the container.
        target: PathBuf,
    },
    /// A file that was to be a device is not one.
    #[error("{} is not a device", path.display())]
    NotADevice {
        /// The path on the host.
        path: PathBuf,
    },
    /// A mount option that is not known.
    #[error("unknown mount option {option:?}")]
    UnknownOption {
        /// The word as given.
        option: String,
    },
    /// A mount option whose value cannot be read.
    #[error("mount option {option:?}: the value must be {expected}")]
    InvalidOption {
        /// The word as given.
        option: String,
        /// What would be right.
        expected: &'static str,
    },
    /// The overlay has no lower directory, or too many for this kernel.
    #[error("an overlay of {count} layers cannot be mounted on this kernel")]
    LayerCount {
        /// How many lower directories were given.
        count: usize,
    },
    /// The working directory is not below the container's root (CVE-2024-21626).
    #[error("the working directory {} lies outside of the container's root", path.display())]
    WorkingDirOutside {
        /// The path as given.
        path: PathBuf,
    },
    /// A kernel parameter that is not bound to a namespace of the container.
    #[error("sysctl {name} is not bound to one of the container's namespaces")]
    SysctlNotAllowed {
        /// The parameter, with dots.
        name: String,
    },
    /// The user's name has no entry in the image.
    #[error("user {name:?} has no entry in the image's /etc/passwd")]
    UnknownUser {
        /// The name as given.
        name: String,
    },
    /// The group's name has no entry in the image.
    #[error("group {name:?} has no entry in the image's /etc/group")]
    UnknownGroup {
        /// The name as given.
        name: String,
    },
    /// A user or group id out of range.
    #[error("{id} is not a user or group id (0 to 2147483647)")]
    IdRange {
        /// The number as given.
        id: String,
    },
    /// A file in the image that is no regular file, or is unreasonably large.
    #[error("{} in the image is {what}", path.display())]
    UnusableFile {
        /// The path inside the container.
        path: PathBuf,
        /// What is wrong with it.
        what: &'static str,
    },
    /// A volume name that cannot be a directory name.
    #[error(
        "volume name {name:?}: use letters, digits, '.', '_' and '-', starting with a letter or digit"
    )]
    VolumeName {
        /// The name as given.
        name: String,
    },
    /// A tree to be removed holds a mount point.
    #[error("{} has a filesystem mounted below it; it is not removed", path.display())]
    MountedBelow {
        /// The tree on the host.
        path: PathBuf,
    },
}

impl Error {
    /// The errno of the failed system call, when one failed.
    pub fn errno(&self) -> Option<Errno> {
        match self {
            Self::System { errno, .. }
            | Self::IdMapUnsupported { errno, .. }
            | Self::Overlay { errno, .. } => Some(*errno),
            _ => None,
        }
    }

    /// Whether the caller may try again without an id map.
    pub fn is_id_map_unsupported(&self) -> bool {
        matches!(self, Self::IdMapUnsupported { .. })
    }
}

/// For `map_err`: the error of `operation` on `object`.
pub(crate) fn at(
    operation: Operation,
    object: &(impl AsRef<Path> + ?Sized),
) -> impl Fn(Errno) -> Error {
    move |errno| Error::System {
        operation,
        object: object.as_ref().to_owned(),
        errno,
    }
}

/// The errno of an error of the standard library.
pub(crate) fn errno_of(error: &std::io::Error) -> Errno {
    error
        .raw_os_error()
        .map_or(Errno::IO, Errno::from_raw_os_error)
}

struct Detail<'a>(&'a str);

impl fmt::Display for Detail<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            Ok(())
        } else {
            write!(f, " ({})", self.0)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;

    use super::*;

    #[test]
    fn reads_as_a_sentence_and_leaves_the_errno_to_the_source() {
        let error = at(Operation::Mount, "/proc")(Errno::PERM);
        assert_eq!(error.to_string(), "mount /proc");
        let source = error
            .source()
            .and_then(|source| source.downcast_ref::<Errno>());
        assert_eq!(source, Some(&Errno::PERM));
    }
}
