//! What is not known here is asked of name servers: a bounded number of questions at a time,
//! each asked once, however many clients wait for the answer.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::BorrowedFd;
use std::rc::Rc;
use std::time::{Duration, Instant};

use super::cache::{Cache, Key};
use super::exchange::{Exchange, Progress};
use super::message::Query;
use super::relayed::Relayed;
use super::resolvers::Resolvers;

/// Questions under way, each with a socket.
const EXCHANGES: usize = 256;
/// Clients' queries that wait for them.
const WAITING: usize = 1024;
/// Those of one client: what it asks beyond is dropped, and asked again by whoever means it.
const WAITING_OF_ONE: usize = 128;
/// A server that has not answered is asked last for so long.
const LATE: Duration = Duration::from_secs(30);
/// So many of those are remembered.
const LATE_SERVERS: usize = 16;

/// A query that waits, with what it takes to answer it.
#[derive(Debug)]
pub(super) struct Waiting<T> {
    /// Where the answer goes.
    pub(super) to: T,
    /// Who asks, for the limits.
    pub(super) client: IpAddr,
    pub(super) query: Query,
    /// The longest answer, in octets.
    pub(super) limit: usize,
}

/// An answer, and where it goes.
pub(super) type Answered<T> = Vec<(T, Vec<u8>)>;

#[derive(Debug)]
struct Slot<T> {
    key: Rc<Key>,
    exchange: Exchange,
    waiting: Vec<Waiting<T>>,
}

/// What has become of a query.
#[derive(Debug)]
pub(super) enum Asked {
    /// Here is the answer.
    Answer(Vec<u8>),
    /// The answer comes later. The exchange of this number has a new socket, if there is one.
    Later(Option<usize>),
    /// Too much is under way: there is none.
    Dropped,
}

/// The questions under way, and the answers of before.
#[derive(Debug)]
pub(super) struct Forwarder<T> {
    slots: Vec<Option<Slot<T>>>,
    by_key: HashMap<Rc<Key>, usize>,
    waiting: usize,
    waiting_of: HashMap<IpAddr, usize>,
    cache: Cache,
    late: Vec<(SocketAddr, Instant)>,
}

impl<T> Default for Forwarder<T> {
    fn default() -> Self {
        Self {
            slots: Vec::new(),
            by_key: HashMap::new(),
            waiting: 0,
            waiting_of: HashMap::new(),
            cache: Cache::default(),
            late: Vec::new(),
        }
    }
}

impl<T> Forwarder<T> {
    /// Asks `resolvers`, unless the answer is known or somebody waits for it already.
    pub(super) fn ask(
        &mut self,
        waiting: Waiting<T>,
        resolvers: &Resolvers,
        now: Instant,
    ) -> Asked {
        let key = Key::new(&waiting.query, &resolvers.servers);
        if let Some((answer, age)) = self.cache.get(&key, now) {
            return Asked::Answer(answer.to(&waiting.query, age, waiting.limit));
        }
        let of_one = self.waiting_of.get(&waiting.client).copied().unwrap_or(0);
        if self.waiting >= WAITING || of_one >= WAITING_OF_ONE {
            return Asked::Dropped;
        }
        if let Some(&number) = self.by_key.get(&key) {
            self.enlist(number, waiting);
            return Asked::Later(None);
        }
        if self.by_key.len() >= EXCHANGES {
            return Asked::Dropped;
        }
        let late = &self.late;
        let is_late = |server| late.iter().any(|(it, until)| *it == server && now < *until);
        let Some(exchange) = Exchange::begin(waiting.query.clone(), resolvers, &is_late, now)
        else {
            return Asked::Answer(waiting.query.failure());
        };
        let key = Rc::new(key);
        let number = { self.slots.iter().position(Option::is_none) }.unwrap_or_else(|| {
            self.slots.push(None);
            self.slots.len() - 1
        });
        self.slots[number] = Some(Slot {
            key: Rc::clone(&key),
            exchange,
            waiting: Vec::new(),
        });
        self.by_key.insert(key, number);
        self.enlist(number, waiting);
        Asked::Later(Some(number))
    }

    fn enlist(&mut self, number: usize, waiting: Waiting<T>) {
        if let Some(Some(slot)) = self.slots.get_mut(number) {
            self.waiting += 1;
            *self.waiting_of.entry(waiting.client).or_default() += 1;
            slot.waiting.push(waiting);
        }
    }

    /// The socket of an exchange, and whether it waits for room to write.
    pub(super) fn socket(&self, number: usize) -> Option<(BorrowedFd<'_>, bool)> {
        let exchange = &self.slots.get(number)?.as_ref()?.exchange;
        Some((exchange.socket()?, exchange.wants_room()))
    }

    /// Something has happened at the socket of an exchange. Says whether it has another one.
    pub(super) fn ready(
        &mut self,
        number: usize,
        now: Instant,
        answered: &mut Answered<T>,
    ) -> bool {
        let Some(Some(slot)) = self.slots.get_mut(number) else {
            return false;
        };
        let progress = slot.exchange.ready(now);
        self.note(number, progress, now, answered)
    }

    /// Goes on with those that have waited long enough. Returns those with another socket.
    pub(super) fn on_time(&mut self, now: Instant, answered: &mut Answered<T>) -> Vec<usize> {
        let mut moved = Vec::new();
        for number in 0..self.slots.len() {
            let Some(Some(slot)) = self.slots.get_mut(number) else {
                continue;
            };
            if slot.exchange.deadline() > now {
                continue;
            }
            let server = slot.exchange.server();
            let progress = slot.exchange.give_up_server(now);
            if let Some(server) = server {
                self.note_late(server, now);
            }
            if self.note(number, progress, now, answered) {
                moved.push(number);
            }
        }
        moved
    }

    /// When the next one has waited long enough.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let slots = self.slots.iter().flatten();
        slots.map(|slot| slot.exchange.deadline()).min()
    }

    /// Forgets what name servers have said: they are others now.
    pub(super) fn forget_answers(&mut self) {
        self.cache.clear();
        self.late.clear();
    }

    fn note(
        &mut self,
        number: usize,
        progress: Progress,
        now: Instant,
        answered: &mut Answered<T>,
    ) -> bool {
        match progress {
            Progress::Waits => false,
            Progress::Moved => true,
            Progress::Over(answer) => {
                self.end(number, answer, now, answered);
                false
            }
        }
    }

    fn end(
        &mut self,
        number: usize,
        answer: Option<Relayed>,
        now: Instant,
        answered: &mut Answered<T>,
    ) {
        let Some(slot) = self.slots.get_mut(number).and_then(Option::take) else {
            return;
        };
        while self.slots.last().is_some_and(Option::is_none) {
            self.slots.pop();
        }
        self.by_key.remove(&slot.key);
        self.waiting -= slot.waiting.len();
        for waiting in slot.waiting {
            if let Some(count) = self.waiting_of.get_mut(&waiting.client) {
                *count -= 1;
                if *count == 0 {
                    self.waiting_of.remove(&waiting.client);
                }
            }
            let bytes = match &answer {
                Some(answer) => answer.to(&waiting.query, Duration::ZERO, waiting.limit),
                None => waiting.query.failure(),
            };
            answered.push((waiting.to, bytes));
        }
        if let Some(answer) = answer {
            self.cache.put(&slot.key, answer, now);
        }
    }

    fn note_late(&mut self, server: SocketAddr, now: Instant) {
        self.late
            .retain(|(it, until)| *it != server && now < *until);
        if self.late.len() >= LATE_SERVERS {
            self.late.remove(0);
        }
        self.late.push((server, now + LATE));
    }
}
