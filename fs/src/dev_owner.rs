//! The container's `/dev` and files of its own, for kernels that cannot id-map them.

use std::ffi::CStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, CWD, Dir, FileType, Gid, Mode, OFlags, Uid, chownat, openat, statat};
use rustix::io::Errno;

use crate::error::{Operation, at};
use crate::{Error, Mount, OpenMount};

/// Gives everything in an open [`Mount::Dev`] to the container's ids, for the kernel cannot
/// id-map a tmpfs before Linux 6.3. Does nothing for other mounts. To be called once, after
/// [`id_map`](crate::id_map) has answered with [`Error::IdMapUnsupported`].
///
/// The closures tell the host's id behind an id of the container; what has none stays with
/// the host, and belongs to `nobody` in the container.
///
/// # Errors
/// [`Error::System`].
pub fn chown_dev(
    mount: &OpenMount,
    host_uid: impl Fn(u32) -> Option<u32>,
    host_gid: impl Fn(u32) -> Option<u32>,
) -> Result<(), Error> {
    let (Mount::Dev { .. }, Some(tree)) = (mount.mount(), mount.tree()) else {
        return Ok(());
    };
    let owners = Owners { host_uid, host_gid };
    let change = || {
        // The descriptor of a mount names a directory and cannot read it.
        owners.change_below(&openat(tree, c".", READABLE, Mode::empty())?)?;
        owners.change(tree, c"", AtFlags::EMPTY_PATH).map(drop)
    };
    change().map_err(at(Operation::ChangeOwner, "/dev"))
}

/// Gives one file of the host to the container's ids, where its mount cannot be id-mapped. What
/// has an owner that is no id of the container keeps it. A symlink is not followed.
///
/// # Errors
/// [`Error::System`].
pub fn chown_file(
    file: &Path,
    host_uid: impl Fn(u32) -> Option<u32>,
    host_gid: impl Fn(u32) -> Option<u32>,
) -> Result<(), Error> {
    let owners = Owners { host_uid, host_gid };
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let change = || {
        owners.change(
            openat(CWD, file, flags, Mode::empty())?.as_fd(),
            c"",
            AtFlags::EMPTY_PATH,
        )
    };
    change().map(drop).map_err(at(Operation::ChangeOwner, file))
}

const READABLE: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

struct Owners<U, G> {
    host_uid: U,
    host_gid: G,
}

impl<U: Fn(u32) -> Option<u32>, G: Fn(u32) -> Option<u32>> Owners<U, G> {
    /// Nobody else has written to this tmpfs: it is as deep as the plan says.
    fn change_below(&self, dir: &OwnedFd) -> Result<(), Errno> {
        for entry in Dir::read_from(dir)? {
            let entry = entry?;
            let name = entry.file_name();
            if matches!(name.to_bytes(), b"." | b"..") {
                continue;
            }
            if self.change(dir.as_fd(), name, AtFlags::SYMLINK_NOFOLLOW)? == FileType::Directory {
                self.change_below(&openat(dir, name, READABLE, Mode::empty())?)?;
            }
        }
        Ok(())
    }

    fn change(&self, dir: BorrowedFd<'_>, name: &CStr, flags: AtFlags) -> Result<FileType, Errno> {
        let stat = statat(dir, name, flags)?;
        let uid = (self.host_uid)(stat.st_uid).map(Uid::from_raw);
        let gid = (self.host_gid)(stat.st_gid).map(Gid::from_raw);
        chownat(dir, name, uid, gid, flags)?;
        Ok(FileType::from_raw_mode(stat.st_mode))
    }
}
