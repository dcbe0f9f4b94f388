//! What can go wrong with a copy.

use std::path::{Path, PathBuf};

use rustix::io::Errno;

/// Why files could not be packed or unpacked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ArchiveError {
    /// A system call failed.
    #[error("{operation} {}", path.display())]
    System {
        /// The step, as a verb.
        operation: &'static str,
        /// The file, as its own root names it.
        path: PathBuf,
        /// The kernel's answer.
        #[source]
        source: Errno,
    },
    /// The stream broke off, or is no tar archive.
    #[error("{operation} the archive")]
    Stream {
        /// `read` or `write`.
        operation: &'static str,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// The archive is compressed.
    #[error(
        "the archive is compressed with {with}\n  help: unpack it first: `{tool} | coop cp - …`"
    )]
    Compressed {
        /// The format.
        with: &'static str,
        /// What unpacks it.
        tool: &'static str,
    },
    /// A name that leads out of the directory that is written to.
    #[error("{entry:?} in the archive {why}")]
    Entry {
        /// The name.
        entry: PathBuf,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A directory was to be written to a file.
    #[error("cannot copy a directory to {}, which is a file", path.display())]
    DirectoryOntoFile {
        /// The file.
        path: PathBuf,
    },
    /// A file takes the place of a directory or the other way round.
    #[error("cannot overwrite {} with a {with}", path.display())]
    Conflict {
        /// What is there.
        path: PathBuf,
        /// `directory` or `file`.
        with: &'static str,
    },
    /// A path with a slash at its end that is no directory.
    #[error("{} is not a directory", path.display())]
    NotADirectory {
        /// The path.
        path: PathBuf,
    },
    /// There is nothing at the path.
    #[error("no such file or directory: {}", path.display())]
    NotFound {
        /// The path.
        path: PathBuf,
    },
    /// The directory to copy into does not exist.
    #[error("the destination directory {} does not exist", path.display())]
    NoDestination {
        /// The directory.
        path: PathBuf,
    },
}

/// For `map_err`.
pub(super) fn at(operation: &'static str, path: &Path) -> impl Fn(Errno) -> ArchiveError + use<> {
    let path = path.to_owned();
    move |source| ArchiveError::System {
        operation,
        path: path.clone(),
        source,
    }
}

/// For `map_err`, of the stream.
pub(super) fn stream(operation: &'static str) -> impl Fn(std::io::Error) -> ArchiveError {
    move |source| ArchiveError::Stream { operation, source }
}
