//! What containers print: from their pipes into a file each, and from the files to the user.
//!
//! A log has one JSON object on each line, in the shape of Docker's `json-file`, so that its
//! tools can read it:
//!
//! ```text
//! {"time":"2024-05-01T12:00:00.000000001Z","stream":"stdout","log":"listening on :80\n"}
//! ```
//!
//! A line of more than 16 KiB takes several objects; only the last one's text ends in `\n`.
//!
//! Nothing of a line gets lost when the supervisor is killed: what is still in the pipe waits
//! there for the next supervisor, as the container holds the pipe open itself ([`LogPipe`]);
//! the beginning of a line whose end has not come yet is kept in a small file beside the log
//! ([`LogWriter`]).
//!
//! ```
//! use coop_launcher::logs::{LogReader, LogWriter, Stream};
//! # let temp = tempfile::tempdir()?;
//! let path = temp.path().join("log");
//! let mut writer = LogWriter::open(&path)?;
//! writer.write(Stream::Stdout, b"hello\nwor")?;
//! writer.write(Stream::Stdout, b"ld\n")?;
//!
//! let mut reader = LogReader::open(&path)?;
//! reader.seek_to_last(1)?;
//! assert_eq!(reader.next_record()?.map(|record| record.log), Some("world\n".to_owned()));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod merge;
mod pipe;
mod printer;
mod reader;
mod record;
mod unfinished;
mod watch;
mod writer;

pub use merge::Logs;
pub use pipe::{End, LogPipe};
pub use printer::{Printer, colours_wanted};
pub use reader::LogReader;
pub use record::{Record, Stream};
pub use watch::DirWatch;
pub use writer::LogWriter;

use std::path::{Path, PathBuf};

use rustix::io::Errno;
use serde::{Deserialize, Serialize};

/// How much of a container's output is kept: the options of Docker's `json-file`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogOptions {
    /// Bytes after which a file is full and the next one begins; `None` is without an end.
    pub max_size: Option<u64>,
    /// How many files there are at most, the one that is being written included; the oldest
    /// goes first. At least one.
    pub max_file: u32,
    /// Whether anything is kept at all.
    pub keep: bool,
}

impl Default for LogOptions {
    /// Docker's: one file without an end.
    fn default() -> Self {
        Self {
            max_size: None,
            max_file: 1,
            keep: true,
        }
    }
}

/// A log or a log pipe could not be used.
#[derive(Debug, thiserror::Error)]
#[error("cannot {operation} {}", path.display())]
pub struct LogError {
    /// The step, as a verb: `open`, `write`...
    pub operation: &'static str,
    /// The file or pipe.
    pub path: PathBuf,
    /// The kernel's answer.
    pub source: Errno,
}

impl LogError {
    /// For `map_err`: names the step and the file.
    fn at(operation: &'static str, path: &Path) -> impl FnOnce(Errno) -> Self {
        move |source| Self {
            operation,
            path: path.to_owned(),
            source,
        }
    }
}

/// Longest text of one record, in bytes: Docker's limit.
const MAX_TEXT: usize = 16 * 1024;

#[cfg(test)]
mod tests;
