//! What the names of containers are answered with.

use std::collections::{BTreeSet, HashMap};
use std::net::{IpAddr, Ipv4Addr};
use std::rc::Rc;

use hickory_proto::rr::RecordType;
use proptest::prelude::*;

use super::super::answer::{Verdict, answer};
use super::super::zone::Standing::{Awaited, Gone, Healthy, Starting, Unhealthy};
use super::super::zone::{Member, Standing, Zone};
use super::{ask, member, parsed, query, question_with_edns, words, zone};

fn all_healthy(_: &Member) -> Standing {
    Standing::Healthy
}

fn shop() -> Rc<Zone> {
    zone(
        "shop_default",
        vec![
            member("1", "shop-web-1", &["web"], &["10.1.2.2", "fd00:1::2"]),
            member("2", "shop-web-2", &["web"], &["10.1.2.3", "fd00:1::3"]),
            member("3", "shop-db-1", &["db", "Postgres"], &["10.1.2.4"]),
        ],
    )
}

fn says(zones: &[Rc<Zone>], name: &str, kind: RecordType, turn: usize) -> String {
    match answer(&ask(name, kind), zones, &[], &all_healthy, turn, 512) {
        Verdict::Answer(bytes) => words(&bytes),
        Verdict::Unknown => "unknown".to_owned(),
    }
}

#[test]
fn each_query_begins_with_another_replica() {
    let zones = [shop()];
    let says = |turn| says(&zones, "web.", RecordType::A, turn);
    assert_eq!(says(0), "NoError aa ra 5=10.1.2.2 5=10.1.2.3");
    assert_eq!(says(1), "NoError aa ra 5=10.1.2.3 5=10.1.2.2");
    assert_eq!(says(2), says(0));
}

#[test]
fn names_are_known_in_any_case_and_below_the_network() {
    let zones = [shop()];
    for name in [
        "db.",
        "DB.",
        "postgres.",
        "db.shop_default.",
        "shop-db-1.Shop_Default.",
        "3.",
    ] {
        let said = says(&zones, name, RecordType::A, 0);
        assert_eq!(said, "NoError aa ra 5=10.1.2.4", "{name}");
    }
    for name in [
        "d.",
        "db.example.",
        "shop_default.",
        ".",
        "db\\.shop_default.",
    ] {
        assert_eq!(says(&zones, name, RecordType::A, 0), "unknown", "{name}");
    }
}

#[test]
fn a_known_name_is_never_asked_for_outside() {
    let zones = [shop()];
    for kind in [
        RecordType::AAAA,
        RecordType::MX,
        RecordType::TXT,
        RecordType::HTTPS,
    ] {
        assert_eq!(says(&zones, "db.", kind, 0), "NoError aa ra", "{kind}");
    }
    let v6 = says(&zones, "web.", RecordType::AAAA, 1);
    assert_eq!(v6, "NoError aa ra 5=fd00:1::3 5=fd00:1::2");
    let any = says(&zones, "web.", RecordType::ANY, 0);
    assert_eq!(
        any.matches("10.1.2").count() + any.matches("fd00").count(),
        4,
        "{any}"
    );
}

#[test]
fn addresses_have_names_and_those_of_nobody_do_not_leave_the_network() {
    let zones = [shop()];
    let says = |name| says(&zones, name, RecordType::PTR, 0);
    let web = "NoError aa ra 5=shop-web-1.shop_default.";
    assert_eq!(says("2.2.1.10.in-addr.arpa."), web);
    let v6 = format!("2.{}1.0.0.0.0.0.d.f.ip6.arpa.", "0.".repeat(23));
    assert_eq!(says(&v6), web);
    assert_eq!(says("77.2.1.10.in-addr.arpa."), "NXDomain aa ra");
    assert_eq!(says("2.2.0.192.in-addr.arpa."), "unknown");
    assert_eq!(says("2.1.10.in-addr.arpa."), "unknown", "no whole address");
    assert_eq!(says("web."), "NoError aa ra");
}

#[test]
fn a_name_stands_for_the_fittest_of_those_who_have_it() {
    let zones = [shop()];
    let says = |first, second| {
        let standing = |member: &Member| match member.id.as_str() {
            "1" => first,
            "2" => second,
            _ => Standing::Healthy,
        };
        match answer(&ask("web.", RecordType::A), &zones, &[], &standing, 0, 512) {
            Verdict::Answer(bytes) => words(&bytes),
            Verdict::Unknown => "unknown".to_owned(),
        }
    };
    let first = "NoError aa ra 5=10.1.2.2";
    let both = "NoError aa ra 5=10.1.2.2 5=10.1.2.3";
    for (one, other) in [
        (Healthy, Starting),
        (Healthy, Unhealthy),
        (Starting, Unhealthy),
        (Unhealthy, Awaited),
        (Awaited, Gone),
    ] {
        assert_eq!(says(one, other), first, "{one:?} {other:?}");
        assert_eq!(says(one, one), both, "{one:?}");
    }
    // Nobody has it any more; but it is not for others to take it.
    assert_eq!(says(Gone, Gone), "NXDomain aa ra");
}

