//! What is planned, and what is in the way of it.
#![allow(clippy::unwrap_used)]

mod common;

use std::fs;

use common::{World, ask, is_root, spec};
use coop_net::{Error, LeaseRequest, NetworkSpec, Networks};

#[test]
fn a_subnet_keeps_clear_of_the_host_and_of_other_networks() {
    if !is_root("a_subnet_keeps_clear_of_the_host_and_of_other_networks") {
        return;
    }
    let world = World::new();
    // All but one of the pool's subnets.
    world.host.sh(
        "for net in 10.208.0.0/13 10.216.0.0/14 10.220.0.0/15 10.222.0.0/16 10.223.0.0/17 10.223.128.0/18 \
            10.223.192.0/19 10.223.224.0/20 10.223.240.0/21 10.223.248.0/22 10.223.252.0/23 10.223.254.0/24; do
             ip route add blackhole $net table 77
         done",
    );
    let lease = world.with(|networks| {
        networks
            .lease(&spec("shop"), &[ask("web", "")])
            .unwrap()
            .remove(0)
    });
    assert_eq!(lease.subnet().to_string(), "10.223.255.0/24");
    world.with(|networks| {
        let error = networks
            .lease(&spec("more"), &[ask("web", "")])
            .unwrap_err();
        assert!(matches!(error, Error::PoolExhausted { .. }), "{error}");
        for (subnet, with) in [
            ("10.223.255.128/25", "10.223.255.0/24"),
            ("203.0.113.0/24", "203.0.113.0/24"),
            ("10.208.7.0/24", "10.208.0.0/13"),
        ] {
            let wish = NetworkSpec {
                subnet: Some(subnet.parse().unwrap()),
                ..spec("more")
            };
            let error = networks.lease(&wish, &[ask("web", "")]).unwrap_err();
            let text = format!(
                "network more: subnet {subnet} overlaps with {with}, which is in use on this host"
            );
            assert_eq!(error.to_string(), text);
        }
        // A failure leaves no directory, and another setting is told.
        assert_eq!(networks.list().unwrap().len(), 1);
        let other = NetworkSpec {
            internal: true,
            ..spec("shop")
        };
        let error = networks.lease(&other, &[ask("db", "")]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "network shop is in use with another internal setting: false and not true\n  \
             help: take its containers down first, or ask for it as it is"
        );
        assert!(!networks.directory().join("more").exists());
    });
}

#[test]
fn an_interface_of_somebody_else_is_never_touched() {
    if !is_root("an_interface_of_somebody_else_is_never_touched") {
        return;
    }
    let world = World::new();
    world
        .host
        .sh("ip link add theirs type bridge; ip addr add 192.168.77.1/24 dev theirs");
    let before = world.host.sh("ip -4 addr");
    for (bridge, what) in [
        ("uplink", "not a bridge (driver veth)"),
        ("theirs", "a bridge that Coop did not make"),
    ] {
        let wish = NetworkSpec {
            bridge: Some(bridge.into()),
            ..spec("shop")
        };
        let error = world.with(move |networks| {
            networks.lease(&wish, &[ask("web", "")]).unwrap();
            networks.ensure_bridge("shop").unwrap_err()
        });
        assert!(
            error
                .to_string()
                .contains(&format!("interface {bridge} exists and is {what}")),
            "{error}"
        );
        world.with(|networks| networks.release_all("shop").unwrap());
        assert_eq!(world.host.sh("ip -4 addr"), before);
    }
}

#[test]
fn a_bridge_with_a_chosen_name_goes_with_its_network() {
    if !is_root("a_bridge_with_a_chosen_name_goes_with_its_network") {
        return;
    }
    let world = World::new();
    let before = world.trace();
    let wish = NetworkSpec {
        bridge: Some("shop0".into()),
        ..spec("shop")
    };
    let containers = world.up(&wish, &[ask("web", ""), ask("db", "")]);
    assert!(containers[0].ns.ping(&containers[1].address()));
    world.with(|networks| networks.ensure_bridge("shop").unwrap());
    drop(containers);
    world.with(|networks| networks.release_all("shop").unwrap());
    assert_eq!(world.trace(), before);
}

#[test]
fn leases_taken_by_many_at_once_are_all_different() {
    if !is_root("leases_taken_by_many_at_once_are_all_different") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let threads: Vec<_> = (0..8)
        .map(|thread| {
            let networks = Networks::new(directory.path());
            std::thread::spawn(move || {
                for round in 0..10 {
                    let id = format!("c{thread}-{round}");
                    networks.lease(&spec("shop"), &[ask(&id, "")]).unwrap();
                    if round % 2 == 0 {
                        networks.release("shop", &id).unwrap();
                    }
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    let networks = Networks::new(directory.path());
    let leases = networks.leases("shop").unwrap();
    let addresses: std::collections::BTreeSet<_> =
        leases.iter().map(|lease| lease.address).collect();
    assert_eq!((leases.len(), addresses.len()), (40, 40));
}

#[test]
fn a_plan_that_fails_leaves_what_was_there() {
    let directory = tempfile::tempdir().unwrap();
    let networks = Networks::new(directory.path());
    let elsewhere = LeaseRequest {
        address: Some([203, 0, 113, 9].into()),
        ..ask("web", "")
    };
    // One that somebody has made stays, and one that is there for its containers goes.
    networks.create_network(&spec("kept")).unwrap();
    for (name, stays) in [("kept", true), ("shop", false)] {
        let error = networks.lease(&spec(name), std::slice::from_ref(&elsewhere));
        let error = error.unwrap_err();
        assert!(matches!(error, Error::AddressOutside { .. }), "{error}");
        assert_eq!(networks.get(name).unwrap().is_some(), stays, "{name}");
    }
    let narrow = NetworkSpec {
        range: Some("10.208.0.0/28".parse().unwrap()),
        ..spec("kept")
    };
    let error = networks.lease(&narrow, &[ask("a", "")]).unwrap_err();
    let setting = "IP range";
    assert!(
        matches!(&error, Error::Differs { setting: it, .. } if *it == setting),
        "{error}"
    );
    // Nor is half of a plan on record when the rest cannot be written.
    networks.lease(&spec("kept"), &[ask("a", "")]).unwrap();
    fs::create_dir(directory.path().join("kept/leases/.c.json.new")).unwrap();
    let both = [ask("b", ""), ask("c", "")];
    let error = networks.lease(&spec("kept"), &both).unwrap_err();
    assert!(matches!(error, Error::State { .. }), "{error}");
    let leases = networks.leases("kept").unwrap();
    assert_eq!(leases.len(), 1);
    assert_eq!(leases[0].container, "a");
}
