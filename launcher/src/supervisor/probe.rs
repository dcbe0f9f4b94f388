//! One run of a health check: its process, its output, and what it comes to.

use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;
use std::time::{Duration, Instant, SystemTime};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, read};
use rustix::process::Signal;

use super::reactor::Reactor;
use super::{after, exit};
use crate::store::HealthCheck;

/// What is kept of a check's output.
const MOST_OUTPUT: usize = 4096;

/// The exit code of a check that gave none.
const NO_RESULT: i32 = -1;

/// How long a killed check may take to be gone: a frozen one never is.
const LAST_WAIT: Timespec = Timespec {
    tv_sec: 1,
    tv_nsec: 0,
};

/// A check that runs.
#[derive(Debug)]
pub(super) struct Probe {
    pub(super) pidfd: Rc<OwnedFd>,
    /// None once nobody writes to it any more.
    output: Option<OwnedFd>,
    text: Vec<u8>,
    begun: SystemTime,
    pub(super) deadline: Instant,
    timed_out: bool,
}

/// A check that was killed and has not ended yet.
#[derive(Debug)]
pub(super) struct Dying(Rc<OwnedFd>);

impl Dying {
    /// Whether it has ended; it is reaped then, and watched no more.
    pub(super) fn is_gone(&self, reactor: &Reactor) -> bool {
        let gone = !matches!(coop_ns::pidfd::try_wait(self.0.as_fd()), Ok(None));
        if gone {
            reactor.forget(&self.0);
        }
        gone
    }
}

impl Probe {
    pub(super) fn new(pidfd: Rc<OwnedFd>, output: OwnedFd, timeout: Duration) -> Self {
        Self {
            pidfd,
            output: Some(output),
            text: Vec::new(),
            begun: SystemTime::now(),
            deadline: after(Instant::now(), timeout),
            timed_out: false,
        }
    }

    /// Takes what the check has printed.
    pub(super) fn read(&mut self, reactor: &Reactor) {
        let mut buffer = [0; MOST_OUTPUT];
        // At most as much as a pipe holds: others get their turn.
        for _ in 0..16 {
            let Some(output) = &self.output else { return };
            match read(output, &mut buffer) {
                Ok(length) if length > 0 => {
                    // One byte more than is kept tells that something is missing.
                    let room = (MOST_OUTPUT + 1).saturating_sub(self.text.len());
                    self.text.extend(&buffer[..length.min(room)]);
                }
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return,
                _ => {
                    reactor.forget(output);
                    self.output = None;
                }
            }
        }
    }

    /// Whether [`Self::result`] would wait for nothing.
    pub(super) fn has_ended(&self) -> bool {
        exit::has_ended(self.pidfd.as_fd())
    }

    /// Its time is over. Its end is seen as any other's.
    pub(super) fn time_out(&mut self) {
        let _ = rustix::process::pidfd_send_signal(&self.pidfd, Signal::KILL);
        self.timed_out = true;
        self.deadline = after(Instant::now(), Duration::from_secs(3600));
    }

    /// Kills it, whatever it would have found. One that is not gone soon is returned and still
    /// watched: the container's first process cannot end before it is reaped.
    pub(super) fn abort(self, reactor: &Reactor) -> Option<Dying> {
        let _ = rustix::process::pidfd_send_signal(&self.pidfd, Signal::KILL);
        let mut fds = [PollFd::new(&self.pidfd, PollFlags::IN)];
        let _ = poll(&mut fds, Some(&LAST_WAIT));
        if let Some(output) = &self.output {
            reactor.forget(output);
        }
        let dying = Dying(self.pidfd);
        (!dying.is_gone(reactor)).then_some(dying)
    }

    fn forget(&self, reactor: &Reactor) {
        reactor.forget(&self.pidfd);
        if let Some(output) = &self.output {
            reactor.forget(output);
        }
    }

    /// What the check, which has ended, has found.
    pub(super) fn result(mut self, timeout: Duration, reactor: &Reactor) -> HealthCheck {
        let status = coop_ns::pidfd::wait(self.pidfd.as_fd());
        self.read(reactor);
        self.forget(reactor);
        let mut output = text(&self.text);
        let exit_code = match status {
            _ if self.timed_out => {
                let why = format!("Health check exceeded timeout ({})", words(timeout));
                output = if output.is_empty() {
                    why
                } else {
                    format!("{why}: {output}")
                };
                NO_RESULT
            }
            Ok(status) => status.code(),
            Err(error) => {
                output = error.to_string();
                NO_RESULT
            }
        };
        HealthCheck {
            start: self.begun,
            end: SystemTime::now(),
            exit_code,
            output,
        }
    }
}

/// What became of a check that could not be started.
pub(super) fn not_started(error: String) -> HealthCheck {
    let now = SystemTime::now();
    HealthCheck {
        start: now,
        end: now,
        exit_code: NO_RESULT,
        output: error,
    }
}

fn text(bytes: &[u8]) -> String {
    let cut = &bytes[..bytes.len().min(MOST_OUTPUT)];
    let mut text = String::from_utf8_lossy(cut).into_owned();
    if bytes.len() > MOST_OUTPUT {
        text.push_str("...");
    }
    text
}

/// A time as Go writes it: `1m30s`, `500ms`.
fn words(time: Duration) -> String {
    let seconds = time.as_secs();
    if seconds == 0 && !time.is_zero() {
        return format!("{time:?}");
    }
    let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
    let rest = Duration::new(seconds % 60, time.subsec_nanos()).as_secs_f64();
    match (hours, minutes) {
        (0, 0) => format!("{rest}s"),
        (0, _) => format!("{minutes}m{rest}s"),
        _ => format!("{hours}h{minutes}m{rest}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_written_as_in_go() {
        for (millis, text) in [
            (0, "0s"),
            (500, "500ms"),
            (1000, "1s"),
            (1500, "1.5s"),
            (30_000, "30s"),
            (90_000, "1m30s"),
            (3_600_000, "1h0m0s"),
        ] {
            assert_eq!(words(Duration::from_millis(millis)), text);
        }
    }

    #[test]
    fn long_output_is_cut_and_says_so() {
        assert_eq!(text(b"fine\n"), "fine\n");
        let long = text(&[b'x'; MOST_OUTPUT + 1]);
        assert_eq!(
            (long.len(), long.ends_with("x...")),
            (MOST_OUTPUT + 3, true)
        );
    }
}
