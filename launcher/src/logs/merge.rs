//! Several containers' logs as one, by time.

use std::path::Path;

use super::{LogError, LogReader, Record, Selection};

/// Reads several logs, oldest record first, holding one record of each in memory.
///
/// To follow them, wait on a [`DirWatch`](super::DirWatch) whenever there is no more:
///
/// ```no_run
/// # use coop_launcher::logs::{DirWatch, Logs, Selection};
/// # use std::path::Path;
/// # fn container_has_ended() -> bool { true }
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = Path::new("/var/lib/coop/containers/0");
/// let mut logs = Logs::default();
/// let web = logs.open(&dir.join("log"), Selection::default())?;
/// let watch = DirWatch::new()?;
/// watch.add(dir)?; // before the first read, so that nothing is missed
/// while !logs.is_finished() {
///     if container_has_ended() {
///         logs.set_ended(web); // before the last read, for the same reason
///     }
///     while let Some((_container, record)) = logs.next_record()? {
///         print!("{}", record.log);
///     }
///     if !logs.is_finished() {
///         watch.wait()?;
///     }
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Default)]
pub struct Logs {
    sources: Vec<Source>,
}

#[derive(Debug)]
struct Source {
    reader: LogReader,
    next: Option<Record>,
    end: SourceEnd,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SourceEnd {
    /// More may come.
    Open,
    /// No more is written, but not all is read.
    Ended,
    /// All is read.
    Read,
}

impl Logs {
    /// Takes a log in, and returns the number by which its records are known.
    pub fn add(&mut self, reader: LogReader) -> usize {
        self.sources.push(Source {
            reader,
            next: None,
            end: SourceEnd::Open,
        });
        self.sources.len() - 1
    }

    /// Opens a log and takes in what is wanted of it.
    ///
    /// # Errors
    /// [`LogError`].
    pub fn open(&mut self, path: &Path, selection: Selection) -> Result<usize, LogError> {
        Ok(self.add(LogReader::open(path, selection)?))
    }

    /// The oldest record that there is, with the number of its log; `None` when all that has
    /// been written is read. Of records with the same time, the log added first comes first.
    ///
    /// # Errors
    /// [`LogError`].
    pub fn next_record(&mut self) -> Result<Option<(usize, Record)>, LogError> {
        let mut oldest: Option<(usize, std::time::SystemTime)> = None;
        for (index, source) in self.sources.iter_mut().enumerate() {
            if source.next.is_none() {
                source.next = source.reader.next_record()?;
            }
            match &source.next {
                Some(record) if oldest.is_none_or(|(_, time)| record.time < time) => {
                    oldest = Some((index, record.time));
                }
                None if source.end == SourceEnd::Ended || source.reader.is_past_end() => {
                    source.end = SourceEnd::Read;
                }
                Some(_) | None => {}
            }
        }
        Ok(oldest.and_then(|(index, _)| Some((index, self.sources[index].next.take()?))))
    }

    /// The writer of this log is done: it is finished as soon as all is read.
    pub fn set_ended(&mut self, index: usize) {
        if let Some(source) = self.sources.get_mut(index)
            && source.end == SourceEnd::Open
        {
            source.end = SourceEnd::Ended;
        }
    }

    /// Whether every log has ended and all of it was read.
    pub fn is_finished(&self) -> bool {
        self.sources
            .iter()
            .all(|source| source.end == SourceEnd::Read)
    }
}
