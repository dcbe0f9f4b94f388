//! What a container has changed in its root: the upper directory against the layers below.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, FileType, OFlags, RawMode, ResolveFlags, Stat, fgetxattr, statat};
use rustix::io::Errno;

use crate::detached::open_dir;
use crate::directory::names;
use crate::error::{Operation, at};
use crate::overlay::merge_readonly;
use crate::resolve::resolve;
use crate::{Error, Overlay};

/// How a file differs from the image's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ChangeKind {
    /// The image has none.
    Added,
    /// Content or attributes; of a directory also what is in it.
    Changed,
    /// The image has it, the container has not.
    Deleted,
}

/// One file that differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileChange {
    /// The path in the container.
    pub path: PathBuf,
    /// How.
    pub kind: ChangeKind,
}

/// What differs from the image, each directory before what is in it, in alphabetical order.
/// `made` are paths where something is mounted: for these the upper directory has files and
/// directories that nobody wrote, and they are left out.
///
/// # Errors
/// [`Error::System`] naming the file; [`Error::Overlay`] when the layers cannot be merged.
pub fn changes(overlay: &Overlay, made: &[PathBuf]) -> Result<Vec<FileChange>, Error> {
    let comparison = Comparison {
        upper: open_dir(&overlay.upper)?,
        image: merge_readonly(&overlay.lowers)?,
        made,
    };
    let mut found = Vec::new();
    comparison.directory(Path::new(""), &mut found)?;
    Ok(found)
}

/// A name in a directory of the upper.
enum Entry {
    /// The image has it, and the container does not.
    Gone,
    /// The upper has it, and the image something of this mode below it, or nothing.
    There { stat: Stat, below: Option<RawMode> },
}

struct Comparison<'a> {
    upper: OwnedFd,
    image: OwnedFd,
    made: &'a [PathBuf],
}

impl Comparison<'_> {
    /// What differs below one directory of the upper.
    fn directory(&self, dir: &Path, found: &mut Vec<FileChange>) -> Result<(), Error> {
        for (name, entry) in self.entries(dir)? {
            let relative = dir.join(&name);
            let shown = Path::new("/").join(&relative);
            let change = |kind| FileChange {
                path: shown.clone(),
                kind,
            };
            let (stat, below) = match entry {
                Entry::Gone => {
                    found.push(change(ChangeKind::Deleted));
                    continue;
                }
                Entry::There { stat, below } => (stat, below),
            };
            if is_whiteout(&stat) {
                found.extend(below.map(|_| change(ChangeKind::Deleted)));
                continue;
            }
            // An empty file, or a directory, below a mount of Coop's own.
            let made = self.made.contains(&shown);
            let is_directory = kind_of(&stat) == FileType::Directory;
            if made && (below.is_none() || !is_directory) {
                continue;
            }
            found.push(change(match below {
                None => ChangeKind::Added,
                Some(_) => ChangeKind::Changed,
            }));
            if !is_directory {
                continue;
            }
            let with_it = found.len();
            self.directory(&relative, found)?;
            if found.len() == with_it && self.is_way_to_a_mount(&shown, &stat, below) {
                found.pop();
            }
        }
        Ok(())
    }

    /// What is in a directory of the upper, and what of the image it hides. No descriptor stays
    /// open meanwhile: the container decides how deep its directories are.
    fn entries(&self, dir: &Path) -> Result<BTreeMap<OsString, Entry>, Error> {
        let shown_dir = Path::new("/").join(dir);
        let failed = |operation| at(operation, &shown_dir);
        let here = open_below(&self.upper, dir).map_err(failed(Operation::Open))?;
        let image = open_below(&self.image, dir).ok();
        let mut entries = BTreeMap::new();
        if let Some(image) = &image
            && is_opaque(&here)
        {
            // Made anew: what the image has in it does not show.
            let hidden = names(image).map_err(failed(Operation::Read))?;
            entries.extend(hidden.into_iter().map(|name| (name, Entry::Gone)));
        }
        for name in names(&here).map_err(failed(Operation::Read))? {
            let stat = match look(here.as_fd(), &name) {
                Err(Errno::NOENT) => continue,
                stat => stat.map_err(at(Operation::Inspect, &shown_dir.join(&name)))?,
            };
            let below = image
                .as_ref()
                .and_then(|image| Some(look(image.as_fd(), &name).ok()?.st_mode));
            entries.insert(name, Entry::There { stat, below });
        }
        Ok(entries)
    }

    /// Whether a directory is in the upper only because something is mounted on it or below.
    fn is_way_to_a_mount(&self, path: &Path, stat: &Stat, below: Option<RawMode>) -> bool {
        let same_mode = below.is_none_or(|below| below == stat.st_mode);
        same_mode && self.made.iter().any(|made| made.starts_with(path))
    }
}

/// Whether what the image has in a directory does not show in the container.
fn is_opaque(dir: &OwnedFd) -> bool {
    let mut value = [0; 1];
    [c"trusted.overlay.opaque", c"user.overlay.opaque"]
        .iter()
        .any(|name| matches!(fgetxattr(dir, *name, &mut value), Ok(1)) && value[0] == b'y')
}

/// A character device of number 0: overlay's mark of a file that is gone.
fn is_whiteout(stat: &Stat) -> bool {
    kind_of(stat) == FileType::CharacterDevice && stat.st_rdev == 0
}

fn kind_of(stat: &Stat) -> FileType {
    FileType::from_raw_mode(stat.st_mode)
}

fn look(dir: BorrowedFd<'_>, name: &OsStr) -> Result<Stat, Errno> {
    statat(dir, name, AtFlags::SYMLINK_NOFOLLOW)
}

fn open_below(root: &OwnedFd, dir: &Path) -> Result<OwnedFd, Errno> {
    let dir = if dir.as_os_str().is_empty() {
        Path::new(".")
    } else {
        dir
    };
    let how = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
    resolve(root.as_fd(), dir, OFlags::RDONLY | OFlags::DIRECTORY, how)
}
