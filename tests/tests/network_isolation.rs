//! What containers must not reach, whatever they try, and what they share when they are told to.

use std::net::TcpListener;

use coop_tests::ask::address;
use coop_tests::page::wait_for_page;
use coop_tests::{Host, Rootfs, Stack, World, wait_until};

const SLEEP: &str = "exec sleep 1000";
const SERVE: &str = "mkdir -p /tmp/www; echo hello >/tmp/www/page; exec httpd -f -p 80 -h /tmp/www";
const ADMIN: &str = "cap_add: [NET_ADMIN, NET_RAW]";

/// Whether a page can be had.
fn reaches(stack: &Stack<'_>, from: &str, url: &str) -> bool {
    let get = format!("timeout 2 wget -q -O - http://{url}/page");
    let output = stack.coop("exec").args([from, "/bin/sh", "-c", &get]).run();
    output.status.success()
}

/// The address of the network's bridge.
fn gateway(stack: &Stack<'_>, service: &str) -> String {
    let resolv = stack.exec(service, "cat /etc/resolv.conf");
    let mut lines = resolv.lines();
    let server = lines.find_map(|line| line.strip_prefix("nameserver "));
    server.expect("a name server").to_owned()
}

/// Whether somebody has connected.
fn was_reached(listener: &TcpListener) -> bool {
    listener.set_nonblocking(true).expect("not to wait");
    listener.accept().is_ok()
}

#[test]
fn what_listens_on_the_hosts_loopback_is_out_of_reach() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let _world = World::new(&host);
    let own = TcpListener::bind("127.0.0.1:7007").expect("a port of this test's host");
    let stack = host.services(&root, &[("client", ADMIN, SLEEP)]);
    stack.up();
    let gateway = gateway(&stack, "client");
    for address in [&gateway, "192.0.2.2", "127.0.0.1", "127.0.0.2"] {
        assert!(!reaches(&stack, "client", &format!("{address}:7007")));
    }
    // Its own loopback out of the way, it sends packets for the host's.
    let script = format!(
        "ip addr del 127.0.0.1/8 dev lo; ip route flush table local; \
         ip route add 127.0.0.1 via {gateway} dev eth0; \
         timeout 2 wget -q -O - http://127.0.0.1:7007/page; true"
    );
    stack.exec("client", &script);
    assert!(!was_reached(&own));
    stack.down();
}

#[test]
fn an_internal_network_reaches_nothing_else_also_with_a_route() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let world = World::new(&host);
    let _server = world.serve();
    let everywhere = TcpListener::bind("0.0.0.0:7008").expect("a port of this test's host");
    let root = root.path().display();
    let service = |keys: &str, script: &str| {
        format!(
            "{{rootfs: {root}, stop_grace_period: 0s, command: [/bin/sh, -c, {script:?}], {keys}}}"
        )
    };
    let stack = host.stack(&format!(
        "name: shop\nservices:\n  inside: {}\n  near: {}\n  outside: {}\n\
         networks: {{inner: {{internal: true}}, outer: }}\n",
        service(&format!("{ADMIN}, networks: [inner]"), SLEEP),
        service("networks: [inner]", SERVE),
        service("networks: [outer]", SERVE),
    ));
    stack.up();
    wait_until("the neighbour is answered", || {
        reaches(&stack, "inside", "near")
    });
    wait_until("others reach the world", || {
        reaches(&stack, "outside", "192.0.2.1:8000")
    });
    let routes = stack.exec("inside", "ip route");
    assert!(!routes.contains("default"), "{routes}");
    let gateway = gateway(&stack, "inside");
    stack.exec("inside", &format!("ip route add default via {gateway}"));
    let other = address(&host, "shop-outside-1");
    for place in [
        "192.0.2.1:8000",
        "192.0.2.2:7008",
        &format!("{gateway}:7008"),
        &other,
    ] {
        assert!(!reaches(&stack, "inside", place), "{place}");
    }
    assert!(!was_reached(&everywhere));
    assert!(reaches(&stack, "inside", "near"), "the rest is as it was");
    stack.down();
}

