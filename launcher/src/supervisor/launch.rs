//! Creating a batch of containers, and starting each when its time has come.

use std::borrow::Cow;

use super::unit::{Phase, Unit};
use super::{Report, Supervisor, SupervisorError, order, plan_failure, restart};
use crate::error::chain;
use crate::journal::Journal;
use crate::limits::chain_with_remedy;
use crate::pipeline::Cloned;
use crate::store::{ContainerId, Event, State, Status};

/// The exit status that Docker's users expect when a container cannot be set up.
const SET_UP_FAILED: i32 = 125;

/// So many containers are made at a time: enough that the programs which make their links and
/// rules cost each of them little.
const PART: usize = 32;

/// Why a run of a container is begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cause {
    /// Someone wants it to run.
    Request,
    /// Someone wants it to be started anew.
    Restart,
    /// Its restart policy. It was there before: it waits for nothing that it depends on, and
    /// when it cannot be started now, that is tried again.
    Policy,
}

/// Why one container of a batch could not be made.
struct Fault {
    index: usize,
    message: String,
}

impl Fault {
    fn of<E: std::error::Error + 'static>(index: usize) -> impl Fn(E) -> Self {
        move |error| Self {
            index,
            message: chain_with_remedy(&error),
        }
    }
}

impl Supervisor<'_> {
    /// Creates these saved containers, all or none, and leaves them waiting for their start.
    pub(super) fn launch(&mut self, ids: &[ContainerId], cause: Cause) {
        let mut batch = Vec::with_capacity(ids.len());
        let mut known = true;
        for id in ids {
            let already = self
                .units
                .iter()
                .any(|unit| unit.spec.id == *id && unit.is_live());
            if already {
                continue;
            }
            match self.enlist(id, cause) {
                Ok(index) => batch.push(index),
                Err(error) => {
                    known = false;
                    self.refuse(id, chain(&error));
                }
            }
        }
        let fault = if known {
            self.create(&batch).err()
        } else {
            None
        };
        if known && fault.is_none() {
            return;
        }
        self.wiring.abandon_batch();
        for index in batch {
            match &fault {
                Some(fault) if fault.index == index => {
                    self.fail(index, fault.message.clone(), SET_UP_FAILED);
                }
                _ => self.abandon(index, "another container of the stack could not be created"),
            }
        }
    }

    /// Creates a container that is listed already.
    pub(super) fn launch_one(&mut self, index: usize) {
        if let Err(fault) = self.create(&[index]) {
            self.wiring.abandon_batch();
            self.fail(index, fault.message, SET_UP_FAILED);
        }
    }

    /// A unit for the container, in the place of an earlier run's.
    pub(super) fn enlist(
        &mut self,
        id: &ContainerId,
        cause: Cause,
    ) -> Result<usize, SupervisorError> {
        let mut state = self.store.load_state(id)?;
        if state.status == Status::Removing {
            return Err(plan_failure(&"it is being removed".into()).into());
        }
        let spec = self.wiring.spec(id).map_err(|error| plan_failure(&error))?;
        state.error = None;
        state.exit_code = None;
        state.oom_killed = false;
        state.finished = None;
        state.health = None;
        state.failing_streak = 0;
        state.health_log.clear();
        state.stop_requested = false;
        state.stop = None;
        if cause != Cause::Policy {
            state.restarts = 0;
            state.restart_pause = std::time::Duration::ZERO;
        }
        let place = self.units.iter().position(|unit| unit.spec.id == *id);
        let index = place.unwrap_or(self.units.len());
        let mut unit = Unit::new(index as u32, spec, state, self.store)?;
        unit.cause = cause;
        match place {
            Some(index) => self.units[index] = unit,
            None => self.units.push(unit),
        }
        Ok(index)
    }

    /// There is no such container, or nothing can be known of it.
    fn refuse(&mut self, id: &ContainerId, error: String) {
        let name = self.name_of(id);
        self.tell(&Report::Failed {
            id: id.clone(),
            name,
            error,
            exit_code: SET_UP_FAILED,
        });
    }

    /// In parts: a container that is being made takes some twenty descriptors, and each child
    /// begins with a copy of all that there are. While the containers of one part set themselves
    /// up, the next one's are cloned.
    fn create(&mut self, batch: &[usize]) -> Result<(), Fault> {
        let mut before = Vec::new();
        for part in batch.chunks(PART) {
            let now = self.set_going(part)?;
            self.finish(std::mem::replace(&mut before, now))?;
        }
        self.finish(before)?;
        let Some(&index) = batch.first() else {
            return Ok(());
        };
        self.wiring.end_batch().map_err(|error| Fault {
            index,
            message: chain(&*error),
        })
    }

    /// Every container's process and namespaces first, then the work for all of them at once.
    fn set_going(&mut self, part: &[usize]) -> Result<Vec<(usize, Cloned)>, Fault> {
        let mut cloned = Vec::with_capacity(part.len());
        for &index in part {
            let child = self.clone_one(index).map_err(Fault::of(index))?;
            cloned.push((index, child));
        }
        if let Some(&index) = part.first()
            && let Err(error) = self.wiring.commit_batch()
        {
            // A child that died of its own accord takes its namespaces along, and the work for
            // it fails: its own words tell more.
            let own = cloned
                .iter()
                .find_map(|(index, child)| Some((*index, child.failure()?)));
            return Err(match own {
                Some((index, failure)) => Fault::of(index)(failure),
                None => Fault {
                    index,
                    message: chain(&*error),
                },
            });
        }
        // All of them go on before the first is waited for.
        for (index, child) in &mut cloned {
            child.resume().map_err(Fault::of(*index))?;
        }
        Ok(cloned)
    }

    /// Waits until each of these containers has done with it what it does itself.
    fn finish(&mut self, cloned: Vec<(usize, Cloned)>) -> Result<(), Fault> {
        for (index, child) in cloned {
            let mut created = child.finish().map_err(Fault::of(index))?;
            if let Some(master) = created.take_terminal() {
                self.foreground_terminal(index, master)
                    .map_err(Fault::of(index))?;
            }
            let unit = &mut self.units[index];
            unit.state.status = Status::Created;
            unit.phase = Phase::Waiting(created);
            let report = Report::Created(unit.told());
            self.tell(&report);
        }
        Ok(())
    }

    fn clone_one(&mut self, index: usize) -> Result<Cloned, SupervisorError> {
        let id = self.units[index].spec.id.clone();
        let dir = self.store.make_container_run(&id)?;
        log::info!("creating container {}", self.units[index].spec.name);
        let mut journal = Journal::open(dir.join(crate::JOURNAL))?;
        let pipeline = self
            .wiring
            .pipeline(&id)
            .map_err(|error| plan_failure(&error))?;
        let mut child = pipeline.clone_child(Some(&mut journal))?;
        // First, so that the child works meanwhile: it dies with us until it is started.
        child.attach()?;
        let unit = &mut self.units[index];
        // One that is started again is told to be `restarting` until it runs.
        if unit.state.status != Status::Restarting {
            unit.state.status = Status::Creating;
        }
        unit.state.set_process(child.pid())?;
        // Before the start: a killed launch must leave no program that nobody knows.
        self.store.save_state(&unit.state)?;
        unit.open_pipes(self.store, &self.reactor)?;
        Ok(child)
    }

    /// Starts each waiting container whose dependencies are met.
    pub(super) fn start_what_may(&mut self) -> Result<(), SupervisorError> {
        // One start can meet the next one's dependency: on until nothing moves.
        loop {
            let mut moved = false;
            for index in 0..self.units.len() {
                let unit = &self.units[index];
                if !matches!(unit.phase, Phase::Waiting(_)) || unit.stopping.is_some() {
                    continue;
                }
                let decision = if unit.cause == Cause::Policy {
                    order::Decision::Start
                } else {
                    order::decide(&unit.spec, |id| self.state_of(id))
                };
                match decision {
                    order::Decision::Start => self.start(index)?,
                    order::Decision::Wait => continue,
                    order::Decision::Never(why) => self.fail(index, why, 1),
                }
                moved = true;
            }
            if !moved {
                return Ok(());
            }
        }
    }

    /// A container's state: one that ended before this supervisor's time is only on disk.
    fn state_of(&self, id: &ContainerId) -> Option<Cow<'_, State>> {
        let unit = self.units.iter().find(|unit| unit.spec.id == *id);
        match unit {
            Some(unit) => Some(Cow::Borrowed(&unit.state)),
            None => self.store.load_state(id).ok().map(Cow::Owned),
        }
    }

    fn start(&mut self, index: usize) -> Result<(), SupervisorError> {
        let phase = std::mem::replace(&mut self.units[index].phase, Phase::Ended);
        let Phase::Waiting(created) = phase else {
            return Ok(());
        };
        log::info!("executing in container {}", self.units[index].spec.name);
        match created.start() {
            Ok(pidfd) => {
                let unit = &mut self.units[index];
                unit.record_start();
                unit.run(pidfd, &self.reactor)?;
                let report = Report::Started(unit.told());
                self.save(index);
                self.sync_later(index);
                self.tell(&report);
                let unit = &self.units[index];
                self.store.emit(&Event::of_container(&unit.state, "start"));
                if unit.cause == Cause::Restart {
                    self.store
                        .emit(&Event::of_container(&unit.state, "restart"));
                }
            }
            Err(error) => self.fail(index, chain(&error), error.exit_code()),
        }
        Ok(())
    }

    /// The container could not be started: nothing of it stays in the kernel, and why is told.
    fn fail(&mut self, index: usize, error: String, exit_code: i32) {
        let error = self.give_up(index, error, exit_code);
        // Not saved before: nobody is to see an end that is none.
        let unit = &mut self.units[index];
        if unit.cause == Cause::Policy
            && restart::is_tried_again(unit.spec.restart, &mut unit.state)
        {
            log::warn!("{}: cannot be started again yet: {error}", unit.spec.name);
            unit.phase = Phase::Resting(restart::due(&unit.state));
            let report = Report::Restarting(unit.told());
            self.save(index);
            self.tell(&report);
            return;
        }
        let (id, name) = (unit.spec.id.clone(), unit.spec.name.clone());
        self.save_failure(index);
        self.abort_after(Some(exit_code));
        self.tell(&Report::Failed {
            id,
            name,
            error,
            exit_code,
        });
    }

    /// The container is not started for a reason that is not its own.
    pub(super) fn abandon(&mut self, index: usize, why: &str) {
        self.give_up(index, why.to_owned(), SET_UP_FAILED);
        self.save_failure(index);
    }

    /// Only once: that it could not be started is told anyway.
    fn save_failure(&mut self, index: usize) {
        self.save(index);
        self.units[index].forgive();
    }

    /// Gives the reason back, with what the kernel has to say about it. The state is the caller's
    /// to save.
    fn give_up(&mut self, index: usize, mut error: String, exit_code: i32) -> String {
        let unit = &mut self.units[index];
        // A waiting process dies with this.
        unit.phase = Phase::Ended;
        unit.drain_output(&self.reactor, |_, _, _| ());
        if self.wiring.ended(&unit.spec.id) {
            error.push_str(": it ran out of memory\n  help: raise its memory limit");
        }
        unit.record_failure(&error, exit_code);
        self.undo(index);
        // It has not run: there is nothing to tell of but this error.
        self.units[index].forgive();
        error
    }
}
