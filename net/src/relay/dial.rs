//! A socket to a container that has the client's address.

use std::net::SocketAddr;
use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::net::{
    AddressFamily, SocketAddrAny, SocketFlags, SocketType, bind, connect, socket_with, sockopt,
};

use super::return_path::MARK;
use crate::sys::relay::{set_mark, set_transparent};

/// A socket on its way to `target`, which does not wait: with the address of `client` where the
/// container can answer to it, else with one of this network namespace.
pub(super) fn dial(
    kind: SocketType,
    client: Option<SocketAddr>,
    target: SocketAddr,
) -> Result<OwnedFd, Errno> {
    let client = client.map(|client| SocketAddr::new(client.ip().to_canonical(), client.port()));
    let answerable =
        |client: &SocketAddr| !client.ip().is_loopback() && client.is_ipv4() == target.is_ipv4();
    if let Some(client) = client.filter(answerable) {
        match dial_from(kind, Some(client), target) {
            // The address and port are in use here, or the kernel lets nobody take others'.
            Err(Errno::ADDRINUSE | Errno::ADDRNOTAVAIL | Errno::PERM) => {}
            dialed => return dialed,
        }
    }
    dial_from(kind, None, target)
}

fn dial_from(
    kind: SocketType,
    client: Option<SocketAddr>,
    target: SocketAddr,
) -> Result<OwnedFd, Errno> {
    let family = match target {
        SocketAddr::V4(_) => AddressFamily::INET,
        SocketAddr::V6(_) => AddressFamily::INET6,
    };
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let socket = socket_with(family, kind, flags, None)?;
    if let Some(client) = client {
        set_transparent(&socket, target.is_ipv6())?;
        set_mark(&socket, MARK)?;
        sockopt::set_socket_reuseaddr(&socket, true)?;
        bind(&socket, &SocketAddrAny::from(client))?;
    }
    match connect(&socket, &SocketAddrAny::from(target)) {
        Ok(()) | Err(Errno::INPROGRESS) => Ok(socket),
        Err(errno) => Err(errno),
    }
}
