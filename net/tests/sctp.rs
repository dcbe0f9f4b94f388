//! Published ports of SCTP, by real packets: an association of two sockets where the kernel has
//! them, and else the first two packets of one, made by hand. The kernel that forwards knows SCTP
//! in any case.
#![allow(clippy::unwrap_used)]

mod common;

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::thread;
use std::time::Duration;

use common::{Container, HOST, Ns, OUTSIDE, World, ask, is_root, sees, spec};
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketType, bind, connect, ipproto, listen, recv, sendto,
    socket,
};

const PATIENCE: Duration = Duration::from_secs(10);

#[test]
fn a_port_of_sctp_is_published_like_the_others() {
    if !is_root("a_port_of_sctp_is_published_like_the_others") {
        return;
    }
    let world = World::new();
    let shop = world.up(&spec("shop"), &[ask("web", "3868:3867/sctp 3868:80")]);
    let ports = shop[0].lease.ports.clone();
    // Where the kernel has no such sockets, nobody else can take the port.
    let _held = world.host.run(move || coop_net::reserve(&ports)).unwrap();
    if has_sockets() {
        associate(&world, &shop[0]);
    } else {
        eprintln!("the kernel has no sockets of SCTP: by packets made by hand");
        shake_hands(&world, &shop[0]);
    }
    // Its number is not that of another protocol.
    shop[0].ns.serve("web", "0.0.0.0", 80);
    assert_eq!(world.outside.tcp(HOST, 3868), sees("web", OUTSIDE));
}

fn has_sockets() -> bool {
    sctp(SocketType::STREAM).is_ok()
}

fn sctp(kind: SocketType) -> rustix::io::Result<OwnedFd> {
    let socket = socket(AddressFamily::INET, kind, Some(ipproto::SCTP))?;
    set_socket_timeout(&socket, Timeout::Recv, Some(PATIENCE))?;
    set_socket_timeout(&socket, Timeout::Send, Some(PATIENCE))?;
    Ok(socket)
}

/// A server in the container, asked from outside.
fn associate(world: &World, web: &Container) {
    web.ns.run(|| {
        let server = sctp(SocketType::STREAM).unwrap();
        bind(&server, &SocketAddr::from(([0, 0, 0, 0], 3867))).unwrap();
        listen(&server, 8).unwrap();
        // What the standard library does with a stream is the same for one of SCTP.
        let server = TcpListener::from(server);
        thread::spawn(move || {
            let (mut peer, from) = server.accept().unwrap();
            write!(peer, "web sees {}", from.ip()).unwrap();
        });
    });
    let said = world.outside.run(|| {
        let client = sctp(SocketType::STREAM).unwrap();
        let host: Ipv4Addr = HOST.parse().unwrap();
        connect(&client, &SocketAddr::from((host, 3868))).unwrap();
        let mut said = String::new();
        TcpStream::from(client).read_to_string(&mut said).unwrap();
        said
    });
    assert_eq!(Some(said), sees("web", OUTSIDE));
}

/// Chunks of RFC 9260, 3.3, with the same fields: INIT and its acknowledgement.
const INIT: u8 = 1;
const INIT_ACK: u8 = 2;

/// The first packet of an association from outside, and the container's answer to it.
fn shake_hands(world: &World, web: &Container) {
    let (outside, inside) = (Raw::open(&world.outside), Raw::open(&web.ns));
    outside.send(HOST, &packet(4000, 3868, 0, INIT));
    let (from, first) = inside.receive(INIT);
    assert_eq!(from, OUTSIDE);
    assert_eq!(first, packet(4000, 3867, 0, INIT));
    inside.send(OUTSIDE, &packet(3867, 4000, TAG, INIT_ACK));
    let (from, answer) = outside.receive(INIT_ACK);
    assert_eq!(from, HOST);
    assert_eq!(answer, packet(3868, 4000, TAG, INIT_ACK));
}

/// What the one who began is to be called by.
const TAG: u32 = 0x1234_5678;

/// A packet with one chunk, and its checksum: the kernel has changed nothing but the port.
fn packet(from: u16, to: u16, tag: u32, chunk: u8) -> Vec<u8> {
    let mut packet = [from.to_be_bytes(), to.to_be_bytes()].concat();
    packet.extend(tag.to_be_bytes());
    packet.extend([0; 4]);
    // Flags, length, own tag, window, streams out and in, first number.
    packet.extend([chunk, 0, 0, 20]);
    packet.extend(TAG.to_be_bytes());
    packet.extend([0, 1, 0, 0, 0, 1, 0, 1, 0, 0, 0, 1]);
    let sum = crc32c(&packet);
    packet[8..12].copy_from_slice(&sum.to_le_bytes());
    packet
}

/// RFC 9260, appendix A.
fn crc32c(bytes: &[u8]) -> u32 {
    let bit = |sum: u32, _| (sum >> 1) ^ (0x82f6_3b78 & (sum & 1).wrapping_neg());
    let byte = |sum: u32, byte: &u8| (0..8).fold(sum ^ u32::from(*byte), bit);
    !bytes.iter().fold(!0, byte)
}

/// A socket for whole packets of SCTP, in a namespace.
struct Raw(OwnedFd);

impl Raw {
    fn open(ns: &Ns) -> Self {
        Self(ns.run(|| sctp(SocketType::RAW).unwrap()))
    }

    fn send(&self, to: &str, packet: &[u8]) {
        let to: Ipv4Addr = to.parse().unwrap();
        sendto(
            &self.0,
            packet,
            SendFlags::empty(),
            &SocketAddr::from((to, 0)),
        )
        .unwrap();
    }

    /// Who has sent a packet with such a chunk, and the packet.
    fn receive(&self, chunk: u8) -> (String, Vec<u8>) {
        let mut buffer = [0; 256];
        loop {
            let (length, _) = recv(&self.0, &mut buffer, RecvFlags::empty()).unwrap();
            // An IP header without options comes first.
            let (header, packet) = buffer[..length].split_at(20);
            if packet.get(12) == Some(&chunk) {
                let from = [header[12], header[13], header[14], header[15]];
                return (Ipv4Addr::from(from).to_string(), packet.to_vec());
            }
        }
    }
}

#[test]
fn the_checksum_is_that_of_the_standard() {
    assert_eq!(crc32c(b"123456789"), 0xe306_9283);
}
