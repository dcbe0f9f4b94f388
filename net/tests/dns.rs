//! The name server of a network, asked by real packets.
#![cfg(feature = "dns")]
#![allow(clippy::unwrap_used)]

mod common;

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use common::{Container, Ns, World, ask, is_root, spec};
use coop_net::dns::{AllHealthy, NameServer};
use coop_net::{Ipv6Spec, LeaseRequest, NetworkSpec};
use hickory_proto::op::{Message, MessageType, OpCode, Query};
use hickory_proto::rr::{Name, RecordType};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

const PATIENCE: Duration = Duration::from_secs(20);

/// A name server on the host, turned by a thread of its own until it is dropped.
struct Served {
    stop: Arc<AtomicBool>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Served {
    fn new(world: &World, network: &'static str) -> Self {
        let stop = Arc::<AtomicBool>::default();
        let stopped = Arc::clone(&stop);
        // A thread starts in the namespace of the one that makes it.
        let thread = world.with(move |networks| {
            let (ready, wait) = channel();
            let thread = thread::spawn(move || {
                let mut server = NameServer::new(&networks).unwrap();
                if server.serve(network).unwrap() {
                    networks.apply_rules(network).unwrap().wait().unwrap();
                }
                assert!(!server.serve(network).unwrap(), "once is enough");
                ready.send(()).unwrap();
                let tick = Timespec {
                    tv_sec: 0,
                    tv_nsec: 20_000_000,
                };
                while !stopped.load(Ordering::Relaxed) {
                    poll(&mut [PollFd::new(&server, PollFlags::IN)], Some(&tick)).unwrap();
                    server.turn(&AllHealthy);
                }
            });
            wait.recv().unwrap();
            thread
        });
        Self {
            stop,
            thread: Some(thread),
        }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let _ = self.thread.take().map(thread::JoinHandle::join);
    }
}

fn question(id: u16, name: &str, kind: RecordType) -> Vec<u8> {
    let mut message = Message::new(id, MessageType::Query, OpCode::Query);
    message.add_query(Query::query(Name::from_ascii(name).unwrap(), kind));
    message.to_vec().unwrap()
}

fn words(bytes: &[u8]) -> String {
    let message = Message::from_vec(bytes).unwrap();
    let mut words = vec![format!("{:?}", message.metadata.response_code)];
    words.extend(message.answers.iter().map(|record| record.data.to_string()));
    words.join(" ")
}

/// Asks again after a second, as a resolver does: what other tests send at this moment may fill
/// the processor's queue, and then packets are lost before anyone has seen them.
fn by_udp(ns: &Ns, server: IpAddr, name: &'static str, kind: RecordType) -> Option<String> {
    (0..PATIENCE.as_secs()).find_map(|_| by_one_datagram(ns, server, name, kind))
}

fn by_one_datagram(
    ns: &Ns,
    server: IpAddr,
    name: &'static str,
    kind: RecordType,
) -> Option<String> {
    ns.run(move || {
        let any: IpAddr = if server.is_ipv4() {
            Ipv4Addr::UNSPECIFIED.into()
        } else {
            Ipv6Addr::UNSPECIFIED.into()
        };
        let socket = UdpSocket::bind((any, 0)).unwrap();
        socket
            .set_read_timeout(Some(Duration::from_secs(1)))
            .unwrap();
        socket.connect((server, 53)).ok()?;
        socket.send(&question(7, name, kind)).ok()?;
        let mut buffer = [0; 1500];
        let length = socket.recv(&mut buffer).ok()?;
        Some(words(&buffer[..length]))
    })
}

fn by_tcp(ns: &Ns, server: IpAddr, name: &'static str, kind: RecordType) -> Option<String> {
    ns.run(move || {
        let mut stream = connect(server)?;
        let query = question(7, name, kind);
        // In pieces: the length alone, then the rest.
        stream.write_all(&(query.len() as u16).to_be_bytes()).ok()?;
        thread::sleep(Duration::from_millis(5));
        stream.write_all(&query).ok()?;
        let mut length = [0; 2];
        stream.read_exact(&mut length).ok()?;
        let mut answer = vec![0; u16::from_be_bytes(length).into()];
        stream.read_exact(&mut answer).ok()?;
        Some(words(&answer))
    })
}

fn connect(server: IpAddr) -> Option<TcpStream> {
    let stream = TcpStream::connect_timeout(&SocketAddr::new(server, 53), PATIENCE).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    Some(stream)
}

fn named(container: &str, names: &[&str]) -> LeaseRequest {
    LeaseRequest {
        names: names.iter().map(|name| (*name).to_owned()).collect(),
        ..ask(container, "")
    }
}

fn gateway(container: &Container) -> IpAddr {
    container.lease.gateway.into()
}

#[test]
fn both_gateways_know_both_addresses_in_both_directions() {
    if !is_root("both_gateways_know_both_addresses_in_both_directions") {
        return;
    }
    let world = World::new();
    let spec = NetworkSpec {
        ipv6: Some(Ipv6Spec {
            subnet: Some("fd00:5:6::/64".parse().unwrap()),
            ..Ipv6Spec::default()
        }),
        ..spec("shop")
    };
    let containers = world.up(&spec, &[named("a", &["web", "www"]), named("b", &["db"])]);
    let [web, db] = &containers[..] else {
        unreachable!()
    };
    let _served = Served::new(&world, "shop");
    let v6 = db.lease.ipv6.unwrap();
    for server in [gateway(web), v6.gateway.into()] {
        let answers = [
            (RecordType::A, format!("NoError {}", db.lease.address)),
            (RecordType::AAAA, format!("NoError {}", v6.address)),
        ];
        for (kind, answer) in answers {
            assert_eq!(
                by_udp(&web.ns, server, "db.", kind),
                Some(answer.clone()),
                "{server}"
            );
            assert_eq!(
                by_tcp(&web.ns, server, "db.shop.", kind),
                Some(answer),
                "{server}"
            );
        }
    }
    // The host may ask as well.
    let answer = Some(format!("NoError {}", web.lease.address));
    assert_eq!(
        by_udp(&world.host, gateway(web), "www.", RecordType::A),
        answer
    );

    // A container that goes takes its names along at once, and one that comes brings its own.
    let (host, id) = (world.networks(), db.lease.container.clone());
    world.host.run(move || host.release("shop", &id).unwrap());
    let host = world.networks();
    let refused = Some("Refused".to_owned());
    assert_eq!(
        by_udp(&web.ns, gateway(web), "db.", RecordType::A),
        refused,
        "nobody is asked"
    );
    world
        .host
        .run(move || host.set_names("shop", "a", &["new".to_owned()]).unwrap());
    assert_eq!(
        by_udp(&web.ns, gateway(web), "www.", RecordType::A),
        refused
    );
    assert_eq!(by_udp(&web.ns, gateway(web), "new.", RecordType::A), answer);
}

#[test]
fn a_container_that_asks_too_much_keeps_nobody_else_from_an_answer() {
    if !is_root("a_container_that_asks_too_much_keeps_nobody_else_from_an_answer") {
        return;
    }
    let world = World::new();
    let containers = world.up(&spec("shop"), &[named("a", &["web"]), named("b", &["db"])]);
    let [web, db] = &containers[..] else {
        unreachable!()
    };
    let _served = Served::new(&world, "shop");
    let server = gateway(web);
    let answer = Some(format!("NoError {}", db.lease.address));

    // Connections that ask nothing: some are held, the others are closed.
    let held = web.ns.run(move || {
        let all: Vec<_> = (0..40).filter_map(|_| connect(server)).collect();
        let is_open = |mut stream: &TcpStream| {
            stream
                .set_read_timeout(Some(Duration::from_millis(200)))
                .unwrap();
            stream
                .read(&mut [0])
                .is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock)
        };
        let open = all.iter().filter(|stream| is_open(stream)).count();
        (all, open)
    });
    assert_eq!(held.1, 8);
    assert_eq!(by_tcp(&db.ns, server, "db.", RecordType::A), answer);
    assert_eq!(by_udp(&web.ns, server, "db.", RecordType::A), answer);
    drop(held);

