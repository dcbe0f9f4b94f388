//! The superblock, compressed blocks, and streams of metadata blocks.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::FileExt as _;
use std::rc::Rc;

use flate2::read::ZlibDecoder;

use super::super::decoder::decoder;
use super::super::format::Format;
use crate::error::UnpackError;

/// Uncompressed size of a metadata block.
const METADATA: usize = 8192;
const SUPERBLOCK: usize = 96;
/// Metadata blocks kept unpacked: 4 MiB.
const CACHED: usize = 512;
/// "There is none", of fragments, attributes and tables.
pub(super) const NONE: u32 = u32::MAX;

#[derive(Debug, Clone, Copy)]
enum Compression {
    Zlib,
    Xz,
    Zstd,
}

#[derive(Debug)]
pub(super) struct Superblock {
    pub(super) block_size: u32,
    pub(super) root_inode: u64,
    pub(super) inode_table: u64,
    pub(super) directory_table: u64,
    pub(super) xattr_table: u64,
    fragment_table: u64,
    fragments: u32,
    compression: Compression,
}

/// An open squashfs.
pub(super) struct Disk<'a> {
    file: &'a File,
    pub(super) superblock: Superblock,
    ids: Vec<u32>,
    metadata: RefCell<HashMap<u64, Metadata>>,
    /// The last fragment: small files lie side by side in one.
    fragment: RefCell<Option<(u32, Rc<[u8]>)>>,
}

/// An unpacked metadata block and where the next one begins.
type Metadata = (Rc<[u8]>, u64);

pub(super) fn corrupt(what: &str) -> UnpackError {
    UnpackError::Corrupt {
        what: what.to_owned(),
    }
}

impl<'a> Disk<'a> {
    pub(super) fn open(file: &'a File) -> Result<Self, UnpackError> {
        let mut bytes = [0; SUPERBLOCK];
        read_at(file, 0, &mut bytes)?;
        // Behind the magic number, the number of inodes and the time.
        let mut fields = Fields(&bytes[12..]);
        let (block_size, fragments) = (fields.u32()?, fields.u32()?);
        let (compression, block_log) = (fields.u16()?, fields.u16()?);
        let (_flags, ids) = (fields.u16()?, fields.u16()?);
        let version = (fields.u16()?, fields.u16()?);
        let (root_inode, used) = (fields.u64()?, fields.u64()?);
        let (id_table, xattr_table) = (fields.u64()?, fields.u64()?);
        let (inode_table, directory_table) = (fields.u64()?, fields.u64()?);
        let fragment_table = fields.u64()?;
        if version != (4, 0) {
            let what = "this squashfs is not of version 4.0; make it again with mksquashfs";
            return Err(UnpackError::Unsupported {
                what: what.to_owned(),
            });
        }
        if !(4096..=1 << 20).contains(&block_size) || block_size != 1 << block_log.min(31) {
            return Err(corrupt("a block size that squashfs does not have"));
        }
        let size = file.metadata().map_or(0, |stat| stat.len());
        if used > size {
            let place = format!("after {size} bytes of {used}");
            return Err(UnpackError::Truncated { place });
        }
        let superblock = Superblock {
            block_size,
            root_inode,
            inode_table,
            directory_table,
            xattr_table,
            fragment_table,
            fragments,
            compression: compression_of(compression)?,
        };
        let mut disk = Self {
            file,
            superblock,
            ids: Vec::new(),
            metadata: RefCell::default(),
            fragment: RefCell::default(),
        };
        disk.ids = (0..u32::from(ids))
            .map(|index| disk.table_entry(id_table, index, 4)?.u32())
            .collect::<Result<_, _>>()?;
        Ok(disk)
    }

    /// The user or group id with an index of the id table.
    pub(super) fn id(&self, index: u16) -> Result<u32, UnpackError> {
        let id = self.ids.get(usize::from(index)).copied();
        id.filter(|&id| id != u32::MAX)
            .ok_or_else(|| corrupt("an owner that is not in the table"))
    }

