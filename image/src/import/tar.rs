//! Reads tar archives: ustar, GNU and pax, with long names, attributes and sparse files.
//!
//! The `tar` crate decodes the fields of a header block. The blocks themselves are
//! walked here: what a stranger may make us hold in memory is bounded, attribute values
//! may be binary, and an archive that ends without its end marker is noticed.

mod pax;
mod sparse;

use std::ffi::CString;
use std::io::{self, Read};

use rustix::fs::Timespec;
use tar::{EntryType, Header};

use self::pax::Pax;
use self::sparse::Region;
use crate::error::{UnpackError, shown};
use crate::tree::{Content, Meta, kept_xattr};

const BLOCK: usize = 512;
/// Types of GNU tar that the crate does not name; both have data to be skipped.
const VOLUME_LABEL: u8 = b'V';
const DUMPED_DIRECTORY: u8 = b'D';
/// A long name or a pax header. Linux takes no name over 4 KiB and no attribute over
/// 64 KiB; some files have a few attributes.
const MAX_EXTENSION: u64 = 1 << 20;

/// A member of an archive.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) name: Vec<u8>,
    pub(crate) kind: Kind,
    pub(crate) meta: Meta,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Directory,
    /// With its size; the content is read from [`TarReader::content`].
    File(u64),
    Symlink(Vec<u8>),
    HardLink(Vec<u8>),
    Fifo,
    Device,
}

/// Whether the first block of a file is a tar header.
pub(crate) fn is_header(block: &[u8]) -> bool {
    block.first_chunk::<BLOCK>().is_some_and(|block| {
        let header = header_of(block);
        block.iter().any(|&byte| byte != 0) && checksum_fits(&header)
    })
}

/// Reads members one after another.
pub(crate) struct TarReader<R> {
    source: R,
    /// Format for messages about the source: `tar` or the compression around it.
    format: &'static str,
    read: u64,
    limit: u64,
    /// Bytes of the current member not read yet, and those up to the block's end.
    left: u64,
    padding: u64,
    /// Of the current member, when it is sparse.
    regions: Vec<Region>,
    position: u64,
    name: Vec<u8>,
    global: Pax,
}

impl<R: Read> TarReader<R> {
    /// `limit` is for the bytes of the whole archive.
    pub(crate) fn new(source: R, format: &'static str, limit: u64) -> Self {
        Self {
            source,
            format,
            read: 0,
            limit,
            left: 0,
            padding: 0,
            regions: Vec::new(),
            position: 0,
            name: Vec::new(),
            global: Pax::default(),
        }
    }

    /// The next member, after what is left of the one before.
    pub(crate) fn next(&mut self) -> Result<Option<Member>, UnpackError> {
        let mut long_name = None;
        let mut long_link = None;
        let mut pax = Pax::default();
        loop {
            self.skip()?;
            let Some(block) = self.header_block()? else {
                return Ok(None);
            };
            let header = header_of(&block);
            if !checksum_fits(&header) {
                return Err(self.corrupt("a header with a wrong checksum"));
            }
            self.left = field(header.entry_size(), "size").map_err(|what| self.corrupt(&what))?;
            self.set_padding();
            match header.entry_type() {
                EntryType::GNULongName => long_name = Some(self.extension_text()?),
                EntryType::GNULongLink => long_link = Some(self.extension_text()?),
                EntryType::XHeader => pax = self.pax()?,
                EntryType::XGlobalHeader => {
                    let global = self.pax()?;
                    self.global.merge(global);
                }
                kind if kind.as_byte() == VOLUME_LABEL => {}
                _ => {
                    let mut all = self.global.clone();
                    all.merge(pax);
                    return self.member(&block, long_name, long_link, &all).map(Some);
                }
            }
        }
    }

    /// Reads everything behind the end marker, so that a checksum of the compression is
    /// verified and the digest covers the whole stream.
    pub(crate) fn drain(mut self) -> Result<R, UnpackError> {
        let mut buffer = vec![0; 64 << 10];
        while self.read_some(&mut buffer)? > 0 {}
        Ok(self.source)
    }

