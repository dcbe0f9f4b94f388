//! Creating a batch of containers, and starting each when its time has come.

use std::borrow::Cow;

use super::unit::{Phase, Unit};
use super::{Report, Supervisor, SupervisorError, order};
use crate::error::{Error, chain};
use crate::journal::Journal;
use crate::pipeline::Cloned;
use crate::store::{ContainerId, State, Status};

/// Why one container of a batch could not be made.
struct Fault {
    index: usize,
    message: String,
    exit_code: i32,
}

impl Fault {
    fn at(index: usize) -> impl Fn(Error) -> Self {
        move |error| Self {
            index,
            exit_code: error.exit_code(),
            message: chain(&error),
        }
    }

    fn message(index: usize, message: String) -> Self {
        Self {
            index,
            message,
            exit_code: 125,
        }
    }
}

impl Supervisor<'_> {
    /// Creates these saved containers, all or none, and leaves them waiting for their start.
    pub(super) fn launch(&mut self, ids: &[ContainerId]) -> Result<(), SupervisorError> {
        let mut batch = Vec::with_capacity(ids.len());
        for id in ids {
            let already = self
                .units
                .iter()
                .any(|unit| unit.spec.id == *id && unit.is_live());
            if !already {
                batch.push(self.enlist(id)?);
            }
        }
        let Err(fault) = self.create(&batch)? else {
            return Ok(());
        };
        for index in batch {
            if index == fault.index {
                self.fail(index, fault.message.clone(), fault.exit_code)?;
            } else {
                self.abandon(index, "another container of the stack could not be created");
            }
        }
        Ok(())
    }

    /// A unit for the container, in the place of an earlier run's.
    fn enlist(&mut self, id: &ContainerId) -> Result<usize, SupervisorError> {
        let mut state = self.store.load_state(id)?;
        let spec = self
            .wiring
            .spec(id)
            .map_err(|error| Error::from(crate::Failure::new("plan", &*error)))?;
        state.error = None;
        state.exit_code = None;
        state.oom_killed = false;
        state.finished = None;
        state.health = None;
        let place = self.units.iter().position(|unit| unit.spec.id == *id);
        let index = place.unwrap_or(self.units.len());
        let unit = Unit::new(index as u32, spec, state, self.store)?;
        match place {
            Some(index) => self.units[index] = unit,
            None => self.units.push(unit),
        }
        Ok(index)
    }

    /// Every container's process and namespaces first, then the work for all of them at once,
    /// then what each does with it.
    fn create(&mut self, batch: &[usize]) -> Result<Result<(), Fault>, SupervisorError> {
        let mut cloned = Vec::with_capacity(batch.len());
        for &index in batch {
            match self.clone_one(index)? {
                Ok(child) => cloned.push((index, child)),
                Err(fault) => return Ok(Err(fault)),
            }
        }
        if let Some(&first) = batch.first()
            && let Err(error) = self.wiring.commit_batch()
        {
            return Ok(Err(Fault::message(first, chain(&*error))));
        }
        for (index, child) in cloned {
            match child.finish() {
                Ok(mut created) => {
                    if let Some(master) = created.take_terminal() {
                        self.foreground_terminal(index, master)?;
                    }
                    let unit = &mut self.units[index];
                    unit.state.status = Status::Created;
                    unit.phase = Phase::Waiting(created);
                    let report = Report::Created(Box::new(unit.state.clone()));
                    self.tell(&report);
                }
                Err(error) => return Ok(Err(Fault::at(index)(error))),
            }
        }
        Ok(Ok(()))
    }

    fn clone_one(&mut self, index: usize) -> Result<Result<Cloned, Fault>, SupervisorError> {
        let id = self.units[index].spec.id.clone();
        let dir = self.store.dirs().container_run(&id);
        self.store.make_container_run(&id)?;
        log::info!("creating container {}", self.units[index].spec.name);
        let result = (|| {
            let mut journal = Journal::open(dir.join(crate::JOURNAL))?;
            let pipeline = self
                .wiring
                .pipeline(&id)
                .map_err(|error| crate::Failure::new("plan", &*error))?;
            pipeline.clone_child(Some(&mut journal))
        })();
        let mut child = match result {
            Ok(child) => child,
            Err(error) => return Ok(Err(Fault::at(index)(error))),
        };
        let unit = &mut self.units[index];
        unit.state.status = Status::Creating;
        if let Err(error) = unit.state.set_process(child.pid()) {
            return Ok(Err(Fault::message(index, chain(&error))));
        }
        // Before anything can run: a killed launch must leave no process that nobody knows.
        self.store.save_state(&unit.state)?;
        unit.open_pipes(self.store, &self.reactor)?;
        Ok(child.attach().map(|()| child).map_err(Fault::at(index)))
    }

    /// Starts each waiting container whose dependencies are met.
    pub(super) fn start_what_may(&mut self) -> Result<(), SupervisorError> {
        // One start can meet the next one's dependency: on until nothing moves.
        loop {
            let mut moved = false;
            for index in 0..self.units.len() {
                if !matches!(self.units[index].phase, Phase::Waiting(_)) {
                    continue;
                }
                let decision = order::decide(&self.units[index].spec, |id| self.state_of(id));
                match decision {
                    order::Decision::Start => self.start(index)?,
                    order::Decision::Wait => continue,
                    order::Decision::Never(why) => self.fail(index, why, 1)?,
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
                self.store.save_state(&unit.state)?;
                unit.run(pidfd, &self.reactor)?;
                let report = Report::Started(Box::new(unit.state.clone()));
                self.tell(&report);
                Ok(())
            }
            Err(error) => self.fail(index, chain(&error), error.exit_code()),
        }
    }

    /// The container could not be started: nothing of it stays in the kernel, and why is told.
    fn fail(&mut self, index: usize, error: String, exit_code: i32) -> Result<(), SupervisorError> {
        self.give_up(index, &error, exit_code);
        let unit = &self.units[index];
        self.store.save_state(&unit.state)?;
        let (id, name) = (unit.spec.id.clone(), unit.spec.name.clone());
        self.tell(&Report::Failed {
            id,
            name,
            error,
            exit_code,
        });
        Ok(())
    }

    /// The container is not started for a reason that is not its own.
    pub(super) fn abandon(&mut self, index: usize, why: &str) {
        self.give_up(index, why, 125);
        if let Err(error) = self.store.save_state(&self.units[index].state) {
            log::warn!("{}: {}", self.units[index].spec.name, chain(&error));
        }
    }

    fn give_up(&mut self, index: usize, error: &str, exit_code: i32) {
        let unit = &mut self.units[index];
        // A waiting process dies with this.
        unit.phase = Phase::Ended;
        unit.drain_output(&self.reactor, |_, _, _| ());
        unit.record_failure(error, exit_code);
        self.wiring.ended(&unit.spec.id);
        self.undo(index);
    }
}
