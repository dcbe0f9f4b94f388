//! Terminals: the user's, the container's, and what goes from one to the other.
//!
//! With `-t` the container gets a pseudoterminal of its *own* `devpts` instance: it is opened
//! on the child's side ([`open_pty_in_container`]) and its master is passed to the parent. The
//! user's terminal is made raw meanwhile ([`RawMode`]), so that every key, Ctrl-C too, is
//! interpreted once, by the container's terminal; a [`Relay`] moves the bytes.

mod endpoint;
pub(crate) mod keys;
mod pty;
mod raw;
mod relay;

pub use keys::{DetachKeys, UnknownKey};
pub use pty::{make_controlling, open_pty_in_container};
pub use raw::RawMode;
pub use relay::{Progress, Relay};

use std::os::fd::AsFd;

use rustix::io::Errno;
pub use rustix::termios::Winsize;
use rustix::termios::{tcgetwinsize, tcsetwinsize};

/// A failure of a call about terminals.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TerminalError {
    /// A system call failed.
    #[error("cannot {operation}")]
    Call {
        /// The step, as a verb with its object.
        operation: &'static str,
        /// The kernel's answer.
        source: Errno,
    },
    /// What is at this path in the container is no pseudoterminal: someone in the container
    /// put something else there.
    #[error("{path} in the container is not a pseudoterminal's")]
    NotPty {
        /// The path in the container.
        path: &'static str,
    },
}

impl TerminalError {
    /// For `map_err`.
    fn at(operation: &'static str) -> impl FnOnce(Errno) -> Self {
        move |source| Self::Call { operation, source }
    }
}

/// The window of a terminal, in characters and in pixels.
///
/// # Errors
/// [`TerminalError::Call`]; `ENOTTY` for what is no terminal.
pub fn size(terminal: impl AsFd) -> Result<Winsize, TerminalError> {
    tcgetwinsize(terminal).map_err(TerminalError::at("get the terminal's size"))
}

/// Changes the window of a terminal. Its foreground process group gets `SIGWINCH` if this is
/// a change.
///
/// # Errors
/// As [`size`].
pub fn set_size(terminal: impl AsFd, size: Winsize) -> Result<(), TerminalError> {
    tcsetwinsize(terminal, size).map_err(TerminalError::at("set the terminal's size"))
}

/// Makes the window of one terminal that of another: at the start, and for each `SIGWINCH`.
///
/// # Errors
/// As [`size`].
pub fn copy_size(from: impl AsFd, to: impl AsFd) -> Result<(), TerminalError> {
    set_size(to, size(from)?)
}

#[cfg(test)]
mod tests;
