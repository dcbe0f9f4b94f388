//! Messages: a client's query read, an answer of ours written, a query to a name server.
//!
//! The wire format is that of RFC 1035 with EDNS of RFC 6891. `hickory-proto` reads and writes
//! it; what is here is which of it is let in.

use std::net::IpAddr;

use hickory_proto::op::{
    Edns, Header, Message, MessageType, Metadata, OpCode, Query as Question, ResponseCode,
};
use hickory_proto::rr::rdata::{A, AAAA, PTR};
use hickory_proto::rr::{DNSClass, Name, RData, Record, RecordType};
use hickory_proto::serialize::binary::{BinDecodable, BinDecoder, BinEncodable, BinEncoder};

/// Octets of the header of a message.
pub(super) const HEADER: usize = 12;

/// The longest query that is read. A question has at most 260 octets; the rest is options.
pub(super) const LONGEST_QUERY: usize = 4096;

/// The longest datagram that is sent or asked for: it passes every link without fragments, which
/// can be forged.
pub(super) const LONGEST_DATAGRAM: u16 = 1232;

/// What a client without EDNS takes by UDP.
pub(super) const CLASSIC_DATAGRAM: u16 = 512;

/// Octets of an OPT record without options.
const OPT: usize = 11;

/// How long an answer of ours may be kept, in seconds.
///
/// Docker says 600, but a replica that fails its health check is to be left out at once: who
/// keeps answers at all asks again soon, and who does not is not concerned.
pub(super) const TTL: u32 = 5;

/// A client's query: one question of the class IN, or one that is refused.
#[derive(Debug, Clone)]
pub(super) struct Query {
    pub(super) id: u16,
    metadata: Metadata,
    question: Question,
    /// The question as the client wrote it: name, type, class.
    raw: Box<[u8]>,
    edns: Option<ClientEdns>,
}

#[derive(Debug, Clone, Copy)]
struct ClientEdns {
    size: u16,
    dnssec_ok: bool,
}

/// Why a message is not answered with what it asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Refusal {
    /// It is no query, and an answer could go in circles.
    Silent,
    /// With this answer.
    Told(Vec<u8>),
}

