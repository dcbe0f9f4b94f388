//! Waiting for what happens in its own time.

use std::time::{Duration, Instant};

use crate::command::patience;

/// Looks again and again until `condition` holds.
///
/// # Panics
/// When it does not for as long as a command may take; `what` says what was waited for.
#[track_caller]
pub fn wait_until(what: &str, condition: impl FnMut() -> bool) {
    wait_longer_until(what, Duration::ZERO, condition);
}

/// As [`wait_until`], for what Coop itself puts off by up to `pause`.
///
/// # Panics
/// As [`wait_until`].
#[track_caller]
pub fn wait_longer_until(what: &str, pause: Duration, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + pause + patience();
    while !condition() {
        assert!(Instant::now() < deadline, "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}
