//! Commands that still run.

use std::fmt::Write;
use std::os::fd::{AsFd, OwnedFd};
use std::process::{Child, ExitStatus};
use std::time::{Duration, Instant};

use anyhow::Result;
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::process::{Pid, PidfdFlags, Signal};
use rustix::termios::Winsize;

use crate::{Host, Output};

/// The test's ends of a command's standard streams.
pub(crate) struct Pipes {
    pub(crate) stdin: Option<OwnedFd>,
    pub(crate) stdout: Option<OwnedFd>,
    pub(crate) stderr: Option<OwnedFd>,
}

/// A command that was started; killed on drop.
pub struct Running<'h> {
    host: &'h Host,
    command: String,
    child: Child,
    pidfd: OwnedFd,
    pub(crate) stdin: Option<OwnedFd>,
    stdout: Stream,
    stderr: Stream,
    status: Option<ExitStatus>,
    timeout: Duration,
}

/// What came out of one pipe so far.
struct Stream {
    pipe: Option<OwnedFd>,
    text: Vec<u8>,
    /// Up to where [`Running::wait_for`] has looked.
    seen: usize,
}

impl Stream {
    fn new(pipe: Option<OwnedFd>) -> Self {
        Self {
            pipe,
            text: Vec::new(),
            seen: 0,
        }
    }

    /// Reads what is there, and forgets the pipe at its end.
    fn read(&mut self) {
        let Some(pipe) = &self.pipe else { return };
        let mut buffer = [0; 16 * 1024];
        match rustix::io::read(pipe, &mut buffer) {
            Ok(count) if count > 0 => self.text.extend_from_slice(&buffer[..count]),
            Err(rustix::io::Errno::INTR) => {}
            // A terminal's end is EIO.
            Ok(_) | Err(_) => self.pipe = None,
        }
    }

    /// The line with `text` in it, behind the one that was found last.
    fn find(&mut self, text: &str) -> Option<String> {
        let fresh = String::from_utf8_lossy(&self.text[self.seen..]).into_owned();
        let at = fresh.find(text)?;
        let start = fresh[..at].rfind('\n').map_or(0, |newline| newline + 1);
        let end = fresh[at..]
            .find('\n')
            .map_or(fresh.len(), |newline| at + newline);
        self.seen += at + text.len();
        Some(fresh[start..end].trim_end().to_owned())
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.text).into_owned()
    }
}

impl<'h> Running<'h> {
    pub(crate) fn new(
        host: &'h Host,
        command: String,
        child: Child,
        pipes: Pipes,
        timeout: Duration,
    ) -> Result<Self> {
        let pidfd = rustix::process::pidfd_open(Pid::from_child(&child), PidfdFlags::empty())?;
        Ok(Self {
            host,
            command,
            child,
            pidfd,
            stdin: pipes.stdin,
            stdout: Stream::new(pipes.stdout),
            stderr: Stream::new(pipes.stderr),
            status: None,
            timeout,
        })
    }

    /// The command's process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits until `text` appears on standard output or error, behind what was found by the
    /// last call, and returns its line as far as it is there.
    ///
    /// # Panics
    /// When the command ends or takes too long before.
    #[track_caller]
    pub fn wait_for(&mut self, text: &str) -> String {
        let deadline = Instant::now() + self.timeout;
        loop {
            if let Some(line) = self.stdout.find(text).or_else(|| self.stderr.find(text)) {
                return line;
            }
            assert!(
                !self.ended(),
                "the command ended without {text:?}\n{}",
                self.so_far()
            );
            assert!(
                Instant::now() < deadline,
                "no {text:?} for {:?}\n{}",
                self.timeout,
                self.so_far()
            );
            self.pump();
        }
    }

    /// Types or writes `text`.
    ///
    /// # Panics
    /// When standard input is not open.
    #[track_caller]
    pub fn send(&mut self, text: &str) {
        let stdin = self.stdin.as_ref().expect("standard input is not open");
        rustix::io::write(stdin, text.as_bytes()).expect("write to standard input");
    }

    /// Closes standard input.
    pub fn close_stdin(&mut self) {
        self.stdin = None;
    }

