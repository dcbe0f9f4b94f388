//! Writes entries of a stranger below one directory.
//!
//! Every entry is reached by descriptor: the kernel resolves its directory with
//! `openat2(2)` and `RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV`, and only
//! the last name is used below that. A symbolic link that an earlier entry planted is
//! refused by the kernel, not by a comparison of strings.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{
    AtFlags, CWD, FileType, Gid, Mode, OFlags, Timespec, Timestamps, UTIME_OMIT, Uid, XattrFlags,
    chownat, fchmod, fchown, fsetxattr, futimens, linkat, mkdirat, mknodat, openat, statat,
    symlinkat, syncfs, utimensat,
};
use rustix::io::Errno;

use super::at::{DIRECTORY, clear, is_directory, is_symlink, open_beneath};
use super::meta::{Meta, xattr_name};
use super::path::EntryPath;
use crate::error::{At as _, Error, UnpackError};
use crate::import::{Limits, Progress};

/// `PATH_MAX` without its NUL: the longest target of a symbolic link.
const MAX_LINK: usize = 4095;

/// Fills a new directory with entries, within limits.
pub(crate) struct Writer<'a> {
    root: OwnedFd,
    limits: Limits,
    bytes: u64,
    entries: u64,
    /// Who is not root owns everything: the kernel lets no one else give files away.
    keep_owner: bool,
    /// Whether an owner was left out, for root of a user namespace that has not got its id.
    owner_left_out: bool,
    /// Applied at the end: an entry below changes the time, and a mode may forbid it.
    directories: BTreeMap<PathBuf, Meta>,
    /// The directory of the entry before, which the next one shares more often than not.
    parent: Option<(PathBuf, OwnedFd)>,
    progress: &'a mut dyn FnMut(Progress<'_>),
}

