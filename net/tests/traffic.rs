//! Real packets between containers, host and the world outside.
#![allow(clippy::unwrap_used)]

mod common;

use common::{HOST, OUTSIDE, World, ask, is_root, sees, spec};
use coop_net::NetworkSpec;

#[test]
fn containers_of_a_network_reach_one_another_and_the_gateway() {
    if !is_root("containers_of_a_network_reach_one_another_and_the_gateway") {
        return;
    }
    let world = World::new();
    let containers = world.up(&spec("shop"), &[ask("web", ""), ask("db", "")]);
    let [web, db] = &containers[..] else {
        unreachable!()
    };
    db.ns.serve("db", "0.0.0.0", 5432);
    world
        .host
        .serve("host", &web.lease.gateway.to_string(), 7000);

    assert!(web.ns.ping(&db.address()));
    assert!(db.ns.ping(&web.address()));
    assert!(web.ns.ping(&web.lease.gateway.to_string()));
    assert!(world.host.ping(&web.address()));
    assert_eq!(web.ns.tcp(&db.address(), 5432), sees("db", &web.address()));
    assert_eq!(web.ns.udp(&db.address(), 5432), sees("db", &web.address()));
    assert_eq!(
        web.ns.tcp(&web.lease.gateway.to_string(), 7000),
        sees("host", &web.address())
    );
    assert_eq!(db.ns.tcp("127.0.0.1", 5432), sees("db", "127.0.0.1"));
    // The host itself goes to the gateway's address by its loopback, and keeps it.
    let gateway = web.lease.gateway.to_string();
    assert_eq!(world.host.tcp(&gateway, 7000), sees("host", &gateway));
}

#[test]
fn the_way_out_wears_the_address_of_the_host() {
    if !is_root("the_way_out_wears_the_address_of_the_host") {
        return;
    }
    let world = World::new();
    let containers = world.up(&spec("shop"), &[ask("web", "")]);
    world.outside.serve("outside", OUTSIDE, 80);

    assert_eq!(containers[0].ns.tcp(OUTSIDE, 80), sees("outside", HOST));
    assert_eq!(containers[0].ns.udp(OUTSIDE, 80), sees("outside", HOST));
    assert!(containers[0].ns.ping(OUTSIDE));
    // The switch for the whole host was never touched.
    assert_eq!(
        world.host.sh("cat /proc/sys/net/ipv4/ip_forward").trim(),
        "0"
    );
}

fn published_ports_are_reached_from_everywhere(br_netfilter: &str) {
    let world = World::new();
    world.host.sh(&format!(
        "echo {br_netfilter} > /proc/sys/net/bridge/bridge-nf-call-iptables"
    ));
    let ports =
        format!("8080:80 127.0.0.1:8081:80 {HOST}:8082:80 8080:80/udp 127.0.0.1:8081:80/udp");
    let shop = world.up(&spec("shop"), &[ask("web", &ports), ask("client", "")]);
    let other = world.up(&spec("other"), &[ask("stranger", "")]);
    let [web, client] = &shop[..] else {
        unreachable!()
    };
    let held = coop_net_reserve(&world, web);
    web.ns.serve("web", "0.0.0.0", 80);
    let gateway = web.lease.gateway.to_string();

    // From outside, with the true source address.
    assert_eq!(world.outside.tcp(HOST, 8080), sees("web", OUTSIDE));
    assert_eq!(world.outside.udp(HOST, 8080), sees("web", OUTSIDE));
    assert_eq!(world.outside.tcp(HOST, 8082), sees("web", OUTSIDE));
    assert_eq!(world.outside.tcp(HOST, 8081), None);
    assert_eq!(world.outside.udp(HOST, 8081), None);

    // From the host: by loopback, and by its own address, which is kept.
    for port in [8080, 8081] {
        assert_eq!(world.host.tcp("127.0.0.1", port), sees("web", &gateway));
        assert_eq!(world.host.udp("127.0.0.1", port), sees("web", &gateway));
    }
    assert_eq!(world.host.tcp(HOST, 8080), sees("web", HOST));
    assert_eq!(world.host.udp(HOST, 8080), sees("web", HOST));
    assert_eq!(world.host.tcp(HOST, 8082), sees("web", HOST));

    // From another container, by every address of the host that it can know.
    for address in [HOST, &gateway] {
        assert_eq!(client.ns.tcp(address, 8080), sees("web", &gateway));
        assert_eq!(client.ns.udp(address, 8080), sees("web", &gateway));
    }
    // From the very container.
    assert_eq!(web.ns.tcp(HOST, 8080), sees("web", &gateway));
    assert_eq!(web.ns.udp(HOST, 8080), sees("web", &gateway));
    // From another network: as anyone, by the published port and not else.
    assert_eq!(other[0].ns.tcp(HOST, 8080), sees("web", &gateway));
    assert_eq!(other[0].ns.tcp(&web.address(), 80), None);
    drop(held);
}

