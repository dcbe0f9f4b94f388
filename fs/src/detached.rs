//! Detached mounts: made, then attached by descriptor.

use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, fsconfig_create,
    fsconfig_set_string, fsmount, fsopen, move_mount,
};

use crate::options::MountAttributes;

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
