//! What clients ask for, one function for each request.

use std::os::fd::OwnedFd;

use coop_ns::Signal;

use super::clients::Awaited;
use super::launch::Cause;
use super::stop::Way;
use super::unit::{Phase, Unit};
use super::{Peer, Report, Request, Supervisor, SupervisorError, kernel};
use crate::error::chain;
use crate::store::{ContainerId, Event, Name, Status};

/// What one container is asked for cannot be done to it: why.
type Refusal = String;

impl Supervisor<'_> {
    /// Takes a request that came with the supervisor itself, from the command that forked it,
    /// and with it the command's connection.
    ///
    /// # Errors
    /// [`SupervisorError`]: the command has been told, or its connection is left where it was. A container's own failure is a [`Report::Failed`].
    pub fn first_client(
        &mut self,
        peer: &mut Option<Peer>,
        request: Request,
    ) -> Result<(), SupervisorError> {
        let Some(own) = peer.take() else {
            return Ok(());
        };
        match self.clients.add(own, &self.reactor) {
            Ok(index) => {
                let served = self.serve(index, request, Vec::new());
                self.tell_if_broken(served)
            }
            Err((own, errno)) => {
                *peer = Some(own);
                Err(kernel("watch the command's connection")(errno))
            }
        }
    }

    /// Creates these containers and starts them in the order of their dependencies.
    ///
    /// # Errors
    /// [`SupervisorError`]; a container's own failure is a [`Report::Failed`].
    pub fn start_containers(&mut self, ids: &[ContainerId]) -> Result<(), SupervisorError> {
        self.launch(ids, Cause::Request);
        self.start_what_may()
    }

    /// Serves a client's request, with the descriptors that came along.
    pub(super) fn serve(
        &mut self,
        client: u32,
        request: Request,
        fds: Vec<OwnedFd>,
    ) -> Result<(), SupervisorError> {
        self.release_later();
        // First, so that the client hears of what is done at once.
        self.clients.awaits(client, awaited(&request));
        match request {
            Request::Start { ids } => self.start_containers(&ids)?,
            Request::Stop {
                ids,
                timeout,
                signal,
            } => self.ask_to_stop(&ids, Way { timeout, signal }),
            Request::Restart {
                ids,
                timeout,
                signal,
            } => self.ask_to_restart(&ids, Way { timeout, signal }),
            Request::Signal { ids, signal } => {
                self.each(client, &ids, |this, at| this.send_signal(at, signal));
            }
            Request::Pause { ids } => self.each(client, &ids, Self::pause),
            Request::Unpause { ids } => self.each(client, &ids, Self::unpause),
            Request::Rename { id, name } => {
                self.each(client, &[id], |this, at| this.rename(at, &name));
            }
            Request::Reload { ids } => self.each(client, &ids, Self::reload),
            Request::Watch { .. } => {}
            Request::Attach { id } => {
                if let Err(why) = self.attach(client, &id, fds) {
                    self.refuse_request(client, &id, why);
                }
            }
        }
        Ok(())
    }

    /// Does something to each of these containers, and tells of those to which it cannot be
    /// done.
    fn each(
        &mut self,
        client: u32,
        ids: &[ContainerId],
        mut work: impl FnMut(&mut Self, usize) -> Result<(), Refusal>,
    ) {
        for id in ids {
            let index = self.units.iter().position(|unit| unit.spec.id == *id);
            let done = match index {
                Some(index) => work(self, index),
                None => Err(not_running(&self.name_of(id))),
            };
            if let Err(why) = done {
                self.refuse_request(client, id, why);
            }
        }
    }

    /// Tells the client who has asked, and nobody else.
    fn refuse_request(&mut self, client: u32, id: &ContainerId, error: Refusal) {
        let report = Report::Refused {
            id: id.clone(),
            name: self.name_of(id),
            error,
        };
        self.clients.report_to(client, &report, None, &self.reactor);
        // Done, whatever it wanted to wait for.
        self.clients.awaits(client, Awaited::Done(vec![id.clone()]));
    }

    /// A container's name, for messages.
    pub(super) fn name_of(&self, id: &ContainerId) -> String {
        if let Some(unit) = self.units.iter().find(|unit| unit.spec.id == *id) {
            return unit.spec.name.clone();
        }
        match self.store.load_state(id) {
            Ok(state) => state.name.to_string(),
            Err(_) => id.short().to_owned(),
        }
    }

    /// The container runs; why not, in Docker's words.
    fn must_run(&self, index: usize) -> Result<(), Refusal> {
        let unit = &self.units[index];
        match unit.phase {
            Phase::Running(_) => Ok(()),
            Phase::Resting(_) => Err(format!(
                "container {} is restarting, wait until the container is running",
                unit.spec.name
            )),
            Phase::Waiting(_) | Phase::Ended => Err(not_running(&unit.spec.name)),
        }
    }

    fn send_signal(&mut self, index: usize, signal: i32) -> Result<(), Refusal> {
        let Some(signal) = Signal::new(signal) else {
            return Err(format!("there is no signal {signal}"));
        };
        let is_final = self.is_final(index, signal);
        if is_final && matches!(self.units[index].phase, Phase::Resting(_)) {
            self.cancel_restart(index);
            return Ok(());
        }
        self.must_run(index)?;
        self.pass_on(index, signal);
        Ok(())
    }

    /// Whether a container that ends of this signal is to stay down.
    fn is_final(&self, index: usize, signal: Signal) -> bool {
        signal == Signal::KILL || signal.number() == self.units[index].spec.stop_signal
    }

    /// Sends a signal to a container that runs; to another one nothing happens.
    pub(super) fn pass_on(&mut self, index: usize, signal: Signal) {
        if !self.units[index].is_running() {
            return;
        }
        if self.is_final(index, signal) {
            let id = self.units[index].spec.id.clone();
            self.forget_restarts(&[id]);
            self.units[index].state.stop_requested = true;
            self.save(index);
            self.signal_for_good(index, signal);
            return;
        }
        let unit = &self.units[index];
        unit.signal(signal);
        let event = Event::of_container(&unit.state, "kill");
        self.store
            .emit(&event.with("signal", signal.number().to_string()));
    }

    fn pause(&mut self, index: usize) -> Result<(), Refusal> {
        self.must_run(index)?;
        let unit = &mut self.units[index];
        if unit.is_paused() {
            return Err(format!("container {} is already paused", unit.spec.name));
        }
        // It would freeze with the container, and count as one that takes too long.
        unit.end_check(&self.reactor);
        self.wiring.freeze(&unit.spec.id).map_err(|error| {
            format!(
                "cannot pause container {}: {}",
                unit.spec.name,
                chain(&*error)
            )
        })?;
        unit.state.status = Status::Paused;
        let report = Report::Paused(unit.told());
        self.store.emit(&Event::of_container(&unit.state, "pause"));
        self.save(index);
        self.tell(&report);
        Ok(())
    }

    fn unpause(&mut self, index: usize) -> Result<(), Refusal> {
        self.must_run(index)?;
        let unit = &self.units[index];
        if !unit.is_paused() {
            return Err(format!("container {} is not paused", unit.spec.name));
        }
        let id = unit.spec.id.clone();
        self.wiring.thaw(&id).map_err(|error| {
            format!(
                "cannot unpause container {}: {}",
                unit.spec.name,
                chain(&*error)
            )
        })?;
        self.is_thawed(index);
        Ok(())
    }

    /// Lets a frozen container go on, because it is to end.
    pub(super) fn thaw(&mut self, index: usize) {
        let unit = &self.units[index];
        match self.wiring.thaw(&unit.spec.id) {
            Ok(()) => self.is_thawed(index),
            Err(error) => log::warn!("{}: thaw: {}", unit.spec.name, chain(&*error)),
        }
    }

    fn is_thawed(&mut self, index: usize) {
        let unit = &mut self.units[index];
        unit.state.status = Status::Running;
        if let Some(checks) = &mut unit.checks {
            checks.resume(&unit.state);
        }
        let report = Report::Unpaused(unit.told());
        self.store
            .emit(&Event::of_container(&unit.state, "unpause"));
        self.save(index);
        self.tell(&report);
    }

    fn rename(&mut self, index: usize, name: &Name) -> Result<(), Refusal> {
        let unit = &mut self.units[index];
        self.wiring
            .rename(&unit.spec.id, name)
            .map_err(|error| chain(&*error))?;
        unit.state.name = name.clone();
        unit.spec.name = name.to_string();
        let report = Report::Renamed(unit.told());
        self.tell(&report);
        Ok(())
    }

    /// Takes from the saved plan what may change while the container runs.
    fn reload(&mut self, index: usize) -> Result<(), Refusal> {
        let unit = &mut self.units[index];
        let spec = self
            .wiring
            .spec(&unit.spec.id)
            .map_err(|error| chain(&*error))?;
        unit.spec.restart = spec.restart;
        unit.spec.stop_signal = spec.stop_signal;
        unit.spec.stop_grace_period = spec.stop_grace_period;
        unit.log.set_limits(&spec.log);
        unit.spec.log = spec.log;
        if let (Some(timing), Some(checks)) = (&spec.health, &mut unit.checks) {
            checks.retime(timing);
            unit.spec.health = spec.health;
        }
        self.wiring.reloaded(&self.units[index].spec.id);
        Ok(())
    }

    /// Tells each client whose request is done that it is.
    pub(super) fn answer_clients(&mut self) {
        let none = |ids: &[ContainerId], busy: fn(&Unit) -> bool| {
            !self
                .units
                .iter()
                .any(|unit| busy(unit) && ids.contains(&unit.spec.id))
        };
        let waits = |unit: &Unit| matches!(unit.phase, Phase::Waiting(_));
        let stops = |unit: &Unit| unit.is_running() && unit.stopping.is_some();
        let jobs = &self.restarting;
        let to_restart = |ids: &[ContainerId]| jobs.iter().flatten().any(|id| ids.contains(id));
        let is_done = |awaited: &Awaited| match awaited {
            Awaited::Request => false,
            Awaited::Started(ids) => none(ids, waits),
            Awaited::Restarted(ids) => !to_restart(ids) && none(ids, waits) && none(ids, stops),
            Awaited::Ended(ids) => !to_restart(ids) && none(ids, Unit::is_kept),
            Awaited::EndOfRun(ids) => none(ids, Unit::is_live),
            Awaited::Done(_) => true,
        };
        self.clients.answer(is_done, &self.reactor);
    }
}

/// When a request is done.
fn awaited(request: &Request) -> Awaited {
    match request {
        Request::Start { ids } => Awaited::Started(ids.clone()),
        Request::Restart { ids, .. } => Awaited::Restarted(ids.clone()),
        Request::Stop { ids, .. } | Request::Watch { ids } => Awaited::Ended(ids.clone()),
        Request::Attach { id } => Awaited::EndOfRun(vec![id.clone()]),
        Request::Signal { ids, .. }
        | Request::Pause { ids }
        | Request::Unpause { ids }
        | Request::Reload { ids } => Awaited::Done(ids.clone()),
        Request::Rename { id, .. } => Awaited::Done(vec![id.clone()]),
    }
}

fn not_running(name: &str) -> Refusal {
    format!("container {name} is not running")
}
