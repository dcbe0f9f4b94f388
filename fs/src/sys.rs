//! The system calls that rustix does not have, behind typed calls.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use rustix::fs::AtFlags;
use rustix::io::Errno;
use rustix::mount::MountPropagationFlags;
use rustix::path::Arg;

use crate::options::MountAttributes;

/// `MOUNT_ATTR_IDMAP` of `mount_setattr(2)`.
const MOUNT_ATTR_IDMAP: u64 = 0x0010_0000;

/// `AT_RECURSIVE`: the mounts below as well.
pub(crate) const RECURSIVE: AtFlags = AtFlags::from_bits_retain(libc::AT_RECURSIVE as u32);

/// What `mount_setattr(2)` is to change.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Change<'fd> {
    pub(crate) set: MountAttributes,
    pub(crate) clear: MountAttributes,
    pub(crate) propagation: MountPropagationFlags,
    pub(crate) id_map: Option<BorrowedFd<'fd>>,
}

impl<'fd> Change<'fd> {
    const NONE: Self = Self {
        set: MountAttributes::empty(),
        clear: MountAttributes::empty(),
        propagation: MountPropagationFlags::empty(),
        id_map: None,
    };

    pub(crate) fn set(set: MountAttributes) -> Self {
        Self { set, ..Self::NONE }
    }

    pub(crate) fn propagation(propagation: MountPropagationFlags) -> Self {
        Self {
            propagation,
            ..Self::NONE
        }
    }

    pub(crate) fn id_map(userns: BorrowedFd<'fd>) -> Self {
        Self {
            id_map: Some(userns),
            ..Self::NONE
        }
    }
}

/// `mount_setattr(2)`: changes the mount at `path` relative to `dir`, or of `dir` itself
/// when `path` is empty and `flags` has [`AtFlags::EMPTY_PATH`].
pub(crate) fn mount_setattr(
    dir: impl AsFd,
    path: impl Arg,
    flags: AtFlags,
    change: Change<'_>,
) -> Result<(), Errno> {
    let (set_idmap, userns_fd) = match change.id_map {
        Some(userns) => (MOUNT_ATTR_IDMAP, userns.as_raw_fd() as u64),
        None => (0, 0),
    };
    // The access time is one field of several values, not a set of bits: the kernel
    // wants it cleared whenever one of its values is set.
    let atime = change.set & MountAttributes::ATIME;
    let clear = if atime.is_empty() {
        change.clear
    } else {
        change.clear | MountAttributes::ATIME
    };
    let attr = libc::mount_attr {
        attr_set: change.set.bits() | set_idmap,
        attr_clr: clear.bits(),
        propagation: u64::from(change.propagation.bits()),
        userns_fd,
    };
    path.into_with_c_str(|path| {
        // SAFETY: `path` is NUL-terminated and `attr` has the size that is passed with it;
        // both live until the call returns and the kernel only reads them.
        let result = unsafe {
            libc::syscall(
                libc::SYS_mount_setattr,
                dir.as_fd().as_raw_fd(),
                path.as_ptr(),
                flags.bits(),
                &raw const attr,
                size_of::<libc::mount_attr>(),
            )
        };
        if result == 0 {
            Ok(())
        } else {
            Err(last_errno())
        }
    })
}

fn last_errno() -> Errno {
    std::io::Error::last_os_error()
        .raw_os_error()
        .map_or(Errno::INVAL, Errno::from_raw_os_error)
}
