//! Packets over the control socket: bytes, and descriptors that go along.

use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketAddrUnix, SocketFlags, SocketType, recvmsg, sendmsg,
    socket_with,
};

/// The socket's name in the stack's run directory.
pub(super) const SOCKET: &str = "control.sock";

const MAX_PACKET: usize = 192 * 1024;

pub(super) fn seqpacket() -> Result<OwnedFd, Errno> {
    socket_with(
        AddressFamily::UNIX,
        SocketType::SEQPACKET,
        SocketFlags::CLOEXEC,
        None,
    )
}

/// What came, and the descriptors that came along.
pub(super) type Packet = (Vec<u8>, Vec<OwnedFd>);

/// Descriptors that a packet may have: a viewer's standard output and error.
const MOST_FDS: usize = 2;

pub(super) fn send(
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

pub(super) fn receive(fd: &OwnedFd, flags: RecvFlags) -> Result<Option<Packet>, Errno> {
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
pub(super) fn address(dir: &Path) -> Result<(SocketAddrUnix, OwnedFd), Errno> {
    let dir = rustix::fs::open(
        dir,
        OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
        Mode::empty(),
    )?;
    let path = format!("/proc/self/fd/{}/{SOCKET}", dir.as_raw_fd());
    Ok((SocketAddrUnix::new(path)?, dir))
}
