//! Published ports without root: a relay between sockets of the host and containers.
//!
//! An ordinary user has no rules in the host's network namespace that could redirect packets.
//! What it has are the sockets by which [`reserve`](crate::reserve) keeps its ports. A relay
//! accepts what comes there and passes it on to the container, from a socket in the network
//! namespace that the user's bridges are in, which is that of the thread that turns the relay.
//!
//! - The container sees the client's own address: the relay's socket takes it, by
//!   `IP_TRANSPARENT`, which takes privilege over the namespace and none over the host. The
//!   answers find their way by [`return_path`]. A client on the host's loopback is seen as the
//!   gateway, as with root: a container could not answer to 127.0.0.1.
//! - TCP is moved by `splice(2)`, which copies nothing to this process.
//! - Ports come and go while it runs, which `pasta` cannot do, and each on its own address.
//!
//! One thread, one `epoll`: [`Relay::turn`] does all that can be done without waiting.

mod datagram;
mod dial;
mod return_path;
mod stream;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::io::Errno;
use rustix::net::{SocketFlags, acceptfrom_with, listen};

use self::datagram::Datagrams;
pub use self::return_path::return_path;
use self::stream::{Progress, Stream};
use crate::ports::Protocol;

/// The kernel refuses what the relay lives on.
#[derive(Debug, thiserror::Error)]
#[error("relay of published ports: {operation}")]
pub struct RelayError {
    operation: &'static str,
    #[source]
    source: Errno,
}

fn failed(operation: &'static str) -> impl FnOnce(Errno) -> RelayError {
    move |source| RelayError { operation, source }
}

/// See the module.
#[derive(Debug)]
pub struct Relay {
    epoll: OwnedFd,
    next: u64,
    ports: BTreeMap<u64, Port>,
    streams: BTreeMap<u64, Stream>,
    /// Streams that have more to move than a turn allows.
    busy: VecDeque<u64>,
    /// Ports that cannot accept for want of descriptors, until this time.
    resting: Option<Instant>,
    swept: Instant,
}

/// A published port.
#[derive(Debug)]
struct Port {
    owner: String,
    target: SocketAddr,
    socket: Socket,
}

#[derive(Debug)]
enum Socket {
    Stream(OwnedFd),
    Datagram(Datagrams),
}

/// What an event is about: in the lowest bits of its number.
const PORT: u64 = 0;
const STREAM: u64 = 1;
const SESSION: u64 = 2;
const KINDS: u64 = 4;

/// So many connections are accepted from a port before others have their turn.
const ACCEPTS: usize = 64;
/// A port that nothing can be accepted from is looked at again after this.
const REST: Duration = Duration::from_millis(100);
/// How often sessions are looked at that nobody uses any more.
const SWEEP: Duration = Duration::from_secs(5);
/// Connections that wait to be accepted.
const BACKLOG: i32 = 4096;

impl Relay {
    /// A relay without ports.
    ///
    /// # Errors
    /// When the kernel has no `epoll` for it.
    pub fn new() -> Result<Self, RelayError> {
        Ok(Self {
            epoll: epoll::create(epoll::CreateFlags::CLOEXEC).map_err(failed("epoll_create"))?,
            next: 0,
            ports: BTreeMap::new(),
            streams: BTreeMap::new(),
            busy: VecDeque::new(),
            resting: None,
            swept: Instant::now(),
        })
    }

    /// Passes on what comes to `socket`, which [`reserve`](crate::reserve) has made, to
    /// `target`, until [`withdraw`](Self::withdraw) is called for `owner`.
    ///
    /// # Errors
    /// When the socket cannot be listened to.
    pub fn publish(
        &mut self,
        owner: &str,
        protocol: Protocol,
        socket: OwnedFd,
        target: SocketAddr,
    ) -> Result<(), RelayError> {
        rustix::io::ioctl_fionbio(&socket, true).map_err(failed("set a socket non-blocking"))?;
        let id = self.number();
        let token = EventData::new_u64(id * KINDS + PORT);
        epoll::add(&self.epoll, &socket, token, EventFlags::IN).map_err(failed("epoll_ctl"))?;
        let socket = if protocol == Protocol::Udp {
            Socket::Datagram(Datagrams::new(id, socket))
        } else {
            listen(&socket, BACKLOG).map_err(failed("listen"))?;
            Socket::Stream(socket)
        };
        let port = Port {
            owner: owner.to_owned(),
            target,
            socket,
        };
        self.ports.insert(id, port);
        Ok(())
    }

    /// Gives up the ports of `owner`, and ends the connections that came by them: a container
    /// that has gone cannot end them itself.
    pub fn withdraw(&mut self, owner: &str) {
        let of_owner = |port: &Port| port.owner == owner;
        let going: BTreeSet<u64> = { self.ports.iter() }
            .filter(|(_, port)| of_owner(port))
            .map(|(id, _)| *id)
            .collect();
        self.streams.retain(|_, stream| {
            let ends = going.contains(&stream.port());
            if ends {
                stream.reset();
            }
            !ends
        });
        self.ports.retain(|id, _| !going.contains(id));
    }

