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
//! # A writer that is killed
//!
//! The supervisor may be killed at any instruction, and every byte that a container has written
//! is in its log once. Three things carry this:
//!
//! 1. *The pipe* outlives its reader: the container holds it open itself ([`LogPipe`]). What is
//!    in it waits for the next supervisor.
//! 2. *The stage*, a file beside the log for each stream, gets the bytes from the pipe by
//!    `splice(2)`. The kernel takes from the pipe exactly those bytes that it has written, within
//!    one system call; a fatal signal only makes their number smaller. So there is no moment
//!    when a byte is in neither or in both.
//! 3. *The log* itself says how much of the stage has got into it: a record that is whole is
//!    done. How output is cut into records depends on the bytes alone, so the next writer goes
//!    through the stage and the newest records side by side and stops where they part. The
//!    stage's header says where to begin, as `{inode of the log, its length, offset in the
//!    stage}`, and each stream has its own: those of the other stream are passed over.
//!
//! What a kill leaves, step by step, and what the next writer makes of it:
//!
//! | killed after | in the stage | in the log | next writer |
//! |---|---|---|---|
//! | the stage is created | no header | - | takes it as empty |
//! | its header is written | no bytes | - | takes it as empty |
//! | `splice` | bytes | no records of them | makes records, with the file's time |
//! | a part of `write` to the log | bytes | some records, and one torn | cuts the torn one off, makes the others |
//! | `write` to the log | bytes | their records | finds them done; a line without its end goes on waiting |
//! | a full stage was emptied | no header | all records | takes it as empty |
//! | a new stage took its place | the rest, new header | all records in front of the new mark | as after `splice` |
//! | the last words were written, without `\n` | the last words | their record | finds them done |
//!
//! Rotation first moves the mark of each stage to the end of the log (one write, within a
//! page), then renames. A mark with another inode than the log's thus means that all records of
//! the log count, and none of its predecessors': also when the kill came between the renames
//! and there is no log at all.
//!
//! The disk may be full: [`LogWriter::take`] fails then, and what it could not move stays in
//! the pipe, where the container waits when it is full. What has been staged stays staged. All
//! of this is tried again later, and nothing is lost unless the container ends before there is
//! room.
//!
//! Somebody may cut the log off behind our back. A mark behind its end says nothing then: what is
//! staged counts as not written, as a line that comes again is better than one that is lost, and
//! the mark is set to the log's end before anything is written.
//!
//! A terminal is another matter. Nobody but the supervisor holds its master, so a kill hangs it
//! up: the container gets `SIGHUP`, and what was in the terminal is gone. Its bytes are read,
//! then staged and recorded as those of a pipe are.
//!
//! Who reads a log while it is cut back or rotated goes on as if nothing had happened
//! ([`LogReader`]): only what is no whole record is ever cut, and files are followed by their
//! inode.
//!
//! ```
//! use coop_launcher::logs::{LogOptions, LogReader, LogWriter, Selection, Stream};
//! # let temp = tempfile::tempdir()?;
//! let path = temp.path().join("log");
//! let mut writer = LogWriter::open(&path, LogOptions::default())?;
//! writer.write(Stream::Stdout, b"hello\nwor")?;
//! writer.write(Stream::Stdout, b"ld\n")?;
//!
//! let last = Selection { tail: Some(1), ..Selection::default() };
//! let mut reader = LogReader::open(&path, last)?;
//! assert_eq!(reader.next_record()?.map(|record| record.log), Some("world\n".to_owned()));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod backwards;
mod file;
mod generations;
mod kill_point;
mod merge;
mod pieces;
mod pipe;
mod printer;
mod reader;
mod record;
mod seek;
mod stage;
mod watch;
mod writer;

pub use merge::Logs;
pub use pipe::{LogPipe, Taken};
pub use printer::{Printer, colours_wanted};
pub use reader::{LogReader, Selection};
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
