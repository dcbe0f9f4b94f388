//! A process that works beside this one.

use std::os::fd::{AsFd, OwnedFd};

use coop_ns::privileges::close_all_except;
use coop_ns::{CloneArgs, Forked, exit_child};

use crate::error::Error;

/// Forks a process that does `work` with `own` and ends with its status. It is in a session of its
/// own, so that what the user types at the terminal does not end it. All other descriptors but
/// the standard streams are closed there, locks among them: `work` must use none.
///
/// The calling process must have one thread.
///
/// # Errors
/// [`Error::Clone`].
pub fn start(own: &OwnedFd, work: impl FnOnce(&OwnedFd) -> i32) -> Result<OwnedFd, Error> {
    // SAFETY: commands of this program have a single thread (see the crate's documentation).
    match unsafe { coop_ns::clone3(&CloneArgs::default()) }.map_err(Error::Clone)? {
        Forked::Parent(helper) => Ok(helper.pidfd),
        Forked::Child => {
            // It leads no group yet, being new.
            let _ = rustix::process::setsid();
            let (stdin, stdout, stderr) = (
                rustix::stdio::stdin(),
                rustix::stdio::stdout(),
                rustix::stdio::stderr(),
            );
            // SAFETY: what others own here is never dropped, for this process ends by `_exit`,
            // and by contract not used.
            let closed = unsafe { close_all_except(&[stdin, stdout, stderr, own.as_fd()]) };
            exit_child(match closed {
                Ok(()) => work(own),
                Err(error) => {
                    log::error!("{error}");
                    1
                }
            })
        }
    }
}
