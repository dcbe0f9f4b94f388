//! A published UDP port: a socket for each client, as long as it is used.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, SocketType, recv, send};

use super::dial::dial;
use super::{KINDS, SESSION};
use crate::sys::relay::{Met, receive_from, send_to, tell_destinations};

/// A session that nobody has used for so long is forgotten, as connection tracking does.
const IDLE: Duration = Duration::from_secs(120);
/// So many clients of a port are remembered. Who comes then takes the place of the one that was
/// idle longest.
const SESSIONS: usize = 4096;
/// So many datagrams are passed on before others have their turn.
const ROUNDS: usize = 64;
/// The largest datagram.
const LARGEST: usize = 65_536;

/// A port, and who talks to it.
#[derive(Debug)]
pub(super) struct Datagrams {
    port: u64,
    socket: OwnedFd,
    sessions: HashMap<Met, Session>,
    by_number: HashMap<u64, Met>,
    buffer: Vec<u8>,
}

#[derive(Debug)]
struct Session {
    number: u64,
    socket: OwnedFd,
    used: Instant,
}

impl Datagrams {
    pub(super) fn new(port: u64, socket: OwnedFd) -> Self {
        // Without it answers come from whichever address the kernel thinks best.
        if let Err(errno) = tell_destinations(&socket) {
            log::debug!("IP_PKTINFO: {errno}");
        }
        Self {
            port,
            socket,
            sessions: HashMap::new(),
            by_number: HashMap::new(),
            buffer: vec![0; LARGEST],
        }
    }

    /// Whether there is a session.
    pub(super) fn is_used(&self) -> bool {
        !self.sessions.is_empty()
    }

    /// Passes on what has come from clients.
    pub(super) fn forward(&mut self, epoll: &OwnedFd, target: SocketAddr, next: &mut u64) {
        let mut buffer = std::mem::take(&mut self.buffer);
        self.forward_by(&mut buffer, epoll, target, next);
        self.buffer = buffer;
    }

    fn forward_by(
        &mut self,
        buffer: &mut [u8],
        epoll: &OwnedFd,
        target: SocketAddr,
        next: &mut u64,
    ) {
        for _ in 0..ROUNDS {
            let (length, met) = match receive_from(&self.socket, buffer) {
                Ok(Some(received)) => received,
                // An error that an earlier answer has met is told here, once.
                Ok(None) | Err(Errno::INTR | Errno::CONNREFUSED) => continue,
                Err(_) => return,
            };
            let session = match self.session(epoll, met, target, next) {
                Ok(session) => session,
                Err(errno) => {
                    log::debug!("port {}: connect to {target}: {errno}", self.port);
                    continue;
                }
            };
            session.used = Instant::now();
            let socket = &session.socket;
            // What cannot be delivered is lost, as datagrams are.
            let _ = send(socket, &buffer[..length], SendFlags::NOSIGNAL);
        }
    }

    fn session(
        &mut self,
        epoll: &OwnedFd,
        met: Met,
        target: SocketAddr,
        next: &mut u64,
    ) -> Result<&mut Session, Errno> {
        if !self.sessions.contains_key(&met) {
            if self.sessions.len() >= SESSIONS {
                self.forget_oldest();
            }
            let socket = dial(SocketType::DGRAM, Some(met.client), target)?;
            *next += 1;
            let number = *next;
            let token = EventData::new_u64(number * KINDS + SESSION);
            epoll::add(epoll, &socket, token, EventFlags::IN)?;
            self.by_number.insert(number, met);
            let session = Session {
                number,
                socket,
                used: Instant::now(),
            };
            self.sessions.insert(met, session);
        }
        self.sessions.get_mut(&met).ok_or(Errno::NOENT)
    }

    /// Passes on what has come back in a session. `false`: it is none of this port.
    pub(super) fn answer(&mut self, number: u64) -> bool {
        let Some(met) = self.by_number.get(&number) else {
            return false;
        };
        let Some(session) = self.sessions.get_mut(met) else {
            return true;
        };
        for _ in 0..ROUNDS {
            let flags = RecvFlags::DONTWAIT;
            let length = match recv(&session.socket, &mut self.buffer[..], flags) {
                Ok((_, length)) => length,
                // Nobody listens in the container: clients see what they see of a lost one.
                Err(Errno::CONNREFUSED | Errno::INTR) => continue,
                Err(_) => return true,
            };
            session.used = Instant::now();
            let _ = send_to(&self.socket, &self.buffer[..length], met);
        }
        true
    }

    /// Forgets who has not been heard of for long.
    pub(super) fn forget_idle(&mut self, now: Instant) {
        self.sessions
            .retain(|_, session| now.saturating_duration_since(session.used) < IDLE);
        let sessions = &self.sessions;
        self.by_number.retain(|_, met| sessions.contains_key(met));
    }

    fn forget_oldest(&mut self) {
        let oldest = { self.sessions.iter() }
            .min_by_key(|(_, session)| session.used)
            .map(|(met, session)| (*met, session.number));
        if let Some((met, number)) = oldest {
            self.sessions.remove(&met);
            self.by_number.remove(&number);
        }
    }
}
