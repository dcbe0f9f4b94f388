//! The file behind [`Event`]: one JSON line each, for as many writers and readers as there are.
//!
//! Nobody owns it. A writer appends each event by one `write(2)` in `O_APPEND`, so lines never
//! mix; the file that has grown to its limit is renamed to `events.1`, in place of the one
//! before. A reader keeps the files that it reads open: what is renamed is still read to its
//! end.

use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use rustix::fs::{CWD, FlockOperation, Mode, OFlags, Stat, flock, fstat, openat, rename, stat};
use rustix::io::{Errno, retry_on_intr, write};

use super::{Event, StoreError, make_private_dir};

/// A file that is longer is put aside, in bytes: some thousand events.
const LIMIT: i64 = 1 << 20;

/// Where events are appended.
#[derive(Debug)]
pub(super) struct EventLog {
    path: PathBuf,
    /// Opened by the first event, so that each later one costs two system calls.
    open: Mutex<Option<Open>>,
}

#[derive(Debug)]
struct Open {
    file: OwnedFd,
    /// The last line was cut off, as by a full disk: the next one must not continue it.
    torn: bool,
}

impl EventLog {
    pub(super) fn new(run: &Path) -> Self {
        Self {
            path: current(run),
            open: Mutex::new(None),
        }
    }

    /// Appends one event.
    pub(super) fn append(&self, event: &Event) -> Result<(), StoreError> {
        let encode = |source| StoreError::Encode {
            path: self.path.clone(),
            source,
        };
        let mut line = serde_json::to_vec(event).map_err(encode)?;
        line.push(b'\n');
        let mut slot = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let mut open = match slot.take() {
            // Full: another process may have put it aside already. Without a name: the whole
            // directory was removed.
            Some(open) if fstat(&open.file).is_ok_and(|stat| has_room(&stat)) => open,
            _ => Open {
                file: self.open_file()?,
                torn: false,
            },
        };
        if open.torn {
            line.insert(0, b'\n');
        }
        let written = retry_on_intr(|| write(&open.file, &line));
        open.torn = written != Ok(line.len());
        *slot = Some(open);
        written
            .map(drop)
            .map_err(StoreError::io("append to", &self.path))
    }

    fn open_file(&self) -> Result<OwnedFd, StoreError> {
        let file = self.open_current()?;
        let stat = fstat(&file).map_err(StoreError::io("look at", &self.path))?;
        if has_room(&stat) {
            return Ok(file);
        }
        self.put_aside(&file, &stat)?;
        self.open_current()
    }

    fn open_current(&self) -> Result<OwnedFd, StoreError> {
        let flags = OFlags::WRONLY
            | OFlags::APPEND
            | OFlags::CREATE
            | OFlags::CLOEXEC
            | OFlags::NOFOLLOW
            | OFlags::NONBLOCK;
        let open = || openat(CWD, &self.path, flags, Mode::RUSR | Mode::WUSR);
        let file = match (open(), self.path.parent()) {
            (Err(Errno::NOENT), Some(run)) => {
                make_private_dir(run)?;
                open()
            }
            (file, _) => file,
        };
        file.map_err(StoreError::io("open", &self.path))
    }

    /// Renames the full file, if no other process has done it or is about to.
    fn put_aside(&self, file: &OwnedFd, of: &Stat) -> Result<(), StoreError> {
        match flock(file, FlockOperation::NonBlockingLockExclusive) {
            Err(Errno::WOULDBLOCK) => return Ok(()),
            result => result.map_err(StoreError::io("lock", &self.path))?,
        }
        match stat(&self.path) {
            Ok(named) if same(&named, of) => {
                rename(&self.path, aside(&self.path)).map_err(StoreError::io("rename", &self.path))
            }
            _ => Ok(()),
        }
    }
}

fn has_room(stat: &Stat) -> bool {
    stat.st_size < LIMIT && stat.st_nlink > 0
}

fn same(a: &Stat, b: &Stat) -> bool {
    (a.st_dev, a.st_ino) == (b.st_dev, b.st_ino)
}

fn current(run: &Path) -> PathBuf {
    run.join("events")
}

fn aside(current: &Path) -> PathBuf {
    current.with_extension("1")
}

/// Reads events in the order in which they were written, the oldest that are kept first.
#[derive(Debug)]
pub struct EventReader {
    path: PathBuf,
    /// The oldest first. A file that was put aside may still get the line of a slow writer.
    tails: Vec<Tail>,
}

#[derive(Debug)]
struct Tail {
    file: File,
    stat: Stat,
    /// The beginning of a line whose end is not written yet.
    partial: Vec<u8>,
}

impl EventReader {
    pub(super) fn new(run: &Path) -> Self {
        Self {
            path: current(run),
            tails: Vec::new(),
        }
    }

    /// What was written since the last call. Lines that are no event are left out: a newer
    /// version may write them.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn read(&mut self) -> Result<Vec<Event>, StoreError> {
        let mut events = Vec::new();
        for tail in &mut self.tails {
            tail.read(&self.path, &mut events)?;
        }
        for path in [aside(&self.path), self.path.clone()] {
            let Some(mut tail) = Tail::open(&path)? else {
                continue;
            };
            if self
                .tails
                .iter()
                .all(|known| !same(&known.stat, &tail.stat))
            {
                tail.read(&path, &mut events)?;
                self.tails.push(tail);
            }
        }
        let surplus = self.tails.len().saturating_sub(2);
        self.tails.drain(..surplus);
        Ok(events)
    }
}