    /// The content of the current member.
    pub(crate) fn content(&mut self) -> MemberContent<'_, R> {
        MemberContent { reader: self }
    }

    fn member(
        &mut self,
        block: &[u8; BLOCK],
        long_name: Option<Vec<u8>>,
        long_link: Option<Vec<u8>>,
        pax: &Pax,
    ) -> Result<Member, UnpackError> {
        let header = header_of(block);
        let name = pax.get(b"path").map(<[u8]>::to_vec).or(long_name);
        let mut name = name.unwrap_or_else(|| header.path_bytes().into_owned());
        self.name.clone_from(&name);
        let link = pax.get(b"linkpath").map(<[u8]>::to_vec).or(long_link);
        let link = link.or_else(|| header.link_name_bytes().map(std::borrow::Cow::into_owned));
        let link = link.unwrap_or_default();
        if let Some(size) = pax.number(b"size").map_err(|what| self.corrupt(&what))? {
            self.left = size;
            self.set_padding();
        }
        if has_no_data(header.entry_type()) {
            (self.left, self.padding) = (0, 0);
        }
        let mut size = self.left;
        self.position = 0;
        self.regions.clear();
        if header.entry_type() == EntryType::GNUSparse {
            (self.regions, size) = self.gnu_sparse(block)?;
        } else if pax.is_sparse() {
            (self.regions, size) = self.pax_sparse(pax)?;
            name = pax.get(b"GNU.sparse.name").map_or(name, <[u8]>::to_vec);
        }
        let kind = match header.entry_type() {
            EntryType::Directory => Kind::Directory,
            // Before POSIX, a slash was all that told a directory.
            EntryType::Regular if name.ends_with(b"/") => Kind::Directory,
            EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => Kind::File(size),
            EntryType::Symlink => Kind::Symlink(link),
            EntryType::Link => Kind::HardLink(link),
            EntryType::Fifo => Kind::Fifo,
            EntryType::Char | EntryType::Block => Kind::Device,
            other if other.as_byte() == DUMPED_DIRECTORY => Kind::Directory,
            other => {
                let kind = char::from(other.as_byte());
                let what = format!(
                    "entry {} has the type {kind:?}, which a root filesystem cannot have",
                    shown(&name)
                );
                return Err(UnpackError::Unsupported { what });
            }
        };
        let meta = meta(&header, pax).map_err(|what| self.corrupt(&what))?;
        Ok(Member { name, kind, meta })
    }

    /// A header, or `None` at the end marker.
    fn header_block(&mut self) -> Result<Option<[u8; BLOCK]>, UnpackError> {
        let mut block = [0; BLOCK];
        let n = self.fill(&mut block)?;
        if n < BLOCK {
            // The end marker is what tells a whole archive from one cut between members.
            let after = match self.name.as_slice() {
                [] => "before its first entry".to_owned(),
                name => format!("after {}, without an end marker", shown(name)),
            };
            return Err(UnpackError::Truncated { place: after });
        }
        Ok(block.iter().any(|&byte| byte != 0).then_some(block))
    }

    fn skip(&mut self) -> Result<(), UnpackError> {
        let mut buffer = [0; 4096];
        let mut todo = self.left.saturating_add(self.padding);
        while todo > 0 {
            let want = usize::try_from(todo).map_or(buffer.len(), |n| n.min(buffer.len()));
            match self.read_some(&mut buffer[..want])? {
                0 => return Err(self.truncated()),
                n => todo -= n as u64,
            }
        }
        (self.left, self.padding) = (0, 0);
        Ok(())
    }

    fn pax(&mut self) -> Result<Pax, UnpackError> {
        let bytes = self.extension()?;
        Pax::parse(&bytes).map_err(|what| self.corrupt(what))
    }

    fn extension_text(&mut self) -> Result<Vec<u8>, UnpackError> {
        let mut bytes = self.extension()?;
        let end = bytes
            .iter()
            .position(|&byte| byte == 0)
            .unwrap_or(bytes.len());
        bytes.truncate(end);
        Ok(bytes)
    }

    fn extension(&mut self) -> Result<Vec<u8>, UnpackError> {
        if self.left > MAX_EXTENSION {
            return Err(self.corrupt("a name or an attribute of more than 1 MiB"));
        }
        let mut bytes = vec![0; self.left as usize];
        let n = self.fill(&mut bytes)?;
        if n < bytes.len() {
            return Err(self.truncated());
        }
        self.left = 0;
        Ok(bytes)
    }

    /// Reads until the buffer is full or the source ends.
    fn fill(&mut self, buffer: &mut [u8]) -> Result<usize, UnpackError> {
        let mut n = 0;
        while n < buffer.len() {
            match self.read_some(&mut buffer[n..])? {
                0 => break,
                more => n += more,
            }
        }
        Ok(n)
    }

    fn read_some(&mut self, buffer: &mut [u8]) -> Result<usize, UnpackError> {
        let n = loop {
            match self.source.read(buffer) {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Ok(n) => break n,
                Err(source) => {
                    return Err(UnpackError::Decode {
                        format: self.format,
                        source,
                    });
                }
            }
        };
        self.read += n as u64;
        if self.read > self.limit {
            return Err(UnpackError::TooManyBytes { limit: self.limit });
        }
        Ok(n)
    }

    fn set_padding(&mut self) {
        self.padding = self.left.wrapping_neg() % BLOCK as u64;
    }

    fn truncated(&self) -> UnpackError {
        UnpackError::Truncated {
            place: format!("in the middle of {}", shown(&self.name)),
        }
    }

    fn corrupt(&self, what: &str) -> UnpackError {
        let place = match self.name.as_slice() {
            [] => "at the beginning".to_owned(),
            name => format!("at or after {}", shown(name)),
        };
        UnpackError::Corrupt {
            what: format!("{what}, {place}"),
        }
    }
}

