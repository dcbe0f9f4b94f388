//! An answer of a name server, as it is kept and passed on.
//!
//! It is not decoded and written anew, but passed on as it came, so that record types that
//! nobody here knows arrive as they were sent. What changes is found once: where the times to
//! live are, and where the records end.

use std::time::Duration;

use hickory_proto::op::{Header, MessageType, OpCode, Query as Question};
use hickory_proto::rr::{Name, RecordType};
use hickory_proto::serialize::binary::{BinDecodable, BinDecoder, DecodeError};

use super::message::{HEADER, Query};

/// The longest that an answer is kept, whatever its time to live.
const LONGEST: Duration = Duration::from_secs(60 * 60);
/// The same for the answer that something does not exist.
const LONGEST_ABSENCE: Duration = Duration::from_secs(5 * 60);

/// The bits of the third octet of a header: an answer, and one that was cut.
const TRUNCATED: u8 = 0x02;

/// A whole answer to one question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Relayed {
    bytes: Vec<u8>,
    /// Where the times to live are.
    ttls: Vec<u16>,
    /// Where the records of the answer end, and before them the question.
    ends: Vec<u16>,
    is_truncated: bool,
    /// How long it may be kept: not at all, when it does not say.
    lifetime: Option<Duration>,
}

impl Relayed {
    /// Reads the answer to `query` that was sent with `id`; none for anything else.
    pub(super) fn read(bytes: Vec<u8>, id: u16, query: &Query) -> Option<Self> {
        let question = query.raw();
        let end = HEADER + question.len();
        let asked = bytes.get(HEADER..end)?;
        // The octets of lengths are below those of letters, and type and class are compared
        // as they are.
        let (name, rest) = question.split_at(question.len() - 4);
        if !asked[..name.len()].eq_ignore_ascii_case(name) || &asked[name.len()..] != rest {
            return None;
        }
        read_records(bytes, id, end).ok().flatten()
    }

    /// How long it may be kept.
    pub(super) fn lifetime(&self) -> Option<Duration> {
        self.lifetime
    }

    /// Whether its server had more to say.
    pub(super) fn is_truncated(&self) -> bool {
        self.is_truncated
    }

    /// Whether its server could not answer: another one may.
    pub(super) fn is_failure(&self) -> bool {
        // FORMERR, SERVFAIL, NOTIMP and REFUSED.
        matches!(self.bytes[3] & 0x0f, 1 | 2 | 4 | 5)
    }

    /// Octets that it takes in memory.
    pub(super) fn size(&self) -> usize {
        self.bytes.len() + 2 * (self.ttls.len() + self.ends.len())
    }

    /// The answer to a client's query, after it was kept for `age`: whole records in at most
    /// `limit` octets.
    pub(super) fn to(&self, query: &Query, age: Duration, limit: usize) -> Vec<u8> {
        let mut bytes = self.bytes.clone();
        bytes[..2].copy_from_slice(&query.id.to_be_bytes());
        // The client may compare the name letter by letter.
        bytes[HEADER..HEADER + query.raw().len()].copy_from_slice(query.raw());
        let age = age.as_secs().try_into().unwrap_or(u32::MAX);
        for &at in &self.ttls {
            let at = usize::from(at);
            if let Some(&[a, b, c, d]) = bytes.get(at..at + 4) {
                let left = u32::from_be_bytes([a, b, c, d]).saturating_sub(age);
                bytes[at..at + 4].copy_from_slice(&left.to_be_bytes());
            }
        }
        if bytes.len() > limit {
            self.cut(&mut bytes, query, limit);
        }
        bytes
    }

    /// Leaves as many records of the answer as have room, and says that there are more.
    fn cut(&self, bytes: &mut Vec<u8>, query: &Query, limit: usize) {
        let opt = query.opt();
        let room = limit.saturating_sub(opt.map_or(0, |opt| opt.len()));
        let fits = |end: &&u16| usize::from(**end) <= room;
        let kept = self.ends.iter().take_while(fits).count().max(1);
        bytes.truncate(self.ends[kept - 1].into());
        bytes[2] |= TRUNCATED;
        let answers = (kept - 1) as u16;
        bytes[6..8].copy_from_slice(&answers.to_be_bytes());
        bytes[8..10].fill(0);
        bytes[10..12].copy_from_slice(&u16::from(opt.is_some()).to_be_bytes());
        bytes.extend(opt.into_iter().flatten());
    }
}

fn read_records(
    mut bytes: Vec<u8>,
    id: u16,
    question_end: usize,
) -> Result<Option<Relayed>, DecodeError> {
    let (mut ttls, mut ends) = (Vec::new(), vec![question_end as u16]);
    let mut shortest = u32::MAX;
    let mut absence = None;
    let mut decoder = BinDecoder::new(&bytes);
    let Header { metadata, counts } = Header::read(&mut decoder)?;
    let fits = metadata.id == id
        && metadata.message_type == MessageType::Response
        && metadata.op_code == OpCode::Query
        && counts.queries == 1;
    if !fits || bytes.len() > usize::from(u16::MAX) {
        return Ok(None);
    }
    Question::read(&mut decoder)?;
    if decoder.index() != question_end {
        return Ok(None);
    }
    if metadata.truncation {
        // It may end anywhere, and is asked for again by TCP.
        bytes.truncate(question_end);
        bytes[6..HEADER].fill(0);
        return Ok(Some(Relayed {
            bytes,
            ttls,
            ends,
            is_truncated: true,
            lifetime: None,
        }));
    }
    let sections = [counts.answers, counts.authorities, counts.additionals];
    for (section, count) in sections.into_iter().enumerate() {
        for _ in 0..count {
            Name::read(&mut decoder)?;
            let kind = RecordType::from(decoder.read_u16()?.unverified());
            decoder.read_u16()?;
            let ttl_at = decoder.index();
            let ttl = decoder.read_u32()?.unverified();
            let length = decoder.read_u16()?.unverified();
            let data = decoder.read_slice(length.into())?.unverified();
            if kind != RecordType::OPT {
                ttls.push(ttl_at as u16);
                shortest = shortest.min(ttl);
            }
            if section == 0 {
                ends.push(decoder.index() as u16);
            }
            if let (1, RecordType::SOA, Some((_, minimum))) =
                (section, kind, data.split_last_chunk::<4>())
            {
                absence = Some(u32::from_be_bytes(*minimum).min(ttl));
            }
        }
    }
    let end = decoder.index();
    let seconds = |seconds: u32| Duration::from_secs(seconds.into());
    let is_answer = counts.answers > 0;
    let lifetime = match (u16::from(metadata.response_code), absence) {
        (0, _) if is_answer => Some(seconds(shortest).min(LONGEST)),
        // RFC 2308: without an SOA record it may not be kept.
        (0 | 3, Some(absence)) => Some(seconds(absence.min(shortest)).min(LONGEST_ABSENCE)),
        _ => None,
    };
    bytes.truncate(end);
    Ok(Some(Relayed {
        bytes,
        ttls,
        ends,
        is_truncated: false,
        lifetime: lifetime.filter(|lifetime| !lifetime.is_zero()),
    }))
}