    /// Whether `owner` has published ports.
    pub fn has(&self, owner: &str) -> bool {
        self.ports.values().any(|port| port.owner == owner)
    }

    /// After which time [`turn`](Self::turn) is due, also when nothing has come.
    pub fn pause(&self) -> Option<Duration> {
        if !self.busy.is_empty() {
            return Some(Duration::ZERO);
        }
        if let Some(until) = self.resting {
            return Some(until.saturating_duration_since(Instant::now()));
        }
        let has_sessions =
            |port: &Port| matches!(&port.socket, Socket::Datagram(it) if it.is_used());
        let sweeps = self.ports.values().any(has_sessions);
        sweeps.then(|| (self.swept + SWEEP).saturating_duration_since(Instant::now()))
    }

    /// Moves what can be moved without waiting.
    ///
    /// # Errors
    /// When the kernel does not tell what has come.
    pub fn turn(&mut self) -> Result<(), RelayError> {
        let mut events = [const { std::mem::MaybeUninit::uninit() }; 256];
        let no_wait = rustix::event::Timespec::default();
        let (ready, _) = match epoll::wait(&self.epoll, &mut events, Some(&no_wait)) {
            Err(Errno::INTR) => return Ok(()),
            ready => ready.map_err(failed("epoll_wait"))?,
        };
        let mut moved = std::mem::take(&mut self.busy);
        for event in ready {
            let token = event.data.u64();
            let id = token / KINDS;
            match token % KINDS {
                PORT => self.arrived(id),
                STREAM => moved.push_back(id),
                SESSION => self.answered(id),
                _ => {}
            }
        }
        for id in moved {
            self.advance(id);
        }
        self.look_after();
        Ok(())
    }

    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    fn arrived(&mut self, id: u64) {
        let Some(port) = self.ports.get_mut(&id) else {
            return;
        };
        if let Socket::Datagram(datagrams) = &mut port.socket {
            datagrams.forward(&self.epoll, port.target, &mut self.next);
            return;
        }
        for _ in 0..ACCEPTS {
            let Some(Port {
                socket: Socket::Stream(socket),
                target,
                ..
            }) = self.ports.get(&id)
            else {
                return;
            };
            let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
            let (client, from) = match acceptfrom_with(socket, flags) {
                Ok((client, from)) => (client, from),
                Err(Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM) => {
                    self.rest();
                    return;
                }
                Err(Errno::AGAIN) => return,
                // One that has gone again before it was accepted.
                Err(_) => continue,
            };
            let from = from.and_then(|from| SocketAddr::try_from(from).ok());
            let target = *target;
            let stream_id = self.number();
            let token = EventData::new_u64(stream_id * KINDS + STREAM);
            match Stream::open(id, client, from, target, &self.epoll, token) {
                Ok(stream) => {
                    self.streams.insert(stream_id, stream);
                }
                Err(Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM) => {
                    self.rest();
                    return;
                }
                Err(errno) => log::debug!("connect to {target}: {errno}"),
            }
        }
    }

    fn answered(&mut self, session: u64) {
        for port in self.ports.values_mut() {
            if let Socket::Datagram(datagrams) = &mut port.socket
                && datagrams.answer(session)
            {
                return;
            }
        }
    }

    fn advance(&mut self, id: u64) {
        let Some(stream) = self.streams.get_mut(&id) else {
            return;
        };
        match stream.advance() {
            Progress::Waits => {}
            Progress::HasMore => self.busy.push_back(id),
            Progress::Ended => drop(self.streams.remove(&id)),
        }
    }

    /// Accepts nothing for a while: what cannot be accepted would be reported again at once.
    fn rest(&mut self) {
        log::warn!("published ports: too many connections: no descriptor is left");
        for (id, port) in &self.ports {
            if let Socket::Stream(socket) = &port.socket {
                let token = EventData::new_u64(id * KINDS + PORT);
                let _ = epoll::modify(&self.epoll, socket, token, EventFlags::empty());
            }
        }
        self.resting = Some(Instant::now() + REST);
    }

    fn look_after(&mut self) {
        let now = Instant::now();
        if self.resting.is_some_and(|until| until <= now) {
            self.resting = None;
            for (id, port) in &self.ports {
                if let Socket::Stream(socket) = &port.socket {
                    let token = EventData::new_u64(id * KINDS + PORT);
                    let _ = epoll::modify(&self.epoll, socket, token, EventFlags::IN);
                }
            }
        }
        if now.saturating_duration_since(self.swept) >= SWEEP {
            self.swept = now;
            for port in self.ports.values_mut() {
                if let Socket::Datagram(datagrams) = &mut port.socket {
                    datagrams.forget_idle(now);
                }
            }
        }
    }
}

/// Readable when [`Relay::turn`] has something to do.
impl AsFd for Relay {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.epoll.as_fd()
    }
}

#[cfg(test)]
mod tests;
