//! Finding the first wanted record without reading all before it.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::SystemTime;

use rustix::io::Errno;

use super::backwards::Backwards;
use super::generations::{Generation, open_all};
use super::{LogError, Record, Selection};

/// Longest stretch that is searched for the next record.
const MAX_STRETCH: u64 = 1024 * 1024;

/// Below this, reading on is as fast as searching.
const SMALL: u64 = 4 * 1024;

/// A place between two records.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) generation: Generation,
    pub(super) offset: u64,
}

/// Where to begin to read; `None` when there is no file yet.
///
/// Times are taken to go up, as they do unless the clock is set back.
pub(super) fn first(path: &Path, selection: &Selection) -> Result<Option<Place>, LogError> {
    let find = || {
        let mut files = open_all(path).map_err(Fault::Log)?;
        let mut place = (files.len().saturating_sub(1), 0);
        if let Some(count) = selection.tail {
            let end = match selection.until {
                Some(until) => find_time(&files, |time| time <= until)?,
                None => (0, length_of(&files, 0)?),
            };
            place = back(&files, end, count)?;
        }
        if let Some(since) = selection.since {
            let first = find_time(&files, |time| time < since)?;
            if is_later(first, place) {
                place = first;
            }
        }
        let (at, offset) = place;
        Ok((at < files.len()).then(|| Place {
            generation: files.swap_remove(at),
            offset,
        }))
    };
    find().map_err(|fault| match fault {
        Fault::Log(error) => error,
        Fault::Read(error) => {
            LogError::at("read", path)(Errno::from_io_error(&error).unwrap_or(Errno::IO))
        }
    })
}

enum Fault {
    Log(LogError),
    Read(std::io::Error),
}

impl From<std::io::Error> for Fault {
    fn from(error: std::io::Error) -> Self {
        Self::Read(error)
    }
}

/// Number of a file, the newest first, and an offset in it.
type Position = (usize, u64);

fn is_later(one: Position, other: Position) -> bool {
    one.0 < other.0 || (one.0 == other.0 && one.1 > other.1)
}

fn length_of(files: &[Generation], at: usize) -> Result<u64, std::io::Error> {
    files
        .get(at)
        .map_or(Ok(0), |it| Ok(it.file.metadata()?.len()))
}

/// A place with only records that are `before` in front of it, and at most a few behind.
fn find_time(
    files: &[Generation],
    before: impl Fn(SystemTime) -> bool,
) -> Result<Position, std::io::Error> {
    for (at, generation) in files.iter().enumerate() {
        let length = generation.file.metadata()?.len();
        let first = record_from(&generation.file, 0, length)?;
        let begins_before = first.is_some_and(|(_, _, time)| before(time));
        if begins_before {
            return Ok((at, search(&generation.file, length, before)?));
        }
    }
    Ok((files.len().saturating_sub(1), 0))
}

fn search(
    file: &File,
    length: u64,
    before: impl Fn(SystemTime) -> bool,
) -> Result<u64, std::io::Error> {
    // A record begins at `low`; all in front of it are before.
    let (mut low, mut high) = (0, length);
    while high - low > SMALL {
        let middle = low + (high - low) / 2;
        match record_from(file, middle, high)? {
            Some((_, end, time)) if before(time) => low = end,
            _ => high = middle,
        }
    }
    // The rest one by one: the place is exact, for those who count back from it.
    while let Some((_, end, time)) = record_from(file, low, length)? {
        if !before(time) {
            break;
        }
        low = end;
    }
    Ok(low)
}

/// The first record that begins at `from`, which is the file's start or anywhere in it, or
/// behind it and before `limit`: where it begins, where it ends, its time.
fn record_from(
    file: &File,
    from: u64,
    limit: u64,
) -> Result<Option<(u64, u64, SystemTime)>, std::io::Error> {
    // From the byte before: its line end tells whether a record begins right here.
    let mut offset = from.saturating_sub(1);
    let mut start = (from == 0).then_some(0);
    let mut line = Vec::new();
    let mut block = vec![0; 4096];
    let stop = limit.saturating_add(MAX_STRETCH);
    while offset < stop && start.is_none_or(|start| start < limit.max(from + 1)) {
        let length = file.read_at(&mut block, offset)?;
        if length == 0 {
            return Ok(None);
        }
        for part in block[..length].split_inclusive(|&byte| byte == b'\n') {
            offset += part.len() as u64;
            if start.is_some() {
                line.extend_from_slice(part);
            }
            if !part.ends_with(b"\n") {
                continue;
            }
            if let (Some(start), Some(record)) = (start, Record::parse(&line)) {
                return Ok(Some((start, offset, record.time)));
            }
            // Garbage, or the end of the record that `from` is in.
            line.clear();
            start = Some(offset);
            if offset >= limit.max(from + 1) {
                break;
            }
        }
    }
    Ok(None)
}

/// The place `count` records before another one, or the first of all.
fn back(
    files: &[Generation],
    (newest, end): Position,
    count: usize,
) -> Result<Position, std::io::Error> {
    let mut found = 0;
    for (at, generation) in files.iter().enumerate().skip(newest) {
        let end = if at == newest {
            end
        } else {
            length_of(files, at)?
        };
        let mut lines = Backwards::new(&generation.file, end)?;
        if count == 0 {
            return Ok((at, lines.end()));
        }
        while let Some(start) = lines.next_record()? {
            found += 1;
            if found == count {
                return Ok((at, start));
            }
        }
    }
    Ok((files.len().saturating_sub(1), 0))
}
