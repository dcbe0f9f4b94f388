//! The control socket of a stack: how a command talks to its supervisor.
//!
//! A client sends one request and gets reports of the containers it named until
//! [`Report::Done`]. Packets keep their borders. The kernel tells who the peer is: only root
//! and the supervisor's own user are heard.

use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::Mode;
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, SocketFlags, accept_with, bind, listen};
use serde::{Deserialize, Serialize};

use super::packet::{SOCKET, address, receive, send, seqpacket};
use super::reactor::{Reactor, Token};
use crate::store::{ContainerId, Name, State};

/// What a client asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Request {
    /// Create these saved containers and start each when its dependencies are met.
    Start {
        /// The containers.
        ids: Vec<ContainerId>,
    },
    /// Ask these containers to end, those that depend on others first, and kill what is left
    /// after the grace period.
    Stop {
        /// The containers.
        ids: Vec<ContainerId>,
        /// Instead of each container's own grace period.
        timeout: Option<Duration>,
        /// Instead of each container's own stop signal: a number of `signal(7)`.
        #[serde(default)]
        signal: Option<i32>,
    },
    /// Stop these containers and start them again, whatever their restart policy. Those that
    /// do not run are started.
    Restart {
        /// The containers.
        ids: Vec<ContainerId>,
        /// Instead of each container's own grace period.
        timeout: Option<Duration>,
        /// Instead of each container's own stop signal: a number of `signal(7)`.
        #[serde(default)]
        signal: Option<i32>,
    },
    /// Send a signal to the first process of each.
    Signal {
        /// The containers.
        ids: Vec<ContainerId>,
        /// A number of `signal(7)`. `SIGKILL` and the container's stop signal mean that it is
        /// to stay down: no restart policy brings it back.
        signal: i32,
    },
    /// Freeze these containers.
    Pause {
        /// The containers.
        ids: Vec<ContainerId>,
    },
    /// Let these frozen containers go on.
    Unpause {
        /// The containers.
        ids: Vec<ContainerId>,
    },
    /// Tell what happens to these containers until none of them lives or waits for its restart.
    Watch {
        /// The containers.
        ids: Vec<ContainerId>,
    },
    /// Give a container another name, in its saved state and plan too.
    Rename {
        /// The container.
        id: ContainerId,
        /// Its new name.
        name: Name,
    },
    /// Read the saved plans of these containers again: restart policy, log options, limits of
    /// health checks.
    Reload {
        /// The containers.
        ids: Vec<ContainerId>,
    },
    /// Give out what the container prints from now on, through the descriptors that came with
    /// the request (`SCM_RIGHTS`).
    Attach {
        /// The container.
        id: ContainerId,
    },
}

/// What a client is told.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Report {
    /// Completely set up, not yet started.
    Created(Box<State>),
    /// The program runs.
    Started(Box<State>),
    /// Its health changed.
    Health(Box<State>),
    /// The program ended, and nothing of the container is left in the kernel.
    Exited(Box<State>),
    /// It is frozen.
    Paused(Box<State>),
    /// It is frozen no more.
    Unpaused(Box<State>),
    /// It ended and will be started again, by its policy or by request: comes instead of
    /// [`Report::Exited`].
    Restarting(Box<State>),
    /// It has another name.
    Renamed(Box<State>),
    /// The client sees what it prints; a descriptor to write to its standard input comes along
    /// when that is open.
    Attached(Box<State>),
    /// What was asked for cannot be done to it: it stays as it was.
    Refused {
        /// The container.
        id: ContainerId,
        /// Its name.
        name: String,
        /// Why.
        error: String,
    },
    /// It could not be set up or started.
    Failed {
        /// The container.
        id: ContainerId,
        /// Its name.
        name: String,
        /// What failed and why.
        error: String,
        /// As a command's exit status: 125, 126 or 127.
        exit_code: i32,
    },
    /// The supervisor itself has failed, and ends: the last that is heard of it.
    Broken {
        /// What failed and why.
        error: String,
    },
    /// The request is done.
    Done,
}

impl Report {
    /// The container that it is about.
    pub fn id(&self) -> Option<&ContainerId> {
        match self {
            Self::Created(state)
            | Self::Started(state)
            | Self::Health(state)
            | Self::Exited(state)
            | Self::Paused(state)
            | Self::Unpaused(state)
            | Self::Restarting(state)
            | Self::Renamed(state)
            | Self::Attached(state) => Some(&state.id),
            Self::Failed { id, .. } | Self::Refused { id, .. } => Some(id),
            Self::Broken { .. } | Self::Done => None,
        }
    }
}

/// Errors of the control socket.
#[derive(Debug, thiserror::Error)]
#[error("{operation} control socket {}", path.display())]
pub struct ControlError {
    pub(super) operation: &'static str,
    pub(super) path: PathBuf,
    #[source]
    pub(super) source: Errno,
}

