//! From a log to records.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use rustix::io::Errno;

use super::{LogError, Record};

const BLOCK: usize = 64 * 1024;

/// A longer line is no record: 16 KiB of text are at most 96 KiB of JSON.
const MAX_LINE: usize = 1024 * 1024;

/// Reads one container's log from the front, and goes on when it has grown.
///
/// Garbage, such as what a killed writer left, is passed over. A last line without its end is
/// left until the end comes.
#[derive(Debug)]
pub struct LogReader {
    path: PathBuf,
    /// None until the container's first line made the file.
    file: Option<File>,
    /// Where in the file the next block starts.
    offset: u64,
    block: Vec<u8>,
    /// How much of the block has been given out.
    used: usize,
    /// In the middle of a line that is too long.
    skipping: bool,
}

impl LogReader {
    /// Opens a log at its first record. A file that does not exist yet is an empty one, which
    /// is looked for again at each read.
    ///
    /// # Errors
    /// [`LogError`].
    pub fn open(path: &Path) -> Result<Self, LogError> {
        let mut reader = Self {
            path: path.to_owned(),
            file: None,
            offset: 0,
            block: Vec::new(),
            used: 0,
            skipping: false,
        };
        reader.open_file()?;
        Ok(reader)
    }

    fn open_file(&mut self) -> Result<(), LogError> {
        if self.file.is_none() {
            self.file = match File::open(&self.path) {
                Ok(file) => Some(file),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
                Err(error) => return Err(self.failed("open", &error)),
            };
        }
        Ok(())
    }

    /// Goes to the last `count` records, or to the first when there are not so many. With 0,
    /// only what comes from now on is read.
    ///
    /// # Errors
    /// [`LogError`].
    pub fn seek_to_last(&mut self, count: usize) -> Result<(), LogError> {
        let Some(file) = &self.file else {
            return Ok(());
        };
        let metadata = file
            .metadata()
            .map_err(|error| self.failed("look at", &error))?;
        let mut start = metadata.len();
        let mut line_ends = 0;
        let mut block = vec![0; BLOCK];
        let target = 'found: loop {
            let length = start.min(BLOCK as u64) as usize;
            if length == 0 {
                break 0;
            }
            start -= length as u64;
            file.read_exact_at(&mut block[..length], start)
                .map_err(|error| self.failed("read", &error))?;
            // The line end of the record before the first wanted one.
            for (at, _) in block[..length]
                .iter()
                .enumerate()
                .rev()
                .filter(|(_, b)| **b == b'\n')
            {
                if line_ends == count {
                    break 'found start + at as u64 + 1;
                }
                line_ends += 1;
            }
        };
        self.offset = target;
        self.block.clear();
        self.used = 0;
        self.skipping = false;
        Ok(())
    }

    /// The next record that is complete; `None` at the present end of the log.
    ///
    /// # Errors
    /// [`LogError`].
    pub fn next_record(&mut self) -> Result<Option<Record>, LogError> {
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
                let unsearched = self.block.len() - self.used;
                if !self.read_block()? {
                    return Ok(None);
                }
                searched = self.used + unsearched;
                continue;
            };
            let line = &self.block[self.used..=searched + position];
            let record = if self.skipping {
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

    /// Reads behind what is not given out yet; whether there was something.
    fn read_block(&mut self) -> Result<bool, LogError> {
        self.open_file()?;
        let Some(file) = &self.file else {
            return Ok(false);
        };
        self.block.drain(..self.used);
        self.used = 0;
        let held = self.block.len();
        self.block.resize(held + BLOCK, 0);
        let result = loop {
            match file.read_at(&mut self.block[held..], self.offset) {
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                result => break result,
            }
        };
        self.block.truncate(held + *result.as_ref().unwrap_or(&0));
        let length = result.map_err(|error| self.failed("read", &error))?;
        self.offset += length as u64;
        Ok(length > 0)
    }

    fn failed(&self, operation: &'static str, error: &std::io::Error) -> LogError {
        let errno = Errno::from_io_error(error).unwrap_or(Errno::IO);
        LogError::at(operation, &self.path)(errno)
    }
}
