//! Writing a tree as a tar stream.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{
    AtFlags, FileType, FsWord, Mode, OFlags, ResolveFlags, Stat, fstat, fstatfs, openat, statat,
};
use rustix::io::Errno;
use tar::{Builder, EntryType, Header};

use super::error::{at, stream};
use super::{ArchiveError, Tree, kind, parent_of, read_link};
use crate::directory::names;
use crate::path::by_its_text;
use crate::resolve::resolve;

/// Filesystems that are the kernel's own view of itself, by their magic of `statfs(2)`: what
/// is in them is no file to copy. proc, sysfs, cgroup, cgroup2, devpts, mqueue, debugfs,
/// tracefs, bpf.
const KERNELS_OWN: [FsWord; 9] = [
    0x9fa0,
    0x6265_6572,
    0x0027_e0eb,
    0x6367_7270,
    0x1cd1,
    0x1980_0202,
    0x6462_6720,
    0x7472_6163,
    0xcafe_4a11,
];

/// What is copied, as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    path: PathBuf,
    /// A symbolic link at the end is followed.
    follow: bool,
    /// It ends in a slash: it has to be a directory.
    directory: bool,
    /// What is in the directory, without the directory.
    contents: bool,
}

/// What was packed.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Packed {
    /// What was left out, each with the reason.
    pub skipped: Vec<String>,
}

impl Source {
    /// The path as the user wrote it, relative to the root. A link at its end is copied
    /// itself.
    pub fn new(path: &str) -> Self {
        let contents = path == "." || path.ends_with("/.");
        let clean = by_its_text(Path::new(path));
        Self {
            contents: contents || clean.file_name().is_none(),
            directory: contents || path.ends_with('/'),
            follow: contents || path.ends_with('/'),
            path: clean,
        }
    }

    /// The same, but what a link at its end leads to is copied.
    pub fn followed(path: &str) -> Self {
        Self {
            follow: true,
            ..Self::new(path)
        }
    }

    /// What the copy is called; none for the contents of a directory.
    pub fn name(&self) -> Option<&OsStr> {
        self.path.file_name().filter(|_| !self.contents)
    }
}

/// Writes `source` as an archive: the file or directory under its own name, or the contents of
/// a directory below `.`.
///
/// Sockets, and what is in the kernel's own filesystems, are left out. Files that change
/// meanwhile are padded or cut to the size that they had.
///
/// # Errors
/// [`ArchiveError`]; [`ArchiveError::Stream`] when `out` takes no more.
pub fn pack(tree: &Tree, source: &Source, out: impl Write) -> Result<Packed, ArchiveError> {
    let not_found = |errno| match errno {
        Errno::NOENT | Errno::NOTDIR => ArchiveError::NotFound {
            path: source.path.clone(),
        },
        _ => at("open", &source.path)(errno),
    };
    let mut path = source.path.clone();
    if source.follow {
        path = tree.follow(&path).map_err(not_found)?.0;
    }
    let mut packer = Packer {
        archive: Builder::new(out),
        shown: source.path.clone(),
        links: HashMap::new(),
        packed: Packed::default(),
    };
    let top = source
        .name()
        .map_or_else(|| PathBuf::from("."), PathBuf::from);
    let flags = OFlags::PATH | OFlags::DIRECTORY;
    let name = path.file_name().unwrap_or(OsStr::new("."));
    let parent = tree.open(parent_of(&path), flags).map_err(not_found)?;
    let stat = if source.follow {
        fstat(tree.open(&path, OFlags::PATH).map_err(not_found)?).map_err(not_found)?
    } else {
        statat(&parent, name, AtFlags::SYMLINK_NOFOLLOW).map_err(not_found)?
    };
    if kind(&stat) == FileType::Directory {
        let dir = tree
            .open(&path, OFlags::RDONLY | OFlags::DIRECTORY)
            .map_err(not_found)?;
        packer.tree(&dir, &top)?;
    } else if source.directory {
        return Err(ArchiveError::NotADirectory {
            path: source.path.clone(),
        });
    } else {
        packer.entry(parent.as_fd(), name, &stat, &top)?;
    }
    let mut out = packer.archive.into_inner().map_err(stream("write"))?;
    out.flush().map_err(stream("write"))?;
    Ok(packer.packed)
}

struct Packer<W: Write> {
    archive: Builder<W>,
    /// The source, for messages.
    shown: PathBuf,
    /// The first name of each file that has several.
    links: HashMap<(u64, u64), PathBuf>,
    packed: Packed,
}

impl<W: Write> Packer<W> {
    /// A directory with all that is below it, as `top` in the archive.
    fn tree(&mut self, dir: &OwnedFd, top: &Path) -> Result<(), ArchiveError> {
        self.directory(dir, top, Path::new("."))?;
        // Paths, not descriptors: a deep tree must not use them up.
        let mut pending = vec![PathBuf::from(".")];
        while let Some(relative) = pending.pop() {
            let failed = |operation| at(operation, &self.shown.join(&relative));
            let here = open_below(dir.as_fd(), &relative).map_err(failed("open"))?;
            let mut directories = Vec::new();
            let mut names = names(&here).map_err(failed("read"))?;
            names.sort_unstable();
            for name in names {
                let below = relative.join(&name);
                let stat = match statat(&here, &name, AtFlags::SYMLINK_NOFOLLOW) {
                    // It went meanwhile.
                    Err(Errno::NOENT) => continue,
                    stat => stat.map_err(at("inspect", &self.shown.join(&below)))?,
                };
                let entry = top.join(below.strip_prefix(".").unwrap_or(&below));
                if kind(&stat) == FileType::Directory {
                    let opened = open_below(dir.as_fd(), &below)
                        .map_err(at("open", &self.shown.join(&below)))?;
                    if self.directory(&opened, &entry, &below)? {
                        directories.push(below);
                    }
                } else {
                    self.entry(here.as_fd(), &name, &stat, &entry)?;
                }
            }
            // The stack gives them back in their order.
            pending.extend(directories.into_iter().rev());
        }
        Ok(())
    }

