//! What can go wrong with the state on disk.

use std::path::{Path, PathBuf};

use rustix::io::Errno;

use super::{ContainerId, Name};

/// A failure of the state on disk, naming the step and the object.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// Neither `XDG_DATA_HOME` nor `HOME` says where the user's files are.
    #[error("cannot tell where to keep data: neither XDG_DATA_HOME nor HOME is an absolute path")]
    NoDataDir,
    /// `XDG_RUNTIME_DIR` is unset and there is no `/run/user/UID` either.
    #[error(
        "cannot tell where to keep live state: XDG_RUNTIME_DIR is not an absolute path, \
         and {fallback} does not exist (log in through PAM, or choose a directory with --root)"
    )]
    NoRuntimeDir {
        /// The directory that was tried.
        fallback: PathBuf,
    },
    /// The text is no container id.
    #[error("invalid container id \"{text}\": 64 hexadecimal digits (0-9, a-f) are needed")]
    InvalidId {
        /// What was given.
        text: String,
    },
    /// The text is no name for a container or a stack.
    #[error(
        "invalid {kind} name \"{text}\": a letter or digit, followed by letters, digits, \
         \"_\", \".\" or \"-\" ({min} to {max} characters)"
    )]
    InvalidName {
        /// `container` or `stack`.
        kind: &'static str,
        /// What was given.
        text: String,
        /// Fewest characters.
        min: usize,
        /// Most characters.
        max: usize,
    },
    /// Another container has the name.
    #[error("the name \"{name}\" is in use by container {}", id.short())]
    NameInUse {
        /// The name that was asked for.
        name: Name,
        /// The container that has it.
        id: ContainerId,
    },
    /// No container has this id, name or start of an id.
    #[error("no such container: \"{what}\"{}", did_you_mean(nearest))]
    NotFound {
        /// What was given.
        what: String,
        /// Names that differ by a typing error, best first.
        nearest: Vec<String>,
    },
    /// The start of an id fits several containers.
    #[error("\"{prefix}\" fits several containers: {}", candidates.join(", "))]
    Ambiguous {
        /// What was given.
        prefix: String,
        /// `short id (name)` of each.
        candidates: Vec<String>,
    },
    /// The container has been removed.
    #[error("container {} does not exist (any more)", id.short())]
    Gone {
        /// Its id.
        id: ContainerId,
    },
    /// A system call failed.
    #[error("cannot {operation} {}", path.display())]
    Io {
        /// The step, as a verb: `open`, `lock`, `rename`...
        operation: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The kernel's answer.
        source: Errno,
    },
    /// A value cannot be written as JSON.
    #[error("cannot write {} as JSON", path.display())]
    Encode {
        /// The file it was for.
        path: PathBuf,
        /// serde's reason.
        source: serde_json::Error,
    },
    /// A file does not hold what it should.
    #[error("cannot understand {}", path.display())]
    Decode {
        /// The file.
        path: PathBuf,
        /// serde's reason, with line and column.
        source: serde_json::Error,
    },
    /// A test made this step fail; never without the cargo feature `fault`.
    #[error("{0}")]
    Injected(crate::error::BoxError),
    /// A file below /proc does not look as proc(5) says.
    #[error("unexpected content of {}", path.display())]
    Proc {
        /// The file.
        path: PathBuf,
    },
}

impl StoreError {
    /// For `map_err`: names the step and the file.
    pub(super) fn io(operation: &'static str, path: &Path) -> impl FnOnce(Errno) -> Self {
        move |source| Self::Io {
            operation,
            path: path.to_owned(),
            source,
        }
    }

    /// As [`StoreError::io`], for the standard library's calls.
    pub(super) fn std_io(
        operation: &'static str,
        path: &Path,
    ) -> impl FnOnce(std::io::Error) -> Self {
        // An error without a number is one that the standard library made up, such as
        // a short write: the nearest the kernel has is an input/output error.
        move |source| Self::io(operation, path)(Errno::from_io_error(&source).unwrap_or(Errno::IO))
    }

    /// The kernel's answer, where there was one.
    pub fn errno(&self) -> Option<Errno> {
        match self {
            Self::Io { source, .. } => Some(*source),
            _ => None,
        }
    }
}

fn did_you_mean(nearest: &[String]) -> String {
    match nearest {
        [] => String::new(),
        names => format!(" (did you mean {}?)", names.join(" or ")),
    }
}
