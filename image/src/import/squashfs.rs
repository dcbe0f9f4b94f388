//! Reads squashfs 4.0, the format of Linux and of every `mksquashfs` since 2009.
//!
//! Read here and not mounted or left to `unsquashfs`: a kernel's or a C program's parser
//! run by root is no place for a stranger's file, and what is unpacked goes through the
//! same [`Writer`] and limits as every other format. The format is described in the
//! kernel's `Documentation/filesystems/squashfs.rst` and `fs/squashfs/squashfs_fs.h`.

mod content;
mod disk;
mod inode;
mod xattr;

use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;
use std::fs::File;
use std::os::unix::ffi::OsStrExt as _;

use rustix::fs::Timespec;

use self::content::FileContent;
use self::disk::{Disk, corrupt};
use self::inode::{Inode, Kind};
use crate::error::{UnpackError, shown};
use crate::tree::{EntryPath, Meta, Writer};

/// Unpacks the whole of a squashfs.
pub(super) fn unpack(file: &File, writer: &mut Writer<'_>) -> Result<(), UnpackError> {
    let disk = Disk::open(file)?;
    let root = Inode::read(&disk, disk.superblock.root_inode)?;
    let Kind::Directory { .. } = root.kind else {
        return Err(corrupt("the root is not a directory"));
    };
    let meta = meta(&disk, &root)?;
    writer.directory(&EntryPath::root(), meta)?;
    let mut walk = Walk {
        disk: &disk,
        writer,
        links: HashMap::new(),
        directories: HashSet::new(),
    };
    walk.directory(&EntryPath::root(), &root)
}

struct Walk<'a, 'w> {
    disk: &'a Disk<'a>,
    writer: &'a mut Writer<'w>,
    /// The first name of each file with several, by inode number.
    links: HashMap<u32, EntryPath>,
    /// Directories seen: one that comes again would be a loop.
    directories: HashSet<u32>,
}

impl Walk<'_, '_> {
    fn directory(&mut self, path: &EntryPath, directory: &Inode) -> Result<(), UnpackError> {
        if !self.directories.insert(directory.number) {
            return Err(corrupt(&format!(
                "directory {} is there twice",
                path.shown()
            )));
        }
        for (name, inode) in directory.entries(self.disk)? {
            if name.contains(&b'/') || matches!(name.as_slice(), b"" | b"." | b"..") {
                return Err(UnpackError::Path {
                    entry: shown(&name),
                    why: "not a name of a file",
                });
            }
            let path = path.join(OsStr::from_bytes(&name))?;
            let inode = Inode::read(self.disk, inode)?;
            self.entry(&path, &inode)?;
        }
        Ok(())
    }

    fn entry(&mut self, path: &EntryPath, inode: &Inode) -> Result<(), UnpackError> {
        if inode.links > 1 && !matches!(inode.kind, Kind::Directory { .. }) {
            if let Some(first) = self.links.get(&inode.number) {
                return self
                    .writer
                    .hard_link(path, first.as_path().as_os_str().as_bytes());
            }
            self.links.insert(inode.number, path.clone());
        }
        let meta = meta(self.disk, inode)?;
        match &inode.kind {
            Kind::Directory { .. } => {
                self.writer.directory(path, meta)?;
                self.directory(path, inode)
            }
            Kind::File(layout) => {
                let mut content = FileContent::new(self.disk, layout)?;
                self.writer.file(path, &meta, layout.size, &mut content)
            }
            Kind::Symlink(target) => self.writer.symlink(path, target, &meta),
            Kind::Fifo => self.writer.fifo(path, &meta),
            Kind::Device => self.skip(path, inode, super::DEVICE),
            Kind::Socket => self.skip(path, inode, super::SOCKET),
        }
    }

    fn skip(&mut self, path: &EntryPath, inode: &Inode, why: &str) -> Result<(), UnpackError> {
        // Its other names go the same way.
        self.links.remove(&inode.number);
        self.writer.skip(path, why)
    }
}

fn meta(disk: &Disk<'_>, inode: &Inode) -> Result<Meta, UnpackError> {
    Ok(Meta {
        mode: u32::from(inode.mode),
        uid: disk.id(inode.uid)?,
        gid: disk.id(inode.gid)?,
        mtime: Timespec {
            tv_sec: i64::from(inode.mtime),
            tv_nsec: 0,
        },
        xattrs: xattr::read(disk, inode.xattr)?,
    })
}
