//! Name servers that answer, lie, are silent, or are not there.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::super::forwarder::{Asked, Forwarder, Waiting};
use super::super::message::Query;
use super::super::resolvers::Resolvers;
use super::super::sockets::{take_message, with_length};
use super::{a, answer_to, ask, parsed, query, question_with_edns, txt, words};

/// What a server says to a query: any number of datagrams.
type Says = fn(&[u8]) -> Vec<Vec<u8>>;

/// A name server on the loopback, with a thread for each of its sockets.
struct Server {
    address: SocketAddr,
    asked: Arc<AtomicUsize>,
    stop: Arc<AtomicBool>,
}

impl Server {
    fn new(udp: Says, tcp: Says) -> Self {
        let connections = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = connections.local_addr().unwrap();
        let socket = UdpSocket::bind(address).unwrap();
        socket
            .set_read_timeout(Some(Duration::from_millis(20)))
            .unwrap();
        connections.set_nonblocking(true).unwrap();
        let (asked, stop) = (Arc::<AtomicUsize>::default(), Arc::<AtomicBool>::default());
        let server = Self {
            address,
            asked: Arc::clone(&asked),
            stop: Arc::clone(&stop),
        };
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            while !stop.load(Ordering::Relaxed) {
                if let Ok((length, peer)) = socket.recv_from(&mut buffer) {
                    asked.fetch_add(1, Ordering::Relaxed);
                    for answer in udp(&buffer[..length]) {
                        socket.send_to(&answer, peer).unwrap();
                    }
                }
                if let Ok((mut stream, _)) = connections.accept() {
                    stream.set_nonblocking(false).unwrap();
                    let (mut input, mut piece) = (Vec::new(), [0; 512]);
                    let query = loop {
                        let count = stream.read(&mut piece).unwrap();
                        input.extend_from_slice(&piece[..count]);
                        if let Some(query) = take_message(&mut input) {
                            break query;
                        }
                    };
                    for answer in tcp(&query) {
                        // In two parts, as it comes from afar.
                        let answer = with_length(&answer).unwrap();
                        let (first, rest) = answer.split_at(answer.len() / 2);
                        stream.write_all(first).unwrap();
                        thread::sleep(Duration::from_millis(5));
                        stream.write_all(rest).unwrap();
                    }
                }
            }
        });
        server
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

fn nothing(_: &[u8]) -> Vec<Vec<u8>> {
    Vec::new()
}

fn address(query: &[u8]) -> Vec<Vec<u8>> {
    let name = parsed(query).queries[0].name().to_ascii();
    vec![
        answer_to(query, vec![a(&name, 60, [192, 0, 2, 1])])
            .to_vec()
            .unwrap(),
    ]
}

fn failure(query: &[u8]) -> Vec<Vec<u8>> {
    let mut answer = answer_to(query, Vec::new());
    answer.metadata.response_code = ResponseCode::ServFail;
    vec![answer.to_vec().unwrap()]
}

fn cut(query: &[u8]) -> Vec<Vec<u8>> {
    let mut answer = answer_to(query, Vec::new());
    answer.metadata.truncation = true;
    vec![answer.to_vec().unwrap()]
}

fn large(query: &[u8]) -> Vec<Vec<u8>> {
    let name = parsed(query).queries[0].name().to_ascii();
    let records = (0..100).map(|_| txt(&name, 200)).collect();
    vec![answer_to(query, records).to_vec().unwrap()]
}

/// Answers with another id, to another question, and with nonsense; then the answer.
fn lies(query: &[u8]) -> Vec<Vec<u8>> {
    let right = address(query).remove(0);
    let mut other_id = right.clone();
    other_id[0] ^= 1;
    let mut other_name = right.clone();
    other_name[13] ^= 1;
    vec![
        other_id,
        other_name,
        b"nonsense".to_vec(),
        Vec::new(),
        right,
    ]
}

fn resolvers(servers: &[SocketAddr]) -> Resolvers {
    Resolvers {
        servers: servers.into(),
        // What is waited for where nobody answers, and time enough for those who do on a machine
        // that has much else to do.
        timeout: Duration::from_secs(1),
        attempts: 2,
    }
}

const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 1, 2, 2));

fn waiting(to: usize, query: Query) -> Waiting<usize> {
    Waiting {
        to,
        client: CLIENT,
        query,
        limit: 1232,
    }
}

/// Turns the forwarder until so many answers are there.
fn answers(forwarder: &mut Forwarder<usize>, count: usize) -> Vec<(usize, Vec<u8>)> {
    let mut answered = Vec::new();
    let end = Instant::now() + Duration::from_secs(20);
    while answered.len() < count {
        assert!(Instant::now() < end, "no answer");
        let numbers: Vec<_> = (0..600)
            .filter(|number| forwarder.socket(*number).is_some())
            .collect();
        let mut fds: Vec<_> = { numbers.iter() }
            .filter_map(|number| forwarder.socket(*number))
            .map(|(fd, wants_room)| {
                let room = if wants_room {
                    PollFlags::OUT
                } else {
                    PollFlags::empty()
                };
                PollFd::from_borrowed_fd(fd, PollFlags::IN | room)
            })
            .collect();
        let tick = Timespec {
            tv_sec: 0,
            tv_nsec: 10_000_000,
        };
        poll(&mut fds, Some(&tick)).unwrap();
        let ready = { numbers.iter().zip(&fds) }.filter(|(_, fd)| !fd.revents().is_empty());
        for number in ready.map(|(number, _)| *number).collect::<Vec<_>>() {
            forwarder.ready(number, Instant::now(), &mut answered);
        }
        forwarder.on_time(Instant::now(), &mut answered);
    }
    answered
}