    /// Bytes `offset..offset + length` of a fragment block.
    pub(super) fn fragment(
        &self,
        index: u32,
        offset: u32,
        length: usize,
    ) -> Result<Vec<u8>, UnpackError> {
        let cached = self
            .fragment
            .borrow()
            .as_ref()
            .filter(|(i, _)| *i == index)
            .cloned();
        let block = if let Some((_, block)) = cached {
            block
        } else {
            if index >= self.superblock.fragments {
                return Err(corrupt("a fragment that is not in the table"));
            }
            let mut entry = self.table_entry(self.superblock.fragment_table, index, 16)?;
            let (start, size) = (entry.u64()?, entry.u32()?);
            let block: Rc<[u8]> = self.block(start, size)?.into();
            *self.fragment.borrow_mut() = Some((index, block.clone()));
            block
        };
        let start = offset as usize;
        let part = block.get(start..start.saturating_add(length));
        Ok(part
            .ok_or_else(|| corrupt("a file beyond the end of its fragment"))?
            .to_vec())
    }

    /// A data block: bit 24 of `size` says that it is stored as it is.
    pub(super) fn block(&self, start: u64, size: u32) -> Result<Vec<u8>, UnpackError> {
        let length = (size & 0x00ff_ffff) as usize;
        if length > self.superblock.block_size as usize {
            return Err(corrupt("a data block larger than the block size"));
        }
        let mut bytes = vec![0; length];
        read_at(self.file, start, &mut bytes)?;
        if size & 1 << 24 != 0 {
            return Ok(bytes);
        }
        self.unpack(&bytes, self.superblock.block_size as usize)
    }

    /// Entry `index` of a table: metadata blocks that a list of positions leads to.
    pub(super) fn table_entry(
        &self,
        list: u64,
        index: u32,
        entry: usize,
    ) -> Result<Cursor<'_>, UnpackError> {
        let per_block = (METADATA / entry) as u64;
        let index = u64::from(index);
        let mut position = [0; 8];
        let at = list
            .checked_add(index / per_block * 8)
            .ok_or_else(|| corrupt("a bad table"))?;
        read_at(self.file, at, &mut position)?;
        let offset = (index % per_block) as usize * entry;
        self.cursor(u64::from_le_bytes(position), 0, offset)
    }

    /// Metadata from the block at `table + start`, and `offset` within what is in it.
    pub(super) fn cursor(
        &self,
        table: u64,
        start: u64,
        offset: usize,
    ) -> Result<Cursor<'_>, UnpackError> {
        let position = table
            .checked_add(start)
            .ok_or_else(|| corrupt("a bad reference"))?;
        let (block, next) = self.metadata(position)?;
        if offset > block.len() {
            return Err(corrupt("a reference beyond the end of a metadata block"));
        }
        Ok(Cursor {
            disk: self,
            block,
            next,
            offset,
        })
    }

    /// [`cursor`](Self::cursor) for a reference: block and offset in one number.
    pub(super) fn follow(&self, table: u64, reference: u64) -> Result<Cursor<'_>, UnpackError> {
        self.cursor(table, reference >> 16, (reference & 0xffff) as usize)
    }

    /// `bytes` at a position of the file, for what is not compressed.
    pub(super) fn plain<const N: usize>(&self, at: u64) -> Result<[u8; N], UnpackError> {
        let mut bytes = [0; N];
        read_at(self.file, at, &mut bytes)?;
        Ok(bytes)
    }

    fn metadata(&self, position: u64) -> Result<Metadata, UnpackError> {
        if let Some(known) = self.metadata.borrow().get(&position) {
            return Ok(known.clone());
        }
        let header = u16::from_le_bytes(self.plain(position)?);
        let length = usize::from(header & 0x7fff);
        if length == 0 || length > METADATA {
            return Err(corrupt("a metadata block of an impossible size"));
        }
        let mut bytes = vec![0; length];
        read_at(self.file, position + 2, &mut bytes)?;
        if header & 0x8000 == 0 {
            bytes = self.unpack(&bytes, METADATA)?;
        }
        let known: Metadata = (bytes.into(), position + 2 + length as u64);
        let mut cache = self.metadata.borrow_mut();
        if cache.len() >= CACHED {
            cache.clear();
        }
        cache.insert(position, known.clone());
        Ok(known)
    }

    fn unpack(&self, bytes: &[u8], most: usize) -> Result<Vec<u8>, UnpackError> {
        let limit = most as u64 + 1;
        let mut unpacked = Vec::with_capacity(most);
        let (format, read) = match self.superblock.compression {
            Compression::Zlib => (
                "gzip",
                ZlibDecoder::new(bytes)
                    .take(limit)
                    .read_to_end(&mut unpacked),
            ),
            Compression::Xz => ("xz", stream(Format::Xz, bytes, limit, &mut unpacked)),
            Compression::Zstd => ("zstd", stream(Format::Zstd, bytes, limit, &mut unpacked)),
        };
        read.map_err(|source| UnpackError::Decode { format, source })?;
        if unpacked.len() > most {
            return Err(corrupt("a block that unpacks to more than a block"));
        }
        Ok(unpacked)
    }
}

