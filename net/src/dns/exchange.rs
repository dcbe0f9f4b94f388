//! One question to name servers, until one of them has answered it.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use super::message::Query;
use super::relayed::Relayed;
use super::resolvers::Resolvers;
use super::sockets;

/// Who waits for an answer to be given up.
const PATIENCE: Duration = Duration::from_secs(10);
/// As often is asked at most, whatever the number of servers.
const TRIES: usize = 8;
/// So many datagrams are read at a time; what is no answer does not hold up others.
const DATAGRAMS: usize = 8;

/// One question under way.
#[derive(Debug)]
pub(super) struct Exchange {
    query: Query,
    servers: Vec<SocketAddr>,
    /// The next of them.
    next: usize,
    timeout: Duration,
    transport: Option<Transport>,
    id: u16,
    /// When the present one is given up, and when all.
    until: Instant,
    give_up: Instant,
    /// What a server said that could not answer.
    failure: Option<Relayed>,
}

#[derive(Debug)]
enum Transport {
    Udp(UdpSocket),
    Tcp(Connection),
}

/// A question over a connection.
#[derive(Debug)]
struct Connection {
    stream: TcpStream,
    output: Vec<u8>,
    sent: usize,
    input: Vec<u8>,
}

/// How far an exchange has come.
#[derive(Debug)]
pub(super) enum Progress {
    /// It goes on as it is.
    Waits,
    /// It goes on with another socket.
    Moved,
    /// It is over: with an answer, or nobody has given any.
    Over(Option<Relayed>),
}

impl Exchange {
    /// Asks the first server that can be asked. `later` are those that have not answered
    /// lately: they are asked last.
    pub(super) fn begin(
        query: Query,
        resolvers: &Resolvers,
        later: &dyn Fn(SocketAddr) -> bool,
        now: Instant,
    ) -> Option<Self> {
        let (late, prompt): (Vec<_>, Vec<_>) =
            { resolvers.servers.iter().copied() }.partition(|server| later(*server));
        let once = [prompt, late].concat();
        let attempts = resolvers.attempts as usize;
        let mut servers = once.repeat(attempts);
        servers.truncate(TRIES);
        let mut exchange = Self {
            query,
            servers,
            next: 0,
            timeout: resolvers.timeout,
            transport: None,
            id: 0,
            until: now,
            give_up: now + PATIENCE,
            failure: None,
        };
        exchange.ask_next(now).then_some(exchange)
    }

    /// Its present socket.
    pub(super) fn socket(&self) -> Option<BorrowedFd<'_>> {
        Some(match self.transport.as_ref()? {
            Transport::Udp(socket) => socket.as_fd(),
            Transport::Tcp(connection) => connection.stream.as_fd(),
        })
    }

    /// Whether it waits for room to write as well.
    pub(super) fn wants_room(&self) -> bool {
        matches!(&self.transport, Some(Transport::Tcp(it)) if it.sent < it.output.len())
    }

    /// When the present server is given up.
    pub(super) fn deadline(&self) -> Instant {
        self.until
    }

    /// The server that is asked at present.
    pub(super) fn server(&self) -> Option<SocketAddr> {
        self.servers.get(self.next.checked_sub(1)?).copied()
    }

    /// Something has happened at the socket.
    pub(super) fn ready(&mut self, now: Instant) -> Progress {
        let answer = match &mut self.transport {
            Some(Transport::Udp(socket)) => receive(socket, self.id, &self.query),
            Some(Transport::Tcp(connection)) => connection.go_on(self.id, &self.query),
            None => Err(()),
        };
        match answer {
            Ok(None) => Progress::Waits,
            Ok(Some(answer)) if answer.is_truncated() => self.ask_by_connection(now, answer),
            Ok(Some(answer)) if answer.is_failure() => {
                self.failure = Some(answer);
                self.give_up_server(now)
            }
            Ok(Some(answer)) => Progress::Over(Some(answer)),
            Err(()) => self.give_up_server(now),
        }
    }

    /// The present server has not answered, or cannot: on to the next one.
    pub(super) fn give_up_server(&mut self, now: Instant) -> Progress {
        self.transport = None;
        if now < self.give_up && self.ask_next(now) {
            Progress::Moved
        } else {
            Progress::Over(self.failure.take())
        }
    }

    fn ask_next(&mut self, now: Instant) -> bool {
        while let Some(&server) = self.servers.get(self.next) {
            self.next += 1;
            let Some(id) = random_id() else { continue };
            if let Ok(socket) = sockets::send_query(server, &self.query.forwarded(id)) {
                self.id = id;
                self.transport = Some(Transport::Udp(socket));
                self.until = (now + self.timeout).min(self.give_up);
                return true;
            }
        }
        false
    }

    /// The same server has more to say than fits into a datagram.
    fn ask_by_connection(&mut self, now: Instant, answer: Relayed) -> Progress {
        // An answer over a connection that was cut is all there is.
        if matches!(self.transport, Some(Transport::Tcp(_))) {
            return Progress::Over(Some(answer));
        }
        // Better than none: the client may ask for the rest itself.
        self.failure = Some(answer);
        let connection = { self.server().zip(random_id()) }.and_then(|(server, id)| {
            let output = sockets::with_length(&self.query.forwarded(id))?;
            self.id = id;
            Some(Connection {
                stream: sockets::begin_to_connect(server).ok()?,
                output,
                sent: 0,
                input: Vec::new(),
            })
        });
        match connection {
            Some(connection) => {
                self.transport = Some(Transport::Tcp(connection));
                self.until = (now + self.timeout).min(self.give_up);
                Progress::Moved
            }
            None => self.give_up_server(now),
        }
    }
}

/// The answer, if it has come. What else comes is passed over.
fn receive(socket: &UdpSocket, id: u16, query: &Query) -> Result<Option<Relayed>, ()> {
    let mut buffer = [0; 4096];
    for _ in 0..DATAGRAMS {
        match socket.recv(&mut buffer) {
            Ok(length) => {
                let answer = Relayed::read(buffer[..length].to_vec(), id, query);
                if answer.is_some() {
                    return Ok(answer);
                }
            }
            Err(error) if sockets::is_not_now(&error) => return Ok(None),
            // Nobody listens there: the kernel was told.
            Err(_) => return Err(()),
        }
    }
    Ok(None)
}

impl Connection {
    fn go_on(&mut self, id: u16, query: &Query) -> Result<Option<Relayed>, ()> {
        while self.sent < self.output.len() {
            match self.stream.write(&self.output[self.sent..]) {
                Ok(count) => self.sent += count,
                Err(error) if sockets::is_not_now(&error) => return Ok(None),
                Err(_) => return Err(()),
            }
        }
        let mut buffer = [0; 4096];
        loop {
            match self.stream.read(&mut buffer) {
                Ok(0) => return Err(()),
                Ok(count) => self.input.extend_from_slice(&buffer[..count]),
                Err(error) if sockets::is_not_now(&error) => return Ok(None),
                Err(_) => return Err(()),
            }
            // No more than one message is read, which has at most 64 KiB.
            if let Some(message) = sockets::take_message(&mut self.input) {
                return Relayed::read(message, id, query).map(Some).ok_or(());
            }
        }
    }
}

/// A number that nobody can guess; none when the kernel has no randomness yet.
fn random_id() -> Option<u16> {
    let mut bytes = [0; 2];
    rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::NONBLOCK).ok()?;
    Some(u16::from_ne_bytes(bytes))
}
