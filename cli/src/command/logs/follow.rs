//! Reading logs until the containers end.

use std::os::fd::OwnedFd;

use anyhow::{Context, Result};
use coop_launcher::logs::{DirWatch, Logs, Record};
use coop_launcher::store::{StackName, State, Status, StoreError};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::{Errno, retry_on_intr};
use rustix::process::{PidfdFlags, pidfd_open};

use super::output::Output;
use crate::command::ps;
use crate::host::Host;

/// Containers whose logs are read, and who writes them.
pub(super) struct Followed<'a> {
    host: &'a Host,
    states: Vec<State>,
    changes: DirWatch,
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
            supervisors: Vec::new(),
        })
    }

    /// Gives out every record there is and those that come, until all containers have ended.
    /// `logs` has one log for each container, in their order.
    pub(super) fn follow(
        mut self,
        logs: &mut Logs,
        output: &mut Output,
        wanted: impl Fn(&Record) -> bool,
    ) -> Result<()> {
        loop {
            self.changes.forget_changes();
            for index in 0..self.states.len() {
                if self.has_ended(index)? {
                    logs.set_ended(index);
                }
            }
            while let Some((index, record)) = logs.next_record()? {
                if wanted(&record) {
                    output.print(index, &record)?;
                }
            }
            output.flush()?;
            if logs.is_finished() {
                return Ok(());
            }
            self.wait()?;
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

    /// Waits for a line, for a new state, or for the end of a supervisor.
    fn wait(&mut self) -> Result<()> {
        let mut fds = vec![PollFd::new(&self.changes, PollFlags::IN)];
        fds.extend(
            self.supervisors
                .iter()
                .map(|(_, pidfd)| PollFd::new(pidfd, PollFlags::IN)),
        );
        retry_on_intr(|| poll(&mut fds, None)).context("wait for lines")?;
        let mut gone = fds
            .iter()
            .skip(1)
            .map(|fd| !fd.revents().is_empty())
            .collect::<Vec<_>>()
            .into_iter();
        self.supervisors
            .retain(|_| !gone.next().unwrap_or_default());
        Ok(())
    }
}
