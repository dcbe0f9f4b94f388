//! What is said to the keeper and by it: JSON, and descriptors that go along.

use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use coop_net::Protocol;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketAddrUnix, SocketFlags, SocketType, recvmsg, sendmsg,
    socket_with, sockopt,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// The socket's name in the keeper's directory.
pub(super) const SOCKET: &str = "control.sock";
/// Descriptors that go with one packet.
pub(super) const MOST_FDS: usize = 64;
const MAX_PACKET: usize = 64 * 1024;
/// A keeper that does not answer for so long never will.
const PATIENCE: Duration = Duration::from_secs(30);

/// What a supervisor wants.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Request {
    /// To a new keeper, by who has made it: the namespace may go along.
    Begin,
    /// Passes on what comes to these ports, whose sockets go along, as long as the supervisor
    /// or the container's link lives.
    Publish {
        container: String,
        link: String,
        ports: Vec<Published>,
    },
    /// The ports of a container whose supervisor has gone.
    Claim { container: String },
    /// The ports of a container that has ended.
    Withdraw { container: String },
}

/// A published port.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Published {
    pub(super) protocol: Protocol,
    pub(super) target: SocketAddr,
}

/// What the keeper says.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Answer {
    /// First of all, with the namespace; or why there is no way out of it.
    Welcome { way_out: Result<(), String> },
    /// Another keeper lives.
    Busy,
    /// It is done; whether the container has published ports.
    Done { held: bool },
    /// It could not be done.
    Failed { error: String },
}

pub(super) fn seqpacket(flags: SocketFlags) -> Result<OwnedFd, Errno> {
    let flags = flags | SocketFlags::CLOEXEC;
    socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)
}

/// A connection to the keeper of `dir`, when there is one.
pub(super) fn connect(dir: &Path) -> Result<Option<OwnedFd>> {
    let failed = || {
        format!(
            "connect to the keeper of this user's networks in {}",
            dir.display()
        )
    };
    let (address, _dir) = match address(dir) {
        Err(Errno::NOENT) => return Ok(None),
        address => address.with_context(failed)?,
    };
    let socket = seqpacket(SocketFlags::empty()).with_context(failed)?;
    match rustix::net::connect(&socket, &address) {
        Ok(()) => Ok(Some(socket)),
        Err(Errno::NOENT | Errno::CONNREFUSED) => Ok(None),
        Err(errno) => Err(errno).with_context(failed),
    }
}

/// A socket's address is at most 107 bytes, the path may be longer: the directory is named by a
/// descriptor, which has to live until the address was used.
pub(super) fn address(dir: &Path) -> Result<(SocketAddrUnix, OwnedFd), Errno> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let dir = rustix::fs::open(dir, flags, Mode::empty())?;
    let path = format!("/proc/self/fd/{}/{SOCKET}", dir.as_raw_fd());
    Ok((SocketAddrUnix::new(path)?, dir))
}

/// Has a read end with an error after [`PATIENCE`].
pub(super) fn set_patience(socket: &OwnedFd) -> Result<()> {
    sockopt::set_socket_timeout(socket, sockopt::Timeout::Recv, Some(PATIENCE))
        .context("limit the wait for the keeper of this user's networks")
}

/// Whether the other side has gone.
pub(super) fn is_closed(socket: &OwnedFd) -> bool {
    let mut fds = [PollFd::new(socket, PollFlags::RDHUP)];
    let ready = poll(&mut fds, Some(&Timespec::default()));
    let gone = PollFlags::RDHUP | PollFlags::HUP | PollFlags::ERR;
    ready.is_err() || fds[0].revents().intersects(gone)
}

/// Sends one packet.
pub(super) fn send<T: Serialize>(
    socket: &OwnedFd,
    message: &T,
    fds: &[BorrowedFd<'_>],
) -> Result<()> {
    let bytes = serde_json::to_vec(message)?;
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_FDS))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !fds.is_empty() && !control.push(SendAncillaryMessage::ScmRights(fds)) {
        anyhow::bail!("too many descriptors in one packet");
    }
    sendmsg(
        socket,
        &[IoSlice::new(&bytes)],
        &mut control,
        SendFlags::NOSIGNAL,
    )
    .map(drop)
    .context("send to the keeper of this user's networks, or from it")
}

/// One packet; none when the other side has gone.
pub(super) fn receive<T: DeserializeOwned>(socket: &OwnedFd) -> Result<Option<(T, Vec<OwnedFd>)>> {
    let mut buffer = vec![0; MAX_PACKET];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_FDS))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let length = loop {
        let mut io = [IoSliceMut::new(&mut buffer)];
        match recvmsg(socket, &mut io, &mut control, RecvFlags::CMSG_CLOEXEC) {
            Ok(message) => break message.bytes,
            Err(Errno::INTR) => {}
            Err(Errno::CONNRESET) => return Ok(None),
            Err(Errno::AGAIN) => {
                anyhow::bail!("the keeper of this user's networks does not answer")
            }
            Err(errno) => {
                return Err(errno).context("hear from the keeper of this user's networks");
            }
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
    let message = serde_json::from_slice(&buffer[..length])
        .context("understand the keeper of this user's networks: is it of another version?")?;
    Ok(Some((message, fds)))
}
