//! From a container's output to its log.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use rustix::fs::{CWD, Mode, OFlags, fstat, openat};
use rustix::io::{Errno, pread, retry_on_intr, write};

use super::unfinished::{Pieces, Unfinished};
use super::{LogError, MAX_TEXT, Record, Stream};
use crate::store::time;

/// Appends to one container's log. There is one writer at a time: the stack's supervisor.
#[derive(Debug)]
pub struct LogWriter {
    file: OwnedFd,
    path: PathBuf,
    /// Bytes in the file.
    length: u64,
    /// The file does not end in a line end: someone was killed, or the disk was full.
    torn: bool,
    /// What has no line end yet, by stream.
    pieces: Pieces,
    unfinished: Unfinished,
}

impl LogWriter {
    /// Opens the log, which is made when missing (mode 0600), to write behind what is there.
    ///
    /// The beginning of a line that a killed writer had read already becomes a record
    /// without `\n`; what comes next continues the line.
    ///
    /// # Errors
    /// [`LogError`].
    pub fn open(path: &Path) -> Result<Self, LogError> {
        let flags = OFlags::RDWR
            | OFlags::APPEND
            | OFlags::CREATE
            | OFlags::CLOEXEC
            | OFlags::NOFOLLOW
            | OFlags::NOCTTY;
        let file = openat(CWD, path, flags, Mode::RUSR | Mode::WUSR)
            .map_err(LogError::at("open", path))?;
        let length = fstat(&file).map_err(LogError::at("look at", path))?.st_size as u64;
        let mut last = [b'\n'];
        if length > 0 {
            pread(&file, &mut last, length - 1).map_err(LogError::at("read", path))?;
        }
        let mut unfinished = Unfinished::beside(path);
        let recovered = unfinished.recover(length).unwrap_or_default();
        let mut writer = Self {
            file,
            path: path.to_owned(),
            length,
            torn: last != *b"\n",
            pieces: recovered,
            unfinished,
        };
        writer.flush()?;
        Ok(writer)
    }

    /// Writes what a container wrote, all lines of it by one `write(2)`. The rest behind the
    /// last `\n` is kept until its line end comes, or it has 16 KiB.
    ///
    /// # Errors
    /// [`LogError`], `ENOSPC` above all: these lines are lost, later ones are tried again.
    pub fn write(&mut self, stream: Stream, bytes: &[u8]) -> Result<(), LogError> {
        let now = time::format(SystemTime::now());
        let mut out = Vec::with_capacity(bytes.len() + 256);
        let pending = &mut self.pieces[stream as usize];
        for piece in bytes.split_inclusive(|&byte| byte == b'\n') {
            pending.extend_from_slice(piece);
            let mut done = 0;
            while pending.len() - done > MAX_TEXT {
                let text = &pending[done..done + MAX_TEXT];
                let cut = character_boundary(text, pending[done + MAX_TEXT]);
                Record::encode(&mut out, &now, stream, &text[..cut]);
                done += cut;
            }
            if piece.ends_with(b"\n") {
                Record::encode(&mut out, &now, stream, &pending[done..]);
                pending.clear();
            } else {
                pending.drain(..done);
            }
        }
        let written = self.append(&out);
        self.keep_unfinished();
        written
    }

    /// Writes what has no line end: at the end of the container.
    ///
    /// # Errors
    /// [`LogError`].
    pub fn flush(&mut self) -> Result<(), LogError> {
        let now = time::format(SystemTime::now());
        let mut out = Vec::new();
        for (stream, piece) in [Stream::Stdout, Stream::Stderr]
            .into_iter()
            .zip(&mut self.pieces)
        {
            if !piece.is_empty() {
                Record::encode(&mut out, &now, stream, piece);
                piece.clear();
            }
        }
        let written = self.append(&out);
        self.unfinished.clear();
        written
    }

    fn append(&mut self, records: &[u8]) -> Result<(), LogError> {
        if records.is_empty() {
            return Ok(());
        }
        let repaired;
        let mut rest = records;
        if self.torn {
            repaired = [b"\n", records].concat();
            rest = &repaired;
        }
        while !rest.is_empty() {
            match retry_on_intr(|| write(&self.file, rest)) {
                Ok(0) => return Err(self.failed(Errno::IO)),
                Ok(written) => {
                    self.length += written as u64;
                    self.torn = rest[written - 1] != b'\n';
                    rest = &rest[written..];
                }
                Err(errno) => return Err(self.failed(errno)),
            }
        }
        Ok(())
    }

    fn failed(&self, errno: Errno) -> LogError {
        LogError::at("write", &self.path)(errno)
    }

    fn keep_unfinished(&mut self) {
        if self.pieces.iter().all(Vec::is_empty) {
            return;
        }
        // Only a kill of the supervisor before the line's end makes this matter.
        if let Err(errno) = self.unfinished.keep(self.length, &self.pieces) {
            log::debug!(
                "cannot keep an unfinished line of {}: {errno}",
                self.path.display()
            );
        }
    }
}

/// How much of `text` to take so that no character is cut in two, when `next` follows.
fn character_boundary(text: &[u8], next: u8) -> usize {
    let continues = |byte: u8| byte & 0b1100_0000 == 0b1000_0000;
    if !continues(next) {
        return text.len();
    }
    // A character has at most three bytes after its first; more are no UTF-8 anyway.
    (text.len().saturating_sub(3)..text.len())
        .rev()
        .find(|&at| !continues(text[at]))
        .filter(|&at| at > 0)
        .unwrap_or(text.len())
}
