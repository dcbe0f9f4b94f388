//! Copying a directory of an image, which is hostile, by descriptors.

use std::collections::HashMap;
use std::ffi::{CStr, OsStr};
use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{
    AtFlags, Dir, FileType, Gid, Mode, OFlags, ResolveFlags, Stat, Timespec, Timestamps, Uid,
    XattrFlags, chownat, fchmod, fchown, fgetxattr, fsetxattr, fstat, futimens, linkat, mkdirat,
    mknodat, openat, readlinkat, statat, symlinkat,
};
use rustix::io::Errno;

use crate::Error;
use crate::error::errno_of;
use crate::error::{Operation, at};
use crate::resolve::resolve;

/// Whose the copies are.
pub(crate) struct Owners<'a> {
    /// From a user id of the source to one of the copy.
    pub(crate) uid: &'a dyn Fn(u32) -> u32,
    /// From a group id of the source to one of the copy.
    pub(crate) gid: &'a dyn Fn(u32) -> u32,
}

impl Owners<'_> {
    /// Those of the source.
    pub(crate) const KEPT: Owners<'static> = Owners {
        uid: &|id| id,
        gid: &|id| id,
    };

    fn of(&self, stat: &Stat) -> (Option<Uid>, Option<Gid>) {
        (
            Some(Uid::from_raw((self.uid)(stat.st_uid))),
            Some(Gid::from_raw((self.gid)(stat.st_gid))),
        )
    }
}

/// Copies what is in `source` into the empty directory `target`, with modes, times, hard
/// links and file capabilities. Device nodes and sockets are left out. `name` is what
/// errors call the source.
pub(crate) fn copy_tree(
    source: BorrowedFd<'_>,
    target: BorrowedFd<'_>,
    name: &Path,
    owners: &Owners<'_>,
) -> Result<(), Error> {
    let mut copy = Copy {
        target,
        owners,
        linked: HashMap::new(),
    };
    // Paths, not descriptors: a deep tree must not use them up.
    let mut dirs = vec![PathBuf::from(".")];
    while let Some(dir) = dirs.pop() {
        let failed = |errno| at(Operation::Copy, &name.join(&dir))(errno);
        let from = open_below(source, &dir).map_err(failed)?;
        let to = open_below(target, &dir).map_err(failed)?;
        for entry in Dir::read_from(&from).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let file = entry.file_name();
            if [c".", c".."].contains(&file) {
                continue;
            }
            let path = dir.join(OsStr::from_bytes(file.to_bytes()));
            let is_dir = copy
                .entry(from.as_fd(), to.as_fd(), file, &path)
                .map_err(|errno| at(Operation::Copy, &name.join(&path))(errno))?;
            if is_dir {
                dirs.push(path);
            }
        }
        // Last, for what was put into the directory has changed its time.
        let stat = fstat(&from).map_err(failed)?;
        copy_metadata(&stat, &to, owners).map_err(failed)?;
    }
    Ok(())
}

/// A copy on its way.
struct Copy<'a> {
    target: BorrowedFd<'a>,
    owners: &'a Owners<'a>,
    /// Where the first copy of a file with several names is, by device and inode.
    linked: HashMap<(u64, u64), PathBuf>,
}

