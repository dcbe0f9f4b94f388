//! Copies a directory of the host.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::Read as _;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::Path;

use rustix::fs::{
    AtFlags, CWD, Dir, FileType, Mode, OFlags, Stat, Timespec, fstat, openat, readlinkat, statat,
};
use rustix::io::Errno;

use crate::error::{UnpackError, shown};
use crate::tree::{Content, EntryPath, Meta, Writer, read_xattrs};

/// NONBLOCK: the file may have become a pipe, whose opening would wait for a writer.
const OPEN: OFlags = OFlags::RDONLY
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC)
    .union(OFlags::NONBLOCK);

/// Identity of a directory that must not be copied into itself.
pub(super) type Identity = (u64, u64);

pub(super) fn identity(dir: &Path) -> Result<Identity, Errno> {
    let stat = rustix::fs::stat(dir)?;
    Ok((stat.st_dev, stat.st_ino))
}

/// Copies `source` with owners, modes, times, attributes, hard and symbolic links. Other
/// file systems mounted below stay out, and so does `store`.
pub(super) fn copy(
    source: &Path,
    store: Identity,
    writer: &mut Writer<'_>,
) -> Result<(), UnpackError> {
    let root = EntryPath::root();
    // A symbolic link that the user names is followed, those below are not.
    let flags = OPEN.difference(OFlags::NOFOLLOW) | OFlags::DIRECTORY;
    let fd = openat(CWD, source, flags, Mode::empty()).reading("open", &root)?;
    let stat = fstat(&fd).reading("stat", &root)?;
    let meta = meta(&stat, Some(fd.as_fd())).reading("read the attributes of", &root)?;
    writer.directory(&root, meta)?;
    Copy {
        device: stat.st_dev,
        store,
        writer,
        links: HashMap::new(),
    }
    .directory(fd.as_fd(), &root)
}

struct Copy<'a, 'w> {
    device: u64,
    store: Identity,
    writer: &'a mut Writer<'w>,
    /// The first name of each file with several, by inode.
    links: HashMap<u64, EntryPath>,
}

impl Copy<'_, '_> {
    fn directory(&mut self, dir: BorrowedFd<'_>, path: &EntryPath) -> Result<(), UnpackError> {
        let mut names = Vec::new();
        for entry in Dir::read_from(dir).reading("read", path)? {
            let name = entry.reading("read", path)?.file_name().to_bytes().to_vec();
            if name != b"." && name != b".." {
                names.push(OsString::from_vec(name));
            }
        }
        names.sort_unstable();
        for name in names {
            let path = path.join(&name)?;
            self.entry(dir, &name, &path)?;
        }
        Ok(())
    }

    fn entry(
        &mut self,
        dir: BorrowedFd<'_>,
        name: &OsStr,
        path: &EntryPath,
    ) -> Result<(), UnpackError> {
        let stat = statat(dir, name, AtFlags::SYMLINK_NOFOLLOW).reading("stat", path)?;
        let kind = FileType::from_raw_mode(stat.st_mode);
        if stat.st_nlink > 1 && matches!(kind, FileType::RegularFile | FileType::Symlink) {
            if let Some(first) = self.links.get(&stat.st_ino) {
                return self
                    .writer
                    .hard_link(path, first.as_path().as_os_str().as_bytes());
            }
            self.links.insert(stat.st_ino, path.clone());
        }
        match kind {
            FileType::Directory => {
                let fd = openat(dir, name, OPEN | OFlags::DIRECTORY, Mode::empty());
                let fd = fd.reading("open", path)?;
                if (stat.st_dev, stat.st_ino) == self.store {
                    return self.writer.skip(path, "the image store itself");
                }
                let meta = meta(&stat, Some(fd.as_fd())).reading("read the attributes of", path)?;
                self.writer.directory(path, meta)?;
                if stat.st_dev != self.device {
                    let why = "content of another file system, mounted here";
                    return self.writer.skip(path, why);
                }
                self.directory(fd.as_fd(), path)
            }
            FileType::RegularFile => {
                let file =
                    File::from(openat(dir, name, OPEN, Mode::empty()).reading("open", path)?);
                // What is open counts: the name may lead elsewhere by now.
                let stat = fstat(&file).reading("stat", path)?;
                let meta =
                    meta(&stat, Some(file.as_fd())).reading("read the attributes of", path)?;
                let mut content = FileContent {
                    file,
                    entry: path.shown(),
                };
                self.writer
                    .file(path, &meta, stat.st_size as u64, &mut content)
            }
            FileType::Symlink => {
                let target = readlinkat(dir, name, Vec::new()).reading("read the link", path)?;
                let meta = meta(&stat, None).reading("stat", path)?;
                self.writer.symlink(path, target.to_bytes(), &meta)
            }
            FileType::Fifo => {
                let meta = meta(&stat, None).reading("stat", path)?;
                self.writer.fifo(path, &meta)
            }
            FileType::Socket => self.writer.skip(path, super::SOCKET),
            _ => self.writer.skip(path, super::DEVICE),
        }
    }
}

fn meta(stat: &Stat, file: Option<BorrowedFd<'_>>) -> Result<Meta, Errno> {
    Ok(Meta {
        mode: stat.st_mode & 0o7777,
        uid: stat.st_uid,
        gid: stat.st_gid,
        mtime: Timespec {
            tv_sec: stat.st_mtime,
            tv_nsec: stat.st_mtime_nsec as i64,
        },
        xattrs: file.map(read_xattrs).transpose()?.unwrap_or_default(),
    })
}

struct FileContent {
    file: File,
    entry: String,
}

impl Content for FileContent {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, UnpackError> {
        self.file.read(buffer).map_err(|e| UnpackError::Read {
            operation: "read",
            entry: self.entry.clone(),
            source: Errno::from_io_error(&e).unwrap_or(Errno::IO),
        })
    }
}

/// Adds operation and entry to an errno.
trait ReadStep<T> {
    fn reading(self, operation: &'static str, path: &EntryPath) -> Result<T, UnpackError>;
}

impl<T> ReadStep<T> for Result<T, Errno> {
    fn reading(self, operation: &'static str, path: &EntryPath) -> Result<T, UnpackError> {
        self.map_err(|source| {
            let bytes = path.as_path().as_os_str().as_bytes();
            let entry = if bytes.is_empty() {
                "it".to_owned()
            } else {
                shown(bytes)
            };
            UnpackError::Read {
                operation,
                entry,
                source,
            }
        })
    }
}
