//! Frames that are not what they say: with another one's address of any kind.
#![allow(clippy::unwrap_used)]

mod common;

use common::{Container, World, ask, is_root, sees, spec6};

/// A network of three, of which the first one lies.
fn shop(world: &World) -> [Container; 3] {
    let requests = ["evil", "web", "db"].map(|name| ask(name, ""));
    let containers = world.up(&spec6("shop"), &requests);
    containers.try_into().ok().unwrap()
}

/// How many frames were dropped for being forged.
fn dropped(world: &World, container: &Container) -> u64 {
    let table = container.lease.bridge.replace('-', "_");
    let text = world
        .host
        .sh(&format!("nft list counter bridge {table} forged"));
    let packets = text.split("packets ").nth(1).unwrap();
    packets.split_whitespace().next().unwrap().parse().unwrap()
}

#[test]
fn another_ones_hardware_address_is_no_use() {
    if !is_root("another_ones_hardware_address_is_no_use") {
        return;
    }
    let world = World::new();
    let [evil, web, db] = &shop(&world);
    db.ns.serve("db", "::", 80);
    assert!(evil.ns.tcp(&db.address(), 80).is_some());
    let before = dropped(&world, evil);
    evil.ns.sh(&format!(
        "ip link set eth0 down; ip link set eth0 address {}; ip link set eth0 up",
        web.lease.mac
    ));
    assert_eq!(evil.ns.tcp(&db.address(), 80), None);
    assert!(dropped(&world, evil) > before);
    // The bridge has not learnt that it moved.
    assert!(web.ns.tcp(&db.address(), 80).is_some());
}

#[test]
fn another_ones_addresses_are_no_use() {
    if !is_root("another_ones_addresses_are_no_use") {
        return;
    }
    let world = World::new();
    let [evil, web, db] = &shop(&world);
    web.ns.serve("web", "::", 80);
    evil.ns.serve("evil", "::", 80);
    // It takes the addresses of web, and says so to everyone, by itself: the kernel announces
    // (ARP and neighbour discovery), and answers who asks.
    evil.ns.sh(&format!(
        "echo 1 > /proc/sys/net/ipv4/conf/eth0/arp_notify
         echo 1 > /proc/sys/net/ipv6/conf/eth0/ndisc_notify
         ip addr add {}/24 dev eth0; ip addr add {}/64 dev eth0 nodad
         ip link set eth0 down; ip link set eth0 up
         ip addr add {}/64 dev eth0 nodad",
        web.address(),
        web.address6(),
        web.address6(),
    ));
    for _ in 0..3 {
        db.ns.sh("ip neigh flush dev eth0");
        let v4 = db.ns.tcp(&web.address(), 80);
        assert_eq!(v4, sees("web", &format!("::ffff:{}", db.address())));
        assert_eq!(db.ns.tcp(&web.address6(), 80), sees("web", &db.address6()));
    }
    assert!(dropped(&world, evil) > 0);
    // Nor does it send in another one's name.
    let before = dropped(&world, evil);
    evil.ns.sh(&format!(
        "ip route add {0} dev eth0 src {1} table 9; ip rule add lookup 9 pref 1",
        db.address(),
        web.address()
    ));
    assert_eq!(evil.ns.tcp(&db.address(), 81), None);
    assert!(dropped(&world, evil) > before);
}

#[test]
fn no_container_is_the_router() {
    if !is_root("no_container_is_the_router") {
        return;
    }
    let world = World::new().with_ipv6();
    let [evil, web, _] = &shop(&world);
    let gateway = evil.lease.gateway;
    evil.ns.sh(&format!(
        "echo 1 > /proc/sys/net/ipv4/conf/eth0/arp_notify; ip addr add {gateway}/24 dev eth0
         ip link set eth0 down; ip link set eth0 up"
    ));
    world.outside.serve("outside", common::OUTSIDE, 80);
    web.ns.sh("ip neigh flush dev eth0");
    assert!(web.ns.tcp(common::OUTSIDE, 80).is_some());
}
