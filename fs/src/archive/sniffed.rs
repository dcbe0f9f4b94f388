//! What an archive turns out to be by its first bytes.

use std::io::{self, Read};

use super::ArchiveError;
use super::error::stream;

/// A stream whose first bytes are looked at: a compressed archive is told by name.
pub(super) struct Sniffed<R> {
    first: io::Cursor<Vec<u8>>,
    rest: R,
}

impl<R: Read> Sniffed<R> {
    pub(super) fn new(mut from: R) -> Result<Self, ArchiveError> {
        let mut first = Vec::new();
        from.by_ref()
            .take(6)
            .read_to_end(&mut first)
            .map_err(stream("read"))?;
        let known: [(&[u8], _, _); 4] = [
            (&[0x1f, 0x8b], "gzip", "gzip -dc"),
            (&[0x28, 0xb5, 0x2f, 0xfd], "zstd", "zstd -dc"),
            (b"\xfd7zXZ\0", "xz", "xz -dc"),
            (b"BZh", "bzip2", "bzip2 -dc"),
        ];
        for (magic, with, tool) in known {
            if first.starts_with(magic) {
                return Err(ArchiveError::Compressed { with, tool });
            }
        }
        Ok(Self {
            first: io::Cursor::new(first),
            rest: from,
        })
    }
}

impl<R: Read> Read for Sniffed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.first.read(buffer)? {
            0 => self.rest.read(buffer),
            read => Ok(read),
        }
    }
}