/// What a client is told in the end by these servers.
fn told(servers: &[SocketAddr], query: Query) -> String {
    let mut forwarder = Forwarder::default();
    match forwarder.ask(waiting(0, query), &resolvers(servers), Instant::now()) {
        Asked::Answer(answer) => words(&answer),
        Asked::Later(_) => words(&answers(&mut forwarder, 1)[0].1),
        Asked::Dropped => "dropped".to_owned(),
    }
}

fn www() -> Query {
    ask("www.test.", RecordType::A)
}

const GOOD: &str = "NoError ra 60=192.0.2.1";

#[test]
fn a_server_that_is_silent_refused_or_broken_gives_way_to_the_next() {
    let good = Server::new(address, nothing);
    let silent = Server::new(nothing, nothing);
    let broken = Server::new(failure, nothing);
    // Nobody listens there any more.
    let gone = UdpSocket::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    for first in [silent.address, broken.address, gone] {
        assert_eq!(told(&[first, good.address], www()), GOOD, "{first}");
    }
    assert_eq!(told(&[gone], www()), "ServFail ra");
    assert_eq!(told(&[silent.address], www()), "ServFail ra");
    assert_eq!(told(&[broken.address, gone], www()), "ServFail ra");
    assert_eq!(told(&[], www()), "ServFail ra");
    assert_eq!(silent.asked(), 3, "each is asked twice");
}

#[test]
fn what_is_no_answer_to_the_question_is_waited_out() {
    let server = Server::new(lies, nothing);
    assert_eq!(told(&[server.address], www()), GOOD);
}

#[test]
fn an_answer_that_was_cut_is_fetched_by_a_connection() {
    let server = Server::new(cut, large);
    let mut forwarder = Forwarder::default();
    let asked = query(&question_with_edns("big.test.", RecordType::TXT, 1232));
    let resolvers = resolvers(&[server.address]);
    let mut by_connection = waiting(1, asked.clone());
    by_connection.limit = 65535;
    for waiting in [waiting(0, asked), by_connection] {
        let asked = forwarder.ask(waiting, &resolvers, Instant::now());
        assert!(matches!(asked, Asked::Later(_)));
    }
    for (to, answer) in answers(&mut forwarder, 2) {
        let answer = parsed(&answer);
        assert_eq!(answer.metadata.truncation, to == 0);
        assert_eq!(answer.answers.len(), if to == 0 { 5 } else { 100 });
    }
    assert_eq!(server.asked(), 1, "one question for both");
    // With nobody who takes a connection, the client is told to try itself.
    let server = Server::new(cut, nothing);
    assert_eq!(told(&[server.address], www()), "NoError tc ra");
}

#[test]
fn one_answer_is_for_all_who_wait_and_for_those_who_ask_later() {
    let server = Server::new(address, nothing);
    let (mut forwarder, resolvers) = (Forwarder::default(), resolvers(&[server.address]));
    for to in 0..10 {
        let asked = forwarder.ask(waiting(to, www()), &resolvers, Instant::now());
        assert!(matches!(asked, Asked::Later(number) if number.is_some() == (to == 0)));
    }
    let mut who: Vec<_> = answers(&mut forwarder, 10)
        .into_iter()
        .map(|(to, _)| to)
        .collect();
    who.sort_unstable();
    assert_eq!(who, (0..10).collect::<Vec<_>>());
    let asked = forwarder.ask(waiting(10, www()), &resolvers, Instant::now());
    assert!(matches!(asked, Asked::Answer(answer) if words(&answer) == GOOD));
    assert_eq!(server.asked(), 1);
    forwarder.forget_answers();
    let asked = forwarder.ask(waiting(11, www()), &resolvers, Instant::now());
    assert!(matches!(asked, Asked::Later(Some(_))));
}

#[test]
fn what_one_client_asks_does_not_take_the_place_of_others() {
    let silent = Server::new(nothing, nothing);
    let (mut forwarder, resolvers) = (Forwarder::default(), resolvers(&[silent.address]));
    let now = Instant::now();
    let mut ask_one = |client: u8, number: usize| {
        let query = ask(&format!("n{number}.test."), RecordType::A);
        let client = IpAddr::from([10, 1, 2, client]);
        let waiting = Waiting {
            to: number,
            client,
            query,
            limit: 512,
        };
        !matches!(forwarder.ask(waiting, &resolvers, now), Asked::Dropped)
    };
    let taken = (0..1000).filter(|number| ask_one(2, *number)).count();
    assert_eq!(taken, 128);
    assert!(ask_one(3, 99_000), "another one is served");
    let taken = (3..40).flat_map(|client| (0..100).map(move |number| (client, number)));
    let taken =
        taken.filter(|(client, number)| ask_one(*client, usize::from(*client) * 1000 + number));
    assert_eq!(taken.count(), 256 - 128 - 1, "so many sockets and no more");
    // All of them are given up in the end, and then there is room again.
    let answered = answers(&mut forwarder, 256);
    assert!(
        answered
            .iter()
            .all(|(_, answer)| words(answer) == "ServFail ra")
    );
    assert!(forwarder.deadline().is_none());
    let asked = forwarder.ask(waiting(1, www()), &resolvers, Instant::now());
    assert!(matches!(asked, Asked::Later(Some(_))));
}

#[test]
fn a_server_that_was_silent_is_asked_last_for_a_while() {
    let (silent, good) = (Server::new(nothing, nothing), Server::new(address, nothing));
    let mut forwarder = Forwarder::default();
    let resolvers = resolvers(&[silent.address, good.address]);
    for number in 0..3 {
        let query = ask(&format!("n{number}.test."), RecordType::A);
        forwarder.ask(waiting(number, query), &resolvers, Instant::now());
        answers(&mut forwarder, 1);
    }
    assert_eq!((silent.asked(), good.asked()), (1, 3));
}
