//! See [`crate::fuzzing`].

use std::net::IpAddr;
use std::rc::Rc;
use std::time::Duration;

use hickory_proto::op::Message;

use super::answer::{Verdict, answer};
use super::message::{HEADER, Query, Refusal};
use super::relayed::Relayed;
use super::sockets::take_message;
use super::zone::{Member, Standing, Zone};

/// A client's message, and a name server's answer to it. Neither breaks anything; what is sent
/// goes to who has asked, can be read, and is no longer than it may be.
pub(crate) fn messages(data: &[u8]) {
    let mut input = data.to_vec();
    let Some(asked) = take_message(&mut input) else {
        return;
    };
    let query = match Query::read(&asked) {
        Ok(query) => query,
        Err(Refusal::Told(answer)) => {
            let answer = Message::from_vec(&answer).expect("a refusal is a message");
            assert_eq!(answer.metadata.id.to_be_bytes(), asked[..2]);
            return;
        }
        Err(Refusal::Silent) => return,
    };
    let limit = query.datagram();
    if let Verdict::Answer(answer) = answer(&query, &[zone()], &[], &standing, 1, limit) {
        check(&query, &answer, limit);
    }
    let forwarded = query.forwarded(0x1234);
    assert_eq!(forwarded[HEADER..][..query.raw().len()], *query.raw());
    if let Some(relayed) = Relayed::read(input, 0x1234, &query) {
        let whole = relayed.to(&query, Duration::from_secs(7), usize::from(u16::MAX));
        assert_eq!(whole[..2], query.id.to_be_bytes());
        let least = HEADER + query.raw().len() + 11;
        let cut = relayed.to(&query, Duration::ZERO, limit);
        assert!(cut.len() <= limit.max(least));
    }
}

fn check(query: &Query, answer: &[u8], limit: usize) {
    assert!(answer.len() <= limit, "{} octets", answer.len());
    let message = Message::from_vec(answer).expect("an answer of ours is a message");
    assert_eq!(message.metadata.id, query.id);
    assert_eq!(answer[HEADER..][..query.raw().len()], *query.raw());
}

fn standing(member: &Member) -> Standing {
    match member.id.len() {
        1 => Standing::Healthy,
        2 => Standing::Unhealthy,
        _ => Standing::Gone,
    }
}

fn zone() -> Rc<Zone> {
    let member = |id: &str, last: u8| Member {
        id: id.to_owned(),
        name: format!("shop-web-{last}"),
        names: vec!["web".to_owned(), "W".to_owned()],
        addresses: vec![[10, 1, 2, last].into(), IpAddr::from([0xfd00; 8])],
    };
    let members = vec![
        member("a", 2),
        member("b", 3),
        member("cc", 4),
        member("ddd", 5),
    ];
    Rc::new(Zone::new(
        "net",
        false,
        vec![([10, 1, 2, 0].into(), 24)],
        members,
    ))
}
