//! Answers of name servers, for as long as they may be kept, of bounded number and size.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use super::message::Query;
use super::relayed::Relayed;

/// So many answers are kept.
const ENTRIES: usize = 512;
/// So many octets are kept, answers and what goes with them.
const OCTETS: usize = 256 * 1024;

/// All that an answer depends on.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Key {
    /// Name in lower case, type and class.
    question: Box<[u8]>,
    flags: u8,
    servers: Rc<[SocketAddr]>,
}

impl Key {
    /// The key of what `servers` say to `query`.
    pub(super) fn new(query: &Query, servers: &Rc<[SocketAddr]>) -> Self {
        let mut question = query.raw().to_vec();
        let name = question.len().saturating_sub(4);
        question[..name].make_ascii_lowercase();
        Self {
            question: question.into(),
            flags: query.flags(),
            servers: Rc::clone(servers),
        }
    }

    fn size(&self) -> usize {
        self.question.len() + 16 * self.servers.len()
    }
}

#[derive(Debug)]
struct Entry {
    answer: Relayed,
    since: Instant,
    lifetime: Duration,
}

/// The answers that are kept. The oldest goes when there are too many.
#[derive(Debug, Default)]
pub(super) struct Cache {
    entries: HashMap<Rc<Key>, Entry>,
    /// The same keys in the order in which they came.
    order: VecDeque<Rc<Key>>,
    octets: usize,
}

impl Cache {
    /// An answer that is still good, and how old it is.
    pub(super) fn get(&self, key: &Key, now: Instant) -> Option<(&Relayed, Duration)> {
        let entry = self.entries.get(key)?;
        let age = now.saturating_duration_since(entry.since);
        (age < entry.lifetime).then_some((&entry.answer, age))
    }

    /// Keeps an answer, if it may be kept.
    pub(super) fn put(&mut self, key: &Rc<Key>, answer: Relayed, now: Instant) {
        let Some(lifetime) = answer.lifetime() else {
            return;
        };
        let size = answer.size();
        if size > OCTETS / 8 {
            return;
        }
        let entry = Entry {
            answer,
            since: now,
            lifetime,
        };
        self.octets += size;
        if let Some(old) = self.entries.insert(Rc::clone(key), entry) {
            self.octets -= old.answer.size();
        } else {
            self.order.push_back(Rc::clone(key));
            self.octets += key.size();
        }
        while self.entries.len() > ENTRIES || self.octets > OCTETS {
            let Some(oldest) = self.order.pop_front() else {
                break;
            };
            if let Some(old) = self.entries.remove(&oldest) {
                self.octets -= old.answer.size() + oldest.size();
            }
        }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        assert_eq!(self.entries.len(), self.order.len());
        self.entries.len()
    }

    #[cfg(test)]
    pub(super) fn octets(&self) -> usize {
        self.octets
    }

    /// Forgets everything: the name servers are others now.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}
