//! The same over IPv6: who reaches whom, and that nothing stays.
#![allow(clippy::unwrap_used)]

mod common;

use common::{HOST6, OUTSIDE, OUTSIDE6, World, ask, is_root, sees, spec, spec6};
use coop_net::NetworkSpec;

/// What the host forwards, and what its interfaces believe.
fn settings(world: &World) -> String {
    world.host.sh("cd /proc/sys/net/ipv6/conf; \
         grep . all/forwarding uplink/forwarding uplink/accept_ra; \
         grep . all/force_forwarding uplink/force_forwarding || true")
}

#[test]
fn containers_reach_one_another_the_gateway_and_the_outside() {
    if !is_root("containers_reach_one_another_the_gateway_and_the_outside") {
        return;
    }
    let world = World::new().with_ipv6();
    let before = (world.trace(), settings(&world));
    let containers = world.up(&spec6("shop"), &[ask("web", ""), ask("db", "")]);
    let [web, db] = &containers[..] else {
        unreachable!()
    };
    assert!(web.address6().starts_with("fd"), "{}", web.address6());
    // The addresses can be used at once, on the first try.
    db.ns.serve("db", &db.address6(), 5432);
    world.host.serve("host", "::", 7000);
    world.outside.serve("outside", OUTSIDE6, 80);

    assert_eq!(
        web.ns.tcp(&db.address6(), 5432),
        sees("db", &web.address6())
    );
    assert_eq!(
        web.ns.udp(&db.address6(), 5432),
        sees("db", &web.address6())
    );
    let gateway = web.lease.ipv6.unwrap().gateway.to_string();
    assert_eq!(web.ns.tcp(&gateway, 7000), sees("host", &web.address6()));
    assert_eq!(web.ns.tcp(OUTSIDE6, 80), sees("outside", HOST6));
    assert_eq!(web.ns.udp(OUTSIDE6, 80), sees("outside", HOST6));
    // IPv4 as ever.
    assert!(web.ns.ping(&db.address()));
    // Who knows the address from outside does not reach it.
    let subnet = format!("{gateway}/64");
    world
        .outside
        .sh(&format!("ip route add {subnet} via {HOST6}"));
    assert_eq!(world.outside.tcp(&db.address6(), 5432), None);

    drop(containers);
    world.with(|networks| networks.release_all("shop").unwrap());
    assert_eq!((world.trace(), settings(&world)), before);
}

#[test]
fn published_ports_are_reached_from_everywhere() {
    if !is_root("published_ports_are_reached_from_everywhere") {
        return;
    }
    let world = World::new().with_ipv6();
    let ports = format!("8080:80 [{HOST6}]:8082:80 8080:80/udp");
    let shop = world.up(&spec6("shop"), &[ask("web", &ports), ask("client", "")]);
    let other = world.up(&spec6("other"), &[ask("stranger", "")]);
    let [web, client] = &shop[..] else {
        unreachable!()
    };
    let taken = web.lease.ports.clone();
    let _held = world.host.run(move || coop_net::reserve(&taken)).unwrap();
    web.ns.serve("web", "::", 80);
    let gateway = web.lease.ipv6.unwrap().gateway.to_string();

    assert_eq!(world.outside.tcp(HOST6, 8080), sees("web", OUTSIDE6));
    assert_eq!(world.outside.udp(HOST6, 8080), sees("web", OUTSIDE6));
    assert_eq!(world.outside.tcp(HOST6, 8082), sees("web", OUTSIDE6));
    // The same number on both families.
    let v4 = world.outside.tcp(common::HOST, 8080);
    assert_eq!(v4, sees("web", &format!("::ffff:{OUTSIDE}")));

    assert_eq!(world.host.tcp(HOST6, 8080), sees("web", HOST6));
    // The kernel sends nothing on from ::1; who tries is told at once.
    let refused = world.host.run(|| {
        let error = std::net::TcpStream::connect("[::1]:8080").unwrap_err();
        error.kind()
    });
    assert_eq!(refused, std::io::ErrorKind::ConnectionRefused);
    let v4 = world.host.tcp("127.0.0.1", 8080);
    let gateway4 = web.lease.gateway;
    assert_eq!(v4, sees("web", &format!("::ffff:{gateway4}")));
    assert_eq!(client.ns.tcp(HOST6, 8080), sees("web", &gateway));
    assert_eq!(web.ns.tcp(HOST6, 8080), sees("web", &gateway));
    assert_eq!(other[0].ns.tcp(HOST6, 8080), sees("web", &gateway));
    assert_eq!(other[0].ns.tcp(&web.address6(), 80), None);
    assert_eq!(other[0].ns.udp(&web.address6(), 80), None);
}

#[test]
fn an_internal_network_stays_inside() {
    if !is_root("an_internal_network_stays_inside") {
        return;
    }
    let world = World::new().with_ipv6();
    let vault = world.up(
        &NetworkSpec {
            internal: true,
            ..spec6("vault")
        },
        &[ask("key", ""), ask("lock", "")],
    );
    let [key, lock] = &vault[..] else {
        unreachable!()
    };
    key.ns.serve("key", "::", 80);
    world.host.serve("host", "::", 7000);
    world.host.serve("names", "::", 53);
    world.outside.serve("outside", OUTSIDE6, 80);
    let gateway = key.lease.ipv6.unwrap().gateway.to_string();
    key.ns.sh(&format!("ip route add default via {gateway}"));

    assert_eq!(
        lock.ns.tcp(&key.address6(), 80),
        sees("key", &lock.address6())
    );
    assert_eq!(key.ns.tcp(&gateway, 7000), None);
    assert_eq!(key.ns.tcp(HOST6, 7000), None);
    assert_eq!(key.ns.tcp(OUTSIDE6, 80), None);
    // Names are answered.
    assert_eq!(key.ns.tcp(&gateway, 53), sees("names", &key.address6()));
    assert_eq!(key.ns.udp(&gateway, 53), sees("names", &key.address6()));
}

#[test]
fn a_network_without_ipv6_passes_none() {
    if !is_root("a_network_without_ipv6_passes_none") {
        return;
    }
    let world = World::new();
    let shop = world.up(&spec("shop"), &[ask("web", ""), ask("db", "")]);
    for (number, container) in shop.iter().enumerate() {
        container
            .ns
            .sh(&format!("ip addr add fd77::{number}1/64 dev eth0 nodad"));
    }
    shop[0].ns.serve("web", "::", 80);
    assert_eq!(shop[1].ns.tcp("fd77::1", 80), None);
    assert!(shop[1].ns.tcp(&shop[0].address(), 80).is_some());
}
