//! An archive that the kernel unpacks at boot: `cpio` in the format "newc"
//! (`Documentation/driver-api/early-userspace/buffer-format.rst` in the kernel's source).

use std::io::Write;

use anyhow::Result;

const DIRECTORY: u32 = 0o040_755;
const FILE: u32 = 0o100_644;
const PROGRAM: u32 = 0o100_755;
const CHARACTER_DEVICE: u32 = 0o020_600;

/// An archive as it grows.
#[derive(Default)]
pub(crate) struct Archive {
    bytes: Vec<u8>,
    files: u32,
}

impl Archive {
    /// Adds a directory; the one that it is in comes before it.
    pub(crate) fn directory(&mut self, path: &str) -> Result<()> {
        self.entry(path, DIRECTORY, (0, 0), b"")
    }

    /// Adds a file that nobody executes.
    pub(crate) fn file(&mut self, path: &str, content: &[u8]) -> Result<()> {
        self.entry(path, FILE, (0, 0), content)
    }

    /// Adds an executable file.
    pub(crate) fn program(&mut self, path: &str, content: &[u8]) -> Result<()> {
        self.entry(path, PROGRAM, (0, 0), content)
    }

    /// Adds a character device.
    pub(crate) fn device(&mut self, path: &str, major: u32, minor: u32) -> Result<()> {
        self.entry(path, CHARACTER_DEVICE, (major, minor), b"")
    }

    /// Ends the archive.
    pub(crate) fn finish(mut self) -> Result<Vec<u8>> {
        self.entry("TRAILER!!!", 0, (0, 0), b"")?;
        Ok(self.bytes)
    }

    fn entry(&mut self, path: &str, mode: u32, device: (u32, u32), content: &[u8]) -> Result<()> {
        self.files += 1;
        let (inode, links, size) = (self.files, 1, u32::try_from(content.len())?);
        let (major, minor) = device;
        let name = path.len() + 1;
        // Inode, mode, owner, group, links, time, size, device of the file, device, name, sum.
        write!(
            self.bytes,
            "070701{inode:08x}{mode:08x}{0:08x}{0:08x}{links:08x}{0:08x}{size:08x}\
             {0:08x}{0:08x}{major:08x}{minor:08x}{name:08x}{0:08x}",
            0
        )?;
        self.bytes.extend_from_slice(path.as_bytes());
        self.bytes.push(0);
        self.pad();
        self.bytes.extend_from_slice(content);
        self.pad();
        Ok(())
    }

    /// Names and contents begin at multiples of four.
    fn pad(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_names_and_contents_are_where_the_kernel_looks_for_them() {
        let mut archive = Archive::default();
        archive.program("init", b"12345").unwrap();
        let bytes = archive.finish().unwrap();
        assert!(bytes.starts_with(b"07070100000001000081ed"));
        // Header 110, name 5, padding 1: the content is at 116, the next header at 124.
        assert_eq!(&bytes[110..115], b"init\0");
        assert_eq!(&bytes[116..121], b"12345");
        assert_eq!(&bytes[124..130], b"070701");
        assert!(bytes.windows(10).any(|window| window == b"TRAILER!!!"));
        assert_eq!(bytes.len() % 4, 0);
    }
}
