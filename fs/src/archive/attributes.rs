//! Owner, mode and time of what is unpacked.

use std::ffi::OsStr;
use std::os::fd::BorrowedFd;
use std::path::Path;

use rustix::fs::{
    AtFlags, FileType, Gid, Mode, Timespec, Timestamps, UTIME_OMIT, Uid, chmodat, chownat, fchmod,
    fchown, futimens, statat, utimensat,
};
use rustix::io::Errno;

use super::error::at;
use super::{ArchiveError, kind};

/// Whose is what belongs to an id that cannot be: `nobody`.
const NOBODY: u32 = 65_534;

/// To `chown(2)`, -1 means "as it is": no archive may say that.
fn id(archived: u32) -> u32 {
    if archived == u32::MAX {
        NOBODY
    } else {
        archived
    }
}

/// Who owns what is unpacked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    /// Whom the archive names, set-id bits included.
    Archived,
    /// Root, as this process sees it; modes stay as they are.
    Root,
    /// Whoever this process is. Set-id bits mean somebody else, and go.
    Caller,
}

impl Owner {
    pub(super) fn ids(self, meta: Meta) -> Option<(Uid, Gid)> {
        match self {
            Self::Archived => Some((Uid::from_raw(id(meta.uid)), Gid::from_raw(id(meta.gid)))),
            Self::Root => Some((Uid::ROOT, Gid::ROOT)),
            Self::Caller => None,
        }
    }

    pub(super) fn mode_bits(self) -> u32 {
        match self {
            Self::Archived | Self::Root => 0o7777,
            Self::Caller => 0o1777,
        }
    }

    /// Gives an open file its attributes; `shown` is its path in messages.
    pub(super) fn apply(
        self,
        file: BorrowedFd<'_>,
        shown: &Path,
        meta: Meta,
    ) -> Result<(), ArchiveError> {
        // The order matters: chown(2) clears set-id bits.
        if let Some((uid, gid)) = self.ids(meta) {
            fchown(file, Some(uid), Some(gid)).map_err(at("change the owner of", shown))?;
        }
        fchmod(file, Mode::from_raw_mode(meta.mode)).map_err(at("change the mode of", shown))?;
        futimens(file, &times(meta)).map_err(at("set the time of", shown))
    }

    /// The same for what cannot be opened: links and pipes.
    pub(super) fn apply_by_name(
        self,
        (parent, name): (BorrowedFd<'_>, &OsStr),
        what: FileType,
        shown: &Path,
        meta: Meta,
    ) -> Result<(), ArchiveError> {
        let nofollow = AtFlags::SYMLINK_NOFOLLOW;
        if let Some((uid, gid)) = self.ids(meta) {
            chownat(parent, name, Some(uid), Some(gid), nofollow)
                .map_err(at("change the owner of", shown))?;
        }
        if what != FileType::Symlink {
            chmod_nofollow(parent, name, meta.mode).map_err(at("change the mode of", shown))?;
        }
        utimensat(parent, name, &times(meta), nofollow).map_err(at("set the time of", shown))
    }
}

/// What the archive says of one entry.
#[derive(Debug, Clone, Copy)]
pub(super) struct Meta {
    pub(super) mode: u32,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) mtime: i64,
}

/// The mode of a pipe that was just made. Whoever can put a link in its place, a process of the
/// container, gets no mode changed that way: the file is looked at once more.
fn chmod_nofollow(parent: BorrowedFd<'_>, name: &OsStr, mode: u32) -> Result<(), Errno> {
    let mode = Mode::from_raw_mode(mode);
    match chmodat(parent, name, mode, AtFlags::SYMLINK_NOFOLLOW) {
        // Linux before 6.6 has no fchmodat2(2).
        Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => {
            let stat = statat(parent, name, AtFlags::SYMLINK_NOFOLLOW)?;
            if kind(&stat) == FileType::Symlink {
                return Err(Errno::LOOP);
            }
            chmodat(parent, name, mode, AtFlags::empty())
        }
        done => done,
    }
}

fn times(meta: Meta) -> Timestamps {
    Timestamps {
        last_access: Timespec {
            tv_sec: 0,
            tv_nsec: UTIME_OMIT,
        },
        last_modification: Timespec {
            tv_sec: meta.mtime,
            tv_nsec: 0,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_archive_leaves_a_file_to_whoever_made_it() {
        assert_eq!(id(u32::MAX), NOBODY);
        assert_eq!(id(0), 0);
        assert_eq!(id(u32::MAX - 1), u32::MAX - 1);
    }
}
