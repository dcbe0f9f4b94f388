//! Asks a name server, and prints what it says: for what containers are answered.
//!
//! ```text
//! ask SERVER NAME[/TYPE] ...            one line for each: code, flags, records
//! ask tcp SERVER NAME[/TYPE] ...        the same over one connection
//! ask edns SIZE SERVER NAME[/TYPE] ...  with EDNS, for answers of this size
//! ask many SERVER COUNT NAME=ADDRESS... so many queries by UDP, none of them twice
//! ```
//!
//! `SERVER` is `-` for the first name server of `/etc/resolv.conf`. A line is `NoError aa ra
//! 5=10.1.2.3` or `silence`. `many` keeps some queries under way all the time, and prints
//! `answered=N lost=N wrong=N`.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query};
use hickory_proto::rr::{Name, RecordType};

/// Longer than a name server waits for others, on a machine that may be busy.
const PATIENCE: Duration = Duration::from_secs(30);
/// Queries under way at a time: of ten containers, fewer than the kernel's queue of a processor
/// takes (`net.core.netdev_max_backlog`).
const WINDOW: usize = 48;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let done = match words.as_slice() {
        ["many", server, count, names @ ..] => many(server, count, names),
        ["tcp", server, names @ ..] => over_connection(server, names),
        ["edns", size, server, names @ ..] => one_by_one(server, names, size.parse().ok()),
        [server, names @ ..] => one_by_one(server, names, None),
        [] => Err("usage: ask [many | tcp | edns SIZE] SERVER NAME[/TYPE]...".into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("ask: {error}");
            ExitCode::FAILURE
        }
    }
}

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

fn address(server: &str) -> Result<SocketAddr> {
    let text;
    let server = if server == "-" {
        text = std::fs::read_to_string("/etc/resolv.conf")?;
        let mut servers = text
            .lines()
            .filter_map(|line| line.strip_prefix("nameserver "));
        servers.next().ok_or("no name server")?.trim()
    } else {
        server
    };
    Ok(SocketAddr::new(server.parse::<IpAddr>()?, 53))
}

fn socket(server: SocketAddr) -> Result<UdpSocket> {
    let any: IpAddr = if server.is_ipv4() {
        Ipv4Addr::UNSPECIFIED.into()
    } else {
        Ipv6Addr::UNSPECIFIED.into()
    };
    let socket = UdpSocket::bind((any, 0))?;
    socket.connect(server)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    Ok(socket)
}

fn query(id: u16, word: &str, edns: Option<u16>) -> Result<Message> {
    let (name, kind) = word.split_once('/').unwrap_or((word, "A"));
    let mut name = Name::from_ascii(name)?;
    name.set_fqdn(true);
    let mut message = Message::new(id, MessageType::Query, OpCode::Query);
    message.metadata.recursion_desired = true;
    message.add_query(Query::query(name, kind.parse::<RecordType>()?));
    if let Some(size) = edns {
        let mut edns = Edns::new();
        edns.set_max_payload(size);
        message.set_edns(edns);
    }
    Ok(message)
}

fn words(message: &Message) -> String {
    let metadata = &message.metadata;
    let mut words = vec![format!("{:?}", metadata.response_code)];
    for (is_set, flag) in [
        (metadata.authoritative, "aa"),
        (metadata.truncation, "tc"),
        (metadata.recursion_available, "ra"),
    ] {
        words.extend(is_set.then(|| flag.to_owned()));
    }
    let records = message.answers.iter();
    words.extend(records.map(|record| format!("{}={}", record.ttl, record.data)));
    words.join(" ")
}

fn one_by_one(server: &str, names: &[&str], edns: Option<u16>) -> Result<()> {
    let socket = socket(address(server)?)?;
    let mut buffer = vec![0; 65536];
    for (id, name) in names.iter().enumerate() {
        let id = id as u16 + 1;
        socket.send(&query(id, name, edns)?.to_vec()?)?;
        loop {
            match socket.recv(&mut buffer) {
                Ok(length) => {
                    let answer = Message::from_vec(&buffer[..length])?;
                    if answer.metadata.id == id {
                        println!("{}", words(&answer));
                        break;
                    }
                }
                Err(error) => {
                    println!("silence: {error}");
                    break;
                }
            }
        }
    }
    Ok(())
}

fn over_connection(server: &str, names: &[&str]) -> Result<()> {
    let mut stream = TcpStream::connect(address(server)?)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    // All of them first: the answers come as they may.
    for (id, name) in names.iter().enumerate() {
        let bytes = query(id as u16, name, None)?.to_vec()?;
        stream.write_all(&u16::try_from(bytes.len())?.to_be_bytes())?;
        stream.write_all(&bytes)?;
    }
    let mut answers = vec![String::new(); names.len()];
    for _ in names {
        let mut length = [0; 2];
        stream.read_exact(&mut length)?;
        let mut bytes = vec![0; u16::from_be_bytes(length).into()];
        stream.read_exact(&mut bytes)?;
        let answer = Message::from_vec(&bytes)?;
        let place = answers.get_mut(usize::from(answer.metadata.id));
        *place.ok_or("another id")? = words(&answer);
    }
    println!("{}", answers.join("\n"));
    Ok(())
}

fn many(server: &str, count: &str, names: &[&str]) -> Result<()> {
    let socket = socket(address(server)?)?;
    let count: usize = count.parse()?;
    let names: Vec<(&str, IpAddr)> = { names.iter() }
        .map(|word| {
            let (name, address) = word.split_once('=').ok_or("NAME=ADDRESS")?;
            Ok((name, address.parse()?))
        })
        .collect::<Result<_>>()?;
    let (mut sent, mut answered, mut wrong) = (0, 0, 0);
    let mut is_answered = vec![false; count];
    let mut buffer = [0; 4096];
    let end = Instant::now() + PATIENCE;
    while answered < count && Instant::now() < end {
        while sent < count && sent - answered < WINDOW {
            let (name, _) = names[sent % names.len()];
            socket.send(&query(sent as u16, name, None)?.to_vec()?)?;
            sent += 1;
        }
        let Ok(length) = socket.recv(&mut buffer) else {
            break;
        };
        let answer = Message::from_vec(&buffer[..length])?;
        let id = usize::from(answer.metadata.id);
        let (_, address) = names[id % names.len()];
        let said: Vec<_> = answer
            .answers
            .iter()
            .filter_map(|it| it.data.ip_addr())
            .collect();
        wrong += usize::from(!said.contains(&address) || is_answered[id]);
        answered += 1;
        is_answered[id] = true;
    }
    println!(
        "answered={answered} lost={} wrong={wrong}",
        count - answered
    );
    Ok(())
}
