//! The lines of a file, the last one first.

use std::fs::File;
use std::io::Error;
use std::os::unix::fs::FileExt;

use super::Record;
use super::reader::MAX_LINE;

const BLOCK: usize = 64 * 1024;

/// Goes from an offset in a file to its beginning, record by record.
pub(super) struct Backwards<'a> {
    file: &'a File,
    /// Where `held` begins in the file: what is in front of it has not been read.
    start: u64,
    /// Up to and with the line end that was met last.
    held: Vec<u8>,
    /// So many bytes at the end of the line that `held` ends in are not held: it is too long to
    /// be a record.
    dropped: usize,
}

impl<'a> Backwards<'a> {
    /// What is behind the last line end before `end` is passed over: it is no whole line.
    pub(super) fn new(file: &'a File, end: u64) -> Result<Self, Error> {
        let mut lines = Self {
            file,
            start: end,
            held: Vec::new(),
            dropped: 0,
        };
        loop {
            if let Some(at) = lines.held.iter().rposition(|&byte| byte == b'\n') {
                lines.held.truncate(at + 1);
                return Ok(lines);
            }
            lines.held.clear();
            if !lines.read_more()? {
                return Ok(lines);
            }
        }
    }

    /// The end of the line that is the next one.
    pub(super) fn end(&self) -> u64 {
        self.start + (self.held.len() + self.dropped) as u64
    }

    /// Where the next line that is a record begins. Garbage is passed over, as a
    /// [reader](super::LogReader) does it.
    pub(super) fn next_record(&mut self) -> Result<Option<u64>, Error> {
        while let Some(start) = self.start_of_line()? {
            let line = &self.held[start..];
            let is_record = line.len() + self.dropped <= MAX_LINE && Record::parse(line).is_some();
            self.held.truncate(start);
            self.dropped = 0;
            if is_record {
                return Ok(Some(self.end()));
            }
        }
        Ok(None)
    }

    /// Where in `held` its last line begins; `None` when there is no line.
    fn start_of_line(&mut self) -> Result<Option<usize>, Error> {
        // Its own line end does not end the one before it.
        let mut searched = usize::from(self.dropped == 0);
        loop {
            let front = self.held.len().saturating_sub(searched);
            if let Some(at) = self.held[..front].iter().rposition(|&byte| byte == b'\n') {
                return Ok(Some(at + 1));
            }
            if self.held.len() > MAX_LINE {
                self.dropped += self.held.len();
                self.held.clear();
            }
            searched = self.held.len();
            if !self.read_more()? {
                let is_line = self.held.len() + self.dropped > 0;
                return Ok(is_line.then_some(0));
            }
        }
    }

    /// Reads one block in front of what is held; whether there was one.
    fn read_more(&mut self) -> Result<bool, Error> {
        let length = self.start.min(BLOCK as u64) as usize;
        let mut block = vec![0; length];
        self.file
            .read_exact_at(&mut block, self.start - length as u64)?;
        self.start -= length as u64;
        block.append(&mut self.held);
        self.held = block;
        Ok(length > 0)
    }
}
