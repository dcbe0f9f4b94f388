//! Inodes and directories.

use super::disk::{Cursor, Disk, NONE, corrupt};
use crate::error::UnpackError;

/// The longest target of a symbolic link that Linux takes.
const MAX_TARGET: usize = 4095;
/// An empty directory has this size: it counts `.` and `..`.
const EMPTY: u32 = 3;

#[derive(Debug)]
pub(super) struct Inode {
    pub(super) number: u32,
    pub(super) mode: u16,
    /// Indices of the id table.
    pub(super) uid: u16,
    pub(super) gid: u16,
    pub(super) mtime: u32,
    pub(super) links: u32,
    /// Index of the attribute table, [`NONE`] without attributes.
    pub(super) xattr: u32,
    pub(super) kind: Kind,
}

#[derive(Debug)]
pub(super) enum Kind {
    Directory { block: u32, offset: u16, size: u32 },
    File(Layout),
    Symlink(Vec<u8>),
    Device,
    Fifo,
    Socket,
}

/// Where a file's content is.
#[derive(Debug)]
pub(super) struct Layout {
    pub(super) size: u64,
    pub(super) start: u64,
    /// Fragment with the file's end, [`NONE`] when it has blocks of its own only.
    pub(super) fragment: u32,
    pub(super) fragment_offset: u32,
    /// Reference to the sizes of the blocks, behind the inode.
    pub(super) sizes: BlockSizes,
}

/// A place in the inode table.
#[derive(Debug, Clone, Copy)]
pub(super) struct BlockSizes {
    pub(super) inode: u64,
    /// Bytes from the inode's beginning.
    pub(super) skip: usize,
}

impl Inode {
    /// The inode that a reference leads to.
    pub(super) fn read(disk: &Disk<'_>, reference: u64) -> Result<Self, UnpackError> {
        let mut at = disk.follow(disk.superblock.inode_table, reference)?;
        let (kind, mode) = (at.u16()?, at.u16()?);
        let (uid, gid) = (at.u16()?, at.u16()?);
        let (mtime, number) = (at.u32()?, at.u32()?);
        let sizes = |skip| BlockSizes {
            inode: reference,
            skip,
        };
        // The order of the fields is the kernel's `struct squashfs_*_inode`.
        let (links, xattr, kind) = match kind {
            1 => {
                let (block, links) = (at.u32()?, at.u32()?);
                let (size, offset) = (u32::from(at.u16()?), at.u16()?);
                (
                    links,
                    NONE,
                    Kind::Directory {
                        block,
                        offset,
                        size,
                    },
                )
            }
            8 => {
                let (links, size) = (at.u32()?, at.u32()?);
                let (block, _parent) = (at.u32()?, at.u32()?);
                let (_indices, offset) = (at.u16()?, at.u16()?);
                (
                    links,
                    at.u32()?,
                    Kind::Directory {
                        block,
                        offset,
                        size,
                    },
                )
            }
            2 => {
                let (start, fragment) = (u64::from(at.u32()?), at.u32()?);
                let (fragment_offset, size) = (at.u32()?, u64::from(at.u32()?));
                let sizes = sizes(32);
                (
                    1,
                    NONE,
                    Kind::File(Layout {
                        size,
                        start,
                        fragment,
                        fragment_offset,
                        sizes,
                    }),
                )
            }
            9 => {
                let (start, size, _sparse) = (at.u64()?, at.u64()?, at.u64()?);
                let (links, fragment) = (at.u32()?, at.u32()?);
                let (fragment_offset, xattr) = (at.u32()?, at.u32()?);
                let sizes = sizes(56);
                (
                    links,
                    xattr,
                    Kind::File(Layout {
                        size,
                        start,
                        fragment,
                        fragment_offset,
                        sizes,
                    }),
                )
            }
            3 | 10 => {
                let (links, length) = (at.u32()?, at.u32()? as usize);
                if length > MAX_TARGET {
                    return Err(corrupt("a symbolic link with too long a target"));
                }
                let target = at.bytes(length)?;
                let xattr = if kind == 10 { at.u32()? } else { NONE };
                (links, xattr, Kind::Symlink(target))
            }
            4 | 5 | 11 | 12 => (at.u32()?, NONE, Kind::Device),
            6 => (at.u32()?, NONE, Kind::Fifo),
            13 => (at.u32()?, at.u32()?, Kind::Fifo),
            7 | 14 => (at.u32()?, NONE, Kind::Socket),
            other => return Err(corrupt(&format!("an inode of the unknown type {other}"))),
        };
        Ok(Self {
            number,
            mode,
            uid,
            gid,
            mtime,
            links,
            xattr,
            kind,
        })
    }

    /// Names in a directory with references to their inodes.
    pub(super) fn entries(&self, disk: &Disk<'_>) -> Result<Vec<(Vec<u8>, u64)>, UnpackError> {
        let Kind::Directory {
            block,
            offset,
            size,
        } = self.kind
        else {
            return Ok(Vec::new());
        };
        let mut entries = Vec::new();
        if size <= EMPTY {
            return Ok(entries);
        }
        let mut left = Left((size - EMPTY) as usize);
        let table = disk.superblock.directory_table;
        let mut at = disk.cursor(table, u64::from(block), usize::from(offset))?;
        while left.0 > 0 {
            left.take(12)?;
            let (count, start) = (at.u32()?, at.u32()?);
            let _first_number = at.u32()?;
            if count > 255 {
                return Err(corrupt("a directory with an impossible number of entries"));
            }
            for _ in 0..=count {
                entries.push(entry(&mut at, &mut left, start)?);
            }
        }
        Ok(entries)
    }
}

fn entry(at: &mut Cursor<'_>, left: &mut Left, start: u32) -> Result<(Vec<u8>, u64), UnpackError> {
    left.take(8)?;
    let (offset, _number, _kind) = (at.u16()?, at.u16()?, at.u16()?);
    let length = usize::from(at.u16()?) + 1;
    left.take(length)?;
    Ok((
        at.bytes(length)?,
        u64::from(start) << 16 | u64::from(offset),
    ))
}

/// Bytes left in a directory.
struct Left(usize);

impl Left {
    fn take(&mut self, bytes: usize) -> Result<(), UnpackError> {
        let left = self.0.checked_sub(bytes);
        self.0 = left.ok_or_else(|| corrupt("a directory that ends within an entry"))?;
        Ok(())
    }
}
