//! Beside the rules of others.
#![allow(clippy::unwrap_used)]

mod common;

use common::{OUTSIDE, World, ask, is_root, spec};
use coop_net::Firewall;

/// Rules as Docker makes them, by way of `iptables`.
const DOCKER: &str = "
table ip filter {
    chain DOCKER-USER { }
    chain FORWARD {
        type filter hook forward priority 0; policy drop;
        jump DOCKER-USER
    }
}";

#[test]
fn a_firewall_that_drops_is_named_and_left_alone() {
    if !is_root("a_firewall_that_drops_is_named_and_left_alone") {
        return;
    }
    let world = World::new();
    world.outside.serve("outside", OUTSIDE, 80);
    let shop = world.up(&spec("shop"), &[ask("web", "")]);
    let obstacles = || {
        world.with(|networks| {
            let shop = networks.get("shop").unwrap().unwrap();
            coop_net::obstacles(&shop).unwrap()
        })
    };
    assert_eq!(obstacles(), []);
    world.host.sh(&format!(
        "ip link add docker0 type bridge; printf '{DOCKER}' | nft -f -"
    ));
    assert_eq!(shop[0].ns.tcp(OUTSIDE, 80), None);
    let found = obstacles();
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].owner, Firewall::Docker);
    let theirs = || world.host.sh("nft list table ip filter");
    let before = theirs();
    world.with(|networks| networks.apply_rules("shop").unwrap().wait().unwrap());
    assert_eq!(theirs(), before);

    // What the help says, in nft's words.
    let bridge = &shop[0].lease.bridge;
    for way in ["iifname", "oifname"] {
        world.host.sh(&format!(
            "nft insert rule ip filter DOCKER-USER {way} {bridge} accept"
        ));
    }
    assert_eq!(obstacles(), []);
    assert!(shop[0].ns.tcp(OUTSIDE, 80).is_some());
    // Its reload, and that of a firewall that flushes its own table, leave Coop's be.
    world.host.sh(&format!("nft delete table ip filter; printf '{DOCKER}' | nft -f -; nft flush table ip filter; nft delete table ip filter"));
    assert!(shop[0].ns.tcp(OUTSIDE, 80).is_some());
    world.with(|networks| assert_eq!(networks.check(|_| true).unwrap(), []));
}

#[test]
fn a_host_that_lets_out_nothing_unknown_is_not_taken_for_one_with_our_rules() {
    if !is_root("a_host_that_lets_out_nothing_unknown_is_not_taken_for_one_with_our_rules") {
        return;
    }
    let world = World::new();
    world.outside.serve("outside", OUTSIDE, 80);
    world.host.sh(
        "nft 'table inet strict { chain out { type filter hook output priority 0; policy drop; }; }'",
    );
    // Its rules drop what we ask the kernel by.
    let shop = world.up(&spec("shop"), &[ask("web", "8080:80")]);
    assert!(shop[0].ns.tcp(OUTSIDE, 80).is_some());
    let late = world.up(&spec("shop"), &[ask("late", "")]);
    assert!(late[0].ns.tcp(OUTSIDE, 80).is_some());
    let table = shop[0].lease.bridge.replace('-', "_");
    let rules = world.host.sh(&format!("nft list table bridge {table}"));
    assert!(rules.contains(&late[0].lease.host_interface), "{rules}");
    drop((shop, late));
    world.with(|networks| networks.release_all("shop").unwrap());
    assert!(!world.host.sh("nft list ruleset").contains(&table));
}
