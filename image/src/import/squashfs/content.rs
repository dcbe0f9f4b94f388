//! The content of a file: whole blocks, holes, and the end in a fragment.

use super::disk::{Cursor, Disk, NONE, corrupt};
use super::inode::Layout;
use crate::error::UnpackError;
use crate::tree::Content;

pub(super) struct FileContent<'a> {
    disk: &'a Disk<'a>,
    sizes: Cursor<'a>,
    position: u64,
    left: u64,
    fragment: Option<(u32, u32)>,
    block: Vec<u8>,
    offset: usize,
}

impl<'a> FileContent<'a> {
    pub(super) fn new(disk: &'a Disk<'a>, layout: &Layout) -> Result<Self, UnpackError> {
        let mut sizes = disk.follow(disk.superblock.inode_table, layout.sizes.inode)?;
        sizes.bytes(layout.sizes.skip)?;
        Ok(Self {
            disk,
            sizes,
            position: layout.start,
            left: layout.size,
            fragment: (layout.fragment != NONE)
                .then_some((layout.fragment, layout.fragment_offset)),
            block: Vec::new(),
            offset: 0,
        })
    }

    fn next_block(&mut self) -> Result<(), UnpackError> {
        let full = self.disk.superblock.block_size as usize;
        let length = usize::try_from(self.left).map_or(full, |left| left.min(full));
        self.block = match self.fragment {
            Some((index, offset)) if length < full => self.disk.fragment(index, offset, length)?,
            _ => match self.sizes.u32()? {
                // A hole is not stored at all.
                0 => vec![0; length],
                size => {
                    let block = self.disk.block(self.position, size)?;
                    self.position += u64::from(size & 0x00ff_ffff);
                    block
                }
            },
        };
        if self.block.len() != length {
            return Err(corrupt("a data block of the wrong size"));
        }
        self.left -= length as u64;
        self.offset = 0;
        Ok(())
    }
}

impl Content for FileContent<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, UnpackError> {
        if self.offset == self.block.len() {
            if self.left == 0 {
                return Ok(0);
            }
            self.next_block()?;
        }
        let n = buffer.len().min(self.block.len() - self.offset);
        buffer[..n].copy_from_slice(&self.block[self.offset..self.offset + n]);
        self.offset += n;
        Ok(n)
    }
}
