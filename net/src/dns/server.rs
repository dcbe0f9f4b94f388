//! The name server: its sockets, and what is done when one of them is ready.

use std::cell::RefCell;
use std::collections::HashMap;
use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;
use std::time::Instant;

use rustix::event::{Timespec, epoll};
use rustix::io::Errno;

use super::answer::{Verdict, answer};
use super::connection::Connection;
use super::forwarder::{Answered, Asked, Forwarder, Waiting};
use super::message::{LONGEST_QUERY, Query, Refusal};
use super::registry::{Registry, View};
use super::resolvers::{HostResolvers, PORT, Resolvers};
use super::sockets;
use super::zone::{Member, Standing, Zone};
use super::{Containers, Resolution};
use crate::error::Error;
use crate::networks::Networks;

/// So many datagrams of one socket are answered at a time: there is other work in this thread.
const DATAGRAMS: usize = 64;
/// So many connections are accepted at a time, held at a time, and held of one client.
const ACCEPTED: usize = 16;
const CONNECTIONS: usize = 64;
const CONNECTIONS_OF_ONE: usize = 8;
/// The longest answer over a connection.
const LONGEST_ANSWER: usize = u16::MAX as usize;

/// A name server for networks, to be turned by an event loop of the caller's: it waits for
/// nothing, starts no thread, and holds a bounded number of sockets.
///
/// Its own [descriptor](AsFd) is readable when there is something to do: then, and when the
/// [deadline](Self::deadline) has come, [`turn`](Self::turn) does it.
#[derive(Debug)]
pub struct NameServer {
    epoll: OwnedFd,
    networks: Networks,
    registry: Registry,
    listeners: Vec<Option<Listener>>,
    connections: Vec<Option<Connection>>,
    forwarder: Forwarder<To>,
    host: HostResolvers,
    /// Tells what comes later from what had its place before.
    serial: u64,
    /// Turns of the event loop, and queries.
    turn: u64,
    queries: usize,
}

/// The sockets of one gateway.
#[derive(Debug)]
struct Listener {
    network: String,
    address: SocketAddr,
    serial: u64,
    datagrams: UdpSocket,
    connections: TcpListener,
}

/// Where an answer goes.
#[derive(Debug, Clone, Copy)]
enum To {
    Datagram {
        listener: usize,
        serial: u64,
        peer: SocketAddr,
    },
    Connection {
        number: usize,
        serial: u64,
    },
}

/// What became ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token {
    Datagrams(usize),
    Listener(usize),
    Connection(usize),
    Exchange(usize),
}

impl Token {
    fn encode(self) -> epoll::EventData {
        let (kind, number) = match self {
            Self::Datagrams(number) => (0, number),
            Self::Listener(number) => (1, number),
            Self::Connection(number) => (2, number),
            Self::Exchange(number) => (3, number),
        };
        epoll::EventData::new_u64((kind << 32) | number as u64)
    }

    fn decode(data: epoll::EventData) -> Self {
        let number = data.u64() as u32 as usize;
        match data.u64() >> 32 {
            0 => Self::Datagrams(number),
            1 => Self::Listener(number),
            2 => Self::Connection(number),
            _ => Self::Exchange(number),
        }
    }
}

/// What is asked about containers, once a turn.
struct Turn<'a> {
    containers: &'a dyn Containers,
    standing: RefCell<HashMap<String, Standing>>,
    resolution: RefCell<HashMap<String, Rc<Resolution>>>,
}