    /// One directory without what is in it; says whether that is to be packed.
    fn directory(
        &mut self,
        dir: &OwnedFd,
        entry: &Path,
        shown: &Path,
    ) -> Result<bool, ArchiveError> {
        let failed = at("inspect", &self.shown.join(shown));
        let stat = fstat(dir).map_err(&failed)?;
        let mut header = header(&stat, EntryType::Directory);
        // As tar(1) and Docker write it.
        let mut name = entry.as_os_str().to_owned();
        name.push("/");
        self.archive
            .append_data(&mut header, name, io::empty())
            .map_err(stream("write"))?;
        let magic = fstatfs(dir).map_err(failed)?.f_type;
        if KERNELS_OWN.contains(&magic) && shown != Path::new(".") {
            self.skip(entry, "a filesystem of the kernel's own");
            return Ok(false);
        }
        Ok(true)
    }

    /// Anything but a directory.
    fn entry(
        &mut self,
        dir: BorrowedFd<'_>,
        name: &OsStr,
        stat: &Stat,
        entry: &Path,
    ) -> Result<(), ArchiveError> {
        let several = stat.st_nlink > 1;
        let file = (stat.st_dev, stat.st_ino);
        if several && let Some(first) = self.links.get(&file) {
            let mut header = header(stat, EntryType::Link);
            return self
                .archive
                .append_link(&mut header, entry, first)
                .map_err(stream("write"));
        }
        let packed = match kind(stat) {
            FileType::RegularFile => self.file(dir, name, entry)?,
            FileType::Symlink => {
                let text = match read_link(dir, name) {
                    Err(Errno::NOENT | Errno::INVAL) => return Ok(()),
                    text => text.map_err(at("read the link", &self.shown.join(entry)))?,
                };
                self.symlink(stat, entry, &text)?;
                true
            }
            FileType::Fifo => {
                let mut header = header(stat, EntryType::Fifo);
                self.archive
                    .append_data(&mut header, entry, io::empty())
                    .map_err(stream("write"))?;
                true
            }
            FileType::CharacterDevice | FileType::BlockDevice => {
                self.skip(entry, "a device");
                false
            }
            _ => {
                self.skip(entry, "a socket");
                false
            }
        };
        if several && packed {
            self.links.insert(file, entry.to_owned());
        }
        Ok(())
    }

    fn file(
        &mut self,
        dir: BorrowedFd<'_>,
        name: &OsStr,
        entry: &Path,
    ) -> Result<bool, ArchiveError> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let opened = match openat(dir, name, flags | OFlags::NOCTTY, Mode::empty()) {
            Err(Errno::NOENT) => return Ok(false),
            opened => opened.map_err(at("open", &self.shown.join(entry)))?,
        };
        let stat = fstat(&opened).map_err(at("inspect", &self.shown.join(entry)))?;
        if kind(&stat) != FileType::RegularFile {
            self.skip(entry, "changed while it was copied");
            return Ok(false);
        }
        let mut header = header(&stat, EntryType::Regular);
        let size = u64::try_from(stat.st_size).unwrap_or(0);
        header.set_size(size);
        let content = Sized {
            file: File::from(opened),
            left: size,
        };
        self.archive
            .append_data(&mut header, entry, content)
            .map_err(stream("write"))?;
        Ok(true)
    }

    fn symlink(&mut self, stat: &Stat, entry: &Path, text: &Path) -> Result<(), ArchiveError> {
        let mut header = header(stat, EntryType::Symlink);
        // As it is: a path that is taken apart and put together again is another text.
        if header
            .set_link_name_literal(text.as_os_str().as_bytes())
            .is_ok()
        {
            return self
                .archive
                .append_data(&mut header, entry, io::empty())
                .map_err(stream("write"));
        }
        self.archive
            .append_link(&mut header, entry, text)
            .map_err(stream("write"))
    }

    fn skip(&mut self, entry: &Path, why: &str) {
        self.packed
            .skipped
            .push(format!("{}: {why}", entry.display()));
    }
}

fn header(stat: &Stat, kind: EntryType) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(stat.st_mode & 0o7777);
    header.set_uid(stat.st_uid.into());
    header.set_gid(stat.st_gid.into());
    header.set_mtime(u64::try_from(stat.st_mtime).unwrap_or(0));
    header.set_size(0);
    header
}

/// Exactly as many bytes as the header says, whatever happens to the file.
struct Sized {
    file: File,
    left: u64,
}

impl Read for Sized {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let want = usize::try_from(self.left).map_or(buffer.len(), |left| left.min(buffer.len()));
        if want == 0 {
            return Ok(0);
        }
        let read = match self.file.read(&mut buffer[..want])? {
            // Somebody has cut it: the rest is zeros, as `tar(1)` has it.
            0 => {
                buffer[..want].fill(0);
                want
            }
            read => read,
        };
        self.left -= read as u64;
        Ok(read)
    }
}

/// A directory of the tree, whatever is mounted on the way, over no link.
fn open_below(top: BorrowedFd<'_>, path: &Path) -> Result<OwnedFd, Errno> {
    let how = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
    resolve(top, path, OFlags::RDONLY | OFlags::DIRECTORY, how)
}