    /// Changes the size of the terminal.
    ///
    /// # Panics
    /// When the command has none.
    #[track_caller]
    pub fn resize(&mut self, columns: u16, rows: u16) {
        let terminal = self.stdin.as_ref().expect("no terminal");
        let size = Winsize {
            ws_row: rows,
            ws_col: columns,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        rustix::termios::tcsetwinsize(terminal, size).expect("set the window size");
    }

    /// Sends a signal to the command's process.
    pub fn signal(&self, signal: Signal) {
        // It may have ended by itself a moment ago.
        let _ = rustix::process::pidfd_send_signal(&self.pidfd, signal);
    }

    /// Sends a signal to the command's process group, as ctrl-C in a terminal does.
    pub fn signal_group(&self, signal: Signal) {
        let _ = rustix::process::kill_process_group(Pid::from_child(&self.child), signal);
    }

    /// Waits for the end of the command and of its output.
    ///
    /// # Panics
    /// When it takes too long, or when something that it left in the background keeps its
    /// output open: a caller that reads it (`$(coop run -d …)`) would hang.
    #[track_caller]
    pub fn wait(mut self) -> Output {
        let mut deadline = Instant::now() + self.timeout;
        while !self.ended() {
            assert!(
                Instant::now() < deadline,
                "still running after {:?}\n{}",
                self.timeout,
                self.so_far()
            );
            self.pump();
        }
        deadline = Instant::now() + self.timeout.min(Duration::from_secs(5));
        while self.stdout.pipe.is_some() || self.stderr.pipe.is_some() {
            if Instant::now() > deadline {
                let holders = self.host.processes().join("\n  ");
                panic!(
                    "its output is held open, by one of\n  {holders}\n{}",
                    self.so_far()
                );
            }
            self.pump();
        }
        let output = Output {
            command: self.command.clone(),
            status: self.status.expect("it ended"),
            stdout: self.stdout.text(),
            stderr: self.stderr.text(),
        };
        self.host.remember(&output);
        output
    }

    /// All that has come until now, of what goes to standard output or to the terminal, after
    /// waiting a moment for more.
    pub(crate) fn written(&mut self) -> &[u8] {
        self.pump();
        &self.stdout.text
    }

    /// How long this command may take.
    pub(crate) fn patience(&self) -> Duration {
        self.timeout
    }

    /// Whether it has ended.
    ///
    /// # Panics
    /// When that cannot be told.
    pub fn ended(&mut self) -> bool {
        if self.status.is_none() {
            self.status = self.child.try_wait().expect("wait for the command");
        }
        self.status.is_some()
    }

    /// Sleeps until there is something to read or the command ends, and reads it.
    fn pump(&mut self) {
        const TICK: Timespec = Timespec {
            tv_sec: 0,
            tv_nsec: 50_000_000,
        };
        let pipes = [&self.stdout.pipe, &self.stderr.pipe];
        let mut polled: Vec<_> = pipes
            .iter()
            .map(|pipe| pipe.as_ref().map(|pipe| PollFd::new(pipe, PollFlags::IN)))
            .collect();
        let mut ready = [false; 2];
        let mut list: Vec<_> = polled
            .iter_mut()
            .flatten()
            .map(|poll| poll.clone())
            .collect();
        if self.status.is_none() {
            list.push(PollFd::from_borrowed_fd(self.pidfd.as_fd(), PollFlags::IN));
        }
        // An interrupted poll is as good as one that timed out.
        let _ = rustix::event::poll(&mut list, Some(&TICK));
        let mut results = list.iter();
        for (ready, polled) in ready.iter_mut().zip(&polled) {
            if polled.is_some() {
                *ready = results
                    .next()
                    .is_some_and(|result| !result.revents().is_empty());
            }
        }
        drop(polled);
        if ready[0] {
            self.stdout.read();
        }
        if ready[1] {
            self.stderr.read();
        }
    }

    /// Kills the command and describes what it did until now.
    fn so_far(&self) -> String {
        self.signal_group(Signal::KILL);
        let mut text = format!("$ {}\n", self.command);
        for (name, stream) in [("out", &self.stdout), ("err", &self.stderr)] {
            for line in stream.text().lines() {
                let _ = writeln!(text, "  {name}| {line}");
            }
        }
        text
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        if !self.ended() {
            self.signal_group(Signal::KILL);
            let _ = self.child.wait();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_found_in_order_and_only_once() {
        let mut stream = Stream::new(None);
        stream.text = b"one ready\ntwo ready\n".to_vec();
        assert_eq!(stream.find("ready"), Some("one ready".into()));
        assert_eq!(stream.find("ready"), Some("two ready".into()));
        assert_eq!(stream.find("ready"), None);
    }

    #[test]
    fn a_line_is_waited_for_while_the_command_runs() {
        let host = Host::new();
        let mut running = host
            .tool("sh")
            .args(["-c", "echo up; exec sleep 1000"])
            .spawn();
        assert_eq!(running.wait_for("up"), "up");
        running.signal(Signal::TERM);
        let output = running.wait();
        assert_eq!(
            std::os::unix::process::ExitStatusExt::signal(&output.status),
            Some(15)
        );
    }
}