fn coop_net_reserve(world: &World, container: &common::Container) -> Vec<std::os::fd::OwnedFd> {
    let ports = container.lease.ports.clone();
    // 127.0.0.1:8081 and the like beside a wildcard of another port: no conflict.
    world.host.run(move || coop_net::reserve(&ports)).unwrap()
}

#[test]
fn published_ports_are_reached_from_everywhere_with_br_netfilter() {
    if is_root("published_ports_are_reached_from_everywhere_with_br_netfilter") {
        published_ports_are_reached_from_everywhere("1");
    }
}

#[test]
fn published_ports_are_reached_from_everywhere_without_br_netfilter() {
    if is_root("published_ports_are_reached_from_everywhere_without_br_netfilter") {
        published_ports_are_reached_from_everywhere("0");
    }
}

#[test]
fn containers_of_another_network_are_out_of_reach() {
    if !is_root("containers_of_another_network_are_out_of_reach") {
        return;
    }
    let world = World::new();
    let shop = world.up(&spec("shop"), &[ask("db", "")]);
    let other = world.up(&spec("other"), &[ask("stranger", "")]);
    let (db, stranger) = (&shop[0], &other[0]);
    db.ns.serve("db", "0.0.0.0", 5432);
    stranger.ns.serve("stranger", "0.0.0.0", 5432);

    assert_eq!(stranger.ns.tcp(&db.address(), 5432), None);
    assert_eq!(stranger.ns.udp(&db.address(), 5432), None);
    assert!(!stranger.ns.ping(&db.address()));
    assert_eq!(db.ns.tcp(&stranger.address(), 5432), None);
    // The one that came up first is protected after the second came up, too.
    assert_eq!(
        world.host.tcp(&db.address(), 5432),
        sees("db", &db.lease.gateway.to_string())
    );
}

#[test]
fn the_host_does_not_become_a_router_for_others() {
    if !is_root("the_host_does_not_become_a_router_for_others") {
        return;
    }
    let world = World::new();
    let elsewhere = common::Ns::new();
    world.host.sh(&format!(
        "ip link add second type veth peer name wire netns {}
         ip addr add 198.51.100.2/24 dev second
         ip link set second up",
        elsewhere.pid.as_raw_pid()
    ));
    elsewhere.sh("ip addr add 198.51.100.1/24 dev wire; ip link set wire up; ip route add default via 198.51.100.2");
    elsewhere.serve("elsewhere", "0.0.0.0", 80);
    let shop = world.up(&spec("shop"), &[ask("web", "8080:80")]);
    shop[0].ns.serve("web", "0.0.0.0", 80);
    let subnet = shop[0].lease.subnet();
    world.outside.sh(&format!(
        "ip route add 198.51.100.0/24 via {HOST}; ip route add {subnet} via {HOST}"
    ));

    assert_eq!(world.outside.tcp("198.51.100.1", 80), None);
    assert!(!world.outside.ping("198.51.100.1"));
    // Nor is a container reachable by its own address, published port or not.
    assert_eq!(world.outside.tcp(&shop[0].address(), 80), None);
    assert!(!world.outside.ping(&shop[0].address()));
    // What is published is published on all sides.
    assert_eq!(
        elsewhere.tcp("198.51.100.2", 8080),
        sees("web", "198.51.100.1")
    );
    assert_eq!(
        shop[0].ns.tcp("198.51.100.1", 80),
        sees("elsewhere", "198.51.100.2")
    );
}

#[test]
fn an_internal_network_has_no_way_out_and_no_way_to_the_host() {
    if !is_root("an_internal_network_has_no_way_out_and_no_way_to_the_host") {
        return;
    }
    let world = World::new();
    let shop = world.up(&spec("shop"), &[ask("web", "8080:80")]);
    shop[0].ns.serve("web", "0.0.0.0", 80);
    let vault = world.up(
        &NetworkSpec {
            internal: true,
            ..spec("vault")
        },
        &[ask("key", ""), ask("lock", "")],
    );
    let [key, lock] = &vault[..] else {
        unreachable!()
    };
    key.ns.serve("key", "0.0.0.0", 80);
    world.outside.serve("outside", OUTSIDE, 80);
    world.host.serve("host", "0.0.0.0", 7000);
    let gateway = key.lease.gateway.to_string();
    // A container that helps itself to a default route gains nothing.
    key.ns.sh(&format!("ip route add default via {gateway}"));

    assert_eq!(
        lock.ns.tcp(&key.address(), 80),
        sees("key", &lock.address())
    );
    assert!(key.ns.ping(&gateway));
    assert_eq!(key.ns.tcp(OUTSIDE, 80), None);
    assert!(!key.ns.ping(OUTSIDE));
    assert_eq!(key.ns.tcp(&gateway, 7000), None);
    assert_eq!(key.ns.udp(&gateway, 7000), None);
    assert_eq!(key.ns.tcp(HOST, 7000), None);
    assert_eq!(key.ns.tcp(HOST, 8080), None);
    assert_eq!(shop[0].ns.tcp(&key.address(), 80), None);
    // The host itself may look in.
    assert_eq!(world.host.tcp(&key.address(), 80), sees("key", &gateway));
}

