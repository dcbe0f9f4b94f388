//! Output on its way: taken from its pipe, and not in the log yet.
//!
//! A file beside the log for each stream that has written something: a header, then the bytes
//! as they came. See the [module](super) for how they get into the log exactly once.

use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::fs::{CWD, Mode, OFlags, fstat, ftruncate, openat, rename, unlink};
use rustix::io::{Errno, pread, pwrite, retry_on_intr};
use rustix::pipe::{SpliceFlags, splice};

use super::kill_point::kill_point;
use super::{LogError, Record, Stream, pieces};

/// As much as a pipe holds by default.
pub(super) const CHUNK: usize = 64 * 1024;

/// A file that is longer than this begins anew.
const FULL: u64 = 256 * 1024;

const HEADER: usize = 32;
const MAGIC: [u8; 8] = *b"cooplog1";

/// Where in the log the records begin that tell how much of the staged bytes has a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mark {
    /// The inode of the file that was the log.
    pub(super) inode: u64,
    /// Its length then.
    pub(super) length: u64,
}

/// One stream's staged bytes.
#[derive(Debug)]
pub(super) struct Stage {
    path: PathBuf,
    file: OwnedFd,
    mark: Mark,
    /// Where the staged bytes end in the file.
    end: u64,
    /// The bytes that have no record yet. All but the last `unstaged` are the file's last.
    pending: Vec<u8>,
    /// Bytes that came by `write` and that the disk has not taken.
    unstaged: usize,
    /// Bytes at the end of the file that are not in `pending`: they could not be read.
    unread: u64,
    /// When the last bytes came.
    pub(super) arrived: SystemTime,
}

impl Stage {
    pub(super) fn path(log: &Path, stream: Stream) -> PathBuf {
        let mut path = log.as_os_str().to_owned();
        path.push(match stream {
            Stream::Stdout => ".stdout",
            Stream::Stderr => ".stderr",
        });
        path.into()
    }