impl<'a> Writer<'a> {
    /// Makes the directory `root`, which must not exist.
    pub(crate) fn create(
        root: &Path,
        limits: Limits,
        progress: &'a mut dyn FnMut(Progress<'_>),
    ) -> Result<Self, Error> {
        mkdirat(CWD, root, Mode::RWXU).at("create", root)?;
        let flags = DIRECTORY | OFlags::RDONLY | OFlags::NOFOLLOW;
        let fd = openat(CWD, root, flags, Mode::empty()).at("open", root)?;
        Ok(Self {
            root: fd,
            limits,
            bytes: 0,
            entries: 0,
            keep_owner: rustix::process::geteuid().is_root(),
            owner_left_out: false,
            directories: BTreeMap::from([(PathBuf::new(), Meta::root(0o755))]),
            parent: None,
            progress,
        })
    }

    /// Bytes written to regular files so far.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Passes on what the source of the entries has to say.
    pub(crate) fn report(&mut self, progress: Progress<'_>) {
        (self.progress)(progress);
    }

    /// A directory; one that is there keeps its content and gets the new `meta`.
    pub(crate) fn directory(&mut self, path: &EntryPath, meta: Meta) -> Result<(), UnpackError> {
        self.count()?;
        if let Some((dir, name)) = path.split() {
            let parent = self.open_parent(path, dir)?;
            match mkdirat(&parent, name, Mode::RWXU) {
                Err(Errno::EXIST) if is_directory(parent.as_fd(), name) => Ok(()),
                Err(Errno::EXIST) => {
                    clear(parent.as_fd(), name).write("replace", path)?;
                    mkdirat(&parent, name, Mode::RWXU)
                }
                made => made,
            }
            .write("create the directory", path)?;
            self.parent = Some((dir.to_owned(), parent));
        }
        self.directories.insert(path.as_path().to_owned(), meta);
        Ok(())
    }

    /// A regular file of exactly `size` bytes from `content`. Blocks of zeros become
    /// holes.
    pub(crate) fn file(
        &mut self,
        path: &EntryPath,
        meta: &Meta,
        size: u64,
        content: &mut dyn Content,
    ) -> Result<(), UnpackError> {
        self.count()?;
        self.bytes = self.bytes.saturating_add(size);
        if self.bytes > self.limits.bytes {
            return Err(UnpackError::TooManyBytes {
                limit: self.limits.bytes,
            });
        }
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::NOFOLLOW;
        let file = self.make(path, |parent, name| {
            openat(
                parent,
                name,
                flags | OFlags::CLOEXEC,
                Mode::RUSR | Mode::WUSR,
            )
        })?;
        let file = File::from(file);
        copy(&file, path, size, content)?;
        self.apply(file.as_fd(), path, meta)
    }

    /// A symbolic link. Its target may be anything: it is resolved by the container, in
    /// its own root.
    pub(crate) fn symlink(
        &mut self,
        path: &EntryPath,
        target: &[u8],
        meta: &Meta,
    ) -> Result<(), UnpackError> {
        self.count()?;
        if target.is_empty() || target.len() > MAX_LINK || target.contains(&0) {
            return Err(UnpackError::Path {
                entry: path.shown(),
                why: "a symbolic link whose target is empty, too long or has a NUL byte",
            });
        }
        self.make(path, |parent, name| symlinkat(target, parent, name))?;
        self.apply_by_name(path, meta)
    }

    /// Another name for an earlier entry.
    pub(crate) fn hard_link(&mut self, path: &EntryPath, target: &[u8]) -> Result<(), UnpackError> {
        self.count()?;
        let refuse = |why| UnpackError::HardLink {
            entry: path.shown(),
            target: crate::error::shown(target),
            why,
        };
        let to = EntryPath::parse(target).map_err(|_| refuse("it is not inside of the root"))?;
        let (dir, target_name) = to.split().ok_or_else(|| refuse("it is the root"))?;
        let target_dir = open_beneath(self.root.as_fd(), dir, OFlags::PATH).map_err(|errno| {
            refuse(match errno {
                Errno::LOOP => "a part of its path is a symbolic link",
                _ => "it is not there",
            })
        })?;
        if to == *path {
            return Err(refuse("it is the entry itself"));
        }
        match statat(&target_dir, target_name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) if FileType::from_raw_mode(stat.st_mode).is_dir() => {
                return Err(refuse("it is a directory"));
            }
            Ok(_) => {}
            Err(_) => return Err(refuse("it is not there")),
        }
        // Without AT_SYMLINK_FOLLOW: of a symbolic link, the link itself gets the name.
        self.make(path, |parent, name| {
            linkat(&target_dir, target_name, parent, name, AtFlags::empty())
        })
    }

    /// A named pipe.
    pub(crate) fn fifo(&mut self, path: &EntryPath, meta: &Meta) -> Result<(), UnpackError> {
        self.count()?;
        self.make(path, |parent, name| {
            mknodat(parent, name, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0)
        })?;
        self.apply_by_name(path, meta)
    }

    /// Reports an entry that is left out.
    pub(crate) fn skip(&mut self, path: &EntryPath, why: &str) -> Result<(), UnpackError> {
        self.count()?;
        (self.progress)(Progress::Skipped {
            entry: &path.shown(),
            why,
        });
        Ok(())
    }

    /// Gives the directories their owners, modes and times, and forces everything to
    /// the disk.
    pub(crate) fn finish(mut self) -> Result<(), UnpackError> {
        self.parent = None;
        // Backwards: what is below comes before what is above, which may lock us out.
        for (dir, meta) in std::mem::take(&mut self.directories).into_iter().rev() {
            let fd = match open_beneath(self.root.as_fd(), &dir, OFlags::RDONLY) {
                Ok(fd) => fd,
                // A later entry took its place.
                Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => continue,
                Err(errno) => return Err(errno).write("open", &EntryPath::root()),
            };
            let path = EntryPath::parse(dir.as_os_str().as_bytes())?;
            self.apply(fd.as_fd(), &path, &meta)?;
        }
        (self.progress)(Progress::Syncing);
        syncfs(&self.root).write("sync", &EntryPath::root())
    }

    fn count(&mut self) -> Result<(), UnpackError> {
        self.entries += 1;
        if self.entries > self.limits.entries {
            return Err(UnpackError::TooManyEntries {
                limit: self.limits.entries,
            });
        }
        Ok(())
    }

    /// Calls `create` with the entry's directory and name; what has the name already
    /// goes, as the last entry of a name counts.
    fn make<T>(
        &mut self,
        path: &EntryPath,
        create: impl Fn(BorrowedFd<'_>, &OsStr) -> Result<T, Errno>,
    ) -> Result<T, UnpackError> {
        let Some((dir, name)) = path.split() else {
            return Err(UnpackError::Path {
                entry: "\".\"".to_owned(),
                why: "the root must be a directory",
            });
        };
        let parent = self.open_parent(path, dir)?;
        let made = match create(parent.as_fd(), name) {
            Err(Errno::EXIST) => {
                clear(parent.as_fd(), name).write("replace", path)?;
                create(parent.as_fd(), name)
            }
            made => made,
        }
        .write("create", path)?;
        self.parent = Some((dir.to_owned(), parent));
        Ok(made)
    }

    fn open_parent(&mut self, path: &EntryPath, dir: &Path) -> Result<OwnedFd, UnpackError> {
        match self.parent.take() {
            Some((open, fd)) if open == dir => return Ok(fd),
            _ => {}
        }
        match open_beneath(self.root.as_fd(), dir, OFlags::PATH) {
            Err(Errno::NOENT) => {
                self.create_parents(path, dir)?;
                open_beneath(self.root.as_fd(), dir, OFlags::PATH)
            }
            opened => opened,
        }
        .map_err(|errno| refused_parent(path, errno))
    }

    /// An archive may leave out the directories of its entries: they are root's, 0755.
    fn create_parents(&mut self, path: &EntryPath, dir: &Path) -> Result<(), UnpackError> {
        let missing: Vec<_> = dir
            .ancestors()
            .filter(|d| !d.as_os_str().is_empty())
            .collect();
        for dir in missing.into_iter().rev() {
            let (Some(above), Some(name)) = (dir.parent(), dir.file_name()) else {
                continue;
            };
            let above = open_beneath(self.root.as_fd(), above, OFlags::PATH)
                .map_err(|errno| refused_parent(path, errno))?;
            match mkdirat(&above, name, Mode::RWXU) {
                Ok(()) => {
                    self.count()?;
                    self.directories.insert(dir.to_owned(), Meta::root(0o755));
                }
                Err(Errno::EXIST) => {}
                Err(errno) => return Err(errno).write("create the directory of", path),
            }
        }
        Ok(())
    }

    /// Whoever unpacks in a user namespace with fewer ids than the archive keeps what cannot be
    /// given away. Said for the first entry.
    fn owned(
        &mut self,
        owned: Result<(), Errno>,
        path: &EntryPath,
        meta: &Meta,
    ) -> Result<(), UnpackError> {
        match owned {
            Err(Errno::INVAL) => {
                if !self.owner_left_out {
                    self.owner_left_out = true;
                    let why = format!(
                        "owner {}:{}: there is no such id here; what else has one is not listed",
                        meta.uid, meta.gid
                    );
                    (self.progress)(Progress::Skipped {
                        entry: &path.shown(),
                        why: &why,
                    });
                }
                Ok(())
            }
            owned => owned.write("set the owner of", path),
        }
    }

    fn apply(
        &mut self,
        file: BorrowedFd<'_>,
        path: &EntryPath,
        meta: &Meta,
    ) -> Result<(), UnpackError> {
        // The order matters: chown(2) clears set-id bits and capabilities.
        if self.keep_owner {
            let (uid, gid) = (Uid::from_raw(meta.uid), Gid::from_raw(meta.gid));
            self.owned(fchown(file, Some(uid), Some(gid)), path, meta)?;
        }
        fchmod(file, Mode::from_raw_mode(meta.mode & 0o7777)).write("set the mode of", path)?;
        for (name, value) in &meta.xattrs {
            match fsetxattr(file, name, value, XattrFlags::empty()) {
                Ok(()) => {}
                // EPERM: a security attribute, and we are not root.
                Err(errno @ (Errno::OPNOTSUPP | Errno::PERM)) => {
                    let why = format!("attribute {} ({errno})", xattr_name(name).display());
                    (self.progress)(Progress::Skipped {
                        entry: &path.shown(),
                        why: &why,
                    });
                }
                Err(errno) => return Err(errno).write("set an attribute of", path),
            }
        }
        futimens(file, &times(meta.mtime)).write("set the time of", path)
    }

    /// For what cannot be opened: links and pipes.
    fn apply_by_name(&mut self, path: &EntryPath, meta: &Meta) -> Result<(), UnpackError> {
        let Some((dir, name)) = path.split() else {
            return Ok(());
        };
        let parent = self.open_parent(path, dir)?;
        let nofollow = AtFlags::SYMLINK_NOFOLLOW;
        if self.keep_owner {
            let (uid, gid) = (Uid::from_raw(meta.uid), Gid::from_raw(meta.gid));
            let owned = chownat(&parent, name, Some(uid), Some(gid), nofollow);
            self.owned(owned, path, meta)?;
        }
        if !is_symlink(parent.as_fd(), name) {
            let mode = Mode::from_raw_mode(meta.mode & 0o7777);
            rustix::fs::chmodat(&parent, name, mode, AtFlags::empty())
                .write("set the mode of", path)?;
        }
        utimensat(&parent, name, &times(meta.mtime), nofollow).write("set the time of", path)?;
        self.parent = Some((dir.to_owned(), parent));
        Ok(())
    }
}

