//! One test program: started, listened to, ended.

use std::fs::{File, OpenOptions};
use std::io::{self, PipeReader, Read};
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Signal, WaitOptions, WaitStatus};

use crate::job::{Job, Program, RunsAs};
use crate::report::Report;
use crate::{accounts, system};

/// Where the second disk is.
const TESTS: &str = "/tests";

/// Runs `program` to its end, or until its time is up.
///
/// Whatever it leaves behind is killed: the next program is not to suffer from it.
pub(crate) fn run(program: &Program, job: &Job, report: &mut Report) -> Result<()> {
    report.begin(&program.name)?;
    let start = Instant::now();
    let (output, end) = io::pipe().context("a pipe")?;
    let mut command = command(program, job);
    command
        .stdin(Stdio::null())
        .stdout(end.try_clone()?)
        .stderr(end);
    become_what_it_runs_as(&mut command, program.runs_as)?;
    let child = command.spawn().context("start")?;
    // Its ends of the pipe are in the command.
    drop(command);
    let pid = Pid::from_raw(child.id().cast_signed()).context("a process id")?;

    let mut lines = Lines::new(output)?;
    let how = loop {
        lines.forward(Duration::from_millis(200), report)?;
        if let Some(status) = reap(pid) {
            break describe(status);
        }
        if start.elapsed() > job.limit {
            tell_processes(report)?;
            break "timeout".to_owned();
        }
    };
    // `kill(-1)`: every process but this one.
    let _ = rustix::process::kill_process_group(Pid::INIT, Signal::KILL);
    lines.rest(report)?;
    while reap(pid).is_some() {}
    report.end(&program.name, &how, start.elapsed())
}

fn command(program: &Program, job: &Job) -> Command {
    let tests = Path::new(TESTS);
    let mut command = Command::new(tests.join("programs").join(&program.name));
    if program.filtered {
        command.args(&job.filter);
    }
    // Why a test was skipped is in its output.
    command.arg("--show-output");
    // One word: programs that have a harness of their own take others for names of tests.
    command.arg(format!("--test-threads={}", job.threads));
    command
        .env_clear()
        .env("PATH", system::PATH)
        .env("HOME", "/root")
        .env("LANG", "C.UTF-8")
        .env("RUST_BACKTRACE", "0")
        .env("COOP_BIN", tests.join("bin/coop"))
        .env("COOP_BIN_FAULT", tests.join("fault/coop"))
        .env("COOP_FLOOR", tests.join("bin/floor"))
        .env("COOP_HOSTILE", tests.join("bin/hostile"))
        .env("COOP_CALLS", tests.join("bin/calls"))
        .env("COOP_ASK", tests.join("bin/ask"))
        .env("COOP_GUEST_VARIANT", &job.variant)
        // An emulated processor is slow, and the machine that emulates it may be busy.
        .env("COOP_TEST_TIMEOUT", "300")
        .env("INSTA_WORKSPACE_ROOT", &job.workspace)
        .env("INSTA_UPDATE", "no")
        .current_dir("/root");
    command
}

/// User, cgroup and session of the program; see `main.rs`.
fn become_what_it_runs_as(command: &mut Command, runs_as: RunsAs) -> Result<()> {
    let mut entrance: Option<File> = None;
    if runs_as == RunsAs::User {
        let slice = Path::new(system::CGROUPS).join(system::SLICE);
        let procs = slice.join(system::SCOPE).join("cgroup.procs");
        entrance = Some(OpenOptions::new().write(true).open(procs)?);
        command
            .uid(accounts::USER)
            .gid(accounts::USER)
            .env("HOME", accounts::HOME)
            .env("USER", "user")
            .env("XDG_RUNTIME_DIR", "/run/user/1000")
            .env("COOP_TEST_DELEGATED", slice)
            .current_dir(accounts::HOME);
    }
    let enter = move || {
        rustix::process::setsid()?;
        if let Some(entrance) = &entrance {
            rustix::io::write(entrance, b"0")?;
        }
        Ok(())
    };
    // SAFETY: the closure only makes system calls.
    unsafe { command.pre_exec(enter) };
    Ok(())
}

/// Waits for what has ended, orphans included, and tells how `pid` did, if it did.
fn reap(pid: Pid) -> Option<WaitStatus> {
    while let Ok(Some((ended, status))) = rustix::process::wait(WaitOptions::NOHANG) {
        if ended == pid {
            return Some(status);
        }
    }
    None
}

fn describe(status: WaitStatus) -> String {
    match (status.exit_status(), status.terminating_signal()) {
        (Some(status), _) => format!("exit {status}"),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => "lost".to_owned(),
    }
}

/// For the reader of a report about a program that did not end.
fn tell_processes(report: &mut Report) -> Result<()> {
    report.output("guest-init: the time of this program is up; what runs:")?;
    let list = Command::new("/usr/bin/busybox").arg("ps").output();
    let list = list.context("start ps")?;
    for line in String::from_utf8_lossy(&list.stdout).lines() {
        report.output(line)?;
    }
    Ok(())
}

/// The lines that come out of a pipe.
struct Lines {
    pipe: PipeReader,
    /// The beginning of a line whose end has not come yet.
    begun: Vec<u8>,
    open: bool,
}

impl Lines {
    fn new(pipe: PipeReader) -> Result<Self> {
        rustix::io::ioctl_fionbio(&pipe, true).context("a pipe that does not block")?;
        Ok(Self {
            pipe,
            begun: Vec::new(),
            open: true,
        })
    }

    /// Waits for output, at most for so long, and passes whole lines on.
    fn forward(&mut self, patience: Duration, report: &mut Report) -> Result<()> {
        if !self.open {
            std::thread::sleep(patience);
            return Ok(());
        }
        let timeout = Timespec::try_from(patience).ok();
        let mut fds = [PollFd::from_borrowed_fd(self.pipe.as_fd(), PollFlags::IN)];
        poll(&mut fds, timeout.as_ref()).context("wait for output")?;
        self.read(report)
    }

    /// Passes on what is in the pipe, the last line without an end included.
    fn rest(&mut self, report: &mut Report) -> Result<()> {
        self.read(report)?;
        if !self.begun.is_empty() {
            report.output(&String::from_utf8_lossy(&self.begun))?;
        }
        Ok(())
    }

    fn read(&mut self, report: &mut Report) -> Result<()> {
        let mut buffer = [0; 8192];
        loop {
            match self.pipe.read(&mut buffer) {
                Ok(0) => {
                    self.open = false;
                    break;
                }
                Ok(length) => self.begun.extend_from_slice(&buffer[..length]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error).context("read output"),
            }
            while let Some(end) = self.begun.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.begun.drain(..=end).collect();
                report.output(&String::from_utf8_lossy(&line[..end]))?;
            }
        }
        Ok(())
    }
}
