//! What can go wrong around a launch, and how it is told.

use std::path::PathBuf;

use rustix::io::Errno;
use serde::{Deserialize, Serialize};

/// An error of any kind, as stages return it: the launcher knows the stage, not the cause.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// A step of a launch that failed, told in a way that crosses from the child's process.
///
/// Printed, it reads `rootfs: mount /proc: Operation not permitted (os error 1)`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// The stage that failed, for example `rootfs`.
    pub stage: String,
    /// Operation, object and cause, joined by `: `.
    pub message: String,
    /// The kernel's error number where one is at the bottom of it: see `errno(3)`.
    pub errno: Option<i32>,
}

impl Failure {
    /// Tells `error` and everything below it as the failure of `stage`.
    pub fn new(stage: &str, error: &(dyn std::error::Error + 'static)) -> Self {
        let causes = std::iter::successors(Some(error), |error| error.source());
        Self {
            stage: stage.to_owned(),
            message: chain(error),
            errno: { causes }.find_map(errno_of),
        }
    }

    /// Whether the kernel's answer was `errno`.
    pub fn is(&self, errno: Errno) -> bool {
        self.errno == Some(errno.raw_os_error())
    }
}

/// An error and everything below it in one line, joined by `: `.
pub fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

fn errno_of(error: &(dyn std::error::Error + 'static)) -> Option<i32> {
    if let Some(errno) = error.downcast_ref::<Errno>() {
        return Some(errno.raw_os_error());
    }
    error
        .downcast_ref::<std::io::Error>()
        .and_then(std::io::Error::raw_os_error)
}

/// Errors of the launcher itself and of the stages that it runs.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A stage failed, on the host's side or in the child.
    #[error(transparent)]
    Stage(#[from] Failure),
    /// The child ended before the program was started, without saying why.
    #[error("the container's process ended during {during} ({status})")]
    ChildDied {
        /// What the launch was doing.
        during: &'static str,
        /// How it ended.
        status: String,
    },
    /// The child, which lives, has said nothing for too long: something in the container may keep
    /// it from going on.
    #[error("the container's process does not go on")]
    ChildSilent,
    /// The process could not be cloned.
    #[error("clone the container's process")]
    Clone(#[source] coop_ns::Error),
    /// The channel between parent and child failed.
    #[error("{operation} on the channel to the container's process")]
    Channel {
        /// The system call.
        operation: &'static str,
        /// The kernel's answer.
        #[source]
        source: Errno,
    },
    /// The journal of undo records could not be written or read.
    #[error("{operation} journal {}", path.display())]
    Journal {
        /// The system call or step.
        operation: &'static str,
        /// The journal's file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// An undo record could not be carried out; what it names may still exist.
    #[error("undo {stage}")]
    Undo {
        /// The stage that made the resource.
        stage: String,
        /// The cause.
        #[source]
        source: BoxError,
    },
}

impl Error {
    /// The exit status that Docker's users expect: 127 when the command is not found, 126 when
    /// it cannot be executed, 125 for any other failure to set the container up.
    pub fn exit_code(&self) -> i32 {
        match self {
            Self::Stage(failure) if failure.stage == crate::EXEC => match failure.errno {
                None => 125,
                Some(_) if failure.is(Errno::NOENT) || failure.is(Errno::NOTDIR) => 127,
                Some(_) => 126,
            },
            _ => 125,
        }
    }
}
