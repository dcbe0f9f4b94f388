//! From a container's output to its log.

use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{OFlags, rename};
use rustix::io::{Errno, read};

use super::file::{LogFile, for_each_record};
use super::kill_point::kill_point;
use super::stage::{CHUNK, Stage};
use super::{LogError, LogOptions, Record, Stream, Taken, generations, pieces};
use crate::store::time;

const STREAMS: [Stream; 2] = [Stream::Stdout, Stream::Stderr];

/// Appends to one container's log. There is one writer at a time: the stack's supervisor.
///
/// It makes no file before there is something to write. See the [module](super) for what holds
/// when it is killed.
#[derive(Debug)]
pub struct LogWriter {
    path: PathBuf,
    options: LogOptions,
    log: Option<LogFile>,
    /// By stream.
    stages: [Option<Stage>; 2],
    /// Something could not be written: it has to be tried again before more is taken.
    behind: bool,
}

impl LogWriter {
    /// Prepares to write behind what is there, after bringing into the log what a killed writer
    /// had taken from the container: each line once.
    ///
    /// # Errors
    /// [`LogError`], but for what keeps the log from being written just now: see
    /// [`is_behind`](Self::is_behind).
    pub fn open(path: &Path, options: LogOptions) -> Result<Self, LogError> {
        let mut writer = Self {
            path: path.to_owned(),
            options,
            log: None,
            stages: [None, None],
            behind: false,
        };
        if !writer.options.keep {
            return Ok(writer);
        }
        for stream in STREAMS {
            writer.stages[stream as usize] = Stage::recover(Stage::path(path, stream))?;
        }
        if writer.stages.iter().any(Option::is_some) {
            writer.pass_over_recorded()?;
            writer.behind = true;
            if let Err(error) = writer.catch_up() {
                log::warn!("{error}: {}", error.source);
            }
        }
        Ok(writer)
    }

    /// Moves what is in a pipe to the log, at most 64 KiB, and shows it on the way. The rest
    /// behind the last `\n` waits for its line end, or until it has 16 KiB.
    ///
    /// # Errors
    /// [`LogError`], `ENOSPC` above all. Nothing is lost: it is in the pipe, or waits beside
    /// the log for [`catch_up`](Self::catch_up). Do not ask again at once.
    pub fn take(
        &mut self,
        stream: Stream,
        pipe: impl AsFd,
        show: impl FnOnce(&[u8]),
    ) -> Result<Taken, LogError> {
        if !self.options.keep {
            return self.take_by_reading(stream, pipe, show);
        }
        self.catch_up()?;
        if self.stages[stream as usize].is_none()
            && let Some(taken) = without_data(&pipe)
        {
            return Ok(taken);
        }
        let stage = self.stage(stream)?;
        let held = stage.pending().len();
        let moved = match stage.splice(&pipe) {
            Ok(Some(moved)) => moved,
            Ok(None) => return Ok(Taken::End),
            Err(Errno::AGAIN | Errno::INTR) => return Ok(Taken::Nothing),
            // A file system that cannot splice.
            Err(Errno::INVAL) => return self.take_by_reading(stream, pipe, show),
            Err(errno) => {
                return Err(LogError::at("write", &Stage::path(&self.path, stream))(
                    errno,
                ));
            }
        };
        let loaded = stage.load();
        show(&stage.pending()[held..]);
        self.behind = true;
        loaded?;
        self.convert(stream)?;
        self.behind = false;
        Ok(Taken::Some(moved))
    }

    /// The same for what cannot be spliced: a terminal. A kill loses what was just read.
    ///
    /// # Errors
    /// As [`take`](Self::take); what was read is only in memory then.
    pub fn take_by_reading(
        &mut self,
        stream: Stream,
        source: impl AsFd,
        show: impl FnOnce(&[u8]),
    ) -> Result<Taken, LogError> {
        self.catch_up()?;
        if self.options.keep {
            // Before anything is in our hands.
            self.stage(stream)?;
        }
        let mut buffer = Vec::with_capacity(CHUNK);
        match read(source, rustix::buffer::spare_capacity(&mut buffer)) {
            // EIO: nobody has the terminal open any more.
            Ok(0) | Err(Errno::IO) => return Ok(Taken::End),
            Ok(_) => {}
            Err(Errno::AGAIN | Errno::INTR) => return Ok(Taken::Nothing),
            Err(errno) => return Err(LogError::at("read the output for", &self.path)(errno)),
        }
        show(&buffer);
        self.write(stream, &buffer)?;
        Ok(Taken::Some(buffer.len()))
    }

