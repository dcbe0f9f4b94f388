//! Reading and writing files of `/proc` with the errno kept as it is.

use rustix::fs::{Mode, OFlags, open};
use rustix::io::{Errno, read, retry_on_intr, write};

/// The whole file.
pub(crate) fn read_file(path: &str) -> Result<Vec<u8>, Errno> {
    let file = open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    let mut content = Vec::new();
    let mut buffer = [0; 1024];
    loop {
        match retry_on_intr(|| read(&file, &mut buffer))? {
            0 => return Ok(content),
            n => content.extend_from_slice(&buffer[..n]),
        }
    }
}

/// Writes everything in one call: the kernel takes settings whole or not at all.
pub(crate) fn write_file(path: &str, content: &[u8]) -> Result<(), Errno> {
    let file = open(path, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())?;
    let written = retry_on_intr(|| write(&file, content))?;
    if written == content.len() {
        Ok(())
    } else {
        Err(Errno::IO)
    }
}
