//! Reading a tar stream into a tree.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{
    AtFlags, FileType, Mode, OFlags, linkat, mkdirat, mknodat, openat, statat, symlinkat, unlinkat,
};
use rustix::io::Errno;
use tar::{Archive, Entry, EntryType};

use super::attributes::{Meta, Owner};
use super::content::{Failed, copy};
use super::error::{at, stream};
use super::sniffed::Sniffed;
use super::{ArchiveError, Place, Tree, kind};

/// What was unpacked.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Unpacked {
    /// What was left out, each with the reason.
    pub skipped: Vec<String>,
}

/// Unpacks an archive below a directory. `find` is asked for the place when the kind of the
/// first entry is known: with a name, that is what the first part of every entry becomes.
///
/// Files replace files, also links, without following them; directories are merged. What is a
/// mount point is written in place. Devices are left out.
///
/// # Errors
/// [`ArchiveError`]; what was unpacked until then stays.
pub fn unpack(
    tree: &Tree,
    from: impl Read,
    owner: Owner,
    find: &mut dyn FnMut(FileType) -> Result<Place, ArchiveError>,
) -> Result<Unpacked, ArchiveError> {
    let mut archive = Archive::new(Sniffed::new(from)?);
    let mut unpacker = None;
    for entry in archive.entries().map_err(stream("read"))? {
        let mut entry = entry.map_err(stream("read"))?;
        if entry.header().entry_type() == EntryType::XGlobalHeader {
            continue;
        }
        let unpacker = match &mut unpacker {
            Some(unpacker) => unpacker,
            none => {
                let place = find(file_type(entry.header().entry_type()))?;
                none.insert(Unpacker::new(tree, place, owner)?)
            }
        };
        unpacker.entry(&mut entry)?;
    }
    // A writer that waits for its last blocks to be taken shall not fail.
    let mut rest = archive.into_inner();
    io::copy(&mut rest, &mut io::sink()).map_err(stream("read"))?;
    unpacker.map_or(Ok(Unpacked::default()), Unpacker::finish)
}

fn file_type(kind: EntryType) -> FileType {
    match kind {
        EntryType::Directory => FileType::Directory,
        EntryType::Symlink => FileType::Symlink,
        _ => FileType::RegularFile,
    }
}

struct Unpacker<'a> {
    tree: &'a Tree,
    /// Entries are below this directory: as a descriptor where no link may be followed, as a
    /// path where links lead about in the root.
    base: OwnedFd,
    place: Place,
    owner: Owner,
    /// Applied at the end: an entry below changes the time, and a mode may forbid it.
    directories: BTreeMap<PathBuf, Meta>,
    parent: Option<(PathBuf, OwnedFd)>,
    unpacked: Unpacked,
}

impl<'a> Unpacker<'a> {
    fn new(tree: &'a Tree, place: Place, owner: Owner) -> Result<Self, ArchiveError> {
        let flags = OFlags::PATH | OFlags::DIRECTORY;
        let base = tree
            .open(&place.dir, flags)
            .map_err(at("open", &place.dir))?;
        Ok(Self {
            tree,
            base,
            place,
            owner,
            directories: BTreeMap::new(),
            parent: None,
            unpacked: Unpacked::default(),
        })
    }

    fn entry(&mut self, entry: &mut Entry<'_, impl Read>) -> Result<(), ArchiveError> {
        let name = entry.path_bytes().into_owned();
        let Some(path) = self.below(&name)? else {
            // The directory itself, which stays as it is.
            return Ok(());
        };
        let header = entry.header();
        let number = |value: io::Result<u64>| u32::try_from(value.unwrap_or(0)).unwrap_or(0);
        let meta = Meta {
            mode: header.mode().unwrap_or(0o644) & self.owner.mode_bits(),
            uid: number(header.uid()),
            gid: number(header.gid()),
            mtime: header
                .mtime()
                .map_or(0, |time| i64::try_from(time).unwrap_or(0)),
        };
        match header.entry_type() {
            EntryType::Directory => self.directory(&path, meta),
            EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => {
                self.file(&path, meta, entry)
            }
            EntryType::Symlink => {
                let text = entry.link_name_bytes().unwrap_or_default().into_owned();
                self.make(&path, |dir, name| symlinkat(text.as_slice(), dir, name))?;
                self.apply_by_name(&path, FileType::Symlink, meta)
            }
            EntryType::Link => {
                let target = entry.link_name_bytes().unwrap_or_default().into_owned();
                self.hard_link(&path, &target)
            }
            EntryType::Fifo => {
                let mode = Mode::RUSR | Mode::WUSR;
                self.make(&path, |dir, name| {
                    mknodat(dir, name, FileType::Fifo, mode, 0)
                })?;
                self.apply_by_name(&path, FileType::Fifo, meta)
            }
            EntryType::Char | EntryType::Block => {
                self.skip(&path, "a device");
                Ok(())
            }
            _ => {
                self.skip(&path, "an entry of an unknown kind");
                Ok(())
            }
        }
    }

