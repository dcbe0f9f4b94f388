//! Who is connected to the control socket, and what they wait for.

use std::time::Duration;

use super::control::{Peer, Report, Request};
use super::reactor::{Reactor, Token};
use super::unit::Phase;
use super::{Supervisor, SupervisorError};
use crate::store::ContainerId;

/// What a client waits for.
#[derive(Debug)]
enum Awaited {
    /// Its request has not come yet.
    Request,
    /// None of these waits for its start any more.
    Started(Vec<ContainerId>),
    /// None of these lives any more.
    Ended(Vec<ContainerId>),
}

/// The clients by number; a gap is one that is gone.
#[derive(Debug, Default)]
pub(super) struct Clients(Vec<Option<(Peer, Awaited)>>);

impl Clients {
    pub(super) fn add(&mut self, peer: Peer, reactor: &Reactor) {
        let index = self
            .0
            .iter()
            .position(Option::is_none)
            .unwrap_or(self.0.len());
        if reactor.watch(&peer, Token::Client(index as u32)).is_ok() {
            if index == self.0.len() {
                self.0.push(None);
            }
            self.0[index] = Some((peer, Awaited::Request));
        }
    }

    /// Whether a client's request is under way.
    pub(super) fn are_waiting(&self) -> bool {
        self.0
            .iter()
            .flatten()
            .any(|(_, awaited)| !matches!(awaited, Awaited::Request))
    }

    /// What the client asks for; one that went away or asks nonsense is dropped.
    pub(super) fn request(&mut self, index: u32, reactor: &Reactor) -> Option<Request> {
        let slot = self.0.get_mut(index as usize)?;
        let (peer, _) = slot.as_ref()?;
        let request = peer.request();
        if request.is_none() {
            reactor.forget(peer);
            *slot = None;
        }
        request
    }

    pub(super) fn report(&self, report: &Report) {
        for (peer, awaited) in self.0.iter().flatten() {
            if !matches!(awaited, Awaited::Request) {
                peer.report(report);
            }
        }
    }

    fn awaits(&mut self, index: u32, awaited: Awaited) {
        if let Some(Some((_, slot))) = self.0.get_mut(index as usize) {
            *slot = awaited;
        }
    }
}

impl Supervisor<'_> {
    /// Takes a request that came with the supervisor itself, from the command that forked it.
    ///
    /// # Errors
    /// [`SupervisorError`]; a container's own failure is a [`Report::Failed`].
    pub fn first_client(&mut self, peer: Peer, request: Request) -> Result<(), SupervisorError> {
        self.clients.add(peer, &self.reactor);
        self.serve(0, request)
    }

    /// Creates these containers and starts them in the order of their dependencies.
    ///
    /// # Errors
    /// [`SupervisorError`]; a container's own failure is a [`Report::Failed`].
    pub fn start_containers(&mut self, ids: &[ContainerId]) -> Result<(), SupervisorError> {
        self.launch(ids)?;
        self.start_what_may()
    }

    pub(super) fn serve(&mut self, index: u32, request: Request) -> Result<(), SupervisorError> {
        match request {
            Request::Start { ids } => {
                self.clients.awaits(index, Awaited::Started(ids.clone()));
                self.start_containers(&ids)
            }
            Request::Stop { ids, timeout } => self.stop(index, ids, timeout),
        }
    }

    fn stop(
        &mut self,
        index: u32,
        ids: Vec<ContainerId>,
        timeout: Option<Duration>,
    ) -> Result<(), SupervisorError> {
        self.ask_to_stop(&ids, timeout);
        self.clients.awaits(index, Awaited::Ended(ids));
        Ok(())
    }

    /// Tells each client whose request is done that it is.
    pub(super) fn answer_clients(&mut self) {
        for slot in &mut self.clients.0 {
            let Some((peer, awaited)) = slot else {
                continue;
            };
            let pending = |ids: &[ContainerId], busy: fn(&Phase) -> bool| {
                self.units
                    .iter()
                    .any(|unit| busy(&unit.phase) && ids.contains(&unit.spec.id))
            };
            let done = match awaited {
                Awaited::Request => false,
                Awaited::Started(ids) => !pending(ids, |phase| matches!(phase, Phase::Waiting(_))),
                Awaited::Ended(ids) => !pending(ids, |phase| !matches!(phase, Phase::Ended)),
            };
            if done {
                peer.report(&Report::Done);
                *awaited = Awaited::Request;
            }
        }
    }
}
