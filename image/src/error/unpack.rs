//! Why the content of a source was refused.

use std::io;

use rustix::io::Errno;

/// The content of an archive or a directory was refused, or could not be written.
///
/// Names of entries are escaped: they come from strangers and go to a terminal.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UnpackError {
    /// The name of an entry cannot lie inside of the root.
    #[error("entry {entry}: {why}")]
    Path {
        /// The entry's name.
        entry: String,
        /// The rule that the name breaks.
        why: &'static str,
    },
    /// The way to an entry leads over a symbolic link, which could lead out.
    #[error("entry {entry}: a part of the path before it is a symbolic link")]
    BehindSymlink {
        /// The entry's name.
        entry: String,
    },
    /// The way to an entry leads over something that is not a directory.
    #[error("entry {entry}: a part of the path before it is not a directory")]
    NotADirectory {
        /// The entry's name.
        entry: String,
    },
    /// A hard link to nothing inside of the root.
    #[error("entry {entry}: hard link to {target}: {why}")]
    HardLink {
        /// The entry's name.
        entry: String,
        /// What it is to be a link to.
        target: String,
        /// What is wrong with the target.
        why: &'static str,
    },
    /// The content is larger than allowed.
    #[error("the content is larger than the limit of {limit} bytes")]
    TooManyBytes {
        /// [`Limits::bytes`](crate::Limits::bytes).
        limit: u64,
    },
    /// There are more entries than allowed.
    #[error("there are more than {limit} files, the limit")]
    TooManyEntries {
        /// [`Limits::entries`](crate::Limits::entries).
        limit: u64,
    },
    /// The source ends too early.
    #[error("it is truncated: it ends {place}")]
    Truncated {
        /// Where, for example `in the middle of "etc/passwd"`.
        place: String,
    },
    /// The structure is damaged.
    #[error("it is corrupt: {what}")]
    Corrupt {
        /// What was found.
        what: String,
    },
    /// A decoder gave up.
    #[error("the {format} data is damaged or truncated")]
    Decode {
        /// `gzip`, `zstd`, `xz`.
        format: &'static str,
        /// The decoder's reason.
        #[source]
        source: io::Error,
    },
    /// Something valid that this crate does not read.
    #[error("{what}")]
    Unsupported {
        /// What, and where it helps what to do.
        what: String,
    },
    /// The source could not be read.
    #[error("cannot {operation} {entry}")]
    Read {
        /// What was tried.
        operation: &'static str,
        /// On which entry.
        entry: String,
        /// The kernel's answer.
        #[source]
        source: Errno,
    },
    /// An entry could not be written to the store.
    #[error("cannot {operation} {entry} in the store")]
    Write {
        /// What was tried.
        operation: &'static str,
        /// On which entry.
        entry: String,
        /// The kernel's answer.
        #[source]
        source: Errno,
    },
}

/// The name of an entry as it may be shown: quoted, control characters escaped.
pub(crate) fn shown(name: &[u8]) -> String {
    format!("{:?}", String::from_utf8_lossy(name))
}