    /// An entry's path below the base; none for the directory that all is put into.
    fn below(&self, name: &[u8]) -> Result<Option<PathBuf>, ArchiveError> {
        let refuse = |why| ArchiveError::Entry {
            entry: OsStr::from_bytes(name).into(),
            why,
        };
        if name.contains(&0) {
            return Err(refuse("has a NUL byte in its name"));
        }
        let mut parts = Vec::new();
        for component in Path::new(OsStr::from_bytes(name)).components() {
            match component {
                Component::Normal(part) => parts.push(part),
                Component::ParentDir => return Err(refuse("leads out of the destination")),
                Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
            }
        }
        let own = parts.into_iter().skip(usize::from(self.place.renamed));
        let path: PathBuf = self.place.name.as_deref().into_iter().chain(own).collect();
        Ok((!path.as_os_str().is_empty()).then_some(path))
    }

    fn directory(&mut self, path: &Path, meta: Meta) -> Result<(), ArchiveError> {
        let (dir, name) = split(path);
        let parent = self.open_parent(dir)?;
        match mkdirat(&parent, name, Mode::RWXU) {
            Err(Errno::EXIST) => match statat(&parent, name, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(stat) if kind(&stat) == FileType::Directory => {}
                _ => {
                    return Err(ArchiveError::Conflict {
                        path: self.shown(path),
                        with: "directory",
                    });
                }
            },
            made => made.map_err(at("create", &self.shown(path)))?,
        }
        self.parent = Some((dir.to_owned(), parent));
        self.directories.insert(path.to_owned(), meta);
        Ok(())
    }

    fn file(
        &mut self,
        path: &Path,
        meta: Meta,
        content: &mut impl Read,
    ) -> Result<(), ArchiveError> {
        let (dir, name) = split(path);
        let parent = self.open_parent(dir)?;
        let file = match self.clear(parent.as_fd(), name, path)? {
            Cleared::Free => {
                let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::NOFOLLOW;
                let mode = Mode::RUSR | Mode::WUSR;
                openat(&parent, name, flags | OFlags::CLOEXEC, mode)
                    .map_err(at("create", &self.shown(path)))?
            }
            Cleared::MountPoint => {
                let flags = OFlags::WRONLY | OFlags::TRUNC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
                openat(&parent, name, flags | OFlags::CLOEXEC, Mode::empty())
                    .map_err(at("open", &self.shown(path)))?
            }
        };
        self.parent = Some((dir.to_owned(), parent));
        let file = File::from(file);
        copy(content, &file).map_err(|failed| match failed {
            Failed::Read(error) => stream("read")(error),
            Failed::Write(errno) => at("write", &self.shown(path))(errno),
        })?;
        self.owner.apply(file.as_fd(), &self.shown(path), meta)
    }

    /// Another name for an earlier entry, of this archive or of one before.
    fn hard_link(&mut self, path: &Path, target: &[u8]) -> Result<(), ArchiveError> {
        let refuse = |why| ArchiveError::Entry {
            entry: OsStr::from_bytes(target).into(),
            why,
        };
        let to = self
            .below(target)?
            .ok_or_else(|| refuse("is a link to the directory itself"))?;
        if to == path {
            return Ok(());
        }
        let (dir, target_name) = split(&to);
        let target_dir = self
            .open_existing(dir)
            .map_err(|_| refuse("is linked to, but is not there"))?;
        // Without AT_SYMLINK_FOLLOW: of a symbolic link, the link itself gets the name.
        self.make(path, |parent, name| {
            linkat(&target_dir, target_name, parent, name, AtFlags::empty())
        })
    }