/// See [`TarReader::content`].
pub(crate) struct MemberContent<'a, R> {
    reader: &'a mut TarReader<R>,
}

impl<R: Read> Content for MemberContent<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, UnpackError> {
        let reader = &mut *self.reader;
        let mut want = usize::try_from(reader.left).map_or(buffer.len(), |n| n.min(buffer.len()));
        if !reader.regions.is_empty() {
            match sparse::at(&reader.regions, reader.position) {
                sparse::At::Hole(length) => {
                    let n = usize::try_from(length).map_or(buffer.len(), |n| n.min(buffer.len()));
                    buffer[..n].fill(0);
                    reader.position += n as u64;
                    return Ok(n);
                }
                sparse::At::Data(length) => {
                    want = usize::try_from(length).map_or(want, |n| n.min(want));
                }
            }
        }
        let n = reader.read_some(&mut buffer[..want])?;
        reader.left -= n as u64;
        reader.position += n as u64;
        Ok(n)
    }
}

/// Some programs write the size of the target into a link's header, with no data.
fn has_no_data(kind: EntryType) -> bool {
    kind.is_dir()
        || kind.is_symlink()
        || kind.is_hard_link()
        || kind.is_fifo()
        || kind.is_character_special()
        || kind.is_block_special()
}

fn header_of(block: &[u8; BLOCK]) -> Header {
    let mut header = Header::new_old();
    header.as_mut_bytes().copy_from_slice(block);
    header
}

/// The sum of all bytes with the checksum's own as spaces; some old programs summed
/// signed bytes.
fn checksum_fits(header: &Header) -> bool {
    let Ok(expected) = header.cksum() else {
        return false;
    };
    let bytes = header.as_bytes();
    let counted = || bytes[..148].iter().chain(&bytes[156..]).copied();
    let unsigned: u32 = 8 * 32 + counted().map(u32::from).sum::<u32>();
    let signed: i32 = 8 * 32 + counted().map(|byte| i32::from(byte as i8)).sum::<i32>();
    expected == unsigned || i64::from(expected) == i64::from(signed)
}

fn field<T>(value: io::Result<T>, name: &str) -> Result<T, String> {
    value.map_err(|_| format!("a header whose {name} is no number"))
}

fn meta(header: &Header, pax: &Pax) -> Result<Meta, String> {
    let id = |pax_key: &[u8], header: io::Result<u64>, name| {
        let id = match pax.number(pax_key)? {
            Some(id) => id,
            None => field(header, name)?,
        };
        // -1 means "do not change" to the kernel.
        u32::try_from(id)
            .ok()
            .filter(|&id| id != u32::MAX)
            .ok_or_else(|| format!("{name} {id}"))
    };
    let mtime = if let Some(text) = pax.get(b"mtime") {
        pax::time(text).ok_or("a time that is no number")?
    } else {
        let seconds = field(header.mtime(), "time")?;
        Timespec {
            tv_sec: i64::try_from(seconds).unwrap_or(0),
            tv_nsec: 0,
        }
    };
    let mut xattrs: Vec<_> = pax
        .xattrs()
        .filter(|(name, _)| kept_xattr(name))
        .filter_map(|(name, value)| Some((CString::new(name).ok()?, value.to_vec())))
        .collect();
    xattrs.sort();
    Ok(Meta {
        mode: field(header.mode(), "mode")?,
        uid: id(b"uid", header.uid(), "user id")?,
        gid: id(b"gid", header.gid(), "group id")?,
        mtime,
        xattrs,
    })
}