#[test]
fn forged_packets_do_not_reach_the_loopback_of_the_host() {
    if !is_root("forged_packets_do_not_reach_the_loopback_of_the_host") {
        return;
    }
    let world = World::new();
    // Publishing on the loopback is what turns `route_localnet` on.
    let shop = world.up(
        &spec("shop"),
        &[ask("web", "127.0.0.1:8080:80"), ask("evil", "")],
    );
    let [web, evil] = &shop[..] else {
        unreachable!()
    };
    web.ns.serve("web", "0.0.0.0", 80);
    world.host.serve("host", "127.0.0.1", 7000);
    let forge = |gateway: &str, address: &str, device: &str| {
        format!(
            "echo 1 > /proc/sys/net/ipv4/conf/all/route_localnet
             ip addr del 127.0.0.1/8 dev lo || true
             ip route add 127.0.0.1 via {gateway} dev {device} src {address}"
        )
    };
    evil.ns.sh(&forge(
        &evil.lease.gateway.to_string(),
        &evil.address(),
        "eth0",
    ));
    world.outside.sh(&forge(HOST, OUTSIDE, "wire"));

    for liar in [&evil.ns, &world.outside] {
        assert_eq!(liar.tcp("127.0.0.1", 7000), None);
        assert_eq!(liar.tcp("127.0.0.1", 8080), None);
        assert_eq!(liar.udp("127.0.0.1", 7000), None);
    }
    assert_eq!(world.host.tcp("127.0.0.1", 7000), sees("host", "127.0.0.1"));
    assert!(world.host.tcp("127.0.0.1", 8080).is_some());
}

#[test]
fn a_small_mtu_holds_on_both_ends() {
    if !is_root("a_small_mtu_holds_on_both_ends") {
        return;
    }
    let world = World::new();
    let tunnel = world.up(
        &NetworkSpec {
            mtu: 1280,
            ..spec("tunnel")
        },
        &[ask("web", "")],
    );
    let lease = &tunnel[0].lease;
    assert!(tunnel[0].ns.sh("ip link show eth0").contains("mtu 1280"));
    for name in [&lease.bridge, &lease.host_interface] {
        assert!(
            world
                .host
                .sh(&format!("ip link show {name}"))
                .contains("mtu 1280")
        );
    }
}

#[test]
fn a_container_without_a_network_has_its_loopback() {
    if !is_root("a_container_without_a_network_has_its_loopback") {
        return;
    }
    let alone = common::Ns::new();
    alone.run(coop_net::loopback_up).unwrap();
    alone.serve("alone", "127.0.0.1", 80);
    assert_eq!(alone.tcp("127.0.0.1", 80), sees("alone", "127.0.0.1"));
}

#[test]
fn the_first_packet_gets_through() {
    if !is_root("the_first_packet_gets_through") {
        return;
    }
    for round in 0..25 {
        let world = World::new();
        let shop = world.up(&spec("shop"), &[ask("web", ""), ask("db", "")]);
        let [web, db] = &shop[..] else { unreachable!() };
        // One packet each, at once, with no second try.
        assert!(db.ns.ping(&web.address()), "round {round}: to a neighbour");
        assert!(
            web.ns.ping(&web.lease.gateway.to_string()),
            "round {round}: to the gateway"
        );
        assert!(web.ns.ping(OUTSIDE), "round {round}: out");
    }
}

#[test]
fn a_container_cannot_send_from_an_address_outside_of_its_network() {
    if !is_root("a_container_cannot_send_from_an_address_outside_of_its_network") {
        return;
    }
    let world = World::new();
    let shop = world.up(&spec("shop"), &[ask("web", "")]);
    let web = &shop[0];
    // An answer to the forged address would find its way back.
    world.host.sh(&format!(
        "ip route add 192.0.2.7 via {} dev {}",
        web.address(),
        web.lease.bridge
    ));
    world
        .outside
        .sh(&format!("ip route add 192.0.2.7 via {HOST}"));
    world.outside.serve("outside", OUTSIDE, 80);
    web.ns.sh("ip addr add 192.0.2.7/32 dev eth0");
    assert!(web.ns.tcp(OUTSIDE, 80).is_some());
    web.ns.sh(&format!(
        "ip route change default via {} src 192.0.2.7",
        web.lease.gateway
    ));
    assert_eq!(web.ns.tcp(OUTSIDE, 80), None);
}
