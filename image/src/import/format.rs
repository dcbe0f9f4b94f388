//! What a file is, told by its first bytes.

use super::tar;

/// Enough for every magic number: a tar header.
pub(super) const PROBE: usize = 512;

/// A format that can be imported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Tar,
    Gzip,
    Zstd,
    Xz,
    Squashfs,
}

impl Format {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Tar => "tar",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
            Self::Xz => "xz",
            Self::Squashfs => "squashfs",
        }
    }
}

/// Formats people try, and what to do about them.
const REFUSED: &[(&[u8], &str)] = &[
    (
        b"BZh",
        "it is compressed with bzip2; unpack it with `bunzip2` first",
    ),
    (
        b"\x04\x22\x4d\x18",
        "it is compressed with lz4; unpack it with `unlz4` first",
    ),
    (
        b"\x5d\0\0",
        "it is compressed with lzma; unpack it with `unlzma` first",
    ),
    (
        b"PK\x03\x04",
        "it is a zip archive; make a tar archive of its content",
    ),
    (
        b"070701",
        "it is a cpio archive; make a tar archive of its content",
    ),
    (
        b"QFI\xfb",
        "it is a virtual disk (qcow2), not a root filesystem",
    ),
    (b"\x7fELF", "it is a program, not a root filesystem"),
    (
        b"sqsh",
        "it is a big-endian squashfs; make it again with a current mksquashfs",
    ),
    (
        b"!<arch>",
        "it is an ar archive (a Debian package?), not a root filesystem",
    ),
    (b"{", "it is JSON, not a root filesystem"),
];

/// The format of a file that begins with `head`, or what it is instead.
pub(super) fn detect(head: &[u8]) -> Result<Format, &'static str> {
    if head.is_empty() {
        return Err("it is empty");
    }
    if tar::is_header(head) {
        return Ok(Format::Tar);
    }
    let magic: &[(&[u8], Format)] = &[
        (b"\x1f\x8b", Format::Gzip),
        (b"\x28\xb5\x2f\xfd", Format::Zstd),
        (b"\xfd7zXZ\0", Format::Xz),
        (b"hsqs", Format::Squashfs),
    ];
    if let Some((_, format)) = magic.iter().find(|(magic, _)| head.starts_with(magic)) {
        return Ok(*format);
    }
    // A skippable frame, which pzstd and seekable zstd write.
    if head.len() > 4 && head[0] & 0xf0 == 0x50 && head[1..4] == [0x2a, 0x4d, 0x18] {
        return Ok(Format::Zstd);
    }
    if head.iter().all(|&byte| byte == 0) {
        return Err("it begins with zeros: an empty archive, or a disk");
    }
    Err(REFUSED.iter().find(|(magic, _)| head.starts_with(magic)).map_or(
        "it is neither a tar archive (plain, gzip, zstd or xz) nor a squashfs, or its beginning \
         is damaged",
        |(_, what)| what,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_told_by_content() {
        let mut header = ::tar::Header::new_ustar();
        header.set_path("x").unwrap();
        header.set_size(0);
        header.set_cksum();
        assert_eq!(detect(header.as_bytes()), Ok(Format::Tar));
        assert_eq!(detect(b"\x1f\x8b\x08"), Ok(Format::Gzip));
        assert_eq!(detect(b"\x28\xb5\x2f\xfd"), Ok(Format::Zstd));
        assert_eq!(detect(b"\x5a\x2a\x4d\x18\0"), Ok(Format::Zstd));
        assert_eq!(detect(b"\xfd7zXZ\0\0"), Ok(Format::Xz));
        assert_eq!(detect(b"hsqs\0\0"), Ok(Format::Squashfs));
    }

    #[test]
    fn what_is_refused_is_named() {
        assert!(detect(b"BZh9").unwrap_err().contains("bzip2"));
        assert!(detect(b"PK\x03\x04").unwrap_err().contains("zip"));
        assert!(detect(b"").unwrap_err().contains("empty"));
        assert!(detect(&[0; 512]).unwrap_err().contains("zeros"));
        assert!(detect(b"hello").unwrap_err().contains("neither"));
    }
}