    // One that asks, says that it will say no more, and then breaks the connection.
    web.ns.run(move || {
        for _ in 0..3 {
            let mut stream = connect(server).unwrap();
            let query = question(7, "db.", RecordType::A);
            stream
                .write_all(&(query.len() as u16).to_be_bytes())
                .unwrap();
            stream.write_all(&query).unwrap();
            stream.shutdown(std::net::Shutdown::Write).unwrap();
        }
    });
    assert_eq!(by_tcp(&web.ns, server, "db.", RecordType::A), answer);

    // Nonsense, half queries, and answers that nobody reads, as fast as they can be sent.
    let stop = Arc::<AtomicBool>::default();
    let stopped = Arc::clone(&stop);
    web.ns.run(move || {
        thread::spawn(move || {
            let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
            let query = question(1, "db.", RecordType::A);
            while !stopped.load(Ordering::Relaxed) {
                for message in [&query[..], &query[..20], b"nonsense", &[0xff; 900]] {
                    let _ = socket.send_to(message, (server, 53));
                }
            }
        })
    });
    for _ in 0..20 {
        assert_eq!(by_udp(&db.ns, server, "db.", RecordType::A), answer);
        assert_eq!(by_tcp(&db.ns, server, "db.", RecordType::A), answer);
    }
    stop.store(true, Ordering::Relaxed);
}
