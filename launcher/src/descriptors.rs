//! How many descriptors this process may have: one that looks after a large stack needs many.
//!
//! What runs in a container gets the limit that its user has, as if nothing had been raised:
//! some programs close or `select(2)` all descriptors up to their limit.

use std::sync::OnceLock;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// The limit before it was raised.
static BEFORE: OnceLock<Rlimit> = OnceLock::new();

/// Raises the soft limit as far as the hard one allows. That it cannot be raised is no reason
/// to stop.
pub(crate) fn raise_limit() {
    let before = getrlimit(Resource::Nofile);
    if before.current == before.maximum || BEFORE.get().is_some() {
        return;
    }
    let raised = Rlimit {
        current: before.maximum,
        ..before
    };
    match setrlimit(Resource::Nofile, raised) {
        Ok(()) => drop(BEFORE.set(before)),
        Err(errno) => log::debug!("raise the limit of descriptors: {errno}"),
    }
}

/// Brings the soft limit back to what it was, unless another one was chosen for this process.
pub(crate) fn restore_limit() {
    let Some(before) = BEFORE.get() else { return };
    let now = getrlimit(Resource::Nofile);
    if now.current == before.maximum && now.maximum == before.maximum {
        let _ = setrlimit(Resource::Nofile, *before);
    }
}
