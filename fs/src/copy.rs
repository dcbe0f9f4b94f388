//! Copying a directory of an image, which is hostile, by descriptors.

use std::ffi::{CStr, OsStr};
use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{
    AtFlags, Dir, FileType, Gid, Mode, OFlags, ResolveFlags, Stat, Timespec, Timestamps, Uid,
    XattrFlags, chownat, fchmod, fchown, fgetxattr, fsetxattr, fstat, futimens, mkdirat, mknodat,
    openat, readlinkat, statat, symlinkat,
};
use rustix::io::Errno;

use crate::Error;
use crate::error::errno_of;
use crate::error::{Operation, at};
use crate::resolve::resolve;

/// Copies what is in `source` into the empty directory `target`, with owners, modes,
/// times and file capabilities. Device nodes and sockets are left out. `name` is what
/// errors call the source.
pub(crate) fn copy_tree(
    source: BorrowedFd<'_>,
    target: BorrowedFd<'_>,
    name: &Path,
) -> Result<(), Error> {
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
            let is_dir = copy_entry(from.as_fd(), to.as_fd(), file)
                .map_err(|errno| at(Operation::Copy, &name.join(&path))(errno))?;
            if is_dir {
                dirs.push(path);
            }
        }
        // Last, for what was put into the directory has changed its time.
        let stat = fstat(&from).map_err(failed)?;
        copy_metadata(&stat, &to).map_err(failed)?;
    }
    Ok(())
}

/// Copies one entry; says whether it is a directory whose content is still to come.
fn copy_entry(from: BorrowedFd<'_>, to: BorrowedFd<'_>, name: &CStr) -> Result<bool, Errno> {
    let stat = statat(from, name, AtFlags::SYMLINK_NOFOLLOW)?;
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::Directory => {
            mkdirat(to, name, Mode::RWXU)?;
            return Ok(true);
        }
        FileType::RegularFile => copy_file(from, to, name)?,
        FileType::Symlink => {
            let text = readlinkat(from, name, Vec::new())?;
            symlinkat(&text, to, name)?;
            let (uid, gid) = owner(&stat);
            chownat(to, name, uid, gid, AtFlags::SYMLINK_NOFOLLOW)?;
        }
        FileType::Fifo => {
            mknodat(
                to,
                name,
                FileType::Fifo,
                Mode::from_raw_mode(stat.st_mode),
                0,
            )?;
            let (uid, gid) = owner(&stat);
            chownat(to, name, uid, gid, AtFlags::SYMLINK_NOFOLLOW)?;
        }
        _ => {}
    }
    Ok(false)
}

fn copy_file(from: BorrowedFd<'_>, to: BorrowedFd<'_>, name: &CStr) -> Result<(), Errno> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let mut source = File::from(openat(from, name, flags, Mode::empty())?);
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    let mut target = File::from(openat(to, name, flags, Mode::RUSR | Mode::WUSR)?);
    std::io::copy(&mut source, &mut target).map_err(|error| errno_of(&error))?;
    copy_metadata(&fstat(&source)?, &target)?;
    // After the owner, for a change of owner removes it.
    let mut capability = [0; 64];
    match fgetxattr(&source, c"security.capability", &mut capability) {
        Ok(length) => fsetxattr(
            &target,
            c"security.capability",
            &capability[..length],
            XattrFlags::empty(),
        ),
        Err(Errno::NODATA | Errno::OPNOTSUPP) => Ok(()),
        Err(errno) => Err(errno),
    }
}

fn copy_metadata(stat: &Stat, target: impl AsFd) -> Result<(), Errno> {
    let (uid, gid) = owner(stat);
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

fn owner(stat: &Stat) -> (Option<Uid>, Option<Gid>) {
    (
        Some(Uid::from_raw(stat.st_uid)),
        Some(Gid::from_raw(stat.st_gid)),
    )
}

fn open_below(dir: BorrowedFd<'_>, path: &Path) -> Result<OwnedFd, Errno> {
    let how = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
    resolve(dir, path, OFlags::RDONLY | OFlags::DIRECTORY, how)
}