    /// A new file, with nothing in it. What is at `path` is void.
    pub(super) fn create(path: PathBuf, mark: Mark) -> Result<Self, LogError> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::TRUNC;
        let file = open(&path, flags).map_err(LogError::at("create", &path))?;
        kill_point();
        // Without a header, as when we are killed here, a file has nothing in it.
        write_header(&file, mark, HEADER as u64).map_err(LogError::at("write", &path))?;
        kill_point();
        Ok(Self {
            path,
            file,
            mark,
            end: HEADER as u64,
            pending: Vec::new(),
            unstaged: 0,
            unread: 0,
            arrived: SystemTime::now(),
        })
    }

    /// What a killed writer left; `None` when there is nothing in it.
    pub(super) fn recover(path: PathBuf) -> Result<Option<Self>, LogError> {
        let file = match open(&path, OFlags::RDWR) {
            Ok(file) => file,
            Err(Errno::NOENT) => return Ok(None),
            Err(errno) => return Err(LogError::at("open", &path)(errno)),
        };
        let status = fstat(&file).map_err(LogError::at("look at", &path))?;
        let end = status.st_size as u64;
        let header = read_header(&file).map_err(LogError::at("read", &path))?;
        let staged = header.filter(|&(_, consumed)| HEADER as u64 <= consumed && consumed < end);
        let Some((mark, consumed)) = staged else {
            let _ = unlink(&path);
            return Ok(None);
        };
        let since_1970 = Duration::new(
            u64::try_from(status.st_mtime).unwrap_or(0),
            u32::try_from(status.st_mtime_nsec).unwrap_or(0),
        );
        let mut stage = Self {
            path,
            file,
            mark,
            end,
            pending: Vec::new(),
            unstaged: 0,
            unread: end - consumed,
            arrived: UNIX_EPOCH + since_1970,
        };
        stage.load()?;
        Ok(Some(stage))
    }

    pub(super) fn mark(&self) -> Mark {
        self.mark
    }

    /// The bytes that have no record yet.
    pub(super) fn pending(&self) -> &[u8] {
        &self.pending
    }

    /// The first bytes have got their records.
    pub(super) fn consume(&mut self, length: usize) {
        self.pending.drain(..length);
    }

    /// The piece that a record of a killed writer was made of is consumed, when it is the next.
    pub(super) fn consume_if_next(&mut self, record: &Record) {
        let length = pieces::first(&self.pending).unwrap_or(self.pending.len());
        if length > 0 && String::from_utf8_lossy(&self.pending[..length]) == record.log {
            self.consume(length);
        }
    }

    /// Moves what is in the pipe behind what is staged, and returns how many bytes that were;
    /// `None` when nobody can write to the pipe any more.
    ///
    /// The kernel takes a byte from the pipe only after it is in the file, and no signal comes
    /// between: a fatal one ends the call with the count of those that were moved.
    pub(super) fn splice(&mut self, pipe: impl AsFd) -> Result<Option<usize>, Errno> {
        let mut at = self.end;
        let flags = SpliceFlags::NONBLOCK | SpliceFlags::MOVE;
        match splice(pipe, None, &self.file, Some(&mut at), CHUNK, flags) {
            Ok(0) => Ok(None),
            Ok(moved) => {
                kill_point();
                self.end += moved as u64;
                self.unread += moved as u64;
                self.arrived = SystemTime::now();
                Ok(Some(moved))
            }
            Err(errno) => Err(errno),
        }
    }

    /// Adds bytes that no pipe holds. They are not lost when this fails, only not safe yet.
    pub(super) fn append(&mut self, bytes: &[u8]) -> Result<(), LogError> {
        self.pending.extend_from_slice(bytes);
        self.unstaged += bytes.len();
        self.arrived = SystemTime::now();
        self.store()
    }

    /// Reads what was spliced, and writes what came by [`append`](Self::append).
    pub(super) fn load(&mut self) -> Result<(), LogError> {
        while self.unread > 0 {
            let held = self.pending.len();
            self.pending
                .resize(held + self.unread.min(CHUNK as u64) as usize, 0);
            let at = self.end - self.unread;
            let result = retry_on_intr(|| pread(&self.file, &mut self.pending[held..], at));
            let length = *result.as_ref().unwrap_or(&0);
            self.pending.truncate(held + length);
            self.unread -= length as u64;
            match result {
                Ok(0) => return Err(LogError::at("read", &self.path)(Errno::IO)),
                Ok(_) => {}
                Err(errno) => return Err(LogError::at("read", &self.path)(errno)),
            }
        }
        self.store()
    }

    fn store(&mut self) -> Result<(), LogError> {
        while self.unstaged > 0 {
            let bytes = &self.pending[self.pending.len() - self.unstaged..];
            match retry_on_intr(|| pwrite(&self.file, bytes, self.end)) {
                Ok(0) => return Err(LogError::at("write", &self.path)(Errno::IO)),
                Ok(written) => {
                    self.unstaged -= written;
                    self.end += written as u64;
                }
                Err(errno) => return Err(LogError::at("write", &self.path)(errno)),
            }
            kill_point();
        }
        Ok(())
    }

    /// Records behind `mark` are all that count from now on: those before hold what is not
    /// pending.
    pub(super) fn commit(&mut self, mark: Mark) -> Result<(), LogError> {
        let staged = (self.pending.len() - self.unstaged) as u64;
        let consumed = self.end - self.unread - staged;
        write_header(&self.file, mark, consumed).map_err(LogError::at("write", &self.path))?;
        self.mark = mark;
        kill_point();
        Ok(())
    }

    /// Begins the file anew when it has grown too long. `mark` is the end of the log.
    pub(super) fn shrink(&mut self, mark: Mark) -> Result<(), LogError> {
        if self.end < FULL || self.unstaged > 0 || self.unread > 0 {
            return Ok(());
        }
        if self.pending.is_empty() {
            // Header and all: until the next one is written, there is nothing in it.
            ftruncate(&self.file, 0).map_err(LogError::at("truncate", &self.path))?;
            kill_point();
            self.end = HEADER as u64;
            return self.commit(mark);
        }
        let mut path = self.path.clone().into_os_string();
        path.push(".new");
        let mut new = Self::create(path.into(), mark)?;
        new.append(&self.pending)?;
        rename(&new.path, &self.path).map_err(LogError::at("replace", &self.path))?;
        kill_point();
        new.path = std::mem::take(&mut self.path);
        new.arrived = self.arrived;
        *self = new;
        Ok(())
    }

    /// Everything has its record: the file goes.
    pub(super) fn remove(self) -> Result<(), LogError> {
        unlink(&self.path).map_err(LogError::at("remove", &self.path))?;
        kill_point();
        Ok(())
    }
}

fn open(path: &Path, flags: OFlags) -> Result<OwnedFd, Errno> {
    let flags = flags | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NOCTTY;
    openat(CWD, path, flags, Mode::RUSR | Mode::WUSR)
}

/// One call, within one page: a kill comes before or after.
fn write_header(file: &OwnedFd, mark: Mark, consumed: u64) -> Result<(), Errno> {
    let mut header = [0; HEADER];
    header[..8].copy_from_slice(&MAGIC);
    let numbers = [mark.inode, mark.length, consumed];
    for (place, number) in header[8..].chunks_exact_mut(8).zip(numbers) {
        place.copy_from_slice(&number.to_le_bytes());
    }
    match retry_on_intr(|| pwrite(file, &header, 0))? {
        HEADER => Ok(()),
        _ => Err(Errno::NOSPC),
    }
}

fn read_header(file: &OwnedFd) -> Result<Option<(Mark, u64)>, Errno> {
    let mut header = [0; HEADER];
    let length = retry_on_intr(|| pread(file, &mut header[..], 0))?;
    if length < HEADER || header[..8] != MAGIC {
        return Ok(None);
    }
    let number = |at: usize| {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&header[at..at + 8]);
        u64::from_le_bytes(bytes)
    };
    let mark = Mark {
        inode: number(8),
        length: number(16),
    };
    Ok(Some((mark, number(24))))
}
