//! A process that works beside this one.

use std::os::fd::OwnedFd;

use coop_ns::{CloneArgs, Forked, exit_child};

use crate::error::Error;

/// Forks a process that does `work` and ends with its status. It is in a session of its own, so
/// that what the user types at the terminal does not end it, and has all that is open here.
///
/// The calling process must have one thread.
///
/// # Errors
/// [`Error::Clone`].
pub fn start(work: impl FnOnce() -> i32) -> Result<OwnedFd, Error> {
    // SAFETY: commands of this program have a single thread (see the crate's documentation).
    match unsafe { coop_ns::clone3(&CloneArgs::default()) }.map_err(Error::Clone)? {
        Forked::Parent(helper) => Ok(helper.pidfd),
        Forked::Child => {
            // It leads no group yet, being new.
            let _ = rustix::process::setsid();
            exit_child(work())
        }
    }
}
