//! Which ports of the host lead to a container: of a range the first free one, and those of a
//! container that changes its networks.

use std::net::TcpListener;

use coop_tests::page::{fetch, wait_for_page};
use coop_tests::{Host, Rootfs, wait_until};

const SERVE: &str = "mkdir -p /tmp/www; echo hello >/tmp/www/page; exec httpd -f -p 80 -h /tmp/www";

/// What a container publishes, such as `80/tcp -> 0.0.0.0:8080`.
fn ports(host: &Host, container: &str) -> Vec<String> {
    let port = host.coop(["port", container]).run();
    port.success()
        .lines()
        .into_iter()
        .map(str::to_owned)
        .collect()
}

#[test]
fn of_a_range_each_container_gets_the_first_port_that_is_free() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let before = host.snapshot();
    let other = TcpListener::bind("0.0.0.0:8000").expect("a port of this test's host");
    let keys = "ports: ['8000-8003:80', '127.0.0.1:9000-9001:81/udp']\ndeploy: {replicas: 2}";
    let stack = host.web(&root, keys, SERVE);
    let config = stack.coop("config").run();
    config.success().says("published: 8000-8003");
    stack.up();
    for (name, port, more) in [("shop-web-1", 8001, 9000), ("shop-web-2", 8002, 9001)] {
        let expected = [
            format!("80/tcp -> 0.0.0.0:{port}"),
            format!("81/udp -> 127.0.0.1:{more}"),
        ];
        assert_eq!(ports(&host, name), expected);
        wait_for_page(&format!("127.0.0.1:{port}"));
    }
    // It keeps what it has got, also when one before it becomes free.
    drop(other);
    let restart = host.coop(["restart", "-t", "0", "shop-web-2"]).run();
    restart.success();
    wait_for_page("127.0.0.1:8002");
    assert!(fetch("127.0.0.1:8000").is_err());
    // Who wants one of those that are taken learns it before anything is made.
    let words = ["cannot publish a port of 8001-8002: all are in use"];
    host.sh(&root, &["-p", "8001-8002:80"], "true")
        .run()
        .fails(125, &words);
    stack.down();
    host.coop(["system", "check"]).run().success();
    host.assert_nothing_left(&before);
}

#[test]
fn without_a_port_of_the_host_each_container_gets_one_that_is_free() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let stack = host.web(&root, "ports: ['80', '127.0.0.1::80']\nscale: 2", SERVE);
    stack.up();
    let mut all = Vec::new();
    for name in ["shop-web-1", "shop-web-2"] {
        for line in ports(&host, name) {
            let address = line.strip_prefix("80/tcp -> ").expect("port 80").to_owned();
            wait_for_page(&address.replace("0.0.0.0", "127.0.0.1"));
            all.push(address);
        }
        let restart = host.coop(["restart", "-t", "0", name]).run();
        restart.success();
    }
    assert_eq!(all.len(), 4);
    let now: Vec<_> = { ["shop-web-1", "shop-web-2"].iter() }
        .flat_map(|name| ports(&host, name))
        .map(|line| line.replace("80/tcp -> ", ""))
        .collect();
    assert_eq!(now, all, "kept over a restart");
    all.sort();
    all.dedup();
    assert_eq!(all.len(), 4);
    stack.down();
}

#[test]
fn a_range_of_the_stack_file_that_is_taken_is_shown_there() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let _others =
        [7001, 7002].map(|port| TcpListener::bind(("0.0.0.0", port)).expect("a free port"));
    let before = host.snapshot();
    let stack = host.web(&root, "ports: ['7001-7002:80']", SERVE);
    let up = stack.coop("up").arg("-d").run();
    up.stack_fails(&[
        "web: cannot publish a port of 7001-7002: all are in use",
        "ports: ['7001-7002:80']",
        "publish a larger range",
    ]);
    host.assert_nothing_left(&before);
}

#[test]
fn ports_are_published_by_the_network_that_is_left() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    for network in ["one", "two"] {
        host.coop(["network", "create", network]).run().success();
    }
    let before = host.snapshot();
    let flags = ["--network", "one", "--network", "two", "-p", "8080:80"];
    host.start("web", &root, &flags, SERVE);
    wait_for_page("127.0.0.1:8080");
    let network = |verb: &str, name: &str| {
        host.coop(["network", verb, name, "web"]).run().success();
    };
    let restart = || {
        host.coop(["restart", "-t", "0", "web"]).run().success();
    };
    network("disconnect", "one");
    assert!(ports(&host, "web").is_empty());
    // Nobody holds the port.
    wait_until("the port is free", || {
        TcpListener::bind("127.0.0.1:8080").is_ok()
    });
    restart();
    assert_eq!(ports(&host, "web"), ["80/tcp -> 0.0.0.0:8080"]);
    wait_for_page("127.0.0.1:8080");

    network("connect", "one");
    network("disconnect", "two");
    assert!(ports(&host, "web").is_empty());
    restart();
    wait_for_page("127.0.0.1:8080");
    // Of no network it is connected to one: its ports are published at once, and held.
    network("disconnect", "one");
    network("connect", "two");
    wait_for_page("127.0.0.1:8080");
    host.sh(&root, &["-p", "8080:80"], "true")
        .run()
        .fails(125, &["published by container web"]);
    host.coop(["rm", "-f", "web"]).run().success();
    host.assert_nothing_left(&before);
    for network in ["one", "two"] {
        host.coop(["network", "rm", network]).run().success();
    }
}

#[test]
fn ports_are_published_by_the_network_that_has_a_way_out() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let create = ["network", "create"];
    host.coop(create)
        .args(["--internal", "inner"])
        .run()
        .success();
    host.coop(create).arg("outer").run().success();
    let flags = ["--network", "inner", "--network", "outer", "-p", "8080:80"];
    host.start("web", &root, &flags, SERVE);
    wait_for_page("127.0.0.1:8080");
    // One that comes to the inner network alone is not published, until it has a way out again.
    let network = |verb: &str, name: &str| {
        host.coop(["network", verb, name, "web"]).run().success();
    };
    network("disconnect", "inner");
    network("disconnect", "outer");
    network("connect", "inner");
    assert!(ports(&host, "web").is_empty());
    host.coop(["restart", "-t", "0", "web"]).run().success();
    assert!(fetch("127.0.0.1:8080").is_err());
    network("connect", "outer");
    wait_for_page("127.0.0.1:8080");
    host.coop(["rm", "-f", "web"]).run().success();
    let flags = ["--network", "inner", "-p", "8080:80"];
    host.sh(&root, &flags, "true")
        .run()
        .fails(125, &["network inner is internal"]);
    host.coop(["network", "rm", "inner", "outer"])
        .run()
        .success();
}
