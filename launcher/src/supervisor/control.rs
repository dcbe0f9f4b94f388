//! The control socket of a stack: how a command talks to its supervisor.
//!
//! A client sends one request and gets reports of the containers it named until
//! [`Report::Done`]. Packets keep their borders. The kernel tells who the peer is: only root and the supervisor's own user are heard.

use std::collections::VecDeque;
use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketAddrUnix, SocketFlags, SocketType, accept_with, bind,
    connect, listen, recvmsg, sendmsg, socket_with, socketpair,
};
use serde::{Deserialize, Serialize};

use crate::store::{ContainerId, Name, State};

const SOCKET: &str = "control.sock";
const MAX_PACKET: usize = 192 * 1024;

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
    },
    /// Stop these containers and start them again, whatever their restart policy. Those that
    /// do not run are started.
    Restart {
        /// The containers.
        ids: Vec<ContainerId>,
        /// Instead of each container's own grace period.
        timeout: Option<Duration>,
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
            Self::Done => None,
        }
    }
}

/// Errors of the control socket.
#[derive(Debug, thiserror::Error)]
#[error("{operation} control socket {}", path.display())]
pub struct ControlError {
    operation: &'static str,
    path: PathBuf,
    #[source]
    source: Errno,
}

/// The supervisor's end.
#[derive(Debug)]
pub(crate) struct Listener {
    fd: OwnedFd,
}

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
        Ok(Self { fd })
    }

    /// Takes the next client, when it is one that may ask.
    pub(crate) fn accept(&self) -> Option<Peer> {
        let fd = accept_with(&self.fd, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK).ok()?;
        let peer = rustix::net::sockopt::socket_peercred(&fd).ok()?;
        let allowed = peer.uid.is_root() || peer.uid == rustix::process::geteuid();
        allowed.then(|| Peer::new(fd))
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
    fn new(fd: OwnedFd) -> Self {
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
                Err(Errno::AGAIN) => return,
                Err(Errno::INTR) => {}
                // One that is gone is no reason to stop; the event loop learns of it.
                Ok(_) | Err(_) => drop(self.unsent.pop_front()),
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

/// What became of [`Client::attach`].
#[derive(Debug)]
pub enum Attachment {
    /// The container's output comes.
    Attached {
        /// The container.
        state: Box<State>,
        /// Where to write for its standard input: its terminal's master or the end of a pipe,
        /// non-blocking. None when that is not open.
        input: Option<OwnedFd>,
    },
    /// It cannot be done, and why.
    Refused(String),
    /// The supervisor is gone.
    Gone,
}

/// A command's connection to a supervisor.
#[derive(Debug)]
pub struct Client {
    fd: OwnedFd,
    path: PathBuf,
}

impl Client {
    /// Connects to the supervisor of the stack whose run directory is `dir`. `Ok(None)`: none
    /// listens there.
    ///
    /// # Errors
    /// [`ControlError`], for example without permission.
    pub fn connect(dir: &Path) -> Result<Option<Self>, ControlError> {
        let path = dir.join(SOCKET);
        let fail = |operation, source| ControlError {
            operation,
            path: path.clone(),
            source,
        };
        let (address, _dir) = match address(dir) {
            Ok(address) => address,
            Err(Errno::NOENT) => return Ok(None),
            Err(errno) => return Err(fail("find", errno)),
        };
        let fd = seqpacket().map_err(|errno| fail("make", errno))?;
        match connect(&fd, &address) {
            Ok(()) => Ok(Some(Self { fd, path })),
            Err(Errno::NOENT | Errno::CONNREFUSED) => Ok(None),
            Err(errno) => Err(fail("connect to", errno)),
        }
    }

    /// A connection that exists already: the command's end and the one for a supervisor that
    /// the command is about to fork.
    ///
    /// # Errors
    /// [`ControlError`].
    pub(crate) fn pair() -> Result<(Self, Peer), ControlError> {
        let (ours, theirs) = socketpair(
            AddressFamily::UNIX,
            SocketType::SEQPACKET,
            SocketFlags::CLOEXEC,
            None,
        )
        .map_err(|source| ControlError {
            operation: "make",
            path: SOCKET.into(),
            source,
        })?;
        Ok((
            Self {
                fd: ours,
                path: SOCKET.into(),
            },
            Peer::new(theirs),
        ))
    }

    /// Sends the request; `false` when the supervisor is gone.
    ///
    /// # Errors
    /// [`ControlError`].
    pub fn request(&self, request: &Request) -> Result<bool, ControlError> {
        let packet = serde_json::to_vec(request).unwrap_or_default();
        self.send(&packet, &[])
    }

    fn send(&self, packet: &[u8], fds: &[BorrowedFd<'_>]) -> Result<bool, ControlError> {
        match send(&self.fd, packet, fds, SendFlags::empty()) {
            Ok(()) => Ok(true),
            Err(Errno::PIPE | Errno::CONNRESET) => Ok(false),
            Err(source) => Err(self.fail("write to", source)),
        }
    }

    /// Asks to see what a container prints from now on. `output` are the writing ends of pipes:
    /// for its standard output, or its terminal, and for its standard error; the supervisor
    /// makes them non-blocking, and closes them at the container's end.
    ///
    /// After [`Attachment::Attached`], [`Client::next`] tells how this run of the container
    /// ends, and is then [`Report::Done`].
    ///
    /// # Errors
    /// [`ControlError`].
    pub fn attach(
        &self,
        id: &ContainerId,
        output: &[BorrowedFd<'_>],
    ) -> Result<Attachment, ControlError> {
        let request = Request::Attach { id: id.clone() };
        let packet = serde_json::to_vec(&request).unwrap_or_default();
        if !self.send(&packet, output)? {
            return Ok(Attachment::Gone);
        }
        loop {
            return Ok(match self.receive()? {
                Some((Report::Attached(state), fds)) => Attachment::Attached {
                    state,
                    input: fds.into_iter().next(),
                },
                Some((Report::Refused { error, .. }, _)) => Attachment::Refused(error),
                // What happened to the container meanwhile.
                Some((report, _)) if report != Report::Done => continue,
                _ => Attachment::Gone,
            });
        }
    }

    /// Waits for the next report; `None` when the supervisor is gone.
    ///
    /// # Errors
    /// [`ControlError`].
    pub fn next(&self) -> Result<Option<Report>, ControlError> {
        Ok(self.receive()?.map(|(report, _)| report))
    }

    fn receive(&self) -> Result<Option<(Report, Vec<OwnedFd>)>, ControlError> {
        let received = receive(&self.fd, RecvFlags::empty())
            .map_err(|source| self.fail("read from", source))?;
        Ok(received.and_then(|(packet, fds)| Some((serde_json::from_slice(&packet).ok()?, fds))))
    }

    fn fail(&self, operation: &'static str, source: Errno) -> ControlError {
        ControlError {
            operation,
            path: self.path.clone(),
            source,
        }
    }
}

fn seqpacket() -> Result<OwnedFd, Errno> {
    socket_with(
        AddressFamily::UNIX,
        SocketType::SEQPACKET,
        SocketFlags::CLOEXEC,
        None,
    )
}

/// Descriptors that a packet may have: a viewer's standard output and error.
const MOST_FDS: usize = 2;

fn send(
    fd: &OwnedFd,
    packet: &[u8],
    fds: &[BorrowedFd<'_>],
    flags: SendFlags,
) -> Result<(), Errno> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_FDS))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !fds.is_empty() && !control.push(SendAncillaryMessage::ScmRights(fds)) {
        return Err(Errno::INVAL);
    }
    let packet = [IoSlice::new(packet)];
    sendmsg(fd, &packet, &mut control, flags | SendFlags::NOSIGNAL).map(drop)
}

fn receive(fd: &OwnedFd, flags: RecvFlags) -> Result<Option<(Vec<u8>, Vec<OwnedFd>)>, Errno> {
    let mut buffer = vec![0; MAX_PACKET];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_FDS))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let length = loop {
        let mut io = [IoSliceMut::new(&mut buffer)];
        match recvmsg(fd, &mut io, &mut control, flags | RecvFlags::CMSG_CLOEXEC) {
            Ok(message) => break message.bytes,
            // A reset is told once, and before what the other side had sent: read on.
            Err(Errno::INTR | Errno::CONNRESET) => {}
            Err(errno) => return Err(errno),
        }
    };
    let mut fds = Vec::new();
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(received) = message {
            fds.extend(received);
        }
    }
    if length == 0 {
        return Ok(None);
    }
    buffer.truncate(length);
    Ok(Some((buffer, fds)))
}

/// A socket's address is at most 107 bytes, a state directory's path may be longer: the
/// directory is named by a descriptor, which has to live until the address was used.
fn address(dir: &Path) -> Result<(SocketAddrUnix, OwnedFd), Errno> {
    let dir = rustix::fs::open(
        dir,
        OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
        Mode::empty(),
    )?;
    let path = format!("/proc/self/fd/{}/{SOCKET}", dir.as_raw_fd());
    Ok((SocketAddrUnix::new(path)?, dir))
}
