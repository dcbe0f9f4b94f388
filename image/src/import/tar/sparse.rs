//! Sparse files: a map of the regions that have data, then the data without the holes.

use std::io::Read;

use tar::GnuExtSparseHeader;

use super::pax::{Pax, number};
use super::{BLOCK, TarReader, header_of};
use crate::error::{UnpackError, shown};

/// Regions of a file: more make no sense in a root filesystem.
const MAX_REGIONS: u64 = 100_000;

/// Where a file has data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Region {
    pub(super) offset: u64,
    pub(super) length: u64,
}

/// What is at a position of a sparse file, and for how many bytes.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum At {
    Hole(u64),
    Data(u64),
}

pub(super) fn at(regions: &[Region], position: u64) -> At {
    // Checked when the map was read: in order, no overlap, no overflow.
    let next = regions.partition_point(|region| region.offset + region.length <= position);
    match regions.get(next) {
        Some(region) if region.offset <= position => {
            At::Data(region.offset + region.length - position)
        }
        Some(region) => At::Hole(region.offset - position),
        None => At::Hole(u64::MAX),
    }
}

impl<R: Read> TarReader<R> {
    /// GNU's own format: four regions in the header, more in blocks behind it.
    pub(super) fn gnu_sparse(
        &mut self,
        block: &[u8; BLOCK],
    ) -> Result<(Vec<Region>, u64), UnpackError> {
        let header = header_of(block);
        let bad = |reader: &Self| reader.corrupt("a bad map of a sparse file");
        let gnu = header.as_gnu().ok_or_else(|| bad(self))?;
        let mut regions = Vec::new();
        let mut add = |entry: &tar::GnuSparseHeader| {
            if entry.is_empty() {
                return Some(());
            }
            let region = Region {
                offset: entry.offset().ok()?,
                length: entry.length().ok()?,
            };
            regions.push(region);
            Some(())
        };
        gnu.sparse
            .iter()
            .try_for_each(&mut add)
            .ok_or_else(|| bad(self))?;
        let mut extended = gnu.is_extended();
        let mut blocks = 0;
        while extended {
            let mut more = GnuExtSparseHeader::new();
            blocks += 1;
            if blocks * 21 > MAX_REGIONS {
                return Err(bad(self));
            }
            if self.fill(more.as_mut_bytes())? < BLOCK {
                return Err(self.truncated());
            }
            more.sparse
                .iter()
                .try_for_each(&mut add)
                .ok_or_else(|| bad(self))?;
            extended = more.is_extended();
        }
        let size = gnu.real_size().map_err(|_| bad(self))?;
        self.checked(regions, size)
    }

    /// The pax format 1.0: the map is text at the beginning of the data.
    pub(super) fn pax_sparse(&mut self, pax: &Pax) -> Result<(Vec<Region>, u64), UnpackError> {
        if (pax.get(b"GNU.sparse.major"), pax.get(b"GNU.sparse.minor")) != (Some(b"1"), Some(b"0"))
        {
            let what = format!(
                "entry {} is sparse in an old pax format; make the archive without --sparse",
                shown(&self.name)
            );
            return Err(UnpackError::Unsupported { what });
        }
        let size = pax
            .number(b"GNU.sparse.realsize")
            .map_err(|what| self.corrupt(&what))?;
        let size = size.ok_or_else(|| self.corrupt("a sparse file without its size"))?;
        let mut map = Map {
            block: [0; BLOCK],
            position: BLOCK,
        };
        let count = map.number(self)?;
        if count > MAX_REGIONS {
            return Err(self.corrupt("a sparse file with too many regions"));
        }
        let mut regions = Vec::new();
        for _ in 0..count {
            let (offset, length) = (map.number(self)?, map.number(self)?);
            regions.push(Region { offset, length });
        }
        self.checked(regions, size)
    }

    fn checked(
        &self,
        mut regions: Vec<Region>,
        size: u64,
    ) -> Result<(Vec<Region>, u64), UnpackError> {
        let mut end = 0;
        let mut data = 0_u64;
        for region in &regions {
            let next = region
                .offset
                .checked_add(region.length)
                .filter(|&next| next <= size);
            let next = next.filter(|_| region.offset >= end);
            end = next.ok_or_else(|| self.corrupt("a bad map of a sparse file"))?;
            data += region.length;
        }
        if data != self.left {
            return Err(self.corrupt("a map of a sparse file that does not fit its data"));
        }
        // Also tells a sparse file without data from one that is not sparse.
        regions.push(Region {
            offset: size,
            length: 0,
        });
        Ok((regions, size))
    }
}

/// Reads the decimal numbers of a pax map, each on a line, padded to whole blocks.
struct Map {
    block: [u8; BLOCK],
    position: usize,
}

impl Map {
    fn number<R: Read>(&mut self, reader: &mut TarReader<R>) -> Result<u64, UnpackError> {
        let mut digits = Vec::new();
        loop {
            if self.position == BLOCK {
                if reader.left < BLOCK as u64 || reader.fill(&mut self.block)? < BLOCK {
                    return Err(reader.truncated());
                }
                reader.left -= BLOCK as u64;
                self.position = 0;
            }
            let byte = self.block[self.position];
            self.position += 1;
            match byte {
                b'\n' => break,
                b'0'..=b'9' if digits.len() < 20 => digits.push(byte),
                _ => return Err(reader.corrupt("a bad map of a sparse file")),
            }
        }
        number(&digits).ok_or_else(|| reader.corrupt("a bad map of a sparse file"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_fall_into_holes_and_data() {
        let regions = [
            Region {
                offset: 10,
                length: 5,
            },
            Region {
                offset: 15,
                length: 5,
            },
            Region {
                offset: 100,
                length: 0,
            },
        ];
        assert_eq!(at(&regions, 0), At::Hole(10));
        assert_eq!(at(&regions, 12), At::Data(3));
        assert_eq!(at(&regions, 15), At::Data(5));
        assert_eq!(at(&regions, 20), At::Hole(80));
        assert_eq!(at(&regions, 100), At::Hole(u64::MAX));
    }
}