/// The supervisor's end.
#[derive(Debug)]
pub(crate) struct Listener {
    fd: OwnedFd,
    /// There was no descriptor for the next client: when to try again. It is not watched until
    /// then.
    retry: Option<Instant>,
}

/// When to try again to take a client.
const RETRY: Duration = Duration::from_millis(200);

impl Listener {
    /// Makes the socket in the stack's run directory, in place of one that a killed supervisor
    /// left.
    pub(crate) fn bind(dir: &Path) -> Result<Self, ControlError> {
        let fail = |operation| {
            move |source| ControlError {
                operation,
                path: dir.join(SOCKET),
                source,
            }
        };
        let (address, _dir) = address(dir).map_err(fail("find"))?;
        let fd = seqpacket().map_err(fail("make"))?;
        match rustix::fs::unlink(dir.join(SOCKET)) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(errno) => return Err(fail("replace")(errno)),
        }
        // Only the owner may connect: the directory is private, the socket as well.
        let mask = rustix::process::umask(Mode::from_raw_mode(0o177));
        let bound = bind(&fd, &address);
        rustix::process::umask(mask);
        bound.map_err(fail("bind"))?;
        listen(&fd, 64).map_err(fail("listen on"))?;
        Ok(Self { fd, retry: None })
    }

    /// Takes the next client, when it is one that may ask.
    pub(crate) fn accept(&mut self, reactor: &Reactor) -> Option<Peer> {
        let fd = match accept_with(&self.fd, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK) {
            Ok(fd) => fd,
            Err(Errno::MFILE | Errno::NFILE | Errno::NOMEM | Errno::NOBUFS) => {
                // The client waits; it must not wake us all the time meanwhile.
                reactor.forget(&self.fd);
                self.retry = Some(Instant::now() + RETRY);
                return None;
            }
            Err(_) => return None,
        };
        let peer = rustix::net::sockopt::socket_peercred(&fd).ok()?;
        let allowed = peer.uid.is_root() || peer.uid == rustix::process::geteuid();
        allowed.then(|| Peer::new(fd))
    }

    /// When to look again whether there are descriptors for clients.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.retry
    }

    /// Hears clients again when it is time.
    pub(super) fn listen_again(&mut self, now: Instant, reactor: &Reactor) {
        if self.retry.is_some_and(|at| at <= now) {
            self.retry = match reactor.watch(&self.fd, Token::Listener) {
                Ok(()) => None,
                Err(_) => Some(now + RETRY),
            };
        }
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// One client, seen from the supervisor.
#[derive(Debug)]
pub struct Peer {
    fd: OwnedFd,
    /// What the client had no room for yet.
    unsent: VecDeque<(Vec<u8>, Option<OwnedFd>)>,
}

/// What came from a client.
#[derive(Debug)]
pub(crate) enum Inbox {
    /// A request, and the descriptors that came with it.
    Request(Request, Vec<OwnedFd>),
    Nothing,
    /// It went away, or does not speak our language.
    Gone,
}

impl Peer {
    pub(super) fn new(fd: OwnedFd) -> Self {
        Self {
            fd,
            unsent: VecDeque::new(),
        }
    }

    /// What the client says, without waiting for it.
    pub(crate) fn read(&self) -> Inbox {
        match receive(&self.fd, RecvFlags::DONTWAIT) {
            Err(Errno::AGAIN) => Inbox::Nothing,
            Ok(Some((packet, fds))) => serde_json::from_slice(&packet)
                .map_or(Inbox::Gone, |request| Inbox::Request(request, fds)),
            Ok(None) | Err(_) => Inbox::Gone,
        }
    }

    /// Tells the client, or keeps it for when the client has room: a report that is lost,
    /// the last one above all, would leave it waiting for ever. A descriptor may go along.
    pub(crate) fn report(&mut self, report: &Report, fd: Option<OwnedFd>) {
        if let Ok(packet) = serde_json::to_vec(report) {
            self.unsent.push_back((packet, fd));
            self.flush();
        }
    }

    /// Sends what the client has room for.
    pub(crate) fn flush(&mut self) {
        while let Some((packet, fd)) = self.unsent.front() {
            let fds: Vec<_> = fd.iter().map(AsFd::as_fd).collect();
            match send(&self.fd, packet, &fds, SendFlags::DONTWAIT) {
                // Neither without room there nor without memory here is it gone: the event loop
                // tells when to try again.
                Err(Errno::AGAIN | Errno::NOBUFS | Errno::NOMEM) => return,
                Err(Errno::INTR) => {}
                // One that is gone is no reason to stop; the event loop learns of it.
                Ok(()) | Err(_) => drop(self.unsent.pop_front()),
            }
        }
    }

    /// How many reports the client has no room for.
    pub(crate) fn behind(&self) -> usize {
        self.unsent.len()
    }
}

impl AsFd for Peer {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
