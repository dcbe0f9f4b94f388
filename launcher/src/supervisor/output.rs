//! What a container prints: from its pipes or its terminal to its log, and to who looks on.

use std::os::fd::OwnedFd;

use rustix::io::Errno;

use super::reactor::{Reactor, Token};
use super::spec::UnitSpec;
use super::unit::Unit;
use super::{SupervisorError, kernel};
use crate::logs::{LogPipe, Stream};
use crate::store::Store;
use crate::{STDERR_PIPE, STDOUT_PIPE};

/// As much as a pipe holds by default: one read empties it.
const PIPE_SIZE: usize = 64 * 1024;

impl Unit {
    /// Opens the supervisor's end of the container's output pipes.
    pub(super) fn open_pipes(
        &mut self,
        store: &Store,
        reactor: &Reactor,
    ) -> Result<(), SupervisorError> {
        if self.spec.terminal {
            return Ok(());
        }
        let dir = store.dirs().container_run(&self.spec.id);
        let pipes = [
            (STDOUT_PIPE, Token::Stdout(self.index)),
            (STDERR_PIPE, Token::Stderr(self.index)),
        ];
        for (name, token) in pipes {
            let fd = LogPipe::open_reader(&dir.join(name))?;
            self.watch_output(token, fd, reactor)?;
        }
        Ok(())
    }

    /// Takes the master of the container's terminal as its output.
    pub(super) fn watch_terminal(
        &mut self,
        master: OwnedFd,
        reactor: &Reactor,
    ) -> Result<(), SupervisorError> {
        rustix::io::ioctl_fionbio(&master, true)
            .map_err(kernel("make the terminal non-blocking"))?;
        self.watch_output(Token::Stdout(self.index), master, reactor)
    }

    fn watch_output(
        &mut self,
        token: Token,
        fd: OwnedFd,
        reactor: &Reactor,
    ) -> Result<(), SupervisorError> {
        reactor
            .watch(&fd, token)
            .map_err(kernel("watch a container's output"))?;
        self.outputs.push((token, fd));
        Ok(())
    }

    /// Moves what the container wrote to its log, and shows it.
    pub(super) fn read_output(
        &mut self,
        token: Token,
        reactor: &Reactor,
        mut show: impl FnMut(&UnitSpec, Stream, &[u8]),
    ) {
        let Some(position) = self.outputs.iter().position(|(of, _)| *of == token) else {
            return;
        };
        let stream = stream_of(token);
        let mut buffer = vec![0; PIPE_SIZE];
        match rustix::io::read(&self.outputs[position].1, &mut buffer) {
            Ok(length) if length > 0 => self.take_output(stream, &buffer[..length], &mut show),
            Err(Errno::AGAIN | Errno::INTR) => {}
            // End of file, or EIO from a terminal whose last user is gone.
            _ => {
                let (_, fd) = self.outputs.swap_remove(position);
                reactor.forget(&fd);
            }
        }
    }

    /// Reads what is left in the pipes after the container's end, and closes them.
    pub(super) fn drain_output(
        &mut self,
        reactor: &Reactor,
        mut show: impl FnMut(&UnitSpec, Stream, &[u8]),
    ) {
        for (token, fd) in std::mem::take(&mut self.outputs) {
            let stream = stream_of(token);
            let drained = LogPipe::drain(&fd, |bytes| self.take_output(stream, bytes, &mut show));
            if let Err(errno) = drained {
                log::warn!("{}: read output: {errno}", self.spec.name);
            }
            reactor.forget(&fd);
        }
        if let Err(error) = self.log.flush() {
            log::warn!("{}: write log: {error}", self.spec.name);
        }
    }

    fn take_output(
        &mut self,
        stream: Stream,
        bytes: &[u8],
        show: &mut impl FnMut(&UnitSpec, Stream, &[u8]),
    ) {
        if let Err(error) = self.log.write(stream, bytes) {
            log::warn!("{}: write log: {error}", self.spec.name);
        }
        show(&self.spec, stream, bytes);
    }
}

fn stream_of(token: Token) -> Stream {
    match token {
        Token::Stderr(_) => Stream::Stderr,
        _ => Stream::Stdout,
    }
}
