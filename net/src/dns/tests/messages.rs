//! Which messages are read, and which are refused how.

use hickory_proto::op::{Message, MessageType, OpCode, ResponseCode};
use hickory_proto::rr::{DNSClass, RecordType};
use proptest::prelude::*;

use super::super::message::{Query, Refusal};
use super::{a, ask, parsed, question, question_with_edns};

fn refused(bytes: &[u8]) -> Option<ResponseCode> {
    match Query::read(bytes) {
        Ok(query) => panic!("it was read: {query:?}"),
        Err(Refusal::Silent) => None,
        Err(Refusal::Told(answer)) => {
            let answer = parsed(&answer);
            assert_eq!(answer.metadata.message_type, MessageType::Response);
            assert_eq!(answer.metadata.id, 7);
            Some(answer.metadata.response_code)
        }
    }
}

#[test]
fn what_is_no_query_is_not_answered() {
    assert_eq!(refused(b""), None);
    assert_eq!(refused(&[0; 11]), None);
    // Two servers that answered each other's answers would never end.
    let mut answer = question("web.", RecordType::A);
    answer.metadata.message_type = MessageType::Response;
    assert_eq!(refused(&answer.to_vec().unwrap()), None);
    let mut long = question("web.", RecordType::A).to_vec().unwrap();
    long.resize(5000, 0);
    assert_eq!(refused(&long), None);
}

#[test]
fn what_cannot_be_answered_is_refused_by_its_code() {
    let bytes = |message: Message| message.to_vec().unwrap();
    let mut update = question("web.", RecordType::A);
    update.metadata.op_code = OpCode::Update;
    assert_eq!(refused(&bytes(update)), Some(ResponseCode::NotImp));
    let mut none = question("web.", RecordType::A);
    none.queries.clear();
    assert_eq!(refused(&bytes(none)), Some(ResponseCode::FormErr));
    let mut two = question("web.", RecordType::A);
    two.add_query(two.queries[0].clone());
    assert_eq!(refused(&bytes(two)), Some(ResponseCode::FormErr));
    let mut with_answer = question("web.", RecordType::A);
    with_answer.add_answer(a("web.", 1, [10, 0, 0, 1]));
    assert_eq!(refused(&bytes(with_answer)), Some(ResponseCode::FormErr));
    let whole = bytes(question("web.example.", RecordType::A));
    for length in 12..whole.len() {
        assert_eq!(
            refused(&whole[..length]),
            Some(ResponseCode::FormErr),
            "{length}"
        );
    }
    let transfer = question("example.", RecordType::AXFR);
    assert_eq!(refused(&bytes(transfer)), Some(ResponseCode::Refused));
    let mut chaos = question("version.bind.", RecordType::TXT);
    chaos.queries[0].set_query_class(DNSClass::CH);
    assert_eq!(refused(&bytes(chaos)), Some(ResponseCode::Refused));
    let mut newer = question_with_edns("web.", RecordType::A, 1232);
    newer.edns.as_mut().unwrap().set_version(1);
    assert_eq!(
        refused(&bytes(newer)),
        Some(ResponseCode::BADSIG),
        "the same number"
    );
    // A name that points into the header, which it would be read from.
    let mut pointing = bytes(question(".", RecordType::A));
    pointing.splice(12..13, [0xc0, 0]);
    assert_eq!(refused(&pointing), Some(ResponseCode::FormErr));
}

#[test]
fn a_name_is_compared_in_lower_case_and_must_be_a_name() {
    let name = |text| ask(text, RecordType::A).name();
    assert_eq!(
        name("WEB.Shop_Default."),
        Some("web.shop_default".to_owned())
    );
    assert_eq!(name("."), Some(String::new()));
    assert_eq!(name("a\\.b.c."), None, "a dot within a label is no border");
    let mut bytes = question("a-b.", RecordType::A).to_vec().unwrap();
    bytes[14] = 0;
    assert_eq!(Query::read(&bytes).unwrap().name(), None);
}

#[test]
fn how_long_an_answer_may_be_is_the_clients_to_say_within_reason() {
    assert_eq!(ask("web.", RecordType::A).datagram(), 512);
    for (asked, given) in [
        (0, 512),
        (512, 512),
        (1000, 1000),
        (1232, 1232),
        (65535, 1232),
    ] {
        let query = super::query(&question_with_edns("web.", RecordType::A, asked));
        assert_eq!(query.datagram(), given, "{asked}");
    }
}

#[test]
fn what_is_asked_of_a_name_server_is_the_clients_question() {
    let mut asked = question_with_edns("wWw.example.", RecordType::MX, 4096);
    asked.metadata.checking_disabled = true;
    asked.edns.as_mut().unwrap().set_dnssec_ok(true);
    let forwarded = parsed(&super::query(&asked).forwarded(99));
    assert_eq!(forwarded.metadata.id, 99);
    assert!(forwarded.metadata.recursion_desired && forwarded.metadata.checking_disabled);
    assert!(forwarded.queries[0].name().eq_case(asked.queries[0].name()));
    let edns = forwarded.edns.as_ref().unwrap();
    assert_eq!((edns.max_payload(), edns.flags().dnssec_ok), (1232, true));
    assert!(
        parsed(&ask("web.", RecordType::A).forwarded(1))
            .edns
            .is_none()
    );
}

proptest! {
    #[test]
    fn no_message_is_too_strange(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        match Query::read(&bytes) {
            Ok(query) => {
                parsed(&query.failure());
                parsed(&query.forwarded(1));
            }
            Err(Refusal::Told(answer)) => {
                parsed(&answer);
            }
            Err(Refusal::Silent) => {}
        }
    }

    #[test]
    fn nor_is_a_query_that_was_damaged(
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut bytes = question_with_edns("web.example.", RecordType::A, 1232).to_vec().unwrap();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        bytes.truncate(cut.index(bytes.len()) + 1);
        if let Ok(query) = Query::read(&bytes) {
            prop_assert_eq!(parsed(&query.failure()).metadata.id, query.id);
        }
    }
}
