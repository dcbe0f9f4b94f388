//! What the keys ask for is done by other `coop` processes: the screen never waits.

use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};

use anyhow::{Context, Result};
use rustix::event::{PollFd, PollFlags};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use super::model::{Message, Target};
use crate::host::Host;

/// This very program, also when another has been installed in its place meanwhile.
const SELF: &str = "/proc/self/exe";

/// Of an answer, as much as can be read by a person.
const MOST: usize = 4 * 1024 * 1024;

/// A `coop` that was asked to do something.
#[derive(Debug)]
pub(super) struct Asked {
    verb: &'static str,
    pub(super) target: Target,
    child: Child,
    pidfd: OwnedFd,
    /// What it answers and what it complains of.
    answer: Pipe,
    complaint: Pipe,
}

/// How it went.
pub(super) enum Outcome {
    /// For the line at the bottom.
    Told(Message),
    /// What `inspect` has printed.
    Details(String),
}

impl Asked {
    /// `coop VERB ID`.
    pub(super) fn new(host: &Host, verb: &'static str, target: Target) -> Result<Self> {
        let mut child = coop(host)
            .args([verb, target.id.as_str()])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // The terminal's signals are not for it: it finishes what it has begun.
            .process_group(0)
            .spawn()
            .with_context(|| format!("start coop {verb}"))?;
        Ok(Self {
            verb,
            target,
            pidfd: pidfd_open(Pid::from_child(&child), PidfdFlags::empty())?,
            answer: Pipe::new(child.stdout.take().map(Into::into)),
            complaint: Pipe::new(child.stderr.take().map(Into::into)),
            child,
        })
    }

    /// What tells that there is something to do.
    pub(super) fn poll_fds(&self) -> Vec<PollFd<'_>> {
        let pipes = [&self.answer.fd, &self.complaint.fd];
        pipes
            .into_iter()
            .flatten()
            .map(AsFd::as_fd)
            .chain([self.pidfd.as_fd()])
            .map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN))
            .collect()
    }

    /// Takes what has come; the outcome when it has ended.
    pub(super) fn proceed(&mut self) -> Option<Outcome> {
        // Before the look at its end: what it said last counts.
        let ended = self.child.try_wait();
        self.answer.read();
        self.complaint.read();
        let name = &self.target.name;
        match ended {
            Ok(None) => None,
            Ok(Some(status)) if !status.success() => {
                Some(Outcome::Told(Message::Failed(self.complaint(status))))
            }
            Ok(Some(_)) if self.verb == "inspect" => Some(Outcome::Details(
                String::from_utf8_lossy(&self.answer.text).into_owned(),
            )),
            Ok(Some(_)) => Some(Outcome::Told(Message::Said(format!(
                "{} {name}: done",
                self.verb
            )))),
            Err(error) => Some(Outcome::Told(Message::Failed(format!(
                "{} {name}: {error}",
                self.verb
            )))),
        }
    }

    fn complaint(&self, status: ExitStatus) -> String {
        complaint(&self.complaint.text)
            .unwrap_or_else(|| format!("coop {} {}: {status}", self.verb, self.target.name))
    }

    /// For the line at the bottom, while it is at it.
    pub(super) fn title(&self) -> String {
        format!("{} {} …", self.verb, self.target.name)
    }
}

/// `coop`, with the state of this one.
pub(in crate::command) fn coop(host: &Host) -> Command {
    let mut command = Command::new(SELF);
    command.arg0("coop");
    if let Some(root) = &host.root {
        command.arg("--root").arg(root);
    }
    if let Some(rootless) = &host.rootless {
        let (name, value) = rootless.variable();
        command.env(name, value);
    }
    command
}

/// The sentence after `error:`.
pub(super) fn complaint(text: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(text);
    let line = text.lines().find(|line| !line.trim().is_empty())?;
    Some(line.strip_prefix("error: ").unwrap_or(line).to_owned())
}

#[derive(Debug)]
struct Pipe {
    fd: Option<OwnedFd>,
    text: Vec<u8>,
}

impl Pipe {
    fn new(fd: Option<OwnedFd>) -> Self {
        let fd = fd.filter(|fd| rustix::io::ioctl_fionbio(fd, true).is_ok());
        Self {
            fd,
            text: Vec::new(),
        }
    }

    /// Reads what is there.
    fn read(&mut self) {
        let Some(fd) = self.fd.take() else { return };
        let mut file = std::fs::File::from(fd);
        let mut block = [0; 16 * 1024];
        loop {
            match file.read(&mut block) {
                Ok(0) => return,
                Ok(length) if self.text.len() < MOST => {
                    self.text.extend_from_slice(&block[..length]);
                }
                Ok(_) => {}
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => break,
                Err(_) => return,
            }
        }
        self.fd = Some(file.into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_sentence_of_an_error_is_told() {
        assert_eq!(
            complaint(b"error: web: no such thing\n  help: look\n").as_deref(),
            Some("web: no such thing")
        );
        assert_eq!(complaint(b"\n"), None);
    }
}
