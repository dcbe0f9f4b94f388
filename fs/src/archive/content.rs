//! The bytes of a file that is unpacked.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;

use rustix::io::Errno;

/// Which of the two sides failed.
pub(super) enum Failed {
    Read(io::Error),
    Write(Errno),
}

/// Copies the content; blocks of zeros become holes.
pub(super) fn copy(content: &mut impl Read, file: &File) -> Result<(), Failed> {
    let write = |error: io::Error| Failed::Write(Errno::from_io_error(&error).unwrap_or(Errno::IO));
    let mut buffer = vec![0; 64 << 10];
    let mut done = 0;
    loop {
        let read = match content.read(&mut buffer) {
            Ok(0) => break,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            read => read.map_err(Failed::Read)?,
        };
        if buffer[..read].iter().any(|&byte| byte != 0) {
            file.write_all_at(&buffer[..read], done).map_err(write)?;
        }
        done += read as u64;
    }
    // Zeros at the end were not written. What is no file of a disk has no length to set.
    match file.set_len(done) {
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => Ok(()),
        set => set.map_err(write),
    }
}
