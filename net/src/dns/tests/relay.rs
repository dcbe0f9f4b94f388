//! Answers of name servers: what is taken for one, how long it is kept, how it is passed on.

use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::RecordType;
use proptest::prelude::*;

use super::super::cache::{Cache, Key};
use super::super::message::Query;
use super::super::relayed::Relayed;
use super::{a, answer_to, ask, parsed, query, question, question_with_edns, soa, txt, words};

const ID: u16 = 99;

fn bytes(message: &Message) -> Vec<u8> {
    message.to_vec().unwrap()
}

/// The answer to a query, as it would come with these changes.
fn changed(query: &Query, change: impl Fn(&mut Message)) -> Option<Relayed> {
    let mut message = answer_to(
        &query.forwarded(ID),
        vec![a("www.test.", 300, [192, 0, 2, 1])],
    );
    change(&mut message);
    Relayed::read(bytes(&message), ID, query)
}

#[test]
fn only_the_answer_to_the_question_is_one() {
    let query = ask("www.test.", RecordType::A);
    assert!(changed(&query, |_| ()).is_some());
    let is_none = |change: &dyn Fn(&mut Message)| changed(&query, change).is_none();
    assert!(is_none(&|it| it.metadata.id = ID + 1));
    assert!(is_none(&|it| *it = question("www.test.", RecordType::A)));
    assert!(is_none(
        &|it| it.queries = question("www.test.", RecordType::AAAA).queries.clone()
    ));
    assert!(is_none(
        &|it| it.queries = question("www.tess.", RecordType::A).queries.clone()
    ));
    assert!(is_none(&|it| it.queries.clear()));
    assert!(is_none(&|it| {
        it.add_query(question("www.test.", RecordType::A).queries[0].clone());
    }));
    // A server may write the name in its own way.
    assert!(!is_none(
        &|it| it.queries = question("WWW.test.", RecordType::A).queries.clone()
    ));
}

#[test]
fn the_client_gets_its_own_id_and_its_own_letters_and_what_is_left_of_the_time() {
    let mut asked = question("wWw.TesT.", RecordType::A);
    asked.metadata.id = 4711;
    let asked = query(&asked);
    let answer = changed(&ask("www.test.", RecordType::A), |_| ()).unwrap();
    let passed_on = answer.to(&asked, Duration::from_secs(100), 512);
    assert_eq!(words(&passed_on), "NoError ra 200=192.0.2.1");
    let message = parsed(&passed_on);
    assert_eq!(message.metadata.id, 4711);
    assert_eq!(message.queries[0].name().to_ascii(), "wWw.TesT.");
    let late = answer.to(&asked, Duration::from_secs(1000), 512);
    assert_eq!(words(&late), "NoError ra 0=192.0.2.1");
}

#[test]
fn an_answer_is_kept_as_long_as_its_shortest_record_and_absence_by_its_soa() {
    let query = ask("www.test.", RecordType::A);
    let kept = |change: &dyn Fn(&mut Message)| {
        let lifetime = changed(&query, change).unwrap().lifetime();
        lifetime.map(|lifetime| lifetime.as_secs())
    };
    assert_eq!(kept(&|_| ()), Some(300));
    assert_eq!(
        kept(&|it| {
            it.add_answer(a("www.test.", 20, [192, 0, 2, 2]));
        }),
        Some(20)
    );
    assert_eq!(kept(&|it| it.answers[0].ttl = 1_000_000), Some(3600));
    assert_eq!(kept(&|it| it.answers[0].ttl = 0), None);
    let absent = |code, records: Vec<_>| {
        kept(&move |it: &mut Message| {
            it.metadata.response_code = code;
            it.answers.clear();
            it.authorities.clone_from(&records);
        })
    };
    let absence = ResponseCode::NXDomain;
    assert_eq!(absent(absence, vec![soa(900, 60)]), Some(60));
    assert_eq!(absent(absence, vec![soa(30, 60)]), Some(30));
    assert_eq!(absent(absence, vec![soa(86400, 86400)]), Some(300));
    assert_eq!(absent(absence, vec![]), None);
    assert_eq!(absent(ResponseCode::NoError, vec![soa(900, 60)]), Some(60));
    assert_eq!(absent(ResponseCode::ServFail, vec![soa(900, 60)]), None);
    // The times of an OPT record are flags.
    assert_eq!(
        changed(
            &super::query(&question_with_edns("www.test.", RecordType::A, 1232)),
            |_| ()
        )
        .unwrap()
        .lifetime(),
        Some(Duration::from_secs(300))
    );
}

