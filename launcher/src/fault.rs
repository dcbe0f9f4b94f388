//! Fault injection: stops a launch at a named point, for tests.
//!
//! Without the cargo feature `fault` every function here is empty. With it, the environment
//! variable `COOP_FAULT` chooses:
//! - `list` prints each point as it is passed, one a line, to standard error;
//! - `POINT:kill` sends SIGKILL to the process that passes the point;
//! - `POINT:fail` makes the step fail.

use crate::error::BoxError;

/// Passes the point `STAGE.STEP`.
///
/// # Errors
/// When this point was chosen to fail.
#[cfg(feature = "fault")]
pub fn point(stage: &str, step: &str) -> Result<(), BoxError> {
    use std::io::Write;
    use std::sync::LazyLock;

    static CHOSEN: LazyLock<Option<String>> = LazyLock::new(|| std::env::var("COOP_FAULT").ok());
    let Some(chosen) = CHOSEN.as_deref() else {
        return Ok(());
    };
    if chosen == "list" {
        // One write, so that lines of parent and child do not mix.
        let _ = std::io::stderr().write_all(format!("{stage}.{step}\n").as_bytes());
        return Ok(());
    }
    let Some((point, action)) = chosen.rsplit_once(':') else {
        return Ok(());
    };
    if point != format!("{stage}.{step}") {
        return Ok(());
    }
    if action == "kill" {
        let me = rustix::process::getpid();
        let _ = rustix::process::kill_process(me, rustix::process::Signal::KILL);
        // Pid 1 of a pid namespace is immune to its own SIGKILL: end all the same.
        std::process::abort();
    }
    Err(format!("injected fault at {point}").into())
}

/// Passes a point: nothing is injected in this build.
///
/// # Errors
/// Never.
#[cfg(not(feature = "fault"))]
#[inline]
#[allow(clippy::unnecessary_wraps)]
pub fn point(_stage: &str, _step: &str) -> Result<(), BoxError> {
    Ok(())
}