    /// Writes what a container wrote, as [`take`](Self::take) does.
    ///
    /// # Errors
    /// As [`take`](Self::take); the bytes are kept in memory then, if not even a file could be
    /// made for them excepted.
    pub fn write(&mut self, stream: Stream, bytes: &[u8]) -> Result<(), LogError> {
        if !self.options.keep {
            return Ok(());
        }
        let was_behind = std::mem::replace(&mut self.behind, true);
        self.stage(stream)?.append(bytes)?;
        if was_behind {
            return self.catch_up();
        }
        self.convert(stream)?;
        self.behind = false;
        Ok(())
    }

    /// Changes how large the log's files get and how many there are. Whether output is kept at
    /// all stays as it is.
    pub fn set_limits(&mut self, options: &LogOptions) {
        self.options.max_size = options.max_size;
        self.options.max_file = options.max_file;
    }

    /// Whether something that was taken is not in the log, for want of space above all.
    pub fn is_behind(&self) -> bool {
        self.behind
    }

    /// Tries again to write what could not be written.
    ///
    /// # Errors
    /// [`LogError`]: it still cannot.
    pub fn catch_up(&mut self) -> Result<(), LogError> {
        if !self.behind {
            return Ok(());
        }
        for stream in STREAMS {
            if let Some(stage) = &mut self.stages[stream as usize] {
                stage.load()?;
                self.convert(stream)?;
            }
        }
        self.behind = false;
        Ok(())
    }

    /// Writes what has no line end: at the end of the container.
    ///
    /// # Errors
    /// As [`take`](Self::take); what could not be written waits for the next writer.
    pub fn flush(&mut self) -> Result<(), LogError> {
        self.catch_up()?;
        for stream in STREAMS {
            let Some(stage) = &self.stages[stream as usize] else {
                continue;
            };
            let length = stage.pending().len();
            if length > 0 {
                let mut record = Vec::new();
                let time = time::format(stage.arrived);
                Record::encode(&mut record, &time, stream, stage.pending());
                self.append(&record)?;
            }
            if let Some(stage) = &mut self.stages[stream as usize] {
                stage.consume(length);
            }
        }
        for stage in self.stages.iter_mut().filter_map(Option::take) {
            stage.remove()?;
        }
        Ok(())
    }

    /// Whole lines, and what is too long for one record, become records.
    fn convert(&mut self, stream: Stream) -> Result<(), LogError> {
        loop {
            let (length, max) = (self.log()?.mark.length, self.options.max_size);
            // At least one record for each file, whatever a damaged plan says.
            let room = max.map_or(u64::MAX, |max| max.max(1).saturating_sub(length));
            let Some(stage) = &self.stages[stream as usize] else {
                return Ok(());
            };
            let time = time::format(stage.arrived);
            let mut rest = stage.pending();
            let mut records = Vec::with_capacity(rest.len() + rest.len() / 2);
            let mut cuts = Vec::new();
            let mut next = pieces::first(rest);
            while let Some(cut) = next
                && (records.len() as u64) < room
            {
                Record::encode(&mut records, &time, stream, &rest[..cut]);
                cuts.push(cut);
                rest = &rest[cut..];
                next = pieces::first(rest);
            }
            if records.is_empty() && next.is_some() {
                self.rotate()?;
                continue;
            }
            let result = if records.is_empty() {
                Ok(())
            } else {
                self.append(&records)
            };
            let mark = self.log()?.mark;
            let written = records.get(..(mark.length - length) as usize);
            // One line each.
            let whole = written
                .unwrap_or(&records)
                .split(|&byte| byte == b'\n')
                .count()
                - 1;
            if let Some(stage) = &mut self.stages[stream as usize] {
                stage.consume(cuts[..whole.min(cuts.len())].iter().sum());
                if result.is_ok()
                    && let Err(error) = stage.shrink(mark)
                {
                    // It stays as long as it is until the next time.
                    log::debug!("{error}: {}", error.source);
                }
            }
            result?;
            if next.is_none() {
                return Ok(());
            }
        }
    }

