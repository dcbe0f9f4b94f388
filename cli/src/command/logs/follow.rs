//! Reading logs until the containers end.

use std::collections::BTreeSet;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};
use coop_launcher::logs::{DirWatch, Logs};
use coop_launcher::store::{StackName, State, Status, StoreError};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::process::{PidfdFlags, pidfd_open};

use super::output::Output;
use crate::command::ps;
use crate::host::Host;

/// How much later than asked for a wait ends, so that it is over for every clock.
const LATE: Duration = Duration::from_millis(1);

/// What a command does besides showing lines.
pub(in crate::command) trait Companion {
    /// What becomes readable when there is something to do.
    fn wakes(&self) -> Option<BorrowedFd<'_>> {
        None
    }
    /// It is readable.
    fn woken(&mut self) -> Result<()> {
        Ok(())
    }
    /// A container has ended.
    fn ended(&mut self, _state: &State) -> Result<()> {
        Ok(())
    }
}

/// Nothing.
impl Companion for () {}

/// Containers whose logs are read, and who writes them.
pub(super) struct Followed<'a> {
    host: &'a Host,
    states: Vec<State>,
    changes: DirWatch,
    /// Of which containers it is known that they have ended.
    ended: BTreeSet<usize>,
    /// The supervisors, which may be killed without a word.
    supervisors: Vec<(StackName, OwnedFd)>,
}

impl<'a> Followed<'a> {
    /// Begins to watch, before the logs are read.
    pub(super) fn new(host: &'a Host, states: Vec<State>) -> Result<Self> {
        let changes = DirWatch::new()?;
        for state in &states {
            match changes.add(&host.store.dirs().container(&state.id)) {
                // Removed meanwhile: found to have ended below.
                Err(error) if error.source == Errno::NOENT => {}
                result => result?,
            }
        }
        Ok(Self {
            host,
            states,
            changes,
            ended: BTreeSet::new(),
            supervisors: Vec::new(),
        })
    }

    /// Gives out every record there is and those that come, until all containers have ended,
    /// or the time `until` is over. `logs` has one log for each container, in their order.
    pub(super) fn follow(
        mut self,
        logs: &mut Logs,
        output: &mut Output,
        until: Option<SystemTime>,
        companion: &mut dyn Companion,
    ) -> Result<()> {
        loop {
            self.changes.forget_changes();
            for index in 0..self.states.len() {
                if self.has_ended(index)? {
                    logs.set_ended(index);
                    self.tell_of_end(index, companion)?;
                }
            }
            // Before the last read: what is written until then is still shown.
            let rest = until.map(|until| until.duration_since(SystemTime::now()));
            while let Some((index, record)) = logs.next_record()? {
                output.print(index, &record)?;
            }
            output.flush()?;
            match rest {
                _ if logs.is_finished() => return Ok(()),
                Some(Err(_)) => return Ok(()),
                Some(Ok(rest)) => self.wait(Some(rest), companion)?,
                None => self.wait(None, companion)?,
            }
        }
    }

    /// Once for each.
    fn tell_of_end(&mut self, index: usize, companion: &mut dyn Companion) -> Result<()> {
        if !self.ended.insert(index) {
            return Ok(());
        }
        match self.host.store.load_state(&self.states[index].id) {
            Ok(state) => companion.ended(&state),
            // Removed meanwhile: nobody knows how it ended.
            Err(StoreError::Gone { .. }) => companion.ended(&self.states[index]),
            Err(error) => Err(error.into()),
        }
    }

    /// Whether all that the container wrote is in its log: its supervisor reads the pipes to
    /// their end before it writes the end down.
    fn has_ended(&mut self, index: usize) -> Result<bool> {
        let state = match self.host.store.load_state(&self.states[index].id) {
            Err(StoreError::Gone { .. }) => return Ok(true),
            state => state?,
        };
        if state.status == Status::Stopped {
            return Ok(true);
        }
        if self.is_supervised(&state.stack)? {
            return Ok(false);
        }
        // Its supervisor was killed: when it runs, it gets another one.
        ps::mend_if_needed(self.host, &state.stack)?;
        if self.is_supervised(&state.stack)? {
            return Ok(false);
        }
        match self.host.store.load_state(&state.id) {
            Err(StoreError::Gone { .. }) => Ok(true),
            state => Ok(!state?.init_alive()),
        }
    }

    fn is_supervised(&mut self, stack: &StackName) -> Result<bool> {
        if self.supervisors.iter().any(|(of, _)| of == stack) {
            return Ok(true);
        }
        let Some(pid) = self.host.store.supervisor(stack)? else {
            return Ok(false);
        };
        let Ok(pidfd) = pidfd_open(pid, PidfdFlags::empty()) else {
            return Ok(false);
        };
        // Looked at after the open: the pid cannot be another's any more.
        if self.host.store.supervisor(stack)? != Some(pid) {
            return Ok(false);
        }
        self.supervisors.push((stack.clone(), pidfd));
        Ok(true)
    }

    /// Waits for a line, for a new state, for the end of a supervisor, or for the time.
    fn wait(&mut self, timeout: Option<Duration>, companion: &mut dyn Companion) -> Result<()> {
        let mut fds = vec![PollFd::new(&self.changes, PollFlags::IN)];
        fds.extend(
            self.supervisors
                .iter()
                .map(|(_, pidfd)| PollFd::new(pidfd, PollFlags::IN)),
        );
        // Last: the supervisors are told apart by their places.
        let wakes = companion.wakes();
        fds.extend({ wakes.iter() }.map(|fd| PollFd::from_borrowed_fd(*fd, PollFlags::IN)));
        // Some time after the moment, never before; longer than the kernel can count is for ever.
        let timeout = timeout.and_then(|timeout| (timeout + LATE).try_into().ok());
        match poll(&mut fds, timeout.as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => return Err(errno).context("wait for lines"),
        }
        let mut gone = fds
            .iter()
            .skip(1)
            .map(|fd| !fd.revents().is_empty())
            .collect::<Vec<_>>()
            .into_iter();
        self.supervisors
            .retain(|_| !gone.next().unwrap_or_default());
        companion.woken()
    }
}
