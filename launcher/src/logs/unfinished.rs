//! The beginning of a line whose end has not come, kept for the next supervisor.
//!
//! A file beside the log: the log's length at the time, then what each stream has so far.
//! When the log has another length by now, the line was finished and written, and what the
//! file says is void: so it need not be cleared, which saves a system call for most lines.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags, openat, unlink};
use rustix::io::{Errno, pwrite};

use super::MAX_TEXT;

const HEADER: usize = 16;

/// What each stream has written since its last line end.
pub(super) type Pieces = [Vec<u8>; 2];

#[derive(Debug)]
pub(super) struct Unfinished {
    path: PathBuf,
    file: Option<OwnedFd>,
    exists: bool,
}

impl Unfinished {
    pub(super) fn beside(log: &Path) -> Self {
        let mut path = log.as_os_str().to_owned();
        path.push(".unfinished");
        Self {
            path: path.into(),
            file: None,
            exists: false,
        }
    }

    /// What a killed writer had in memory when the log was `log_length` bytes long.
    pub(super) fn recover(&mut self, log_length: u64) -> Option<Pieces> {
        let bytes = std::fs::read(&self.path).ok()?;
        self.exists = true;
        decode(&bytes, log_length)
    }

    /// Keeps the pieces, which belong behind byte `log_length` of the log.
    pub(super) fn keep(&mut self, log_length: u64, pieces: &Pieces) -> Result<(), Errno> {
        let file = match &mut self.file {
            Some(file) => file,
            none => {
                let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::CLOEXEC | OFlags::NOFOLLOW;
                none.insert(openat(CWD, &self.path, flags, Mode::RUSR | Mode::WUSR)?)
            }
        };
        self.exists = true;
        // One call for all of it: a kill comes before or after.
        pwrite(file, &encode(log_length, pieces), 0).map(drop)
    }

    /// Nothing is unfinished any more.
    pub(super) fn clear(&mut self) {
        self.file = None;
        if std::mem::take(&mut self.exists) {
            // When it stays, it is void by the log's length.
            let _ = unlink(&self.path);
        }
    }
}

fn encode(log_length: u64, [stdout, stderr]: &Pieces) -> Vec<u8> {
    let length = |piece: &[u8]| u32::try_from(piece.len()).unwrap_or(u32::MAX).to_le_bytes();
    [
        &log_length.to_le_bytes()[..],
        &length(stdout),
        &length(stderr),
        stdout,
        stderr,
    ]
    .concat()
}

/// What was left of an earlier, longer content behind the pieces is not looked at.
fn decode(bytes: &[u8], log_length: u64) -> Option<Pieces> {
    let (header, mut rest) = bytes.split_at_checked(HEADER)?;
    let (at, lengths) = header.split_first_chunk::<8>()?;
    if u64::from_le_bytes(*at) != log_length {
        return None;
    }
    let mut pieces = Pieces::default();
    for (piece, length) in pieces.iter_mut().zip(lengths.as_chunks::<4>().0) {
        let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
        if length > MAX_TEXT {
            return None;
        }
        let (taken, more) = rest.split_at_checked(length)?;
        *piece = taken.to_vec();
        rest = more;
    }
    Some(pieces)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn pieces_come_back_only_for_the_same_length_of_the_log(
            stdout in proptest::collection::vec(any::<u8>(), 0..100),
            stderr in proptest::collection::vec(any::<u8>(), 0..100),
            length in any::<u64>(),
            rest in any::<Vec<u8>>(),
        ) {
            let pieces = [stdout, stderr];
            let mut bytes = encode(length, &pieces);
            bytes.extend(rest);
            prop_assert_eq!(decode(&bytes, length), Some(pieces));
            prop_assert_eq!(decode(&bytes, length.wrapping_add(1)), None);
        }

        #[test]
        fn garbage_is_nothing(bytes in any::<Vec<u8>>()) {
            let _ = decode(&bytes, 0);
        }
    }
}
