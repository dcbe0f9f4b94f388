//! The file that a writer appends its records to.

use std::fs::File;
use std::io::{BufRead, BufReader, Seek, SeekFrom};
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags, fstat, ftruncate, openat};
use rustix::io::{Errno, pread, retry_on_intr, write};

use super::Record;
use super::kill_point::{before_the_kill, kill_point};
use super::stage::{CHUNK, Mark};

#[derive(Debug)]
pub(super) struct LogFile {
    file: OwnedFd,
    /// Where its records end.
    pub(super) mark: Mark,
    /// Bytes behind them that are no whole record and have to go first.
    torn: u64,
}

impl LogFile {
    /// Opens the file, which is made when missing (mode 0600). A record at its end that a
    /// killed writer did not finish is cut off.
    pub(super) fn open(path: &Path, flags: OFlags) -> Result<Self, Errno> {
        let flags = flags
            | OFlags::RDWR
            | OFlags::APPEND
            | OFlags::CREATE
            | OFlags::CLOEXEC
            | OFlags::NOFOLLOW
            | OFlags::NOCTTY;
        let file = openat(CWD, path, flags, Mode::RUSR | Mode::WUSR)?;
        let status = fstat(&file)?;
        let size = status.st_size as u64;
        let length = end_of_records(&file, size)?;
        let mut log = Self {
            file,
            mark: Mark {
                inode: status.st_ino,
                length,
            },
            torn: size - length,
        };
        log.cut_torn()?;
        Ok(log)
    }

    /// Writes records, of which only whole ones stay, and are in the mark, should the disk get
    /// full.
    pub(super) fn append(&mut self, records: &[u8]) -> Result<(), Errno> {
        self.cut_torn()?;
        let mut written = 0;
        let failed = loop {
            match retry_on_intr(|| write(&self.file, before_the_kill(&records[written..]))) {
                Ok(0) => break Some(Errno::IO),
                Ok(length) => written += length,
                Err(errno) => break Some(errno),
            }
            kill_point();
            if written == records.len() {
                break None;
            }
        };
        let whole = records[..written].iter().rposition(|&byte| byte == b'\n');
        let whole = whole.map_or(0, |at| at + 1);
        self.mark.length += whole as u64;
        let Some(errno) = failed else {
            return Ok(());
        };
        self.torn = (written - whole) as u64;
        // If this fails, it is done before the next records.
        let _ = self.cut_torn();
        Err(errno)
    }

    fn cut_torn(&mut self) -> Result<(), Errno> {
        if self.torn > 0 {
            // Not to what we believe to be its length: someone may have made it shorter.
            let size = fstat(&self.file)?.st_size as u64;
            ftruncate(&self.file, size.saturating_sub(self.torn))?;
            self.torn = 0;
            kill_point();
        }
        Ok(())
    }
}

/// Where the last whole line ends.
fn end_of_records(file: &OwnedFd, size: u64) -> Result<u64, Errno> {
    let mut end = size;
    // Mostly the last byte is the line end.
    let mut block = vec![0; 1];
    while end > 0 {
        let length = end.min(block.len() as u64) as usize;
        let start = end - length as u64;
        let read = retry_on_intr(|| pread(file, &mut block[..length], start))?;
        if let Some(at) = block[..read].iter().rposition(|&byte| byte == b'\n') {
            return Ok(start + at as u64 + 1);
        }
        end = start;
        block.resize(CHUNK, 0);
    }
    Ok(0)
}

/// Goes through the records of a log from an offset on.
pub(super) fn for_each_record(
    path: &Path,
    start: u64,
    mut each: impl FnMut(Record),
) -> Result<(), std::io::Error> {
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(start))?;
    let mut reader = BufReader::with_capacity(CHUNK, file);
    let mut line = Vec::new();
    while reader.read_until(b'\n', &mut line)? > 0 {
        if let Some(record) = Record::parse(&line) {
            each(record);
        }
        line.clear();
    }
    Ok(())
}