/// The content of a file, whose reader knows why it ends early.
pub(crate) trait Content {
    /// Fills `buffer` from the start and returns how much; zero only at the end.
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, UnpackError>;
}

impl Content for &[u8] {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, UnpackError> {
        // Reading from memory does not fail.
        Ok(Read::read(self, buffer).unwrap_or(0))
    }
}

fn copy(
    file: &File,
    path: &EntryPath,
    size: u64,
    content: &mut dyn Content,
) -> Result<(), UnpackError> {
    let io = |e: io::Error| Errno::from_io_error(&e).unwrap_or(Errno::IO);
    let mut buffer = vec![0; 64 << 10];
    let mut done = 0;
    while done < size {
        let want = usize::try_from(size - done).map_or(buffer.len(), |left| left.min(buffer.len()));
        let n = content.read(&mut buffer[..want])?;
        if n == 0 {
            let place = format!("in the middle of {}", path.shown());
            return Err(UnpackError::Truncated { place });
        }
        if buffer[..n].iter().any(|&byte| byte != 0) {
            file.write_all_at(&buffer[..n], done)
                .map_err(io)
                .write("write", path)?;
        }
        done += n as u64;
    }
    // Zeros at the end were not written.
    file.set_len(size).map_err(io).write("write", path)
}

fn refused_parent(path: &EntryPath, errno: Errno) -> UnpackError {
    let entry = path.shown();
    match errno {
        Errno::LOOP | Errno::XDEV => UnpackError::BehindSymlink { entry },
        Errno::NOTDIR => UnpackError::NotADirectory { entry },
        source => UnpackError::Write {
            operation: "open the directory of",
            entry,
            source,
        },
    }
}

fn times(mtime: Timespec) -> Timestamps {
    Timestamps {
        last_access: Timespec {
            tv_sec: 0,
            tv_nsec: UTIME_OMIT,
        },
        last_modification: mtime,
    }
}

/// Adds operation and entry to an errno.
trait WriteStep<T> {
    fn write(self, operation: &'static str, path: &EntryPath) -> Result<T, UnpackError>;
}

impl<T> WriteStep<T> for Result<T, Errno> {
    fn write(self, operation: &'static str, path: &EntryPath) -> Result<T, UnpackError> {
        self.map_err(|source| UnpackError::Write {
            operation,
            entry: path.shown(),
            source,
        })
    }
}