impl Tail {
    fn open(path: &Path) -> Result<Option<Self>, StoreError> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let file = match openat(CWD, path, flags, Mode::empty()) {
            Err(Errno::NOENT) => return Ok(None),
            file => file.map_err(StoreError::io("open", path))?,
        };
        let stat = fstat(file.as_fd()).map_err(StoreError::io("look at", path))?;
        Ok(Some(Self {
            file: file.into(),
            stat,
            partial: Vec::new(),
        }))
    }

    fn read(&mut self, path: &Path, events: &mut Vec<Event>) -> Result<(), StoreError> {
        self.file
            .read_to_end(&mut self.partial)
            .map_err(StoreError::std_io("read", path))?;
        let Some(last) = self.partial.iter().rposition(|byte| *byte == b'\n') else {
            return Ok(());
        };
        let rest = self.partial.split_off(last + 1);
        let lines = std::mem::replace(&mut self.partial, rest);
        for line in lines.split(|byte| *byte == b'\n').filter(|l| !l.is_empty()) {
            match serde_json::from_slice(line) {
                Ok(event) => events.push(event),
                Err(error) => log::debug!("{}: no event: {error}", path.display()),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    fn event(number: usize) -> Event {
        Event {
            time: UNIX_EPOCH + Duration::from_secs(number as u64),
            kind: "container".into(),
            action: "start".into(),
            id: number.to_string(),
            attributes: BTreeMap::from([("padding".into(), "x".repeat(2000))]),
        }
    }

    fn numbers(events: &[Event]) -> Vec<usize> {
        events
            .iter()
            .map(|event| event.id.parse().unwrap())
            .collect()
    }

    #[test]
    fn what_is_written_is_read_once_and_in_order() {
        let temp = tempfile::tempdir().unwrap();
        let run = temp.path().join("not/there/yet");
        let (log, mut reader) = (EventLog::new(&run), EventReader::new(&run));
        assert!(reader.read().unwrap().is_empty());
        log.append(&event(1)).unwrap();
        log.append(&event(2)).unwrap();
        assert_eq!(reader.read().unwrap(), [event(1), event(2)]);
        log.append(&event(3)).unwrap();
        assert_eq!(numbers(&reader.read().unwrap()), [3]);
        assert!(reader.read().unwrap().is_empty());
    }

    #[test]
    fn a_reader_follows_through_rotation_and_loses_nothing() {
        let temp = tempfile::tempdir().unwrap();
        let run = temp.path();
        // Two writers, each of which finds out by itself that the file was put aside.
        let writers = [EventLog::new(run), EventLog::new(run)];
        let mut reader = EventReader::new(run);
        let mut read = Vec::new();
        for number in 0..2000 {
            writers[number % 2].append(&event(number)).unwrap();
            if number % 100 == 0 {
                read.extend(numbers(&reader.read().unwrap()));
            }
        }
        read.extend(numbers(&reader.read().unwrap()));
        assert_eq!(read, (0..2000).collect::<Vec<_>>());
        for file in ["events", "events.1"] {
            let size = run.join(file).metadata().unwrap().len();
            assert!(size < LIMIT as u64 + 5000, "{file}: {size}");
        }
        assert_eq!(run.read_dir().unwrap().count(), 2);
    }

    #[test]
    fn a_late_reader_begins_with_the_oldest_that_is_kept() {
        let temp = tempfile::tempdir().unwrap();
        let log = EventLog::new(temp.path());
        for number in 0..2000 {
            log.append(&event(number)).unwrap();
        }
        let read = numbers(&EventReader::new(temp.path()).read().unwrap());
        assert!(read.len() > 400, "{}", read.len());
        assert_eq!(read, (2000 - read.len()..2000).collect::<Vec<_>>());
    }

    #[test]
    fn a_line_that_is_not_complete_waits_and_nonsense_is_left_out() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("events");
        let line = serde_json::to_string(&event(1)).unwrap();
        let (begin, end) = line.split_at(20);
        let mut reader = EventReader::new(temp.path());
        std::fs::write(&path, format!("nonsense\n\n{begin}")).unwrap();
        assert!(reader.read().unwrap().is_empty());
        let mut file = File::options().append(true).open(&path).unwrap();
        std::io::Write::write_all(&mut file, format!("{end}\n").as_bytes()).unwrap();
        assert_eq!(numbers(&reader.read().unwrap()), [1]);
    }

    #[test]
    fn a_directory_that_was_removed_is_made_again() {
        let temp = tempfile::tempdir().unwrap();
        let run = temp.path().join("run");
        let log = EventLog::new(&run);
        log.append(&event(1)).unwrap();
        std::fs::remove_dir_all(&run).unwrap();
        log.append(&event(2)).unwrap();
        assert_eq!(numbers(&EventReader::new(&run).read().unwrap()), [2]);
    }
}
