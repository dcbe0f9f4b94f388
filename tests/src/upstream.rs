//! A name server of the world outside, for one test.

use std::collections::HashMap;
use std::fs;
use std::io::{Read, Write};
use std::net::{IpAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::{Arc, Mutex};
use std::thread;

use hickory_proto::op::{Edns, Message, MessageType, OpCode, ResponseCode};
use hickory_proto::rr::rdata::{A, AAAA, SOA, TXT};
use hickory_proto::rr::{Name, RData, Record};
use rustix::thread::UnshareFlags;

use crate::Host;

/// How a name is answered.
#[derive(Debug, Clone)]
pub enum Says {
    /// With this address, for so many seconds.
    Address(IpAddr, u32),
    /// With so many texts of 200 octets: cut by UDP, whole by TCP.
    Texts(usize),
    /// That it does not exist, for so many seconds.
    Nothing(u32),
    /// That it cannot say.
    Failure,
    /// Not at all.
    Silence,
    /// With a wrong id, with another name, and with nonsense, before it is with this address.
    Lies(IpAddr),
}

/// A name server at one address of this test's host, until the test ends. Every name that it was
/// not given is one that does not exist.
pub struct Upstream {
    shared: Arc<Mutex<Shared>>,
}

#[derive(Default)]
struct Shared {
    names: HashMap<String, Says>,
    asked: Vec<String>,
}

impl Upstream {
    /// Answers at port 53 of `address`, by UDP and by TCP.
    ///
    /// # Panics
    /// When somebody else does.
    pub fn new(_host: &Host, address: &str) -> Self {
        let address: IpAddr = address.parse().expect("an address");
        let datagrams = UdpSocket::bind((address, 53)).expect("the port of name servers");
        let connections = TcpListener::bind((address, 53)).expect("the port of name servers");
        let shared = Arc::<Mutex<Shared>>::default();
        let by_datagram = Arc::clone(&shared);
        alone(move || {
            let mut buffer = [0; 4096];
            while let Ok((length, peer)) = datagrams.recv_from(&mut buffer) {
                let Some((query, says)) = look_up(&by_datagram, &buffer[..length], "udp") else {
                    continue;
                };
                for answer in answers(&query, &says, false) {
                    let _ = datagrams.send_to(&answer, peer);
                }
            }
        });
        let by_connection = Arc::clone(&shared);
        alone(move || {
            for stream in connections.incoming().flatten() {
                let _ = serve(stream, &by_connection);
            }
        });
        Self { shared }
    }

    /// What a name is answered with from now on.
    pub fn says(&self, name: &str, says: Says) {
        self.lock().names.insert(name.to_owned(), says);
    }

    /// What was asked since the last call, such as `udp www.test. A`, or with ` edns 1232` behind it.
    pub fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.lock().asked)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Shared> {
        self.shared.lock().expect("no server has panicked")
    }
}

impl Host {
    /// Has the host's `/etc/resolv.conf` say this.
    ///
    /// # Panics
    /// When it cannot be put there.
    pub fn resolve_by(&self, text: &str) {
        let place = "/etc/resolv.conf";
        let file = self.work().join("resolv.conf");
        let is_there = file.exists();
        fs::write(&file, text).expect("write resolv.conf");
        if !is_there {
            if !fs::exists(place).expect("look at resolv.conf") {
                fs::write(place, "").expect("a place for resolv.conf");
            }
            rustix::mount::mount_bind(&file, place).expect("bind resolv.conf");
        }
    }
}

fn alone(work: impl FnOnce() + Send + 'static) {
    thread::spawn(move || {
        // SAFETY: only the attributes of this thread are no longer shared: the thread of the
        // test could not leave its host otherwise (`setns(2)`, EINVAL).
        let alone = unsafe { rustix::thread::unshare_unsafe(UnshareFlags::FS) };
        alone.expect("file system attributes of its own");
        work();
    });
}

fn look_up(shared: &Mutex<Shared>, bytes: &[u8], by: &str) -> Option<(Message, Says)> {
    let query = Message::from_vec(bytes).ok()?;
    let question = query.queries.first()?;
    let name = question.name().to_ascii();
    let mut shared = shared.lock().ok()?;
    let edns = query.edns.as_ref();
    let edns = edns.map_or(String::new(), |edns| {
        format!(" edns {}", edns.max_payload())
    });
    let kind = question.query_type();
    shared.asked.push(format!("{by} {name} {kind}{edns}"));
    let says = shared.names.get(&name.to_lowercase()).cloned();
    Some((query, says.unwrap_or(Says::Nothing(60))))
}

fn serve(mut stream: TcpStream, shared: &Mutex<Shared>) -> std::io::Result<()> {
    let mut length = [0; 2];
    stream.read_exact(&mut length)?;
    let mut bytes = vec![0; u16::from_be_bytes(length).into()];
    stream.read_exact(&mut bytes)?;
    let Some((query, says)) = look_up(shared, &bytes, "tcp") else {
        return Ok(());
    };
    for answer in answers(&query, &says, true) {
        stream.write_all(&(answer.len() as u16).to_be_bytes())?;
        stream.write_all(&answer)?;
    }
    Ok(())
}

fn answers(query: &Message, says: &Says, by_connection: bool) -> Vec<Vec<u8>> {
    let mut answer = Message::new(query.metadata.id, MessageType::Response, OpCode::Query);
    answer.metadata.recursion_desired = true;
    answer.metadata.recursion_available = true;
    answer.add_queries(query.queries.iter().cloned());
    if query.edns.is_some() {
        answer.set_edns(Edns::new());
    }
    let name = query.queries[0].name().clone();
    let data = |address: &IpAddr| match *address {
        IpAddr::V4(address) => RData::A(A(address)),
        IpAddr::V6(address) => RData::AAAA(AAAA(address)),
    };
    let mut before = Vec::new();
    match says {
        Says::Silence => return Vec::new(),
        Says::Failure => answer.metadata.response_code = ResponseCode::ServFail,
        Says::Nothing(ttl) => {
            answer.metadata.response_code = ResponseCode::NXDomain;
            let root = Name::root();
            let soa = SOA::new(root.clone(), root.clone(), 1, 2, 3, 4, *ttl);
            answer.add_authority(Record::from_rdata(root, *ttl, RData::SOA(soa)));
        }
        Says::Texts(_) if !by_connection => answer.metadata.truncation = true,
        Says::Texts(count) => {
            let text = || RData::TXT(TXT::new(vec!["x".repeat(200)]));
            answer.add_answers((0..*count).map(|_| Record::from_rdata(name.clone(), 60, text())));
        }
        Says::Address(address, ttl) => {
            let data = data(address);
            if data.record_type() == query.queries[0].query_type() {
                answer.add_answer(Record::from_rdata(name, *ttl, data));
            }
        }
        Says::Lies(address) => {
            answer.add_answer(Record::from_rdata(name, 60, data(address)));
            let truth = answer.to_vec().unwrap_or_default();
            let (mut other_id, mut other_name) = (truth.clone(), truth);
            other_id[1] ^= 1;
            other_name[13] ^= 1;
            for lie in [&mut other_id, &mut other_name] {
                // Another address, too.
                if let Some(last) = lie.last_mut() {
                    *last ^= 1;
                }
            }
            before = vec![other_id, other_name, b"nonsense".to_vec()];
        }
    }
    before.extend(answer.to_vec().ok());
    before
}
