//! The user's terminal, with every key for the container.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::io::fcntl_dupfd_cloexec;
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};

use super::TerminalError;

/// Keeps a terminal raw until dropped, or until a panic.
///
/// A release build aborts on a panic without dropping anything: that is why the terminal is
/// restored by a panic hook as well, before the message is printed. The hook stays, and does
/// nothing any more, when the guard is gone.
///
/// The terminal stays raw when a signal kills the process: signals are for
/// [`SignalFd`](crate::signals::SignalFd).
#[derive(Debug)]
#[must_use = "the terminal is restored when this is dropped"]
pub struct RawMode {
    saved: Arc<Saved>,
}

#[derive(Debug)]
struct Saved {
    terminal: OwnedFd,
    settings: Termios,
    raw: AtomicBool,
}

impl RawMode {
    /// Makes a terminal raw: no echo, no lines, no signals by keys. See cfmakeraw(3).
    ///
    /// # Errors
    /// [`TerminalError::Call`]; `ENOTTY` for what is no terminal.
    pub fn enter(terminal: impl AsFd) -> Result<Self, TerminalError> {
        let terminal =
            fcntl_dupfd_cloexec(terminal, 3).map_err(TerminalError::at("keep the terminal"))?;
        let settings =
            tcgetattr(&terminal).map_err(TerminalError::at("get the terminal's settings"))?;
        let mut raw = settings.clone();
        raw.make_raw();
        let saved = Arc::new(Saved {
            terminal,
            settings,
            raw: AtomicBool::new(true),
        });
        let for_panic = Arc::downgrade(&saved);
        let previous = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if let Some(saved) = for_panic.upgrade() {
                saved.restore();
            }
            previous(panic);
        }));
        // At once: what was printed before has been processed already, and waiting for a
        // terminal that the user has stopped (Ctrl-S) would take for ever.
        tcsetattr(&saved.terminal, OptionalActions::Now, &raw)
            .map_err(TerminalError::at("make the terminal raw"))?;
        Ok(Self { saved })
    }
}

impl Saved {
    fn restore(&self) {
        if self.raw.swap(false, Ordering::SeqCst) {
            // A terminal that was hung up meanwhile needs nothing any more.
            let _ = tcsetattr(&self.terminal, OptionalActions::Now, &self.settings);
        }
    }
}

impl Drop for RawMode {
    fn drop(&mut self) {
        self.saved.restore();
    }
}

#[cfg(test)]
mod tests {
    use rustix::io::Errno;
    use rustix::termios::LocalModes;

    use super::super::{open_pty_in_container, size};
    use super::*;

    fn is_raw(terminal: impl AsFd) -> bool {
        !tcgetattr(terminal)
            .unwrap()
            .local_modes
            .intersects(LocalModes::ICANON | LocalModes::ECHO)
    }

    #[test]
    fn the_users_terminal_is_raw_as_long_as_the_guard_lives() {
        let (_master, slave) = open_pty_in_container().unwrap();
        let before = format!("{:?}", tcgetattr(&slave).unwrap());
        let guard = RawMode::enter(&slave).unwrap();
        assert!(is_raw(&slave));
        drop(guard);
        assert_eq!(format!("{:?}", tcgetattr(&slave).unwrap()), before);
    }

    #[test]
    fn a_panic_that_drops_nothing_restores_the_terminal_too() {
        let (_master, slave) = open_pty_in_container().unwrap();
        // As in a release build, where a panic aborts.
        std::mem::forget(RawMode::enter(&slave).unwrap());
        assert!(is_raw(&slave));
        let _ = std::panic::catch_unwind(|| panic!("on purpose"));
        assert!(!is_raw(&slave));
    }

    #[test]
    fn what_is_no_terminal_cannot_be_made_raw() {
        let (reader, _writer) = std::io::pipe().unwrap();
        let error = RawMode::enter(&reader).unwrap_err();
        assert!(
            matches!(
                error,
                TerminalError::Call {
                    source: Errno::NOTTY,
                    ..
                }
            ),
            "{error}"
        );
        assert!(matches!(
            size(&reader),
            Err(TerminalError::Call {
                source: Errno::NOTTY,
                ..
            })
        ));
    }
}
