//! Trees of files as tar streams, out of one root and into another: what `cp` is made of.
//!
//! One side packs below its root, the other unpacks below its own. Neither trusts the other's
//! tree: names are resolved by `openat2(2)`, a symbolic link is never followed out of the root
//! that it is in, and a directory that becomes a link meanwhile is an error and no way out.

mod attributes;
mod content;
mod error;
mod pack;
mod place;
mod sniffed;
mod unpack;

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, ResolveFlags, Stat, openat, statat};
use rustix::io::Errno;

pub use attributes::Owner;
pub use error::ArchiveError;
pub use pack::{Packed, Source, pack};
pub use place::{Place, Target};
pub use unpack::{Unpacked, unpack};

use crate::resolve::resolve;

/// As many symlinks as the kernel follows in one path: `path_resolution(7)`.
const MAX_SYMLINKS: usize = 40;

/// A root, and how names below it are resolved.
#[derive(Debug)]
pub struct Tree {
    root: OwnedFd,
    /// Of a path that the user gave.
    how: ResolveFlags,
    /// Of the names in an archive.
    below: ResolveFlags,
}

impl Tree {
    /// The root of this process, where the user's paths mean what they always mean. The names
    /// of an archive never lead through a symbolic link.
    ///
    /// # Errors
    /// [`ArchiveError::System`].
    pub fn of_host() -> Result<Self, ArchiveError> {
        Ok(Self {
            root: open_root()?,
            how: ResolveFlags::empty(),
            below: ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS,
        })
    }

    /// The root of this process, which has entered a container: its symbolic links lead
    /// everywhere in it and nowhere else, and the kernel's magic links nowhere at all.
    ///
    /// # Errors
    /// [`ArchiveError::System`].
    pub fn of_container() -> Result<Self, ArchiveError> {
        let how = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        Ok(Self {
            root: open_root()?,
            how,
            below: how,
        })
    }

    /// The tree below a directory, for tests.
    #[cfg(test)]
    fn below(dir: &Path) -> Self {
        let how = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        Self {
            root: openat(CWD, dir, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())
                .expect("a directory"),
            how,
            below: how,
        }
    }

    /// Whether the names of an archive may lead over symbolic links.
    fn leads_links(&self) -> bool {
        self.below.contains(ResolveFlags::IN_ROOT)
    }

    fn open(&self, path: &Path, flags: OFlags) -> Result<OwnedFd, Errno> {
        resolve(self.root.as_fd(), path, flags, self.how)
    }

    /// Opens what an archive names.
    fn open_below(&self, path: &Path, flags: OFlags) -> Result<OwnedFd, Errno> {
        resolve(self.root.as_fd(), path, flags, self.below)
    }

    /// Where the path leads when it ends in symbolic links, and what is there; nothing for
    /// one that does not exist.
    fn follow(&self, path: &Path) -> Result<(PathBuf, Option<Stat>), Errno> {
        let mut path = path.to_owned();
        for _ in 0..MAX_SYMLINKS {
            let (dir, Some(name)) = (parent_of(&path), path.file_name()) else {
                let fd = self.open(&path, OFlags::PATH)?;
                return Ok((path, Some(rustix::fs::fstat(&fd)?)));
            };
            let parent = self.open(dir, OFlags::PATH | OFlags::DIRECTORY)?;
            let stat = match statat(&parent, name, AtFlags::SYMLINK_NOFOLLOW) {
                Err(Errno::NOENT) => return Ok((path, None)),
                stat => stat?,
            };
            if kind(&stat) != FileType::Symlink {
                return Ok((path, Some(stat)));
            }
            // A link to a directory may end in `..`, which no text can resolve.
            if let Ok(fd) = self.open(&path, OFlags::PATH | OFlags::DIRECTORY) {
                return Ok((path, Some(rustix::fs::fstat(&fd)?)));
            }
            let text = read_link(parent.as_fd(), name)?;
            // An absolute text replaces the path.
            path = dir.join(text);
        }
        Err(Errno::LOOP)
    }
}

fn open_root() -> Result<OwnedFd, ArchiveError> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    openat(CWD, "/", flags, Mode::empty()).map_err(error::at("open", Path::new("/")))
}

fn kind(stat: &Stat) -> FileType {
    FileType::from_raw_mode(stat.st_mode)
}

/// The directory of a path; of a single name the root.
fn parent_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("/"),
    }
}

fn read_link(dir: BorrowedFd<'_>, name: &std::ffi::OsStr) -> Result<PathBuf, Errno> {
    use std::os::unix::ffi::OsStringExt;
    let text = rustix::fs::readlinkat(dir, name, Vec::new())?;
    Ok(std::ffi::OsString::from_vec(text.into_bytes()).into())
}

#[cfg(test)]
mod tests;