fn stream(format: Format, bytes: &[u8], limit: u64, to: &mut Vec<u8>) -> io::Result<usize> {
    decoder(format, bytes).take(limit).read_to_end(to)
}

fn compression_of(id: u16) -> Result<Compression, UnpackError> {
    let other = match id {
        1 => return Ok(Compression::Zlib),
        4 => return Ok(Compression::Xz),
        6 => return Ok(Compression::Zstd),
        2 => "lzma",
        3 => "lzo",
        5 => "lz4",
        _ => return Err(corrupt("an unknown compression")),
    };
    let what = format!(
        "this squashfs is compressed with {other}; make it again with `mksquashfs ... -comp zstd`"
    );
    Err(UnpackError::Unsupported { what })
}

fn read_at(file: &File, at: u64, bytes: &mut [u8]) -> Result<(), UnpackError> {
    file.read_exact_at(bytes, at).map_err(|e| match e.kind() {
        // Also EINVAL, for a position beyond what an off_t can say.
        io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidInput => {
            corrupt("a reference beyond the end of the file")
        }
        _ => UnpackError::Read {
            operation: "read",
            entry: "the squashfs".to_owned(),
            source: rustix::io::Errno::from_io_error(&e).unwrap_or(rustix::io::Errno::IO),
        },
    })
}

/// Reads on through metadata blocks.
#[derive(Clone)]
pub(super) struct Cursor<'a> {
    disk: &'a Disk<'a>,
    block: Rc<[u8]>,
    next: u64,
    offset: usize,
}

impl Cursor<'_> {
    pub(super) fn bytes(&mut self, length: usize) -> Result<Vec<u8>, UnpackError> {
        let mut bytes = Vec::with_capacity(length);
        while bytes.len() < length {
            if self.offset == self.block.len() {
                (self.block, self.next) = self.disk.metadata(self.next)?;
                self.offset = 0;
            }
            let n = (length - bytes.len()).min(self.block.len() - self.offset);
            // An empty block would be read for ever.
            if n == 0 {
                return Err(corrupt("an empty metadata block"));
            }
            bytes.extend_from_slice(&self.block[self.offset..self.offset + n]);
            self.offset += n;
        }
        Ok(bytes)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], UnpackError> {
        let bytes = self.bytes(N)?;
        bytes.try_into().map_err(|_| corrupt("a short field"))
    }

    pub(super) fn u16(&mut self) -> Result<u16, UnpackError> {
        self.array().map(u16::from_le_bytes)
    }

    pub(super) fn u32(&mut self) -> Result<u32, UnpackError> {
        self.array().map(u32::from_le_bytes)
    }

    pub(super) fn u64(&mut self) -> Result<u64, UnpackError> {
        self.array().map(u64::from_le_bytes)
    }
}

/// Little-endian fields of a fixed structure.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn array<const N: usize>(&mut self) -> Result<[u8; N], UnpackError> {
        let (field, rest) = self
            .0
            .split_first_chunk()
            .ok_or_else(|| corrupt("a short field"))?;
        self.0 = rest;
        Ok(*field)
    }

    fn u16(&mut self) -> Result<u16, UnpackError> {
        self.array().map(u16::from_le_bytes)
    }

    fn u32(&mut self) -> Result<u32, UnpackError> {
        self.array().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Result<u64, UnpackError> {
        self.array().map(u64::from_le_bytes)
    }
}
