//! One TCP connection: two sockets, and a pipe for each direction.

use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::io::Errno;
use rustix::net::{Shutdown, SocketType, shutdown, sockopt};
use rustix::pipe::{PipeFlags, SpliceFlags, pipe_with, splice};

use super::dial::dial;

/// How a turn has left a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Progress {
    /// Nothing can be moved until one of its sockets says so.
    Waits,
    /// Others have their turn first.
    HasMore,
    /// Both sides are through, or one has failed.
    Ended,
}

/// A connection from a client to a container.
#[derive(Debug)]
pub(super) struct Stream {
    /// The port that it came by.
    port: u64,
    client: OwnedFd,
    container: OwnedFd,
    is_connected: bool,
    to_container: Flow,
    to_client: Flow,
}

/// One direction.
#[derive(Debug)]
struct Flow {
    read: OwnedFd,
    write: OwnedFd,
    /// So many bytes are in the pipe.
    held: usize,
    /// The sender has sent its last.
    at_end: bool,
    /// The receiver has been told so.
    is_done: bool,
}

/// At most so much in one go.
const MOST: usize = 1 << 20;
/// So often in one turn, and then others are served.
const ROUNDS: usize = 16;

impl Stream {
    /// Connects to `target` in the name of `from`, and has `epoll` tell of both sockets.
    pub(super) fn open(
        port: u64,
        client: OwnedFd,
        from: Option<SocketAddr>,
        target: SocketAddr,
        epoll: &OwnedFd,
        token: EventData,
    ) -> Result<Self, Errno> {
        let container = match dial(SocketType::STREAM, from, target) {
            Ok(container) => container,
            Err(errno) => {
                abort(&client);
                return Err(errno);
            }
        };
        for socket in [&client, &container] {
            // What was not held back on its way here is not to be held back now.
            let _ = sockopt::set_tcp_nodelay(socket, true);
        }
        // A client that has vanished: the container's side may never send to notice.
        let _ = sockopt::set_socket_keepalive(&client, true);
        let stream = Self {
            port,
            to_container: Flow::new()?,
            to_client: Flow::new()?,
            client,
            container,
            is_connected: false,
        };
        // Told once of each change: a socket that is always ready to be written to would
        // otherwise never leave us alone.
        let flags = EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP | EventFlags::ET;
        for socket in [&stream.client, &stream.container] {
            epoll::add(epoll, socket, token, flags)?;
        }
        Ok(stream)
    }

    /// The port that it came by.
    pub(super) fn port(&self) -> u64 {
        self.port
    }

    /// Moves what can be moved.
    pub(super) fn advance(&mut self) -> Progress {
        if !self.is_connected {
            match sockopt::socket_error(&self.container) {
                Ok(Ok(())) if rustix::net::getpeername(&self.container).is_ok() => {
                    self.is_connected = true;
                }
                Ok(Ok(())) => return Progress::Waits,
                _ => return self.fail(),
            }
        }
        for _ in 0..ROUNDS {
            let there = self.to_container.pump(&self.client, &self.container);
            let back = self.to_client.pump(&self.container, &self.client);
            match (there, back) {
                (Ok(false), Ok(false)) if self.to_container.is_done && self.to_client.is_done => {
                    return Progress::Ended;
                }
                (Ok(false), Ok(false)) => return Progress::Waits,
                (Ok(_), Ok(_)) => {}
                _ => return self.fail(),
            }
        }
        Progress::HasMore
    }

    /// A connection that has failed on one side fails on the other.
    fn fail(&mut self) -> Progress {
        self.reset();
        Progress::Ended
    }

    /// Has both sides see a reset.
    pub(super) fn reset(&mut self) {
        abort(&self.client);
        abort(&self.container);
    }
}

/// With this the kernel sends a reset when the socket is closed.
fn abort(socket: &OwnedFd) {
    let _ = sockopt::set_socket_linger(socket, Some(Duration::ZERO));
}

impl Flow {
    fn new() -> Result<Self, Errno> {
        let (read, write) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
        Ok(Self {
            read,
            write,
            held: 0,
            at_end: false,
            is_done: false,
        })
    }

    /// Moves once from `from` to the pipe, and from there to `to`. Says whether anything moved.
    fn pump(&mut self, from: &OwnedFd, to: &OwnedFd) -> Result<bool, Errno> {
        if self.is_done {
            return Ok(false);
        }
        let flags = SpliceFlags::MOVE | SpliceFlags::NONBLOCK;
        let mut moved = false;
        if !self.at_end {
            match splice(from, None, &self.write, None, MOST, flags) {
                Ok(0) => {
                    self.at_end = true;
                    moved = true;
                }
                Ok(count) => {
                    self.held += count;
                    moved = true;
                }
                Err(Errno::AGAIN | Errno::INTR) => {}
                Err(errno) => return Err(errno),
            }
        }
        if self.held > 0 {
            match splice(&self.read, None, to, None, self.held, flags) {
                Ok(count) => {
                    self.held -= count;
                    moved = true;
                }
                Err(Errno::AGAIN | Errno::INTR) => {}
                Err(errno) => return Err(errno),
            }
        }
        if self.at_end && self.held == 0 {
            self.is_done = true;
            match shutdown(to, Shutdown::Write) {
                // The other side has gone altogether.
                Ok(()) | Err(Errno::NOTCONN) => {}
                Err(errno) => return Err(errno),
            }
        }
        Ok(moved)
    }
}
