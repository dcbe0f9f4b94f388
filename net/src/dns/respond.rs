//! What a client is told: from the names of its networks, or by whom they are asked.

use std::cell::RefCell;
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::time::Instant;

use super::answer::{Verdict, answer};
use super::forwarder::{Asked, Waiting};
use super::message::{Query, Refusal};
use super::registry::View;
use super::resolvers::Resolvers;
use super::server::{NameServer, To};
use super::sockets;
use super::zone::{Member, Standing, Zone};
use super::{Containers, Resolution};
use crate::error::Error;

/// The longest answer over a connection.
const LONGEST_ANSWER: usize = u16::MAX as usize;

/// What is asked about containers, once for all queries that have come together.
pub(super) struct Look<'a> {
    containers: &'a dyn Containers,
    standing: RefCell<HashMap<String, Standing>>,
    resolution: RefCell<HashMap<String, Rc<Resolution>>>,
}

impl<'a> Look<'a> {
    pub(super) fn new(containers: &'a dyn Containers) -> Self {
        Self {
            containers,
            standing: RefCell::default(),
            resolution: RefCell::default(),
        }
    }

    fn standing(&self, member: &Member) -> Standing {
        let mut known = self.standing.borrow_mut();
        if let Some(standing) = known.get(&member.id) {
            return *standing;
        }
        let standing = self.containers.standing(&member.id);
        known.insert(member.id.clone(), standing);
        standing
    }

    fn resolution(&self, member: &Member) -> Rc<Resolution> {
        let mut known = self.resolution.borrow_mut();
        if let Some(resolution) = known.get(&member.id) {
            return Rc::clone(resolution);
        }
        let resolution = self.containers.resolution(&member.id);
        known.insert(member.id.clone(), Rc::clone(&resolution));
        resolution
    }
}

impl NameServer {
    /// The answer to what a client has sent, when there is one at once.
    pub(super) fn ask(
        &mut self,
        bytes: &[u8],
        listener: usize,
        client: IpAddr,
        to: To,
        look: &Look<'_>,
    ) -> Option<Vec<u8>> {
        let (network, address) = match self.listeners.get(listener)? {
            Some(listener) => (listener.network.clone(), listener.address),
            None => return None,
        };
        let view = self.view(&network, look).ok()?;
        let Some(view) = view.filter(|view| view.servers.contains(&address)) else {
            // The network is gone, or has come again with another gateway.
            self.listeners[listener] = None;
            return None;
        };
        // The host itself may ask; others are of other networks, and those have their own.
        if !view.zone.contains(client) && !sockets::is_own(client) {
            return None;
        }
        let query = match Query::read(bytes) {
            Ok(query) => query,
            Err(Refusal::Told(answer)) => return Some(answer),
            Err(Refusal::Silent) => return None,
        };
        let limit = match to {
            To::Datagram { .. } => query.datagram(),
            To::Connection { .. } => LONGEST_ANSWER,
        };
        let resolution = { view.zone.at(client) }.map(|member| look.resolution(member));
        let zones = self.zones(&view, resolution.as_deref(), look);
        let turn = self.turns.next(&query);
        let standing = |member: &Member| look.standing(member);
        let aliases = resolution.as_ref().map_or(&[][..], |it| &it.aliases);
        match answer(&query, &zones, aliases, &standing, turn, limit) {
            Verdict::Answer(answer) => Some(answer),
            Verdict::Unknown if !query.is_recursive() => Some(query.refusal()),
            Verdict::Unknown => {
                self.forward(query, client, limit, to, &zones, resolution.as_deref())
            }
        }
    }

    /// The networks of a client, in its order; the one that it asks from in any case.
    fn zones(
        &mut self,
        view: &Rc<View>,
        resolution: Option<&Resolution>,
        look: &Look<'_>,
    ) -> Vec<Rc<Zone>> {
        let mut zones = Vec::new();
        for network in resolution.iter().flat_map(|it| &it.networks) {
            let view = self.view(network, look).ok().flatten();
            zones.extend(view.map(|view| Rc::clone(&view.zone)));
        }
        if !zones.iter().any(|zone| Rc::ptr_eq(zone, &view.zone)) {
            zones.push(Rc::clone(&view.zone));
        }
        zones
    }

    fn view(&mut self, network: &str, look: &Look<'_>) -> Result<Option<Rc<View>>, Error> {
        let name = |id: &str| look.containers.name(id);
        self.registry.view(network, self.looks, &name)
    }

    fn forward(
        &mut self,
        query: Query,
        client: IpAddr,
        limit: usize,
        to: To,
        zones: &[Rc<Zone>],
        resolution: Option<&Resolution>,
    ) -> Option<Vec<u8>> {
        let (host, is_news) = self.host.now();
        let host = host.clone();
        if is_news {
            self.forwarder.forget_answers();
        }
        let own = resolution.map_or(&[][..], |it| &it.servers);
        let mut resolvers = match own {
            [] => host,
            own => Resolvers::of(own.iter().copied()),
        };
        let is_ours = |server: &SocketAddr| {
            let mut listeners = self.listeners.iter().flatten();
            listeners.any(|it| it.address.ip() == server.ip())
        };
        let is_confined = zones.iter().all(|zone| zone.is_internal());
        let is_allowed = |server: &SocketAddr| {
            // Who has no way out has none by way of this process.
            let is_near = || zones.iter().any(|zone| zone.contains(server.ip()));
            // Asked by itself it would never end.
            !is_ours(server) && (!is_confined || !own.is_empty() && is_near())
        };
        if !resolvers.servers.iter().all(is_allowed) {
            let allowed = resolvers.servers.iter().copied().filter(is_allowed);
            resolvers.servers = allowed.collect();
        }
        if resolvers.servers.is_empty() {
            return Some(if is_confined {
                query.no_such_name()
            } else {
                query.failure()
            });
        }
        let waiting = Waiting {
            to,
            client,
            query,
            limit,
        };
        match self.forwarder.ask(waiting, &resolvers, Instant::now()) {
            Asked::Answer(answer) => Some(answer),
            Asked::Later(number) => {
                if let Some(number) = number {
                    self.watch_exchange(number);
                }
                None
            }
            Asked::Dropped => {
                self.give_up(to);
                None
            }
        }
    }
}
