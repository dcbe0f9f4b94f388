//! A client's connection (RFC 7766): queries and answers, each with its length before it.

use std::io::{Read, Write};
use std::net::{IpAddr, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use super::message::LONGEST_QUERY;
use super::sockets;

/// A connection on which nothing happens for so long is closed.
const IDLE: Duration = Duration::from_secs(10);
/// So many octets may wait for a client that does not read: the longest answer, and some.
const OUTPUT: usize = 80 * 1024;

/// One client's.
#[derive(Debug)]
pub(super) struct Connection {
    stream: TcpStream,
    /// Tells it from one that had its place before.
    pub(super) serial: u64,
    /// The socket that it came to.
    pub(super) listener: usize,
    pub(super) client: IpAddr,
    input: Vec<u8>,
    output: Vec<u8>,
    /// Queries whose answers are still to come.
    pub(super) waiting: usize,
    has_ended: bool,
    deadline: Instant,
}

impl Connection {
    pub(super) fn new(
        stream: TcpStream,
        client: IpAddr,
        serial: u64,
        listener: usize,
        now: Instant,
    ) -> Self {
        Self {
            stream,
            serial,
            listener,
            client,
            input: Vec::new(),
            output: Vec::new(),
            waiting: 0,
            has_ended: false,
            deadline: now + IDLE,
        }
    }

    pub(super) fn socket(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }

    /// Whether it waits for room to write.
    pub(super) fn wants_room(&self) -> bool {
        !self.output.is_empty()
    }

    /// Whether it waits for queries.
    pub(super) fn wants_input(&self) -> bool {
        !self.has_ended
    }

    /// When it has been idle for too long.
    pub(super) fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Reads what has come. None when the connection is of no more use.
    pub(super) fn receive(&mut self, now: Instant) -> Option<Vec<Vec<u8>>> {
        let mut buffer = [0; LONGEST_QUERY];
        if !self.has_ended {
            match self.stream.read(&mut buffer) {
                Ok(0) => self.has_ended = true,
                Ok(count) => {
                    self.deadline = now + IDLE;
                    self.input.extend_from_slice(&buffer[..count]);
                }
                Err(error) if sockets::is_not_now(&error) => {}
                Err(_) => return None,
            }
        }
        let mut messages = Vec::new();
        while let Some(message) = sockets::take_message(&mut self.input) {
            messages.push(message);
        }
        // What is left is the beginning of a query: none is longer.
        (self.input.len() <= LONGEST_QUERY).then_some(messages)
    }

    /// Sends an answer, or as much as there is room for. Says whether the connection is of use.
    pub(super) fn answer(&mut self, message: &[u8], now: Instant) -> bool {
        let Some(bytes) = sockets::with_length(message) else {
            return false;
        };
        self.output.extend(bytes);
        self.flush(now) && self.output.len() <= OUTPUT
    }

    /// Sends what waits. Says whether the connection is of use.
    pub(super) fn flush(&mut self, now: Instant) -> bool {
        let mut sent = 0;
        while sent < self.output.len() {
            match self.stream.write(&self.output[sent..]) {
                Ok(count) => sent += count,
                Err(error) if sockets::is_not_now(&error) => break,
                Err(_) => return false,
            }
        }
        if sent > 0 {
            self.deadline = now + IDLE;
            self.output.drain(..sent);
        }
        true
    }

    /// Whether it waits for nothing that the client could do: what happens to it then is its end.
    pub(super) fn expects_nothing(&self) -> bool {
        self.has_ended && self.output.is_empty()
    }

    /// Whether nothing is left to be done for a client that sends no more.
    pub(super) fn is_done(&self) -> bool {
        self.has_ended && self.waiting == 0 && self.output.is_empty()
    }
}