impl Turn<'_> {
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
    /// A name server that serves no network yet.
    ///
    /// # Errors
    /// `EMFILE` and `ENFILE` of `epoll_create(2)`.
    pub fn new(networks: &Networks) -> Result<Self, Errno> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        Ok(Self {
            epoll,
            networks: networks.clone(),
            registry: Registry::new(networks.clone()),
            listeners: Vec::new(),
            connections: Vec::new(),
            forwarder: Forwarder::default(),
            host: HostResolvers::new(),
            serial: 0,
            turn: 0,
            queries: 0,
        })
    }

    /// Answers at the gateway of a network from now on, in the calling thread's network
    /// namespace. Nothing is done for one that is served already.
    ///
    /// # Errors
    /// [`Error::NoNetwork`]; [`Error::NameServer`] with `EADDRINUSE` when another name server
    /// has the port at this address or at all addresses; errors of the state directory.
    pub fn serve(&mut self, network: &str) -> Result<(), Error> {
        let store = self.networks.store(network)?;
        let known = self.networks.known(network, &store)?;
        for gateway in super::registry::gateways(&known) {
            let address = SocketAddr::new(gateway, PORT);
            let is_served = |it: &Listener| it.network == network && it.address == address;
            if self.listeners.iter().flatten().any(is_served) {
                continue;
            }
            // One of an earlier network at this address knows other names.
            for slot in &mut self.listeners {
                if slot.as_ref().is_some_and(|it| it.address == address) {
                    *slot = None;
                }
            }
            let failed = |source| Error::NameServer {
                network: network.to_owned(),
                address,
                source,
            };
            let (datagrams, connections) =
                sockets::listen_on(address).map_err(|error| failed(crate::error::errno(&error)))?;
            let number = free_place(&mut self.listeners);
            watch(&self.epoll, &datagrams, Token::Datagrams(number), IN).map_err(failed)?;
            watch(&self.epoll, &connections, Token::Listener(number), IN).map_err(failed)?;
            self.serial += 1;
            self.listeners[number] = Some(Listener {
                network: network.to_owned(),
                address,
                serial: self.serial,
                datagrams,
                connections,
            });
        }
        Ok(())
    }

    /// When [`turn`](Self::turn) is due though the descriptor is not readable.
    pub fn deadline(&self) -> Option<Instant> {
        let connections = self.connections.iter().flatten();
        let idle = connections.map(Connection::deadline).min();
        idle.into_iter().chain(self.forwarder.deadline()).min()
    }

    /// Does what there is to do, and no more than a part of it when there is much.
    pub fn turn(&mut self, containers: &dyn Containers) {
        self.turn += 1;
        let turn = Turn {
            containers,
            standing: RefCell::default(),
            resolution: RefCell::default(),
        };
        for token in self.wait() {
            match token {
                Token::Datagrams(number) => self.answer_datagrams(number, &turn),
                Token::Listener(number) => self.accept(number, &turn),
                Token::Connection(number) => self.go_on(number, &turn),
                Token::Exchange(number) => {
                    let mut answered = Vec::new();
                    self.forwarder.ready(number, Instant::now(), &mut answered);
                    self.watch_exchange(number);
                    self.deliver(answered);
                }
            }
        }
        self.on_time();
    }

    fn wait(&self) -> Vec<Token> {
        let mut events: Vec<epoll::Event> = Vec::with_capacity(64);
        let none = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        let spare = rustix::buffer::spare_capacity(&mut events);
        // Whatever fails here fails in the caller's loop as well, which says so.
        let _ = epoll::wait(&self.epoll, spare, Some(&none));
        events
            .iter()
            .map(|event| Token::decode(event.data))
            .collect()
    }

    fn on_time(&mut self) {
        let now = Instant::now();
        for slot in &mut self.connections {
            if slot.as_ref().is_some_and(|it| it.deadline() <= now) {
                *slot = None;
            }
        }
        if self.forwarder.deadline().is_some_and(|due| due <= now) {
            let mut answered = Vec::new();
            for number in self.forwarder.on_time(now, &mut answered) {
                self.watch_exchange(number);
            }
            self.deliver(answered);
        }
    }

    fn answer_datagrams(&mut self, number: usize, turn: &Turn<'_>) {
        let mut buffer = [0; LONGEST_QUERY + 1];
        for _ in 0..DATAGRAMS {
            let Some(Some(listener)) = self.listeners.get(number) else {
                return;
            };
            let (length, peer) = match listener.datagrams.recv_from(&mut buffer) {
                Ok(received) => received,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(_) => return,
            };
            let to = To::Datagram {
                listener: number,
                serial: listener.serial,
                peer,
            };
            if let Some(answer) = self.ask(&buffer[..length], number, peer.ip(), to, turn) {
                self.send(to, &answer);
            }
        }
    }

    fn accept(&mut self, number: usize, turn: &Turn<'_>) {
        for _ in 0..ACCEPTED {
            let Some(Some(listener)) = self.listeners.get(number) else {
                return;
            };
            let (stream, peer) = match listener.connections.accept() {
                Ok(accepted) => accepted,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(_) => return,
            };
            let held = self.connections.iter().flatten();
            let (all, of_one) = held.fold((0, 0), |(all, of_one), it| {
                (all + 1, of_one + usize::from(it.client == peer.ip()))
            });
            let is_too_many = all >= CONNECTIONS || of_one >= CONNECTIONS_OF_ONE;
            if is_too_many || stream.set_nonblocking(true).is_err() {
                continue;
            }
            let place = free_place(&mut self.connections);
            if watch(&self.epoll, &stream, Token::Connection(place), IN).is_err() {
                continue;
            }
            self.serial += 1;
            let now = Instant::now();
            let connection = Connection::new(stream, peer.ip(), self.serial, number, now);
            self.connections[place] = Some(connection);
            // The query often comes with it.
            self.go_on(place, turn);
        }
    }

    fn go_on(&mut self, number: usize, turn: &Turn<'_>) {
        let now = Instant::now();
        let Some(Some(connection)) = self.connections.get_mut(number) else {
            return;
        };
        let (client, listener) = (connection.client, connection.listener);
        let serial = connection.serial;
        let messages = if connection.flush(now) {
            connection.receive(now)
        } else {
            None
        };
        let Some(messages) = messages else {
            self.connections[number] = None;
            return;
        };
        for message in messages {
            let to = To::Connection { number, serial };
            if let Some(Some(connection)) = self.connections.get_mut(number) {
                connection.waiting += 1;
            }
            if let Some(answer) = self.ask(&message, listener, client, to, turn) {
                self.send(to, &answer);
            }
        }
        self.watch_connection(number);
    }

    /// The answer to what a client has sent, when there is one at once.
    fn ask(
        &mut self,
        bytes: &[u8],
        listener: usize,
        client: IpAddr,
        to: To,
        turn: &Turn<'_>,
    ) -> Option<Vec<u8>> {
        let (network, address) = match self.listeners.get(listener)? {
            Some(listener) => (listener.network.clone(), listener.address),
            None => return None,
        };
        let view = self.view(&network, turn);
        let Some(view) = view.filter(|view| view.gateways.contains(&address.ip())) else {
            // The network is gone, or has come again with another gateway.
            self.listeners[listener] = None;
            return None;
        };
        // The host itself may ask; others are of other networks, and those have their own.
        if !view.zone.contains(client) {
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
        let resolution = { view.zone.at(client) }.map(|member| turn.resolution(member));
        let zones = self.zones(&view, resolution.as_deref(), turn);
        self.queries = self.queries.wrapping_add(1);
        let standing = |member: &Member| turn.standing(member);
        let aliases = resolution.as_ref().map_or(&[][..], |it| &it.aliases);
        match answer(&query, &zones, aliases, &standing, self.queries, limit) {
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
        turn: &Turn<'_>,
    ) -> Vec<Rc<Zone>> {
        let mut zones = Vec::new();
        for network in resolution.iter().flat_map(|it| &it.networks) {
            zones.extend(self.view(network, turn).map(|view| Rc::clone(&view.zone)));
        }
        if !zones.iter().any(|zone| Rc::ptr_eq(zone, &view.zone)) {
            zones.push(Rc::clone(&view.zone));
        }
        zones
    }

    fn view(&mut self, network: &str, turn: &Turn<'_>) -> Option<Rc<View>> {
        let name = |id: &str| turn.containers.name(id);
        self.registry.view(network, self.turn, &name)
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
            let listeners = self.listeners.iter().flatten();
            { listeners }.any(|it| it.address == *server)
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

    fn deliver(&mut self, answered: Answered<To>) {
        for (to, answer) in answered {
            self.send(to, &answer);
            if let To::Connection { number, .. } = to {
                self.watch_connection(number);
            }
        }
    }

    fn send(&mut self, to: To, answer: &[u8]) {
        match to {
            To::Datagram {
                listener,
                serial,
                peer,
            } => {
                if let Some(Some(listener)) = self.listeners.get(listener)
                    && listener.serial == serial
                {
                    // One that cannot be sent now is asked for again.
                    let _ = listener.datagrams.send_to(answer, peer);
                }
            }
            To::Connection { number, serial } => {
                if let Some(Some(connection)) = self.connections.get_mut(number)
                    && connection.serial == serial
                {
                    connection.waiting = connection.waiting.saturating_sub(1);
                    if !connection.answer(answer, Instant::now()) {
                        self.connections[number] = None;
                    }
                }
            }
        }
    }

    /// No answer comes.
    fn give_up(&mut self, to: To) {
        if let To::Connection { number, serial } = to
            && let Some(Some(connection)) = self.connections.get_mut(number)
            && connection.serial == serial
        {
            connection.waiting = connection.waiting.saturating_sub(1);
        }
    }

    fn watch_connection(&mut self, number: usize) {
        let Some(slot) = self.connections.get_mut(number) else {
            return;
        };
        let Some(connection) = slot else { return };
        let mut flags = epoll::EventFlags::empty();
        flags.set(epoll::EventFlags::IN, connection.wants_input());
        flags.set(epoll::EventFlags::OUT, connection.wants_room());
        let token = Token::Connection(number);
        if connection.is_done() || watch(&self.epoll, connection.socket(), token, flags).is_err() {
            *slot = None;
        }
    }

    fn watch_exchange(&self, number: usize) {
        if let Some((socket, wants_room)) = self.forwarder.socket(number) {
            let mut flags = IN;
            flags.set(epoll::EventFlags::OUT, wants_room);
            // One that is not watched is over when its time is.
            let _ = watch(&self.epoll, socket, Token::Exchange(number), flags);
        }
    }
}

impl AsFd for NameServer {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.epoll.as_fd()
    }
}

const IN: epoll::EventFlags = epoll::EventFlags::IN;

/// Watches a socket, or changes what it is watched for.
fn watch(
    epoll: &OwnedFd,
    socket: impl AsFd,
    token: Token,
    flags: epoll::EventFlags,
) -> Result<(), Errno> {
    match epoll::modify(epoll, &socket, token.encode(), flags) {
        Err(Errno::NOENT) => epoll::add(epoll, &socket, token.encode(), flags),
        result => result,
    }
}

/// The first place that nothing has.
fn free_place<T>(places: &mut Vec<Option<T>>) -> usize {
    { places.iter().position(Option::is_none) }.unwrap_or_else(|| {
        places.push(None);
        places.len() - 1
    })
}