    fn append(&mut self, records: &[u8]) -> Result<(), LogError> {
        let written = self.log()?.append(records);
        written.map_err(LogError::at("write", &self.path))
    }

    /// Begins a new file.
    fn rotate(&mut self) -> Result<(), LogError> {
        let mark = self.log()?.mark;
        // From here on no record of the old file tells what of the staged bytes is consumed.
        for stage in self.stages.iter_mut().flatten() {
            stage.commit(mark)?;
        }
        // First, so that nothing is moved when there is no room for it; and while the old one
        // exists, so that its inode is another.
        let mut new = self.path.clone().into_os_string();
        new.push(".new");
        let new = PathBuf::from(new);
        let log = LogFile::open(&new, OFlags::TRUNC).map_err(LogError::at("create", &new))?;
        kill_point();
        let kept = self.options.max_file.saturating_sub(1);
        generations::shift(&self.path, kept)?;
        rename(&new, &self.path).map_err(LogError::at("rotate", &self.path))?;
        kill_point();
        self.log = Some(log);
        generations::remove_excess(&self.path, kept);
        Ok(())
    }

    /// Staged bytes whose records a killed writer had written already are consumed.
    fn pass_over_recorded(&mut self) -> Result<(), LogError> {
        let mark = self.log()?.mark;
        for stream in STREAMS {
            let Some(stage) = &mut self.stages[stream as usize] else {
                continue;
            };
            let mut from = stage.mark();
            if from.inode == mark.inode && from.length > mark.length {
                // Somebody has cut the log off. Before anything is written, or the next writer
                // would look for its records behind this mark.
                stage.commit(mark)?;
                from = mark;
            }
            // Another inode: the log was rotated after all before it was consumed.
            let start = if from.inode == mark.inode {
                from.length
            } else {
                0
            };
            for_each_record(&self.path, start, |record| {
                if record.stream == stream {
                    stage.consume_if_next(&record);
                }
            })
            .map_err(|error| {
                let errno = Errno::from_io_error(&error).unwrap_or(Errno::IO);
                LogError::at("read", &self.path)(errno)
            })?;
        }
        Ok(())
    }

    fn stage(&mut self, stream: Stream) -> Result<&mut Stage, LogError> {
        let place = stream as usize;
        if self.stages[place].is_none() {
            let mark = self.log()?.mark;
            let stage = Stage::create(Stage::path(&self.path, stream), mark)?;
            self.stages[place] = Some(stage);
        }
        // Made just now, if it was not there.
        self.stages[place]
            .as_mut()
            .ok_or_else(|| LogError::at("create", &self.path)(Errno::NOENT))
    }

    fn log(&mut self) -> Result<&mut LogFile, LogError> {
        match &mut self.log {
            Some(log) => Ok(log),
            none => {
                let log = LogFile::open(&self.path, OFlags::empty());
                Ok(none.insert(log.map_err(LogError::at("open", &self.path))?))
            }
        }
    }
}

/// What there is to take from a pipe that has no data; `None` when it has some.
///
/// Most containers never write to one of their streams: no file is made for its end of file.
fn without_data(pipe: impl AsFd) -> Option<Taken> {
    let mut fds = [PollFd::new(&pipe, PollFlags::IN)];
    match poll(&mut fds, Some(&Timespec::default())) {
        Ok(0) => Some(Taken::Nothing),
        Ok(_) if fds[0].revents() == PollFlags::HUP => Some(Taken::End),
        // Reading tells more.
        _ => None,
    }
}
