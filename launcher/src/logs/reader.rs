//! From a log to records.

use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use rustix::io::Errno;

use super::generations::{Generation, newer_than};
use super::seek::{self, Place};
use super::{LogError, Record};

const BLOCK: usize = 64 * 1024;

/// A longer line is no record: 16 KiB of text are at most 96 KiB of JSON.
pub(super) const MAX_LINE: usize = 1024 * 1024;

/// Which records of a log are wanted: all of them, unless said otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Selection {
    /// Those from this time on.
    pub since: Option<SystemTime>,
    /// Those up to this time, itself included.
    pub until: Option<SystemTime>,
    /// Of those that are there already, the last so many.
    pub tail: Option<usize>,
}

/// Reads one container's log from the front, the oldest of its files first, and goes on when it
/// has grown or a new file was begun.
///
/// Garbage, such as what a power cut left, is passed over. A last line without its end is left
/// until the end comes, or until it is replaced.
#[derive(Debug)]
pub struct LogReader {
    path: PathBuf,
    selection: Selection,
    /// None until the container's first line made the file.
    current: Option<Generation>,
    /// Where in the file the next block starts.
    offset: u64,
    block: Vec<u8>,
    /// How much of the block has been given out.
    used: usize,
    /// In the middle of a line that is too long.
    skipping: bool,
    /// A record was met that is later than what is wanted.
    past_end: bool,
}

/// What is behind the end of the present file.
enum Behind {
    /// Nothing yet.
    Nothing,
    /// Someone has emptied the file: it begins anew.
    Cut,
    /// The next file.
    File(Generation),
}

impl LogReader {
    /// Opens a log at the first record that is wanted. A file that does not exist yet is an
    /// empty one, which is looked for again at each read.
    ///
    /// # Errors
    /// [`LogError`].
    pub fn open(path: &Path, selection: Selection) -> Result<Self, LogError> {
        let place = seek::first(path, &selection)?;
        let (current, offset) = match place {
            Some(Place { generation, offset }) => (Some(generation), offset),
            None => (None, 0),
        };
        Ok(Self {
            path: path.to_owned(),
            selection,
            current,
            offset,
            block: Vec::new(),
            used: 0,
            skipping: false,
            past_end: false,
        })
    }

    /// Whether no record that is still to come is wanted.
    pub fn is_past_end(&self) -> bool {
        self.past_end
    }

    /// The next record that is wanted and complete; `None` at the present end of the log.
    ///
    /// # Errors
    /// [`LogError`].
    pub fn next_record(&mut self) -> Result<Option<Record>, LogError> {
        while !self.past_end {
            let Some(record) = self.next_of_all()? else {
                return Ok(None);
            };
            if self
                .selection
                .until
                .is_some_and(|until| record.time > until)
            {
                self.past_end = true;
            } else if self
                .selection
                .since
                .is_none_or(|since| record.time >= since)
            {
                return Ok(Some(record));
            }
        }
        Ok(None)
    }

    fn next_of_all(&mut self) -> Result<Option<Record>, LogError> {
        let mut searched = self.used;
        loop {
            let line_end = self.block[searched..]
                .iter()
                .position(|&byte| byte == b'\n');
            let Some(position) = line_end else {
                if self.block.len() - self.used > MAX_LINE {
                    self.used = self.block.len();
                    self.skipping = true;
                }
                let length = self.read_more()?;
                if length == 0 {
                    return Ok(None);
                }
                searched = self.block.len() - length;
                continue;
            };
            let line = &self.block[self.used..=searched + position];
            let record = if self.skipping || line.len() > MAX_LINE {
                None
            } else {
                Record::parse(line)
            };
            if record.is_none() {
                log::debug!("{}: garbage passed over", self.path.display());
            }
            self.skipping = false;
            self.used = searched + position + 1;
            searched = self.used;
            if record.is_some() {
                return Ok(record);
            }
        }
    }

    /// Reads behind what is not given out yet, from the next file when this one has ended: how
    /// many bytes, and 0 at the end of all.
    fn read_more(&mut self) -> Result<usize, LogError> {
        loop {
            let length = self.read_block()?;
            if length > 0 {
                return Ok(length);
            }
            match self.behind_the_end()? {
                Behind::Nothing => {
                    // A line without its end may be replaced by the next writer: it is read
                    // again.
                    self.offset -= (self.block.len() - self.used) as u64;
                    self.forget_block();
                    return Ok(0);
                }
                Behind::Cut => self.offset = 0,
                Behind::File(next) => {
                    // The old one was written to until there was a new one.
                    let length = self.read_block()?;
                    if length > 0 {
                        return Ok(length);
                    }
                    self.current = Some(next);
                    self.offset = 0;
                }
            }
            self.skipping = false;
            self.forget_block();
        }
    }

    fn behind_the_end(&self) -> Result<Behind, LogError> {
        let inode = self.current.as_ref().map(|current| current.inode);
        let log = match std::fs::metadata(&self.path) {
            Ok(metadata) => metadata,
            // Between two files, or none yet.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(Behind::Nothing);
            }
            Err(error) => return Err(self.failed("look at", &error)),
        };
        if Some(log.ino()) != inode {
            let next = newer_than(&self.path, inode)?.pop();
            return Ok(next.map_or(Behind::Nothing, Behind::File));
        }
        Ok(if log.len() < self.offset {
            Behind::Cut
        } else {
            Behind::Nothing
        })
    }

    fn forget_block(&mut self) {
        self.block.clear();
        self.used = 0;
    }

    fn read_block(&mut self) -> Result<usize, LogError> {
        let Some(current) = &self.current else {
            return Ok(0);
        };
        self.block.drain(..self.used);
        self.used = 0;
        let held = self.block.len();
        self.block.resize(held + BLOCK, 0);
        let result = loop {
            match current.file.read_at(&mut self.block[held..], self.offset) {
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                result => break result,
            }
        };
        self.block.truncate(held + *result.as_ref().unwrap_or(&0));
        let length = result.map_err(|error| self.failed("read", &error))?;
        self.offset += length as u64;
        Ok(length)
    }

    fn failed(&self, operation: &'static str, error: &std::io::Error) -> LogError {
        let errno = Errno::from_io_error(error).unwrap_or(Errno::IO);
        LogError::at(operation, &self.path)(errno)
    }
}
