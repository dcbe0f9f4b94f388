//! The steps of the writer, at each of which a test can end it as SIGKILL would.

/// Between two system calls of the writer.
#[cfg(not(test))]
#[inline]
pub(super) fn kill_point() {}

/// How much of `bytes` one `write(2)` gets to write.
#[cfg(not(test))]
#[inline]
pub(super) fn before_the_kill(bytes: &[u8]) -> &[u8] {
    bytes
}

#[cfg(test)]
pub(super) use test::{before_the_kill, dies_at, kill_point};

#[cfg(test)]
mod test {
    use std::cell::Cell;
    use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

    thread_local! {
        static STEPS_LEFT: Cell<Option<u32>> = const { Cell::new(None) };
    }

    struct Killed;

    pub(in super::super) fn kill_point() {
        match STEPS_LEFT.get() {
            None => {}
            // No destructor of the writer does more than to close descriptors.
            Some(0) => resume_unwind(Box::new(Killed)),
            Some(steps) => STEPS_LEFT.set(Some(steps - 1)),
        }
    }

    /// A fatal signal can end a write in its middle.
    pub(in super::super) fn before_the_kill(bytes: &[u8]) -> &[u8] {
        match STEPS_LEFT.get() {
            Some(0) => &bytes[..bytes.len().div_ceil(2)],
            _ => bytes,
        }
    }

    /// Does `work`, which is killed at its step number `step`; whether it was.
    pub(in super::super) fn dies_at(step: u32, work: impl FnOnce()) -> bool {
        STEPS_LEFT.set(Some(step));
        let result = catch_unwind(AssertUnwindSafe(work));
        STEPS_LEFT.set(None);
        match result {
            Ok(()) => false,
            Err(payload) if payload.is::<Killed>() => true,
            Err(payload) => resume_unwind(payload),
        }
    }
}
