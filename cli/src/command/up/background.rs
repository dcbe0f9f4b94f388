//! `up` under a supervisor that is another process, and what is taken back when it comes to
//! nothing.

use anyhow::Result;
use coop_launcher::store::{ContainerId, StackName};

use super::Failures;
use crate::host::Host;
use crate::supervise::{self, Answer, INTERRUPTED, Interrupts, Keeper};
use crate::ui::Progress;

/// What this command has made, to be taken back when it fails.
pub(super) struct Brought<'a> {
    pub(super) host: &'a Host,
    pub(super) name: &'a StackName,
    /// Containers that it has made.
    pub(super) new: &'a [ContainerId],
    /// Containers that it starts.
    pub(super) ids: &'a [ContainerId],
}

impl Brought<'_> {
    /// Leaves what was made to be started later.
    pub(super) fn leave_waiting(&self, keeper: Keeper<'_>, progress: &mut Progress) -> Result<()> {
        let store = &self.host.store;
        for id in self.new {
            let mut state = store.load_state(id)?;
            state.wait_for_start();
            store.save_state(&state)?;
            store.sync(id)?;
            progress.line("Container", state.name.as_str(), "Created");
        }
        drop(keeper);
        // What was on record while they were made is settled.
        drop(supervise::keeper(self.host, self.name)?);
        Ok(())
    }

    /// Starts what is to be started. An exit status when that is the end of it.
    pub(super) fn in_background(
        &self,
        keeper: Keeper<'_>,
        progress: &mut Progress,
        interrupts: &Interrupts,
    ) -> Result<Option<i32>> {
        if self.ids.is_empty() {
            return Ok(None);
        }
        let mut failures = Failures::default();
        let answer = supervise::start_until(
            self.host,
            self.name,
            keeper,
            self.ids,
            interrupts,
            &mut |report| {
                progress.report(report);
                failures.note(report);
            },
        );
        match answer {
            Ok(Answer::Interrupted) => {
                progress.close();
                log::warn!("interrupted: what was begun is taken back");
                self.stop(progress, interrupts)?;
                self.take_back(progress);
                return Ok(Some(INTERRUPTED));
            }
            // There may be no supervisor any more that would go on with it.
            Err(_) => self.take_back(progress),
            Ok(_) if failures.in_set_up => self.take_back(progress),
            Ok(_) => {}
        }
        answer?;
        failures.result()?;
        Ok(None)
    }

    /// Stops what this command has started, also of what was there before.
    fn stop(&self, progress: &mut Progress, interrupts: &Interrupts) -> Result<()> {
        supervise::stop_or_kill(self.host, self.name, self.ids, interrupts, &mut |report| {
            progress.report(report);
        })
    }

    fn take_back(&self, progress: &mut Progress) {
        if let Err(error) =
            super::super::rm::stop_and_remove(self.host, self.name, self.new, None, progress)
        {
            log::warn!("take down what was brought up: {error:#}");
        }
    }
}
