//! Who is connected to the control socket, and what they wait for.

use std::os::fd::OwnedFd;

use rustix::io::Errno;

use super::control::{Inbox, Peer, Report, Request};
use super::reactor::{Reactor, Token};
use crate::store::ContainerId;

/// What a client waits for.
#[derive(Debug)]
pub(super) enum Awaited {
    /// Its request has not come yet.
    Request,
    /// None of these waits for its start any more.
    Started(Vec<ContainerId>),
    /// None of these lives or waits for its restart any more.
    Ended(Vec<ContainerId>),
    /// All of these have ended and were started again.
    Restarted(Vec<ContainerId>),
    /// None of these lives any more, whether it is started again or not.
    EndOfRun(Vec<ContainerId>),
    /// Nothing: what was asked for was done at once.
    Done(Vec<ContainerId>),
}

impl Awaited {
    fn ids(&self) -> &[ContainerId] {
        match self {
            Self::Request => &[],
            Self::Started(ids)
            | Self::Ended(ids)
            | Self::Restarted(ids)
            | Self::EndOfRun(ids)
            | Self::Done(ids) => ids,
        }
    }
}

/// A client that has so many reports unread is not waited for any longer.
const MOST_BEHIND: usize = 10_000;

#[derive(Debug)]
struct Connection {
    peer: Peer,
    awaited: Awaited,
    /// Whether the event loop tells of room for more reports.
    watched_for_room: bool,
}

/// The clients by number; a gap is one that is gone.
#[derive(Debug, Default)]
pub(super) struct Clients(Vec<Option<Connection>>);

impl Clients {
    /// Gives its number; who cannot be watched is given back, with the kernel's reason.
    pub(super) fn add(&mut self, peer: Peer, reactor: &Reactor) -> Result<u32, (Peer, Errno)> {
        let gap = self.0.iter().position(Option::is_none);
        let index = gap.unwrap_or(self.0.len());
        if let Err(errno) = reactor.watch(&peer, Token::Client(index as u32)) {
            return Err((peer, errno));
        }
        if index == self.0.len() {
            self.0.push(None);
        }
        self.0[index] = Some(Connection {
            peer,
            awaited: Awaited::Request,
            watched_for_room: false,
        });
        Ok(index as u32)
    }

    /// Whether a client's request is under way, or its answer.
    pub(super) fn are_waiting(&self) -> bool {
        self.0
            .iter()
            .flatten()
            .any(|client| !matches!(client.awaited, Awaited::Request) || client.peer.behind() > 0)
    }

    /// What the client asks for, if anything; one that went away or asks nonsense is dropped.
    pub(super) fn ready(
        &mut self,
        index: u32,
        reactor: &Reactor,
    ) -> Option<(Request, Vec<OwnedFd>)> {
        let client = self.0.get_mut(index as usize)?.as_mut()?;
        client.peer.flush();
        let inbox = client.peer.read();
        self.settle(index as usize, reactor);
        match inbox {
            Inbox::Request(request, fds) => Some((request, fds)),
            Inbox::Nothing => None,
            Inbox::Gone => {
                self.remove(index as usize, reactor);
                None
            }
        }
    }

    /// Tells those who asked for this container.
    pub(super) fn report(&mut self, report: &Report, reactor: &Reactor) {
        for index in 0..self.0.len() {
            if let Some(client) = &mut self.0[index]
                && { report.id() }.is_some_and(|id| client.awaited.ids().contains(id))
            {
                client.peer.report(report, None);
                self.settle(index, reactor);
            }
        }
    }

    /// Tells everyone who waits for something.
    pub(super) fn report_to_all(&mut self, report: &Report) {
        for client in self.0.iter_mut().flatten() {
            if !matches!(client.awaited, Awaited::Request) {
                client.peer.report(report, None);
            }
        }
    }

    /// Tells one client, and gives it a descriptor.
    pub(super) fn report_to(
        &mut self,
        index: u32,
        report: &Report,
        fd: Option<OwnedFd>,
        reactor: &Reactor,
    ) {
        if let Some(Some(client)) = self.0.get_mut(index as usize) {
            client.peer.report(report, fd);
            self.settle(index as usize, reactor);
        }
    }

    /// Has the event loop tell of room when there is something to send, and only then.
    fn settle(&mut self, index: usize, reactor: &Reactor) {
        let Some(client) = &mut self.0[index] else {
            return;
        };
        let behind = client.peer.behind();
        let wanted = behind > 0;
        let watched = client.watched_for_room == wanted
            || reactor
                .watch_for_room(&client.peer, Token::Client(index as u32), wanted)
                .is_ok();
        client.watched_for_room = wanted;
        if !watched || behind > MOST_BEHIND {
            self.remove(index, reactor);
        }
    }

    fn remove(&mut self, index: usize, reactor: &Reactor) {
        if let Some(client) = self.0[index].take() {
            reactor.forget(&client.peer);
        }
    }

    pub(super) fn awaits(&mut self, index: u32, awaited: Awaited) {
        if let Some(Some(client)) = self.0.get_mut(index as usize) {
            client.awaited = awaited;
        }
    }

    /// Tells each client that waits for something that has come.
    pub(super) fn answer(&mut self, is_done: impl Fn(&Awaited) -> bool, reactor: &Reactor) {
        for index in 0..self.0.len() {
            if let Some(client) = &mut self.0[index]
                && is_done(&client.awaited)
            {
                client.awaited = Awaited::Request;
                client.peer.report(&Report::Done, None);
                self.settle(index, reactor);
            }
        }
    }
}
