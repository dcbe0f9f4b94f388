//! Handles that keep a namespace alive without a process: a descriptor or a bind mount.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags, fstat, open, unlink};
use rustix::io::Errno;
use rustix::mount::{UnmountFlags, mount_bind, unmount};
use rustix::process::Pid;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::{Error, Namespace, sys};

/// An open namespace. It lives at least as long as its handle.
#[derive(Debug)]
pub struct Handle {
    kind: Namespace,
    file: OwnedFd,
    id: NamespaceId,
}

/// What tells one namespace from another: device and inode of its file, see `namespaces(7)`.
/// Meaningful while the namespace lives; the kernel reuses inodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct NamespaceId {
    /// Device number of the namespace file system.
    pub device: u64,
    /// The number shown by `readlink /proc/PID/ns/*`.
    pub inode: u64,
}

impl Handle {
    /// The namespace of this kind in which process `pid` lives.
    ///
    /// # Errors
    /// [`Error::OpenNamespace`]: `ENOENT` when there is no such process or the kernel has no
    /// such namespaces, `EACCES` without the right to trace the process.
    pub fn open(pid: Pid, kind: Namespace) -> Result<Self, Error> {
        Self::open_path(format!("/proc/{}/ns/{kind}", pid.as_raw_nonzero()), kind)
    }

    /// The calling process's own namespace of this kind.
    ///
    /// # Errors
    /// [`Error::OpenNamespace`].
    pub fn current(kind: Namespace) -> Result<Self, Error> {
        Self::open_path(format!("/proc/self/ns/{kind}"), kind)
    }

    /// A namespace kept by [`Handle::persist`], or by `ip netns` or `unshare`. That the path
    /// is a namespace of this kind is only checked by [`Handle::enter`].
    ///
    /// # Errors
    /// [`Error::OpenNamespace`].
    pub fn open_path(path: impl Into<PathBuf>, kind: Namespace) -> Result<Self, Error> {
        let path = path.into();
        let opened = open(&path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
            .and_then(|file| fstat(&file).map(|stat| (file, stat)));
        match opened {
            Ok((file, stat)) => Ok(Self {
                kind,
                file,
                id: NamespaceId {
                    device: stat.st_dev,
                    inode: stat.st_ino,
                },
            }),
            Err(source) => Err(Error::OpenNamespace { path, source }),
        }
    }

    /// Its kind.
    pub fn kind(&self) -> Namespace {
        self.kind
    }

    /// Its identity.
    pub fn id(&self) -> NamespaceId {
        self.id
    }

    /// Whether both are the same namespace.
    pub fn same_as(&self, other: &Self) -> bool {
        self.id == other.id
    }

    /// The namespace above this one, which is a user or pid namespace: `ioctl_ns(2)`.
    ///
    /// # Errors
    /// [`Error::NamespaceRelation`]: `EPERM` when it is above the caller's own and so out of
    /// sight, `EINVAL` for another kind of namespace.
    pub fn parent(&self) -> Result<Self, Error> {
        let failed = |source| Error::NamespaceRelation {
            what: "parent",
            kind: self.kind,
            source,
        };
        let file = sys::parent_namespace(self.file.as_fd()).map_err(failed)?;
        let stat = fstat(&file).map_err(failed)?;
        Ok(Self {
            kind: self.kind,
            file,
            id: NamespaceId {
                device: stat.st_dev,
                inode: stat.st_ino,
            },
        })
    }

    /// The user who made this user namespace, as an id of the caller's own: `ioctl_ns(2)`.
    ///
    /// # Errors
    /// [`Error::NamespaceRelation`]: `EINVAL` when it is no user namespace.
    pub fn owner(&self) -> Result<u32, Error> {
        sys::owner_of_namespace(self.file.as_fd()).map_err(|source| Error::NamespaceRelation {
            what: "owner",
            kind: self.kind,
            source,
        })
    }

    /// Moves the calling thread into the namespace, see `setns(2)`. A pid namespace is
    /// entered by later children only.
    ///
    /// # Errors
    /// [`Error::Enter`]: `EPERM`, or `EINVAL` when it is of another kind, is the user
    /// namespace that we are in, or the process has threads and the kind forbids it.
    pub fn enter(&self) -> Result<(), Error> {
        let kind = match self.kind {
            Namespace::User => LinkNameSpaceType::User,
            Namespace::Pid => LinkNameSpaceType::ProcessID,
            Namespace::Uts => LinkNameSpaceType::HostNameAndNISDomainName,
            Namespace::Ipc => LinkNameSpaceType::InterProcessCommunication,
            Namespace::Net => LinkNameSpaceType::Network,
            Namespace::Mount => LinkNameSpaceType::Mount,
            Namespace::Cgroup => LinkNameSpaceType::ControlGroup,
            Namespace::Time => LinkNameSpaceType::Time,
        };
        move_into_link_name_space(self.file.as_fd(), Some(kind)).map_err(|source| Error::Enter {
            kind: self.kind,
            source,
        })
    }

    /// Binds the namespace to a new file, by which it outlives its processes. Undone by
    /// [`Handle::remove`].
    ///
    /// # Errors
    /// [`Error::Persist`]: `EEXIST` when something is at `path`, `EPERM` without
    /// `CAP_SYS_ADMIN`, `EINVAL` for a mount namespace when `path` is on a shared mount.
    /// Nothing is left behind.
    pub fn persist(&self, path: &Path) -> Result<(), Error> {
        let failed = |source| Error::Persist {
            kind: self.kind,
            path: path.to_owned(),
            source,
        };
        let flags = OFlags::RDONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        open(path, flags, Mode::empty()).map_err(failed)?;
        let source = format!("/proc/self/fd/{}", self.file.as_raw_fd());
        mount_bind(source.as_str(), path).map_err(|errno| {
            // The first error tells more than a failing removal of an empty file.
            let _ = unlink(path);
            failed(errno)
        })
    }

    /// Undoes [`Handle::persist`]; fine when it is undone already, wholly or by half. The
    /// namespace ends when nothing else holds it.
    ///
    /// # Errors
    /// [`Error::RemoveHandle`].
    pub fn remove(path: &Path) -> Result<(), Error> {
        let unmounted = match unmount(path, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW) {
            // Not a mount point: the bind was never made, or is gone.
            Err(Errno::INVAL) => Ok(()),
            result => result,
        };
        match unmounted.and_then(|()| unlink(path)) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(source) => Err(Error::RemoveHandle {
                path: path.to_owned(),
                source,
            }),
        }
    }
}

impl AsFd for Handle {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}
