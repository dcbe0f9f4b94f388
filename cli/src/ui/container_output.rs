//! `run` in the foreground: the container's streams are the command's.

use coop_launcher::logs::Stream;
use coop_launcher::supervisor::{Report, Show, UnitSpec};

use super::stream::Sink;
use crate::command::up::Failures;

/// Passes on what the container writes, byte by byte.
pub(crate) struct ContainerOutput {
    /// Why it could not be started.
    pub(crate) failures: Failures,
    stdout: Sink,
    stderr: Sink,
}

impl ContainerOutput {
    /// Nothing has come yet.
    pub(crate) fn new() -> Self {
        Self {
            failures: Failures::default(),
            stdout: Sink::new(Stream::Stdout),
            stderr: Sink::new(Stream::Stderr),
        }
    }
}

impl Show for ContainerOutput {
    fn report(&mut self, report: &Report) {
        self.failures.note(report);
    }

    fn output(&mut self, _: &UnitSpec, stream: Stream, bytes: &[u8]) {
        match stream {
            Stream::Stdout => self.stdout.write(bytes),
            Stream::Stderr => self.stderr.write(bytes),
        }
    }
}
