//! `run` in the foreground: the container's streams are the command's.

use coop_launcher::logs::Stream;
use coop_launcher::supervisor::{Report, Show, UnitSpec};

use super::stream::Sink;
use crate::command::up::Failures;

/// Passes on what the container writes, byte by byte.
pub(crate) struct ContainerOutput {
    /// Why it could not be started.
    pub(crate) failures: Failures,
    /// How it ended; `None` while it runs, and when nobody saw it.
    pub(crate) exit_code: Option<i32>,
    /// The user has left it: it goes on.
    pub(crate) detached: bool,
    stdout: Sink,
    stderr: Sink,
}

impl ContainerOutput {
    /// Nothing has come yet.
    pub(crate) fn new() -> Self {
        Self {
            failures: Failures::default(),
            exit_code: None,
            detached: false,
            stdout: Sink::new(Stream::Stdout),
            stderr: Sink::new(Stream::Stderr),
        }
    }
}

impl Show for ContainerOutput {
    fn report(&mut self, report: &Report) {
        self.failures.note(report);
        if let Report::Exited(state) = report {
            self.exit_code = state.exit_code;
        }
    }

    fn output(&mut self, _: &UnitSpec, stream: Stream, bytes: &[u8]) {
        match stream {
            Stream::Stdout => self.stdout.write(bytes),
            Stream::Stderr => self.stderr.write(bytes),
        }
    }

    /// Signals are for the container: it is up to it what to say.
    fn interrupted(&mut self, _: u32) {}

    /// There is no other one.
    fn aborting(&mut self) {}
}
