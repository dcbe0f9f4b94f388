//! One measurement: a command from its start to its end.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{Read, Seek};
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::MemfdFlags;
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};

use super::sys;

/// What something cost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Cost {
    /// From before `fork` to after `wait`.
    pub(crate) wall: Duration,
    /// Processor time in user mode and in the kernel, of the command and of all that was
    /// waited for: not of what it left running, nor of kernel threads.
    pub(crate) cpu: Duration,
}

impl std::ops::AddAssign for Cost {
    fn add_assign(&mut self, other: Self) {
        self.wall += other.wall;
        self.cpu += other.cpu;
    }
}

/// A command without a shell.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Words(pub(crate) Vec<OsString>);

impl Words {
    pub(crate) fn new(program: impl AsRef<OsStr>) -> Self {
        Self(vec![program.as_ref().to_owned()])
    }

    pub(crate) fn with<W: AsRef<OsStr>>(mut self, words: impl IntoIterator<Item = W>) -> Self {
        let words = words.into_iter().map(|word| word.as_ref().to_owned());
        self.0.extend(words);
        self
    }
}

impl std::fmt::Display for Words {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let words: Vec<_> = self.0.iter().map(|word| word.to_string_lossy()).collect();
        f.write_str(&words.join(" "))
    }
}

/// What a command did, besides its cost.
pub(crate) struct Done {
    pub(crate) cost: Cost,
    /// Standard output and standard error.
    pub(crate) output: String,
    pub(crate) status: ExitStatus,
}

/// Runs `words` to its end, which has to be a good one.
///
/// # Errors
/// When it cannot be started, or fails; with what it printed.
pub(crate) fn measure(words: &Words) -> Result<Cost> {
    Ok(succeed(words)?.cost)
}

/// The same, with what it printed.
///
/// # Errors
/// Those of [`measure`].
pub(crate) fn succeed(words: &Words) -> Result<Done> {
    let done = run(words)?;
    if !done.status.success() {
        return Err(anyhow!("{}: {}", done.status, done.output.trim()).context(words.to_string()));
    }
    Ok(done)
}

/// Runs `words` to its end, good or bad.
///
/// # Errors
/// When it cannot be started.
pub(crate) fn run(words: &Words) -> Result<Done> {
    let [program, arguments @ ..] = &words.0[..] else {
        bail!("an empty command");
    };
    let output = rustix::fs::memfd_create(c"output", MemfdFlags::CLOEXEC)?;
    let mut output = File::from(output);
    let mut command = Command::new(program);
    command
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(output.try_clone()?)
        .stderr(output.try_clone()?);
    let start = Instant::now();
    let child = command.spawn().with_context(|| format!("start {words}"))?;
    let late = end_or_be_ended(&child).with_context(|| format!("watch {words}"))?;
    let end = sys::wait(&child).with_context(|| format!("wait for {words}"))?;
    let wall = start.elapsed();
    if let Some(why) = late {
        return Err(
            anyhow!("ended after {:.0} s: {why}", wall.as_secs_f64()).context(words.to_string())
        );
    }
    let mut bytes = Vec::new();
    output.rewind()?;
    output.read_to_end(&mut bytes)?;
    Ok(Done {
        cost: Cost {
            wall,
            cpu: end.user + end.system,
        },
        output: String::from_utf8_lossy(&bytes).into_owned(),
        status: ExitStatus::from_raw(end.status),
    })
}

/// The longest that one command may take.
const LIMIT: Duration = Duration::from_secs(120);
/// How long it has to end by itself when it is asked to.
const GRACE: Duration = Duration::from_secs(10);

/// Waits until `child` has ended, and ends it when it takes too long or a signal came. Why, if
/// so.
fn end_or_be_ended(child: &Child) -> Result<Option<&'static str>> {
    let pid = Pid::from_child(child);
    let pidfd = pidfd_open(pid, PidfdFlags::empty()).context("pidfd_open")?;
    if has_ended(&pidfd, LIMIT)? {
        return Ok(None);
    }
    let _ = kill_process(pid, Signal::TERM);
    if !has_ended(&pidfd, GRACE)? {
        let _ = kill_process(pid, Signal::KILL);
    }
    Ok(Some(if sys::stop_asked() {
        "stopped by a signal"
    } else {
        "it took too long"
    }))
}

/// Whether the process ends within `time`, and before a signal comes to this one.
fn has_ended(pidfd: &OwnedFd, time: Duration) -> Result<bool> {
    let time = Timespec::try_from(time)?;
    let mut polled = [PollFd::new(pidfd, PollFlags::IN)];
    match poll(&mut polled, Some(&time)) {
        Ok(ready) => Ok(ready > 0),
        Err(Errno::INTR) => Ok(false),
        Err(errno) => Err(errno).context("poll"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_timed_and_its_output_kept() {
        let done = succeed(&Words::new("sh").with(["-c", "echo out; echo err >&2"])).unwrap();
        assert_eq!(done.output, "out\nerr\n");
        assert!(!done.cost.wall.is_zero());
    }

    #[test]
    fn the_time_of_children_that_were_waited_for_counts() {
        let script = "sh -c 'i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done'; :";
        let done = succeed(&Words::new("sh").with(["-c", script])).unwrap();
        assert!(!done.cost.cpu.is_zero());
    }

    #[test]
    fn a_failure_says_which_command_and_why() {
        let error =
            measure(&Words::new("sh").with(["-c", "echo no such thing; exit 3"])).unwrap_err();
        let error = format!("{error:#}");
        assert!(error.contains("sh -c"), "{error}");
        assert!(error.contains("exit status: 3"), "{error}");
        assert!(error.contains("no such thing"), "{error}");
    }
}
