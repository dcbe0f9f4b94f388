//! What a container prints: from its pipes or its terminal to its log, and to who looks on.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Instant;

use rustix::io::Errno;

use super::durable::RETRY;
use super::reactor::{Reactor, Token};
use super::spec::UnitSpec;
use super::unit::Unit;
use super::{SupervisorError, kernel};
use crate::error::chain;
use crate::logs::{LogError, LogPipe, Stream, Taken};
use crate::store::Store;
use crate::{STDERR_PIPE, STDOUT_PIPE};

/// As large as a program may make its pipe: `/proc/sys/fs/pipe-max-size` by default.
const PIPE_MAX: usize = 1024 * 1024;

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
        self.outputs.open.push((token, fd));
        if self.log.is_behind() {
            self.pause_output(reactor);
        }
        Ok(())
    }

    /// Moves what the container wrote to its log, and shows it.
    pub(super) fn read_output(
        &mut self,
        token: Token,
        reactor: &Reactor,
        mut show: impl FnMut(&UnitSpec, Stream, &[u8]),
    ) {
        let Some(position) = self.outputs.position(token) else {
            return;
        };
        match self.take_output(position, &mut show) {
            Ok(Taken::Some(_) | Taken::Nothing) => {}
            Ok(Taken::End) => {
                let (_, fd) = self.outputs.open.swap_remove(position);
                reactor.forget(&fd);
            }
            Err(error) => {
                self.warn_of(&error);
                self.pause_output(reactor);
            }
        }
    }

    fn take_output(
        &mut self,
        position: usize,
        show: &mut impl FnMut(&UnitSpec, Stream, &[u8]),
    ) -> Result<Taken, LogError> {
        let (token, fd) = &self.outputs.open[position];
        let stream = stream_of(*token);
        let spec = &self.spec;
        let show = |bytes: &[u8]| show(spec, stream, bytes);
        if self.spec.terminal {
            self.log.take_by_reading(stream, fd, show)
        } else {
            self.log.take(stream, fd, show)
        }
    }

    /// The log cannot be written: what the container writes stays where it is for a while, and
    /// does not wake us all the time.
    fn pause_output(&mut self, reactor: &Reactor) {
        for (_, fd) in &self.outputs.open {
            reactor.forget(fd);
        }
        self.outputs.retry = Some(Instant::now() + RETRY);
    }

    /// Tries again to write the log when it is time.
    pub(super) fn retry_output(&mut self, now: Instant, reactor: &Reactor) {
        if self.outputs.retry.is_none_or(|at| now < at) {
            return;
        }
        if !self.is_running() {
            self.drain_output(reactor, |_, _, _| ());
            return;
        }
        if let Err(error) = self.log.catch_up() {
            self.warn_of(&error);
            self.outputs.retry = Some(now + RETRY);
            return;
        }
        self.outputs.retry = None;
        for (token, fd) in &self.outputs.open {
            if let Err(errno) = reactor.watch(fd, *token) {
                log::warn!("{}: watch its output: {errno}", self.spec.name);
            }
        }
    }

    /// Once for each reason.
    fn warn_of(&mut self, error: &LogError) {
        if self.outputs.warned == Some(error.source) {
            return;
        }
        self.outputs.warned = Some(error.source);
        log::warn!(
            "{}: {}: its output waits until this succeeds",
            self.spec.name,
            chain(error)
        );
    }

    /// Reads what is left in the pipes after the container's end, and closes them. When the log
    /// cannot be written, they stay open, and it is tried again.
    pub(super) fn drain_output(
        &mut self,
        reactor: &Reactor,
        mut show: impl FnMut(&UnitSpec, Stream, &[u8]),
    ) {
        let mut failed = None;
        for position in 0..self.outputs.open.len() {
            let mut total = 0;
            // As much as fits into any pipe, should someone go on writing.
            while total <= PIPE_MAX {
                match self.take_output(position, &mut show) {
                    Ok(Taken::Some(length)) => total += length,
                    Ok(Taken::Nothing | Taken::End) => break,
                    Err(error) => {
                        failed = Some(error);
                        break;
                    }
                }
            }
        }
        if let Err(error) = self.log.flush() {
            failed = Some(error);
        }
        if let Some(error) = failed {
            self.warn_of(&error);
            self.pause_output(reactor);
            return;
        }
        for (_, fd) in std::mem::take(&mut self.outputs).open {
            reactor.forget(&fd);
        }
    }

    /// How many bytes of its output nobody has taken.
    pub(super) fn untaken(&self) -> u64 {
        let outputs = self.outputs.open.iter();
        outputs
            .map(|(_, fd)| rustix::io::ioctl_fionread(fd).unwrap_or(0))
            .sum()
    }
}

/// Where a container's output comes from.
#[derive(Debug, Default)]
pub(super) struct Outputs {
    open: Vec<(Token, OwnedFd)>,
    /// The log could not be written: when to try again. Nothing is watched until then.
    retry: Option<Instant>,
    /// What the user was told of last.
    warned: Option<Errno>,
}

impl Outputs {
    /// When there is something to do by the clock.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.retry
    }

    /// The master of the terminal of a container that has one.
    pub(super) fn terminal(&self) -> Option<BorrowedFd<'_>> {
        self.open.first().map(|(_, master)| master.as_fd())
    }

    fn position(&self, token: Token) -> Option<usize> {
        // What was ready before the log failed has to wait as well.
        if self.retry.is_some() {
            return None;
        }
        self.open.iter().position(|(of, _)| *of == token)
    }
}

fn stream_of(token: Token) -> Stream {
    match token {
        Token::Stderr(_) => Stream::Stderr,
        _ => Stream::Stdout,
    }
}