#[test]
fn what_does_not_fit_is_cut_after_a_whole_record() {
    for edns in [false, true] {
        let asked = if edns {
            question_with_edns("big.test.", RecordType::TXT, 600)
        } else {
            question("big.test.", RecordType::TXT)
        };
        let query = query(&asked);
        let records = (0..20).map(|_| txt("big.test.", 100)).collect();
        let message = answer_to(&query.forwarded(ID), records);
        let answer = Relayed::read(bytes(&message), ID, &query).unwrap();
        assert!(answer.lifetime().is_some());
        let whole = answer.to(&query, Duration::ZERO, 65535);
        assert_eq!(parsed(&whole).answers.len(), 20);
        let cut = answer.to(&query, Duration::ZERO, query.datagram());
        assert!(cut.len() <= query.datagram());
        let message = parsed(&cut);
        assert!(message.metadata.truncation && (3..6).contains(&message.answers.len()));
        assert_eq!(message.edns.is_some(), edns);
    }
}

#[test]
fn one_that_was_cut_by_its_server_is_known_however_it_was_cut() {
    let query = ask("www.test.", RecordType::A);
    let mut message = answer_to(
        &query.forwarded(ID),
        vec![a("www.test.", 300, [192, 0, 2, 1])],
    );
    message.metadata.truncation = true;
    let whole = bytes(&message);
    for length in 12 + query.raw().len()..=whole.len() {
        let answer = Relayed::read(whole[..length].to_vec(), ID, &query).unwrap();
        assert!(answer.is_truncated() && answer.lifetime().is_none());
        let passed_on = answer.to(&query, Duration::ZERO, 512);
        assert_eq!(words(&passed_on), "NoError tc ra");
    }
}

fn servers(last: u8) -> Rc<[SocketAddr]> {
    Rc::new([SocketAddr::from(([192, 0, 2, last], 53))])
}

#[test]
fn the_cache_knows_a_question_again_until_the_time_is_over() {
    let query = ask("www.test.", RecordType::A);
    let key = Rc::new(Key::new(&query, &servers(1)));
    let (mut cache, now) = (Cache::default(), Instant::now());
    cache.put(&key, changed(&query, |_| ()).unwrap(), now);
    let knows = |key: &Key, seconds| cache.get(key, now + Duration::from_secs(seconds)).is_some();
    assert!(knows(&key, 0) && knows(&key, 299) && !knows(&key, 300));
    let again = ask("WWW.test.", RecordType::A);
    assert!(knows(&Key::new(&again, &servers(1)), 0));
    assert!(
        !knows(&Key::new(&again, &servers(2)), 0),
        "others know other things"
    );
    assert!(!knows(
        &Key::new(&ask("www.test.", RecordType::AAAA), &servers(1)),
        0
    ));
    let with_edns = super::query(&question_with_edns("www.test.", RecordType::A, 1232));
    assert!(!knows(&Key::new(&with_edns, &servers(1)), 0));
}

#[test]
fn the_cache_is_bounded_in_number_and_size() {
    let (mut cache, now) = (Cache::default(), Instant::now());
    let mut put = |name: &str, octets: usize| {
        let query = ask(name, RecordType::TXT);
        let records = (0..octets / 200).map(|_| txt(name, 200)).collect();
        let message = answer_to(&query.forwarded(ID), records);
        let answer = Relayed::read(bytes(&message), ID, &query).unwrap();
        let key = Rc::new(Key::new(&query, &servers(1)));
        cache.put(&key, answer, now);
        (cache.len(), cache.octets(), cache.get(&key, now).is_some())
    };
    for number in 0..2000 {
        let (count, octets, is_kept) = put(&format!("small{number}.test."), 200);
        assert!(
            count <= 512 && octets <= 256 * 1024 && is_kept,
            "{count} {octets}"
        );
        // The same once more takes no more room.
        assert_eq!(
            put(&format!("small{number}.test."), 200),
            (count, octets, true)
        );
    }
    for number in 0..100 {
        let (_, octets, is_kept) = put(&format!("large{number}.test."), 20_000);
        assert!(octets <= 256 * 1024 && is_kept, "{octets}");
    }
    assert!(
        !put("huge.test.", 60_000).2,
        "one alone does not take the place of all"
    );
}

proptest! {
    #[test]
    fn no_answer_is_too_strange(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        cut in any::<prop::sample::Index>(),
        limit in 0..700_usize,
    ) {
        let query = query(&question_with_edns("www.test.", RecordType::A, 1232));
        let records = vec![a("www.test.", 300, [192, 0, 2, 1]), txt("www.test.", 90)];
        let mut message = bytes(&answer_to(&query.forwarded(ID), records));
        for (at, byte) in changes {
            let at = at.index(message.len());
            message[at] = byte;
        }
        message.truncate(message.len() - cut.index(message.len()) / 4);
        if let Some(answer) = Relayed::read(message, ID, &query) {
            let passed_on = answer.to(&query, Duration::from_secs(1), limit);
            prop_assert!(passed_on.len() <= limit.max(12 + query.raw().len() + 11));
            prop_assert_eq!(&passed_on[..2], &query.id.to_be_bytes());
        }
    }
}
