//! Detached mounts: made, then attached by descriptor.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, CWD, Mode, OFlags, openat};
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MountPropagationFlags, MoveMountFlags,
    OpenTreeFlags, fsconfig_create, fsconfig_set_string, fsmount, fsopen, move_mount, open_tree,
};

use crate::Error;
use crate::error::{Operation, at};
use crate::options::MountAttributes;
use crate::sys::{Change, RECURSIVE, mount_setattr};

/// A new filesystem, attached nowhere: `fsopen(2)` to `fsmount(2)`.
///
/// For a filesystem whose root is needed as a descriptor; `mount(2)` on the working
/// directory takes three calls less where it is not.
pub(crate) fn new_filesystem(
    fstype: &str,
    options: &[(&str, &str)],
    attributes: MountAttributes,
) -> Result<OwnedFd, Errno> {
    let context = fsopen(fstype, FsOpenFlags::FSOPEN_CLOEXEC)?;
    // What `df` and `findmnt` call the filesystem.
    fsconfig_set_string(&context, "source", fstype)?;
    for (key, value) in options {
        fsconfig_set_string(&context, *key, *value)?;
    }
    fsconfig_create(&context)?;
    let attributes = MountAttrFlags::from_bits_retain(attributes.bits() as u32);
    fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, attributes)
}

/// Attaches a detached mount on the file or directory behind `target`, whatever its path
/// is by now: `move_mount(2)`.
pub(crate) fn attach(tree: BorrowedFd<'_>, target: BorrowedFd<'_>) -> Result<(), Errno> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    move_mount(tree, c"", target, c"", flags)
}

/// `open_tree(2)` with `OPEN_TREE_CLONE`.
pub(crate) fn clone_tree(path: &Path, flags: OpenTreeFlags) -> Result<OwnedFd, Error> {
    let flags = flags | OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    open_tree(CWD, path, flags).map_err(at(Operation::Open, path))
}

/// Applies the id map of `userns` to a detached tree with everything below it.
pub(crate) fn id_map_tree(
    tree: BorrowedFd<'_>,
    userns: BorrowedFd<'_>,
    object: &Path,
) -> Result<(), Error> {
    let flags = AtFlags::EMPTY_PATH | RECURSIVE;
    mount_setattr(tree, c"", flags, Change::id_map(userns))
        .map_err(|errno| id_map_error(object, errno))
}

/// Applies the id map of `userns` to a detached layer, which is a clone of a mount of the host:
/// it leaves the peers of that, or what is attached on it would be attached on the host as well.
pub(crate) fn id_map_layer(
    layer: BorrowedFd<'_>,
    userns: BorrowedFd<'_>,
    object: &Path,
) -> Result<(), Error> {
    let change = Change {
        propagation: MountPropagationFlags::PRIVATE,
        ..Change::id_map(userns)
    };
    mount_setattr(layer, c"", AtFlags::EMPTY_PATH, change)
        .map_err(|errno| id_map_error(object, errno))
}

pub(crate) fn id_map_error(object: &Path, errno: Errno) -> Error {
    match errno {
        Errno::INVAL | Errno::PERM | Errno::OPNOTSUPP | Errno::NOSYS => Error::IdMapUnsupported {
            object: object.to_owned(),
            errno,
        },
        _ => at(Operation::SetAttributes, object)(errno),
    }
}

/// A directory of the host, to be a layer.
pub(crate) fn open_dir(dir: &Path) -> Result<OwnedFd, Error> {
    // Not O_PATH: overlay takes those only from Linux 6.15.
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    openat(CWD, dir, flags, Mode::empty()).map_err(at(Operation::Open, dir))
}

/// The name under which the kernel finds the file behind a descriptor of this process.
pub(crate) fn proc_path(fd: impl AsFd) -> String {
    format!("/proc/self/fd/{}", fd.as_fd().as_raw_fd())
}
