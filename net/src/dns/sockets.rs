//! The sockets of the name server: those that it listens on, and those that it asks with.

use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::net::{
    AddressFamily, SocketFlags, SocketType, bind, connect, listen, socket_with, sockopt,
};

/// Octets of the kernel's that wait for us, each small query counting for some 800: room for a
/// thousand containers that all ask at once. Nothing of it is taken before it is used.
const RECEIVE_BUFFER: usize = 8 << 20;

/// Connections that wait to be accepted.
const BACKLOG: i32 = 64;

/// Listens on an address, which may be still to come: by UDP and by TCP.
///
/// Other processes of the same user may listen on it as well: the kernel gives each query to one
/// of those that live.
pub(super) fn listen_on(address: SocketAddr) -> io::Result<(UdpSocket, TcpListener)> {
    let datagrams = bound(address, SocketType::DGRAM)?;
    // More than the limit for all needs a capability that a test may not have.
    sockopt::set_socket_recv_buffer_size_force(&datagrams, RECEIVE_BUFFER)
        .or_else(|_| sockopt::set_socket_recv_buffer_size(&datagrams, RECEIVE_BUFFER))?;
    let connections = bound(address, SocketType::STREAM)?;
    listen(&connections, BACKLOG)?;
    Ok((datagrams.into(), connections.into()))
}

/// Whether it is an address of this host: only such a one can be bound.
pub(super) fn is_own(address: IpAddr) -> bool {
    let address = SocketAddr::new(address, 0);
    socket(address, SocketType::DGRAM).and_then(|socket| bind(&socket, &address)) == Ok(())
}

/// A port that nobody uses for datagrams at this address.
pub(super) fn free_port(address: IpAddr) -> io::Result<u16> {
    let socket = socket(SocketAddr::new(address, 0), SocketType::DGRAM)?;
    if address.is_ipv4() {
        sockopt::set_ip_freebind(&socket, true)?;
    }
    bind(&socket, &SocketAddr::new(address, 0))?;
    Ok(UdpSocket::from(socket).local_addr()?.port())
}

fn bound(address: SocketAddr, kind: SocketType) -> Result<OwnedFd, Errno> {
    let socket = socket(address, kind)?;
    if kind == SocketType::STREAM {
        // A predecessor's connections may linger.
        sockopt::set_socket_reuseaddr(&socket, true)?;
    }
    sockopt::set_socket_reuseport(&socket, true)?;
    if address.is_ipv4() {
        sockopt::set_ip_freebind(&socket, true)?;
    } else {
        sockopt::set_ipv6_v6only(&socket, true)?;
        sockopt::set_ipv6_freebind(&socket, true)?;
    }
    bind(&socket, &address)?;
    Ok(socket)
}

/// Sends a query from a port that the kernel chooses at random. The answer can come from
/// nobody but `server`, for the socket is connected.
pub(super) fn send_query(server: SocketAddr, query: &[u8]) -> io::Result<UdpSocket> {
    let socket = socket(server, SocketType::DGRAM)?;
    connect(&socket, &server)?;
    let socket = UdpSocket::from(socket);
    socket.send(query)?;
    Ok(socket)
}

/// Begins to connect to a name server.
pub(super) fn begin_to_connect(server: SocketAddr) -> io::Result<TcpStream> {
    let socket = socket(server, SocketType::STREAM)?;
    match connect(&socket, &server) {
        Ok(()) | Err(Errno::INPROGRESS) => Ok(socket.into()),
        Err(errno) => Err(errno.into()),
    }
}

fn socket(address: SocketAddr, kind: SocketType) -> Result<OwnedFd, Errno> {
    let family = match address {
        SocketAddr::V4(_) => AddressFamily::INET,
        SocketAddr::V6(_) => AddressFamily::INET6,
    };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    socket_with(family, kind, flags, None)
}

/// A message as it goes over a connection: its length comes before it.
pub(super) fn with_length(message: &[u8]) -> Option<Vec<u8>> {
    let length = u16::try_from(message.len()).ok()?;
    let mut bytes = Vec::with_capacity(message.len() + 2);
    bytes.extend_from_slice(&length.to_be_bytes());
    bytes.extend_from_slice(message);
    Some(bytes)
}

/// The first whole message of what has come over a connection, taken out of it.
pub(super) fn take_message(input: &mut Vec<u8>) -> Option<Vec<u8>> {
    let (&length, rest) = input.split_first_chunk::<2>()?;
    let length = usize::from(u16::from_be_bytes(length));
    let message = rest.get(..length)?.to_vec();
    input.drain(..length + 2);
    Some(message)
}

/// Whether a call would have had to wait, or was interrupted.
pub(super) fn is_not_now(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_told_apart_however_they_arrive() {
        let mut wire = with_length(b"first").unwrap();
        wire.extend(with_length(b"").unwrap());
        wire.extend(with_length(b"second").unwrap());
        let (mut input, mut messages) = (Vec::new(), Vec::new());
        for byte in wire {
            input.push(byte);
            messages.extend(take_message(&mut input));
        }
        assert_eq!(messages, [&b"first"[..], b"", b"second"]);
        assert!(input.is_empty() && with_length(&vec![0; 65536]).is_none());
    }

    #[test]
    fn two_listen_on_one_address_and_each_query_reaches_one_that_lives() {
        let first = listen_on("127.0.0.99:0".parse().unwrap()).unwrap();
        // UDP and TCP have got different ports: each is shared on its own.
        let address = first.0.local_addr().unwrap();
        let second = bound(address, SocketType::DGRAM).unwrap();
        drop(first);
        let client = UdpSocket::bind("127.0.0.98:0").unwrap();
        for round in 0..8_u8 {
            client.send_to(&[round], address).unwrap();
            let mut buffer = [0; 1];
            assert_eq!(
                UdpSocket::from(second.try_clone().unwrap())
                    .recv(&mut buffer)
                    .unwrap(),
                1
            );
            assert_eq!(buffer[0], round);
        }
    }
}
