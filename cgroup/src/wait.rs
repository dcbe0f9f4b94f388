//! Waiting for the kernel with a bound.

use std::time::Duration;

use rustix::fs::Timespec;

/// Pauses that grow from 50 µs to 20 ms, until their sum reaches a bound.
///
/// The sum of the pauses is what is bounded and not the clock, so that a stopped or
/// starved process still gets its number of attempts.
pub(crate) struct Backoff {
    next: Duration,
    left: Duration,
}

impl Backoff {
    pub(crate) const fn new(total: Duration) -> Self {
        Self {
            next: Duration::from_micros(50),
            left: total,
        }
    }

    /// How long to pause now, or `None` when the sum is used up.
    pub(crate) fn step(&mut self) -> Option<Timespec> {
        if self.left.is_zero() {
            return None;
        }
        let pause = self.next.min(self.left);
        self.left -= pause;
        self.next = (self.next * 2).min(Duration::from_millis(20));
        Some(Timespec {
            tv_sec: 0,
            tv_nsec: i64::from(pause.subsec_nanos()),
        })
    }

    /// Sleeps for one step; `false` when the sum is used up.
    pub(crate) fn pause(&mut self) -> bool {
        let Some(pause) = self.step() else {
            return false;
        };
        // Woken early by a signal only means one attempt earlier.
        let _ = rustix::thread::nanosleep(&pause);
        true
    }
}
