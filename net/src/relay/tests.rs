use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::*;

/// A relay that turns in a thread of its own. Nothing here takes privilege: clients are on the
/// loopback, whose address nobody takes.
struct Turning {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<Relay>>,
}

impl Turning {
    fn start(mut relay: Relay) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                let pause = relay.pause().unwrap_or(Duration::from_millis(20));
                let pause = Timespec::try_from(pause.min(Duration::from_millis(20))).unwrap();
                poll(&mut [PollFd::new(&relay, PollFlags::IN)], Some(&pause)).unwrap();
                relay.turn().unwrap();
            }
            relay
        });
        Self {
            stop,
            thread: Some(thread),
        }
    }

    fn stop(mut self) -> Relay {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.take().unwrap().join().unwrap()
    }
}

fn publish(relay: &mut Relay, target: SocketAddr) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    relay
        .publish("box", Protocol::Tcp, listener.into(), target)
        .unwrap();
    address
}

#[test]
fn a_stream_arrives_whole_in_both_directions_and_ends_on_each_side() {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut relay = Relay::new().unwrap();
    let port = publish(&mut relay, server.local_addr().unwrap());
    let turning = Turning::start(relay);
    // More than all buffers on the way can take.
    let sent: Vec<u8> = (0..20_000_000_u32).map(|at| (at % 251) as u8).collect();
    let echo = std::thread::spawn(move || {
        let (mut stream, _) = server.accept().unwrap();
        let mut got = Vec::new();
        stream.read_to_end(&mut got).unwrap();
        // The client's end is seen, and the way back is open still.
        stream.write_all(&got).unwrap();
    });
    let mut client = TcpStream::connect(port).unwrap();
    client.write_all(&sent).unwrap();
    client.shutdown(std::net::Shutdown::Write).unwrap();
    let mut back = Vec::new();
    client.read_to_end(&mut back).unwrap();
    echo.join().unwrap();
    assert!(back == sent, "{} of {} bytes", back.len(), sent.len());
    let relay = turning.stop();
    assert!(relay.streams.is_empty() && relay.busy.is_empty());
}

#[test]
fn a_port_on_which_nobody_listens_resets_its_clients() {
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap();
    let target = nobody.local_addr().unwrap();
    drop(nobody);
    let mut relay = Relay::new().unwrap();
    let port = publish(&mut relay, target);
    let turning = Turning::start(relay);
    let mut client = TcpStream::connect(port).unwrap();
    let error = client.read(&mut [0; 1]).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    assert!(turning.stop().streams.is_empty());
}

#[test]
fn who_is_withdrawn_is_gone_with_its_connections_and_spares_the_others() {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut relay = Relay::new().unwrap();
    let port = publish(&mut relay, server.local_addr().unwrap());
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    relay
        .publish("other", Protocol::Tcp, other.into(), port)
        .unwrap();
    let turning = Turning::start(relay);
    let mut client = TcpStream::connect(port).unwrap();
    let (mut accepted, _) = server.accept().unwrap();
    accepted.write_all(b"!").unwrap();
    client.read_exact(&mut [0; 1]).unwrap();
    let mut relay = turning.stop();
    relay.withdraw("box");
    assert!(!relay.has("box") && relay.has("other"));
    assert!(client.read(&mut [0; 1]).is_err());
    assert!(TcpStream::connect(port).is_err());
}

#[test]
fn datagrams_of_each_client_are_answered_to_it_from_where_it_sent_them() {
    let server = UdpSocket::bind("127.0.0.1:0").unwrap();
    let target = server.local_addr().unwrap();
    let mut relay = Relay::new().unwrap();
    let port = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
    let number = port.local_addr().unwrap().port();
    relay
        .publish("box", Protocol::Udp, port.into(), target)
        .unwrap();
    let turning = Turning::start(relay);
    let clients = [1, 2].map(|last| {
        let client = UdpSocket::bind("127.0.0.1:0").unwrap();
        // A client takes an answer only from the address that it has asked.
        client
            .connect((Ipv4Addr::new(127, 0, 0, last), number))
            .unwrap();
        client.send(&[last]).unwrap();
        client
    });
    for _ in &clients {
        let mut buffer = [0; 16];
        let (length, from) = server.recv_from(&mut buffer).unwrap();
        server.send_to(&buffer[..length], from).unwrap();
    }
    for (client, last) in clients.iter().zip([1, 2]) {
        let mut buffer = [0; 16];
        let length = client.recv(&mut buffer).unwrap();
        assert_eq!(buffer[..length], [last]);
    }
    let mut relay = turning.stop();
    assert!(relay.pause().is_some());
    for port in relay.ports.values_mut() {
        let Socket::Datagram(datagrams) = &mut port.socket else {
            panic!("not a UDP port")
        };
        datagrams.forget_idle(Instant::now() + Duration::from_secs(300));
        assert!(!datagrams.is_used());
    }
}