impl Query {
    /// Reads a message of a client.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, Refusal> {
        let header = Header::read(&mut BinDecoder::new(bytes)).map_err(|_| Refusal::Silent)?;
        let metadata = header.metadata;
        if metadata.message_type != MessageType::Query || bytes.len() > LONGEST_QUERY {
            return Err(Refusal::Silent);
        }
        let refuse = |code| Refusal::Told(bare(&metadata, code));
        if metadata.op_code != OpCode::Query {
            return Err(refuse(ResponseCode::NotImp));
        }
        let counts = header.counts;
        // Looked at first: the decoder makes room for as many as the header says.
        if counts.queries != 1 || counts.answers != 0 || counts.authorities != 0 {
            return Err(refuse(ResponseCode::FormErr));
        }
        let mut decoder = BinDecoder::new(&bytes[HEADER..]);
        let malformed = |_| refuse(ResponseCode::FormErr);
        let question = Question::read(&mut decoder).map_err(malformed)?;
        let end = HEADER + decoder.index();
        // A name that is cut short by a pointer has nothing to point to but the header.
        if end != HEADER + name_octets(question.name()) + 4 {
            return Err(refuse(ResponseCode::FormErr));
        }
        let (_, edns, _) = {
            let mut decoder = BinDecoder::new(bytes).clone(end as u16);
            let additionals = counts.additionals.min(4).into();
            Message::read_records(&mut decoder, additionals, true, OpCode::Query)
                .map_err(|_| refuse(ResponseCode::FormErr))?
        };
        let query = Self {
            id: metadata.id,
            metadata,
            raw: bytes[HEADER..end].into(),
            question,
            edns: edns.as_ref().map(|edns| ClientEdns {
                size: edns.max_payload(),
                dnssec_ok: edns.flags().dnssec_ok,
            }),
        };
        match edns {
            Some(edns) if edns.version() != 0 => {
                Err(Refusal::Told(query.empty(ResponseCode::BADVERS)))
            }
            _ if query.is_refused() => Err(Refusal::Told(query.empty(ResponseCode::Refused))),
            _ => Ok(query),
        }
    }

    /// Zone transfers, and what is not of the Internet: `version.bind`, for one.
    fn is_refused(&self) -> bool {
        let transfer = [RecordType::AXFR, RecordType::IXFR];
        self.question.query_class() != DNSClass::IN || transfer.contains(&self.kind())
    }

    /// The name in lower case without a dot at its end; none for one with octets that no name of
    /// a container has.
    pub(super) fn name(&self) -> Option<String> {
        let mut text = String::new();
        for label in self.question.name() {
            if !label
                .iter()
                .all(|byte| byte.is_ascii_graphic() && *byte != b'.')
            {
                return None;
            }
            if !text.is_empty() {
                text.push('.');
            }
            text.extend(label.iter().map(|byte| byte.to_ascii_lowercase() as char));
        }
        Some(text)
    }

    /// The type of record that is asked for.
    pub(super) fn kind(&self) -> RecordType {
        self.question.query_type()
    }

    /// The address whose name is asked for by a reverse question.
    pub(super) fn reverse(&self) -> Option<IpAddr> {
        let net = self.question.name().parse_arpa_name().ok()?;
        let is_whole = net.prefix_len() == net.max_prefix_len();
        is_whole.then(|| net.addr())
    }

    /// The question as the client wrote it.
    pub(super) fn raw(&self) -> &[u8] {
        &self.raw
    }

    /// All that an answer depends on beside the question: EDNS or not, and the bits DO, CD and
    /// AD.
    pub(super) fn flags(&self) -> u8 {
        let dnssec_ok = self.edns.is_some_and(|edns| edns.dnssec_ok);
        u8::from(self.edns.is_some())
            | u8::from(dnssec_ok) << 1
            | u8::from(self.metadata.checking_disabled) << 2
            | u8::from(self.metadata.authentic_data) << 3
            | u8::from(self.metadata.recursion_desired) << 4
    }

    /// Whether it wants no more than what is known here.
    pub(super) fn is_recursive(&self) -> bool {
        self.metadata.recursion_desired
    }

    /// How long an answer by UDP may be.
    pub(super) fn datagram(&self) -> usize {
        let asked = self.edns.map_or(CLASSIC_DATAGRAM, |edns| edns.size);
        asked.clamp(CLASSIC_DATAGRAM, LONGEST_DATAGRAM).into()
    }

    /// The answer that these are its addresses: as many as have room in `limit` octets, with a
    /// mark when they are not all.
    pub(super) fn addresses(&self, addresses: &[IpAddr], limit: usize) -> Vec<u8> {
        let owner = self.question.name();
        let record = |address: &IpAddr| {
            let data = match *address {
                IpAddr::V4(address) => RData::A(A(address)),
                IpAddr::V6(address) => RData::AAAA(AAAA(address)),
            };
            Record::from_rdata(owner.clone(), TTL, data)
        };
        // The owner is a pointer of two octets to the question.
        let octets = |address: &IpAddr| 12 + if address.is_ipv4() { 4 } else { 16 };
        let mut room = limit.saturating_sub(HEADER + self.raw.len() + self.opt_octets());
        let fitting = addresses.iter().take_while(|address| {
            let left = room.checked_sub(octets(address));
            room = left.unwrap_or(0);
            left.is_some()
        });
        let records: Vec<_> = fitting.map(record).collect();
        let mut message = self.response(ResponseCode::NoError);
        message.metadata.truncation = records.len() < addresses.len();
        message.insert_answers(records);
        encode(&message)
    }

    /// The answer that this is the name of the address that was asked for. No name of ours is so
    /// long that it does not fit into the shortest datagram.
    pub(super) fn pointer(&self, name: &str) -> Option<Vec<u8>> {
        let target = name.split('.').filter(|label| !label.is_empty());
        let target = Name::from_labels(target.map(str::as_bytes)).ok()?;
        let data = RData::PTR(PTR(target));
        let record = Record::from_rdata(self.question.name().clone(), TTL, data);
        let mut message = self.response(ResponseCode::NoError);
        message.insert_answers(vec![record]);
        Some(encode(&message))
    }

    /// The answer that there is no such name.
    pub(super) fn no_such_name(&self) -> Vec<u8> {
        self.empty(ResponseCode::NXDomain)
    }

    /// The answer that the name exists, with no record of this type.
    pub(super) fn no_such_record(&self) -> Vec<u8> {
        self.empty(ResponseCode::NoError)
    }

    /// The answer that no name server could be asked.
    pub(super) fn failure(&self) -> Vec<u8> {
        self.empty(ResponseCode::ServFail)
    }

    /// The answer that nobody is asked for a client that does not want it.
    pub(super) fn refusal(&self) -> Vec<u8> {
        self.empty(ResponseCode::Refused)
    }

    fn empty(&self, code: ResponseCode) -> Vec<u8> {
        encode(&self.response(code))
    }

    fn response(&self, code: ResponseCode) -> Message {
        let mut metadata = Metadata::response_from_request(&self.metadata);
        metadata.recursion_available = true;
        metadata.authoritative = matches!(code, ResponseCode::NoError | ResponseCode::NXDomain);
        metadata.response_code = code;
        self.with_question(metadata)
    }

    /// The same question to a name server, by EDNS when the client speaks it: its answer is
    /// passed on as it is.
    pub(super) fn forwarded(&self, id: u16) -> Vec<u8> {
        let mut metadata = Metadata::new(id, MessageType::Query, OpCode::Query);
        metadata.recursion_desired = self.metadata.recursion_desired;
        metadata.checking_disabled = self.metadata.checking_disabled;
        metadata.authentic_data = self.metadata.authentic_data;
        encode(&self.with_question(metadata))
    }

    fn with_question(&self, metadata: Metadata) -> Message {
        let mut message = Message::new(metadata.id, metadata.message_type, metadata.op_code);
        message.metadata = metadata;
        message.add_query(self.question.clone());
        if let Some(client) = self.edns {
            let mut edns = Edns::new();
            edns.set_max_payload(LONGEST_DATAGRAM)
                .set_dnssec_ok(client.dnssec_ok);
            message.set_edns(edns);
        }
        message
    }

    fn opt_octets(&self) -> usize {
        if self.edns.is_some() { OPT } else { 0 }
    }

    /// The OPT record that goes with an answer that had to be cut.
    pub(super) fn opt(&self) -> Option<[u8; OPT]> {
        let client = self.edns?;
        let [high, low] = LONGEST_DATAGRAM.to_be_bytes();
        let dnssec_ok = if client.dnssec_ok { 0x80 } else { 0 };
        Some([0, 0, 41, high, low, 0, 0, dnssec_ok, 0, 0, 0])
    }
}

/// Octets of a name on the wire, written out.
fn name_octets(name: &Name) -> usize {
    if name.is_root() { 1 } else { name.len() + 1 }
}

/// An answer that is nothing but a header.
fn bare(request: &Metadata, code: ResponseCode) -> Vec<u8> {
    let mut metadata = Metadata::response_from_request(request);
    metadata.response_code = code;
    let mut message = Message::new(metadata.id, metadata.message_type, metadata.op_code);
    message.metadata = metadata;
    encode(&message)
}

fn encode(message: &Message) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(CLASSIC_DATAGRAM.into());
    let encoded = message.emit(&mut BinEncoder::new(&mut bytes));
    // All that is written was read by the same library, or is an address or a name of ours.
    debug_assert!(encoded.is_ok(), "{encoded:?}");
    bytes
}