impl Copy<'_> {
    /// Copies one entry, `path` below the target; says whether it is a directory whose content
    /// is still to come.
    fn entry(
        &mut self,
        from: BorrowedFd<'_>,
        to: BorrowedFd<'_>,
        name: &CStr,
        path: &Path,
    ) -> Result<bool, Errno> {
        let stat = statat(from, name, AtFlags::SYMLINK_NOFOLLOW)?;
        let owned = |to| {
            let (uid, gid) = self.owners.of(&stat);
            chownat(to, name, uid, gid, AtFlags::SYMLINK_NOFOLLOW)
        };
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => {
                mkdirat(to, name, Mode::RWXU)?;
                return Ok(true);
            }
            FileType::RegularFile => {
                if stat.st_nlink > 1 {
                    let key = (stat.st_dev, stat.st_ino);
                    if let Some(first) = self.linked.get(&key) {
                        // Nobody else writes to the target, and a link is not followed.
                        linkat(self.target, first, to, name, AtFlags::empty())?;
                        return Ok(false);
                    }
                    self.linked.insert(key, path.to_owned());
                }
                copy_file(from, to, name, self.owners)?;
            }
            FileType::Symlink => {
                let text = readlinkat(from, name, Vec::new())?;
                symlinkat(&text, to, name)?;
                owned(to)?;
            }
            FileType::Fifo => {
                let mode = Mode::from_raw_mode(stat.st_mode);
                mknodat(to, name, FileType::Fifo, mode, 0)?;
                owned(to)?;
            }
            _ => {}
        }
        Ok(false)
    }
}

fn copy_file(
    from: BorrowedFd<'_>,
    to: BorrowedFd<'_>,
    name: &CStr,
    owners: &Owners<'_>,
) -> Result<(), Errno> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let mut source = File::from(openat(from, name, flags, Mode::empty())?);
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    let mut target = File::from(openat(to, name, flags, Mode::RUSR | Mode::WUSR)?);
    std::io::copy(&mut source, &mut target).map_err(|error| errno_of(&error))?;
    copy_metadata(&fstat(&source)?, &target, owners)?;
    // After the owner, for a change of owner removes it.
    let mut capability = [0; 64];
    match fgetxattr(&source, CAPABILITY, &mut capability) {
        Ok(length) => fsetxattr(
            &target,
            CAPABILITY,
            &capability_of_root(&capability[..length], (owners.uid)(0)),
            XattrFlags::empty(),
        ),
        Err(Errno::NODATA | Errno::OPNOTSUPP) => Ok(()),
        Err(errno) => Err(errno),
    }
}

const CAPABILITY: &CStr = c"security.capability";

/// File capabilities that hold where `root` of the host is root: revision 3 of
/// `capabilities(7)`. Those of the host's own root stay as they are.
fn capability_of_root(value: &[u8], root: u32) -> Vec<u8> {
    const REVISION_2: u8 = 2;
    let mut value = value.to_vec();
    if root != 0 && value.len() == 20 && value[3] == REVISION_2 {
        value[3] = 3;
        value.extend(root.to_le_bytes());
    }
    value
}

fn copy_metadata(stat: &Stat, target: impl AsFd, owners: &Owners<'_>) -> Result<(), Errno> {
    let (uid, gid) = owners.of(stat);
    fchown(&target, uid, gid)?;
    // After the owner, for a change of owner clears set-user-id bits.
    fchmod(&target, Mode::from_raw_mode(stat.st_mode))?;
    let time = |seconds, nanoseconds: u64| Timespec {
        tv_sec: seconds,
        tv_nsec: i64::try_from(nanoseconds).unwrap_or_default(),
    };
    let times = Timestamps {
        last_access: time(stat.st_atime, stat.st_atime_nsec),
        last_modification: time(stat.st_mtime, stat.st_mtime_nsec),
    };
    futimens(target, &times)
}

fn open_below(dir: BorrowedFd<'_>, path: &Path) -> Result<OwnedFd, Errno> {
    let how = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
    resolve(dir, path, OFlags::RDONLY | OFlags::DIRECTORY, how)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_capability_is_that_of_the_root_it_is_given_to() {
        let mut of_the_host = [0; 20];
        of_the_host[3] = 2;
        assert_eq!(capability_of_root(&of_the_host, 0), of_the_host);
        let of_another = capability_of_root(&of_the_host, 0x0001_0002);
        assert_eq!((of_another.len(), of_another[3]), (24, 3));
        assert_eq!(of_another[20..], [2, 0, 1, 0]);
        // What is not understood is not touched.
        assert_eq!(capability_of_root(b"?", 5), b"?");
    }
}
