//! Fault injection: stops a launch at a named point, for tests.
//!
//! Without the cargo feature `fault` every function here is empty. With it, the environment
//! variable `COOP_FAULT` chooses:
//! - `list` prints each point as it is passed, one a line, to standard error;
//! - `list:FILE` appends them to a file: a detached supervisor has no standard error;
//! - `POINT:kill` sends SIGKILL to the process that passes the point;
//! - `POINT:stop` sends SIGSTOP to it: it goes on when someone sends SIGCONT;
//! - `POINT:fail` makes the step fail.

use crate::error::BoxError;

/// Passes the point `STAGE.STEP`.
///
/// # Errors
/// When this point was chosen to fail.
#[cfg(feature = "fault")]
pub fn point(stage: &str, step: &str) -> Result<(), BoxError> {
    use std::sync::LazyLock;

    static CHOSEN: LazyLock<Option<String>> = LazyLock::new(|| std::env::var("COOP_FAULT").ok());
    let Some(chosen) = CHOSEN.as_deref() else {
        return Ok(());
    };
    let passed = format!("{stage}.{step}");
    if let Some(list) = chosen.strip_prefix("list") {
        list_to(list.strip_prefix(':'), &passed);
        return Ok(());
    }
    let Some((point, action)) = chosen.rsplit_once(':') else {
        return Ok(());
    };
    if point != passed {
        return Ok(());
    }
    let me = rustix::process::getpid();
    if action == "stop" {
        let _ = rustix::process::kill_process(me, rustix::process::Signal::STOP);
        return Ok(());
    }
    if action == "kill" {
        let _ = rustix::process::kill_process(me, rustix::process::Signal::KILL);
        // Pid 1 of a pid namespace is immune to its own SIGKILL: end all the same.
        std::process::abort();
    }
    Err(format!("injected fault at {point}").into())
}

/// One write for each line, so that lines of parent and child do not mix.
#[cfg(feature = "fault")]
fn list_to(path: Option<&str>, point: &str) {
    use std::fs::File;
    use std::io::Write;
    use std::sync::Mutex;

    /// A child that has its own root cannot open the file any more, but has inherited it.
    static OPEN: Mutex<Option<File>> = Mutex::new(None);
    let line = format!("{point}\n");
    let Some(path) = path else {
        let _ = std::io::stderr().write_all(line.as_bytes());
        return;
    };
    let Ok(mut open) = OPEN.lock() else { return };
    if let Ok(file) = File::options().append(true).create(true).open(path) {
        // Not closed: a helper has closed what it has inherited, and the number may be of
        // another file by now.
        std::mem::forget(open.replace(file));
    }
    if let Some(file) = open.as_mut() {
        let _ = file.write_all(line.as_bytes());
    }
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
