//! System calls on a name in a directory that is open.

use std::ffi::OsStr;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use rustix::fs::{
    AtFlags, Dir, FileType, Mode, OFlags, ResolveFlags, openat, openat2, statat, unlinkat,
};
use rustix::io::Errno;

const BENEATH: ResolveFlags = ResolveFlags::BENEATH
    .union(ResolveFlags::NO_SYMLINKS)
    .union(ResolveFlags::NO_MAGICLINKS)
    .union(ResolveFlags::NO_XDEV);
pub(super) const DIRECTORY: OFlags = OFlags::DIRECTORY.union(OFlags::CLOEXEC);

/// Opens a directory below `root`, over no symbolic link and no mount.
///
/// Without `O_NOFOLLOW`: a link at the end shall be `ELOOP` as well, and not `ENOTDIR`.
pub(super) fn open_beneath(
    root: BorrowedFd<'_>,
    dir: &Path,
    access: OFlags,
) -> Result<OwnedFd, Errno> {
    let dir = if dir.as_os_str().is_empty() {
        Path::new(".")
    } else {
        dir
    };
    openat2(root, dir, access | DIRECTORY, Mode::empty(), BENEATH)
}

/// Removes what a later entry of the same name replaces.
pub(super) fn clear(parent: BorrowedFd<'_>, name: &OsStr) -> Result<(), Errno> {
    match unlinkat(parent, name, AtFlags::empty()) {
        Err(Errno::ISDIR) => clear_directory(parent, name),
        other => other,
    }
}

/// Removes a directory that a later entry replaces, with its content.
fn clear_directory(parent: BorrowedFd<'_>, name: &OsStr) -> Result<(), Errno> {
    let flags = DIRECTORY | OFlags::RDONLY | OFlags::NOFOLLOW;
    let fd = openat(parent, name, flags, Mode::empty())?;
    for entry in Dir::read_from(&fd)? {
        let entry = entry?;
        let inner = OsStr::from_bytes(entry.file_name().to_bytes());
        if inner == "." || inner == ".." {
            continue;
        }
        match unlinkat(&fd, inner, AtFlags::empty()) {
            Err(Errno::ISDIR) => clear_directory(fd.as_fd(), inner)?,
            other => other?,
        }
    }
    unlinkat(parent, name, AtFlags::REMOVEDIR)
}

pub(super) fn is_directory(parent: BorrowedFd<'_>, name: &OsStr) -> bool {
    has_type(parent, name, FileType::Directory)
}

pub(super) fn is_symlink(parent: BorrowedFd<'_>, name: &OsStr) -> bool {
    has_type(parent, name, FileType::Symlink)
}

fn has_type(parent: BorrowedFd<'_>, name: &OsStr, kind: FileType) -> bool {
    statat(parent, name, AtFlags::SYMLINK_NOFOLLOW)
        .is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == kind)
}