#[test]
fn the_first_network_that_knows_a_name_has_it() {
    let other = zone(
        "back",
        vec![member("4", "back-web", &["web", "queue"], &["10.1.2.9"])],
    );
    let zones = [shop(), Rc::clone(&other)];
    assert!(says(&zones, "web.", RecordType::A, 0).contains("10.1.2.2"));
    assert_eq!(
        says(&zones, "web.back.", RecordType::A, 0),
        "NoError aa ra 5=10.1.2.9"
    );
    assert_eq!(
        says(&zones, "queue.", RecordType::A, 0),
        "NoError aa ra 5=10.1.2.9"
    );
    assert_eq!(
        says(&[other, shop()], "web.", RecordType::A, 0),
        "NoError aa ra 5=10.1.2.9"
    );
    // One whose containers have all gone gives way to one that has some.
    let gone = |member: &Member| {
        if member.id == "4" {
            Standing::Healthy
        } else {
            Standing::Gone
        }
    };
    let Verdict::Answer(bytes) = answer(&ask("web.", RecordType::A), &zones, &[], &gone, 0, 512)
    else {
        panic!("unknown");
    };
    assert_eq!(words(&bytes), "NoError aa ra 5=10.1.2.9");
}

#[test]
fn a_link_is_a_name_for_one_client() {
    let aliases = [("Database".to_owned(), "db".to_owned())];
    let says = |name| match answer(
        &ask(name, RecordType::A),
        &[shop()],
        &aliases,
        &all_healthy,
        0,
        512,
    ) {
        Verdict::Answer(bytes) => words(&bytes),
        Verdict::Unknown => "unknown".to_owned(),
    };
    assert_eq!(says("database."), "NoError aa ra 5=10.1.2.4");
    assert_eq!(says("db."), says("database."));
    assert_eq!(says("data."), "unknown");
}

#[test]
fn many_replicas_fill_the_answer_and_no_more() {
    let addresses = (1..=200_u8).map(|last| {
        let address = Ipv4Addr::new(10, 1, 2, last).to_string();
        member(
            &last.to_string(),
            &format!("web-{last}"),
            &["web"],
            &[&address],
        )
    });
    let zones = [zone("shop", addresses.collect())];
    for (edns, limit, whole) in [
        (None, 512, false),
        (Some(1232), 1232, false),
        (None, 65535, true),
    ] {
        let query = match edns {
            Some(size) => query(&question_with_edns("web.", RecordType::A, size)),
            None => ask("web.", RecordType::A),
        };
        let Verdict::Answer(bytes) = answer(&query, &zones, &[], &all_healthy, 3, limit) else {
            panic!("unknown");
        };
        assert!(
            bytes.len() <= limit && (whole || bytes.len() > limit - 16),
            "{}",
            bytes.len()
        );
        let message = parsed(&bytes);
        assert_eq!(message.metadata.truncation, !whole);
        assert_eq!(message.edns.is_some(), edns.is_some());
        assert_eq!(message.answers.len() == 200, whole);
    }
}

/// A handful of containers with a handful of names, so that they share some.
fn containers() -> impl Strategy<Value = Vec<(Vec<u8>, u8)>> {
    prop::collection::vec((prop::collection::vec(0..4_u8, 0..4), 0..5_u8), 0..12)
}

proptest! {
    #[test]
    fn exactly_the_fittest_are_named(containers in containers(), asked in 0..4_u8, turn in 0..50_usize) {
        let standings = [
            Standing::Gone,
            Standing::Awaited,
            Standing::Unhealthy,
            Standing::Starting,
            Standing::Healthy,
        ];
        let name = |number: &u8| format!("Name{number}");
        let address = |index: usize| IpAddr::from([10, 1, 2, index as u8 + 2]);
        let members = containers.iter().enumerate().map(|(index, (names, _))| Member {
            id: format!("id{index}"),
            name: format!("container{index}"),
            names: names.iter().map(name).collect(),
            addresses: vec![address(index)],
        });
        let zones = [zone("net", members.collect())];
        let standing_of: HashMap<_, _> = { containers.iter().enumerate() }
            .map(|(index, (_, standing))| (format!("id{index}"), standings[usize::from(*standing)]))
            .collect();
        let standing = |member: &Member| standing_of[&member.id];
        let having = { containers.iter().enumerate() }.filter(|(_, (names, _))| names.contains(&asked));
        let fittest = having.clone().map(|(_, (_, standing))| *standing).max();
        let expected: BTreeSet<IpAddr> = { having }
            .filter(|(_, (_, standing))| Some(*standing) == fittest && *standing > 0)
            .map(|(index, _)| address(index))
            .collect();

        let query = ask(&format!("nAME{asked}."), RecordType::A);
        match answer(&query, &zones, &[], &standing, turn, 512) {
            Verdict::Unknown => prop_assert!(fittest.is_none()),
            Verdict::Answer(bytes) => {
                let message = parsed(&bytes);
                let named: Vec<IpAddr> = { message.answers.iter() }
                    .filter_map(|record| record.data.ip_addr())
                    .collect();
                prop_assert_eq!(named.len(), expected.len(), "each once");
                prop_assert_eq!(named.into_iter().collect::<BTreeSet<_>>(), expected);
                prop_assert!(fittest.is_some());
            }
        }
    }

    #[test]
    fn no_replica_is_preferred(count in 1..20_usize, first in any::<usize>()) {
        let first = first.min(usize::MAX - count);
        let members = (0..count).map(|index| {
            let address = format!("10.1.2.{}", index + 2);
            member(&format!("id{index}"), "x", &["web"], &[&address])
        });
        let zones = [zone("net", members.collect())];
        let mut begun = BTreeSet::new();
        for turn in first..first + count {
            let query = ask("web.", RecordType::A);
            let Verdict::Answer(bytes) = answer(&query, &zones, &[], &all_healthy, turn, 512) else {
                panic!("unknown");
            };
            begun.insert(parsed(&bytes).answers[0].data.to_string());
        }
        prop_assert_eq!(begun.len(), count);
    }
}