    /// Calls `create` with the entry's directory and name, after what has the name has gone.
    fn make(
        &mut self,
        path: &Path,
        create: impl Fn(BorrowedFd<'_>, &OsStr) -> Result<(), Errno>,
    ) -> Result<(), ArchiveError> {
        let (dir, name) = split(path);
        let parent = self.open_parent(dir)?;
        if let Cleared::MountPoint = self.clear(parent.as_fd(), name, path)? {
            return Err(at("replace", &self.shown(path))(Errno::BUSY));
        }
        create(parent.as_fd(), name).map_err(at("create", &self.shown(path)))?;
        self.parent = Some((dir.to_owned(), parent));
        Ok(())
    }

    /// Removes what an entry replaces, which must not be a directory.
    fn clear(
        &self,
        parent: BorrowedFd<'_>,
        name: &OsStr,
        path: &Path,
    ) -> Result<Cleared, ArchiveError> {
        match unlinkat(parent, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(Cleared::Free),
            Err(Errno::BUSY) => Ok(Cleared::MountPoint),
            Err(Errno::ISDIR | Errno::PERM) if is_directory(parent, name) => {
                Err(ArchiveError::Conflict {
                    path: self.shown(path),
                    with: "file",
                })
            }
            Err(errno) => Err(at("replace", &self.shown(path))(errno)),
        }
    }

    fn open_parent(&mut self, dir: &Path) -> Result<OwnedFd, ArchiveError> {
        match self.parent.take() {
            Some((open, fd)) if open == dir => return Ok(fd),
            _ => {}
        }
        match self.open_existing(dir) {
            Err(Errno::NOENT) => {
                self.create_parents(dir)?;
                self.open_existing(dir)
            }
            opened => opened,
        }
        .map_err(at("open", &self.shown(dir)))
    }

    fn open_existing(&self, dir: &Path) -> Result<OwnedFd, Errno> {
        let flags = OFlags::PATH | OFlags::DIRECTORY;
        if self.tree.leads_links() {
            return self.tree.open_below(&self.place.dir.join(dir), flags);
        }
        let dir = if dir.as_os_str().is_empty() {
            Path::new(".")
        } else {
            dir
        };
        crate::resolve::resolve(
            self.base.as_fd(),
            dir,
            flags,
            self.tree.below | rustix::fs::ResolveFlags::BENEATH,
        )
    }

    /// An archive may leave out the directories of its entries: they are root's, 0755.
    fn create_parents(&mut self, dir: &Path) -> Result<(), ArchiveError> {
        let missing: Vec<_> = dir
            .ancestors()
            .filter(|dir| !dir.as_os_str().is_empty())
            .collect();
        for dir in missing.into_iter().rev() {
            let (above, name) = split(dir);
            let failed = at("create", &self.shown(dir));
            let above = self.open_existing(above).map_err(&failed)?;
            match mkdirat(&above, name, Mode::from_raw_mode(0o755)) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(errno) => return Err(failed(errno)),
            }
        }
        Ok(())
    }

    /// Gives the directories their owners, modes and times.
    fn finish(mut self) -> Result<Unpacked, ArchiveError> {
        self.parent = None;
        // Backwards: what is below comes before what is above, which may lock us out.
        for (path, meta) in std::mem::take(&mut self.directories).into_iter().rev() {
            let (dir, name) = split(&path);
            let opened = self.open_existing(dir).and_then(|parent| {
                let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW;
                openat(&parent, name, flags | OFlags::CLOEXEC, Mode::empty())
            });
            match opened {
                Ok(fd) => self.owner.apply(fd.as_fd(), &self.shown(&path), meta)?,
                // A later entry took its place.
                Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => {}
                Err(errno) => return Err(at("open", &self.shown(&path))(errno)),
            }
        }
        Ok(self.unpacked)
    }

    fn apply_by_name(
        &mut self,
        path: &Path,
        what: FileType,
        meta: Meta,
    ) -> Result<(), ArchiveError> {
        let (dir, name) = split(path);
        let parent = self.open_parent(dir)?;
        let place = (parent.as_fd(), name);
        self.owner
            .apply_by_name(place, what, &self.shown(path), meta)?;
        self.parent = Some((dir.to_owned(), parent));
        Ok(())
    }

    fn shown(&self, path: &Path) -> PathBuf {
        self.place.dir.join(path)
    }

    fn skip(&mut self, path: &Path, why: &str) {
        let path = self.shown(path);
        self.unpacked
            .skipped
            .push(format!("{}: {why}", path.display()));
    }
}

/// What was in an entry's place is gone, or cannot go.
enum Cleared {
    Free,
    MountPoint,
}

/// Directory and name of a path that has a name.
fn split(path: &Path) -> (&Path, &OsStr) {
    (
        path.parent().unwrap_or(Path::new("")),
        path.file_name().unwrap_or(OsStr::new(".")),
    )
}

fn is_directory(parent: BorrowedFd<'_>, name: &OsStr) -> bool {
    statat(parent, name, AtFlags::SYMLINK_NOFOLLOW)
        .is_ok_and(|stat| kind(&stat) == FileType::Directory)
}
