//! Messages as clients and servers send them.

mod local;
mod messages;
mod relay;
mod upstream;

use std::net::IpAddr;
use std::rc::Rc;

use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query as Question};
use hickory_proto::rr::rdata::{A, SOA, TXT};
use hickory_proto::rr::{Name, RData, Record, RecordType};

use super::message::Query;
use super::zone::{Member, Zone};

/// A query as a client sends it, with an id of 7.
pub(super) fn question(name: &str, kind: RecordType) -> Message {
    let mut message = Message::new(7, MessageType::Query, OpCode::Query);
    message.metadata.recursion_desired = true;
    message.add_query(Question::query(Name::from_ascii(name).unwrap(), kind));
    message
}

/// The same with EDNS, for answers of this size.
pub(super) fn question_with_edns(name: &str, kind: RecordType, size: u16) -> Message {
    let mut message = question(name, kind);
    let mut edns = Edns::new();
    edns.set_max_payload(size);
    message.set_edns(edns);
    message
}

pub(super) fn query(message: &Message) -> Query {
    Query::read(&message.to_vec().unwrap()).unwrap()
}

pub(super) fn ask(name: &str, kind: RecordType) -> Query {
    query(&question(name, kind))
}

pub(super) fn parsed(bytes: &[u8]) -> Message {
    Message::from_vec(bytes).unwrap()
}

/// What an answer says, in words: code, flags, and records.
pub(super) fn words(bytes: &[u8]) -> String {
    let message = parsed(bytes);
    let mut words = vec![format!("{:?}", message.metadata.response_code)];
    for (is_set, flag) in [
        (message.metadata.authoritative, "aa"),
        (message.metadata.truncation, "tc"),
        (message.metadata.recursion_available, "ra"),
    ] {
        words.extend(is_set.then(|| flag.to_owned()));
    }
    let records = message.answers.iter();
    words.extend(records.map(|record| format!("{}={}", record.ttl, record.data)));
    words.join(" ")
}

/// An answer of a name server to a query, with these records.
pub(super) fn answer_to(query: &[u8], records: Vec<Record>) -> Message {
    let asked = parsed(query);
    let mut message = Message::new(asked.metadata.id, MessageType::Response, OpCode::Query);
    message.metadata.recursion_desired = true;
    message.metadata.recursion_available = true;
    message.add_queries(asked.queries.iter().cloned());
    message.insert_answers(records);
    if asked.edns.is_some() {
        message.set_edns(Edns::new());
    }
    message
}

pub(super) fn a(name: &str, ttl: u32, address: [u8; 4]) -> Record {
    let data = RData::A(A(address.into()));
    Record::from_rdata(Name::from_ascii(name).unwrap(), ttl, data)
}

pub(super) fn txt(name: &str, octets: usize) -> Record {
    let data = RData::TXT(TXT::new(vec!["x".repeat(octets)]));
    Record::from_rdata(Name::from_ascii(name).unwrap(), 60, data)
}

pub(super) fn soa(ttl: u32, minimum: u32) -> Record {
    let name = |name| Name::from_ascii(name).unwrap();
    let data = SOA::new(name("ns.test."), name("root.test."), 1, 2, 3, 4, minimum);
    Record::from_rdata(name("test."), ttl, RData::SOA(data))
}

pub(super) fn member(id: &str, name: &str, names: &[&str], addresses: &[&str]) -> Member {
    let address = |address: &&str| -> IpAddr { address.parse().unwrap() };
    Member {
        id: id.to_owned(),
        name: name.to_owned(),
        names: names.iter().map(|name| (*name).to_owned()).collect(),
        addresses: addresses.iter().map(address).collect(),
    }
}

pub(super) fn zone(network: &str, members: Vec<Member>) -> Rc<Zone> {
    let subnets = vec![
        ([10, 1, 2, 0].into(), 24),
        ("fd00:1::".parse().unwrap(), 64),
    ];
    Rc::new(Zone::new(network, false, subnets, members))
}
