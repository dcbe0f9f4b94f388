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