#[test]
fn one_who_takes_anothers_address_is_not_heard() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let services = [
        ("liar", ADMIN, SLEEP),
        ("victim", "", SERVE),
        ("web", "", SERVE),
    ];
    let stack = host.services(&root, &services);
    stack.up();
    let victim = address(&host, "shop-victim-1");
    let web = address(&host, "shop-web-1");
    let mac = stack.exec("victim", "cat /sys/class/net/eth0/address");
    wait_until("web reaches the victim", || {
        reaches(&stack, "web", "victim")
    });
    wait_until("the liar reaches web", || reaches(&stack, "liar", &web));
    // By its address, and as one who says that the address is at its own interface.
    let lie = format!(
        "ip addr add {victim}/32 dev eth0; \
         arping -A -c 3 -I eth0 -s {victim} {victim}; arping -U -c 3 -I eth0 -s {victim} {web}; \
         ping -c 2 -W 1 -I {victim} {web} && echo HEARD"
    );
    let output = stack.coop("exec").args(["liar", "/bin/sh", "-c", &lie]);
    output.run().does_not_say("HEARD");
    let known = stack.exec("web", &format!("ip neigh show {victim}"));
    assert!(known.contains(mac.trim()), "{known} is not {mac}");
    wait_until("web reaches the victim still", || {
        reaches(&stack, "web", "victim")
    });
    // With the victim's hardware address as well.
    let lie = format!(
        "ip link set eth0 down; ip link set eth0 address {}; ip link set eth0 up; \
         ping -c 2 -W 1 -I {victim} {web} && echo HEARD",
        mac.trim()
    );
    let output = stack.coop("exec").args(["liar", "/bin/sh", "-c", &lie]);
    output.run().does_not_say("HEARD");
    wait_until("web reaches the victim still", || {
        reaches(&stack, "web", "victim")
    });
    stack.down();
}

#[test]
fn an_external_network_is_shared_by_two_stacks() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let yaml = |name: &str, script: &str| {
        format!(
            "name: {name}\nservices:\n  {name}: {{rootfs: {}, stop_grace_period: 0s, \
             command: [/bin/sh, -c, {script:?}]}}\n\
             networks: {{default: {{name: shared, external: true}}}}\n",
            root.path().display()
        )
    };
    let (one, two) = (
        host.stack(&yaml("one", SLEEP)),
        host.stack(&yaml("two", SERVE)),
    );
    let up = one.coop("up").arg("-d").run();
    up.stack_fails(&["network shared declared as external, but could not be found"]);
    let create = ["network", "create", "--subnet", "10.93.0.0/24", "shared"];
    host.coop(create).run().success();
    let before = host.snapshot();
    one.up();
    two.up();
    assert!(address(&host, "two-two-1").starts_with("10.93.0."));
    wait_until("one stack reaches the other by name", || {
        reaches(&one, "one", "two")
    });
    two.down();
    host.coop(["network", "rm", "shared"])
        .run()
        .fails(1, &["has active endpoints", "one-one-1"]);
    one.down();
    // It is there still, and nothing of it in the kernel.
    host.coop(["network", "inspect", "shared"]).run().success();
    host.assert_nothing_left(&before);
    host.coop(["network", "rm", "shared"]).run().success();
}

#[test]
fn the_hosts_own_network_and_none_are_what_they_say() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let _world = World::new(&host);
    // Root in a container is not the host's, whose ports below 1024 are for that one.
    let serve = SERVE.replace("-p 80", "-p 8080");
    let services = [
        ("web", "network_mode: host", &*serve),
        ("alone", "network_mode: none", SERVE),
    ];
    let stack = host.services(&root, &services);
    stack.up();
    // What it serves is on the host's own addresses, without a published port.
    wait_for_page("192.0.2.2:8080");
    wait_for_page("127.0.0.1:8080");
    let links = stack.exec("web", "ls /sys/class/net");
    assert!(links.contains("up0"), "{links}");
    assert_eq!(stack.exec("alone", "ls /sys/class/net").trim(), "lo");
    wait_until("it has a loopback", || {
        reaches(&stack, "alone", "127.0.0.1")
    });
    assert!(!reaches(&stack, "alone", "192.0.2.2:8080"));
    stack.down();
}
