//! The name server: its sockets, and what is done when one of them is ready.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::{Timespec, epoll};
use rustix::io::Errno;

use super::Containers;
use super::connection::Connection;
use super::forwarder::{Answered, Forwarder};
use super::listener::Listener;
use super::message::LONGEST_QUERY;
use super::registry::Registry;
use super::resolvers::HostResolvers;
use super::respond::Look;
use super::turns::Turns;
use crate::networks::Networks;

/// So many datagrams of one socket are answered at a time: there is other work in this thread.
const DATAGRAMS: usize = 64;
/// So many connections are accepted at a time, held at a time, and held of one client.
const ACCEPTED: usize = 16;
const CONNECTIONS: usize = 64;
const CONNECTIONS_OF_ONE: usize = 8;
/// When none can be accepted, the next is not before.
const REST: Duration = Duration::from_secs(1);

/// A name server for networks, to be turned by an event loop of the caller's: it waits for
/// nothing, starts no thread, and holds a bounded number of sockets.
///
/// Its own [descriptor](AsFd) is readable when there is something to do: then, and when the
/// [deadline](Self::deadline) has come, [`turn`](Self::turn) does it.
#[derive(Debug)]
pub struct NameServer {
    pub(super) epoll: OwnedFd,
    pub(super) networks: Networks,
    pub(super) registry: Registry,
    pub(super) listeners: Vec<Option<Listener>>,
    connections: Vec<Option<Connection>>,
    pub(super) forwarder: Forwarder<To>,
    pub(super) host: HostResolvers,
    /// Tells what comes later from what had its place before.
    pub(super) serial: u64,
    /// How often files were looked at.
    pub(super) looks: u64,
    pub(super) turns: Turns,
}

/// Where an answer goes.
#[derive(Debug, Clone, Copy)]
pub(super) enum To {
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
pub(super) enum Token {
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
            looks: 0,
            turns: Turns::new(),
        })
    }

    /// When [`turn`](Self::turn) is due though the descriptor is not readable.
    pub fn deadline(&self) -> Option<Instant> {
        let connections = self.connections.iter().flatten();
        let idle = connections.map(Connection::deadline).min();
        let listeners = self.listeners.iter().flatten();
        let rested = listeners.filter_map(|it| it.rests_until).min();
        let others = self.forwarder.deadline().into_iter().chain(rested);
        idle.into_iter().chain(others).min()
    }

    /// Does what there is to do, and no more than a part of it when there is much.
    pub fn turn(&mut self, containers: &dyn Containers) {
        for token in self.wait() {
            match token {
                Token::Datagrams(number) => self.answer_datagrams(number, containers),
                Token::Listener(number) => self.accept(number, containers),
                Token::Connection(number) => self.go_on(number, containers),
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
        self.accept_again(now);
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

    fn answer_datagrams(&mut self, number: usize, containers: &dyn Containers) {
        let Some(Some(listener)) = self.listeners.get(number) else {
            return;
        };
        let serial = listener.serial;
        let mut buffer = [0; LONGEST_QUERY + 1];
        let mut received = Vec::new();
        while received.len() < DATAGRAMS {
            match listener.datagrams.recv_from(&mut buffer) {
                Ok((length, peer)) => received.push((buffer[..length].to_vec(), peer)),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => break,
            }
        }
        let look = self.look(containers);
        for (message, peer) in received {
            let to = To::Datagram {
                listener: number,
                serial,
                peer,
            };
            if let Some(answer) = self.ask(&message, number, peer.ip(), to, &look) {
                self.send(to, &answer);
            }
        }
    }

    /// Files are looked at again from now on: after the queries have come that are about to be
    /// answered, since whoever has changed something may ask at once.
    fn look<'a>(&mut self, containers: &'a dyn Containers) -> Look<'a> {
        self.looks += 1;
        Look::new(containers)
    }

    fn accept(&mut self, number: usize, containers: &dyn Containers) {
        for _ in 0..ACCEPTED {
            let Some(Some(listener)) = self.listeners.get(number) else {
                return;
            };
            let (stream, peer) = match listener.connections.accept() {
                Ok(accepted) => accepted,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                // No descriptor is left, most likely: who connects has to wait for one.
                Err(_) => {
                    self.rest(number);
                    return;
                }
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
            self.go_on(place, containers);
        }
    }

    /// Accepts no connection for a while: those that wait would wake the caller in vain.
    fn rest(&mut self, number: usize) {
        if let Some(Some(listener)) = self.listeners.get_mut(number) {
            let none = epoll::EventFlags::empty();
            let token = Token::Listener(number);
            let _ = watch(&self.epoll, &listener.connections, token, none);
            listener.rests_until = Some(Instant::now() + REST);
        }
    }

    fn accept_again(&mut self, now: Instant) {
        for (number, listener) in self.listeners.iter_mut().enumerate() {
            if let Some(listener) = listener
                && listener.rests_until.is_some_and(|until| until <= now)
            {
                listener.rests_until = None;
                let token = Token::Listener(number);
                let _ = watch(&self.epoll, &listener.connections, token, IN);
            }
        }
    }

    fn go_on(&mut self, number: usize, containers: &dyn Containers) {
        let now = Instant::now();
        let Some(Some(connection)) = self.connections.get_mut(number) else {
            return;
        };
        let (client, listener) = (connection.client, connection.listener);
        let serial = connection.serial;
        // The kernel reports a broken connection again and again, wanted or not.
        let messages = if connection.expects_nothing() || !connection.flush(now) {
            None
        } else {
            connection.receive(now)
        };
        let Some(messages) = messages else {
            self.connections[number] = None;
            return;
        };
        let look = self.look(containers);
        for message in messages {
            let to = To::Connection { number, serial };
            if let Some(Some(connection)) = self.connections.get_mut(number) {
                connection.waiting += 1;
            }
            if let Some(answer) = self.ask(&message, listener, client, to, &look) {
                self.send(to, &answer);
            }
        }
        self.watch_connection(number);
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
    pub(super) fn give_up(&mut self, to: To) {
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

    pub(super) fn watch_exchange(&self, number: usize) {
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

pub(super) const IN: epoll::EventFlags = epoll::EventFlags::IN;

/// Watches a socket, or changes what it is watched for.
pub(super) fn watch(
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
pub(super) fn free_place<T>(places: &mut Vec<Option<T>>) -> usize {
    { places.iter().position(Option::is_none) }.unwrap_or_else(|| {
        places.push(None);
        places.len() - 1
    })
}
