//! `coop network`: networks by name, and containers that come to them and go while they run.

#![allow(clippy::unwrap_used)]

use coop_tests::{Host, Rootfs, wait_until};

const SLEEP: &str = "exec sleep 1000";

/// What a shell in a container prints.
fn exec(host: &Host, container: &str, script: &str) -> String {
    let output = host
        .coop(["exec", container, "/bin/sh", "-c", script])
        .run();
    output.success().stdout.clone()
}

fn address(host: &Host, container: &str, network: &str) -> String {
    let networks = &host.inspect(container)["NetworkSettings"]["Networks"];
    networks[network]["IPAddress"].as_str().unwrap().to_owned()
}

/// Serves a page with this text on port 80.
fn serve(text: &str) -> String {
    format!("mkdir -p /tmp/www; echo {text} >/tmp/www/page; exec httpd -f -p 80 -h /tmp/www")
}

/// Whether a page can be had.
fn reaches(host: &Host, from: &str, url: &str) -> bool {
    let script = format!("timeout 3 wget -q -O - http://{url}/page");
    let output = host.coop(["exec", from, "/bin/sh", "-c", &script]).run();
    output.status.success()
}

/// The networks that somebody has made.
fn networks(host: &Host) -> Vec<String> {
    let list = ["network", "ls", "--format", "{{.Name}}", "--filter"];
    let custom = host.coop(list).arg("type=custom").run();
    let names = custom.success().lines().into_iter();
    names.map(str::to_owned).collect()
}

#[test]
fn host_and_none_are_listed_and_stay() {
    let host = Host::new();
    let list = |filters: &[&str]| {
        let list = ["network", "ls", "--format", "{{.Name}} {{.Driver}}"];
        let filters = filters.iter().flat_map(|filter| ["--filter", filter]);
        let output = host.coop(list).args(filters).run();
        output.success().text().replace('\n', ", ")
    };
    assert_eq!(list(&[]), "host host, none null");
    host.coop(["network", "create", "inner"]).run().success();
    assert_eq!(list(&[]), "host host, inner bridge, none null");
    assert_eq!(list(&["type=builtin"]), "host host, none null");
    assert_eq!(list(&["type=custom"]), "inner bridge");
    assert_eq!(list(&["driver=null"]), "none null");
    assert_eq!(list(&["dangling=true"]), "inner bridge");
    for name in ["host", "none"] {
        let network =
            |verb: &str, more: &[&str]| host.coop(["network", verb, name]).args(more).run();
        network("inspect", &[])
            .success()
            .says("\"Scope\": \"local\"");
        network("rm", &[]).fails(1, &["is a pre-defined network and cannot be removed"]);
        network("create", &[]).fails(1, &["operation is not permitted"]);
        network("connect", &["box"]).fails(1, &[&format!("--network {name}")]);
    }
    let prune = host.coop(["network", "prune", "-f"]).run();
    prune.success();
    assert_eq!(list(&[]), "host host, none null");
}

#[test]
fn a_network_by_name_is_made_listed_inspected_and_removed() {
    let host = Host::new();
    let before = host.snapshot();
    let create = [
        "network",
        "create",
        "--subnet",
        "10.77.0.0/24",
        "--gateway",
        "10.77.0.9",
        "--ip-range",
        "10.77.0.128/25",
        "--aux-address",
        "printer=10.77.0.128",
        "--ipv6",
        "--label",
        "a=b",
        "-o",
        "com.docker.network.driver.mtu=1400",
        "back",
    ];
    assert_eq!(host.coop(create).run().success().stdout.trim(), "back");
    host.coop(create)
        .run()
        .fails(1, &["network with name back already exists"]);
    let list = host.coop(["network", "ls"]).run();
    list.success()
        .says("NETWORK ID")
        .says("back")
        .says("bridge")
        .says("local");
    let quiet = host
        .coop(["network", "ls", "-q", "--filter", "label=a=b"])
        .run();
    let id = quiet.success().lines()[0].to_owned();
    // It is known by its id, also by a part of it.
    for id in [id.as_str(), &id[..id.len() - 1]] {
        let inspect = ["network", "inspect", "-f", "{{.Name}}", id];
        assert_eq!(host.coop(inspect).run().success().text(), "back");
    }
    let json = host
        .coop(["network", "inspect", "back"])
        .run()
        .success()
        .json();
    let network = &json[0];
    assert_eq!(network["Name"], "back");
    assert_eq!(network["EnableIPv6"], true);
    let config = &network["IPAM"]["Config"];
    assert_eq!(config[0]["Gateway"], "10.77.0.9");
    assert!(config[1]["Subnet"].as_str().unwrap().starts_with("fd"));
    assert_eq!(network["Options"]["com.docker.network.driver.mtu"], "1400");
    assert_eq!(network["Labels"]["a"], "b");

    // A container gets an address of the range, but not the printer's.
    let root = Rootfs::new(&host);
    host.start("one", &root, &["--network", "back"], SLEEP);
    assert_eq!(address(&host, "one", "back"), "10.77.0.129");
    let inside = exec(&host, "one", "ip addr show eth0; ip route; ip -6 route");
    assert!(inside.contains("mtu 1400"), "{inside}");
    assert!(inside.contains("default via 10.77.0.9"), "{inside}");
    assert!(inside.contains("default via fd"), "{inside}");
    host.coop(["network", "rm", "back"])
        .run()
        .fails(1, &["has active endpoints", "name:\"one\""]);
    host.coop(["rm", "-f", "one"]).run().success();
    // It stays without a container, with nothing in the kernel.
    host.coop(["network", "inspect", "back"]).run().success();
    assert!(!host.tool("ip").arg("link").run().stdout.contains("coop"));
    host.coop(["network", "rm", "back"]).run().success();
    host.coop(["network", "rm", "back"])
        .run()
        .fails(1, &["network back not found"]);
    host.coop(["network", "rm", "-f", "back"]).run().success();
    host.assert_nothing_left(&before);
}

#[test]
fn what_makes_no_sense_is_refused() {
    let host = Host::new();
    for (args, words) in [
        (
            vec!["-d", "macvlan", "x"],
            "network driver macvlan is not known",
        ),
        (
            vec!["--subnet", "10.7.0.0/24", "--gateway", "10.8.0.1", "x"],
            "no matching subnet",
        ),
        (vec!["-o", "mtu=1400", "x"], "option mtu"),
        (vec!["host"], "not permitted"),
        (vec!["--subnet", "127.0.0.0/24", "x"], "overlaps"),
        (vec!["a b"], "invalid network name"),
    ] {
        let output = host.coop(["network", "create"]).args(&args).run();
        output.fails(1, &[words]);
    }
    assert_eq!(networks(&host), [""; 0]);
    let root = Rootfs::new(&host);
    host.sh(&root, &["--network", "nowhere"], "true")
        .run()
        .fails(
            125,
            &["network nowhere not found", "coop network create nowhere"],
        );
}

#[test]
fn a_network_by_name_is_there_after_a_reboot() {
    let host = Host::new();
    host.coop(["network", "create", "--ipv6", "back"])
        .run()
        .success();
    let described = || {
        let json = host
            .coop(["network", "inspect", "back"])
            .run()
            .success()
            .json();
        json[0]["IPAM"].clone()
    };
    let before = described();
    // What a reboot takes.
    std::fs::remove_dir_all(host.coop_root().join("run/networks")).unwrap();
    assert_eq!(described(), before);
    host.coop(["network", "prune", "-f"])
        .run()
        .success()
        .says("back");
    assert_eq!(networks(&host), [""; 0]);
}

#[test]
fn a_running_container_is_connected_and_disconnected() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let before = host.snapshot();
    host.coop(["network", "create", "--ipv6", "back"])
        .run()
        .success();
    host.start("db", &root, &["--network", "back"], &serve("db"));
    host.start("web", &root, &[], SLEEP);
    let db = address(&host, "db", "back");
    assert!(!reaches(&host, "web", &db));

    let connect = ["network", "connect", "--alias", "shop", "back", "web"];
    host.coop(connect).run().success();
    host.coop(connect).run().fails(
        1,
        &["endpoint with name web already exists in network back"],
    );
    let links = exec(&host, "web", "ip -o link");
    assert!(links.contains("eth0") && links.contains("eth1"), "{links}");
    wait_until("db answers", || reaches(&host, "web", &db));
    wait_until("it is reached", || reaches(&host, "web", "db"));
    // IPv6 as well, with a way out by the first network still.
    let json = host
        .coop(["network", "inspect", "back"])
        .run()
        .success()
        .json();
    let web = host.inspect("web");
    let id = web["Id"].as_str().unwrap();
    assert!(
        json[0]["Containers"][id]["IPv6Address"]
            .as_str()
            .unwrap()
            .starts_with("fd")
    );
    assert!(exec(&host, "web", "ip route").contains("dev eth0"));
    let listed = host
        .coop(["ps", "--format", "{{.Names}} {{.Networks}}"])
        .run();
    listed.success().says("web bridge,back");
    // It is connected after its restart, too.
    host.coop(["restart", "-t", "0", "web"]).run().success();
    wait_until("it is reached", || reaches(&host, "web", &db));

    host.coop(["network", "disconnect", "back", "web"])
        .run()
        .success();
    assert!(!exec(&host, "web", "ip -o link").contains("eth1"));
    assert!(!reaches(&host, "web", &db));
    host.coop(["network", "disconnect", "back", "web"])
        .run()
        .fails(1, &["web is not connected to network back"]);
    host.coop(["network", "disconnect", "-f", "back", "web"])
        .run()
        .success();
    host.coop(["rm", "-f", "web", "db"]).run().success();
    host.coop(["network", "rm", "back"]).run().success();
    host.assert_nothing_left(&before);
}

#[test]
fn the_default_route_follows_the_priority() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let create = |name, subnet| {
        host.coop(["network", "create", "--subnet", subnet, name])
            .run()
            .success();
    };
    create("one", "10.71.0.0/24");
    create("two", "10.72.0.0/24");
    host.start("web", &root, &["--network", "one"], SLEEP);
    let route = || exec(&host, "web", "ip route | grep default");
    assert!(route().contains("10.71.0.1"));
    let connect = [
        "network",
        "connect",
        "--gw-priority",
        "1",
        "--ip",
        "10.72.0.40",
        "two",
        "web",
    ];
    host.coop(connect).run().success();
    assert!(route().contains("10.72.0.1"));
    assert_eq!(address(&host, "web", "two"), "10.72.0.40");
    host.coop(["network", "disconnect", "two", "web"])
        .run()
        .success();
    assert!(route().contains("10.71.0.1"));
    // Its last network.
    host.coop(["network", "disconnect", "one", "web"])
        .run()
        .success();
    assert_eq!(exec(&host, "web", "ls /sys/class/net").trim(), "lo");
    host.coop(["restart", "-t", "0", "web"]).run().success();
    host.coop(["network", "connect", "two", "web"])
        .run()
        .success();
    assert!(route().contains("10.72.0.1"));
    host.coop(["rm", "-f", "web"]).run().success();
}

#[test]
fn whoever_has_no_network_of_its_own_is_not_connected() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    host.coop(["network", "create", "back"]).run().success();
    host.start("alone", &root, &["--network", "none"], SLEEP);
    host.start("open", &root, &["--network", "host"], SLEEP);
    host.coop(["network", "connect", "back", "alone"])
        .run()
        .fails(1, &["no network (none)"]);
    host.coop(["network", "connect", "back", "open"])
        .run()
        .fails(1, &["shares the network"]);
    host.coop(["network", "connect", "nowhere", "open"])
        .run()
        .fails(1, &["nowhere not found"]);
    host.coop(["rm", "-f", "alone", "open"]).run().success();
}

/// Stops `network connect` at one of its steps; `false` without a `coop` that can be stopped.
fn stop_connect(host: &Host, point: &str, action: &str) -> bool {
    let Some(connect) = host.coop_with_faults(["network", "connect", "back", "web"]) else {
        return false;
    };
    let fault = format!("connect.{point}:{action}");
    let output = connect.env("COOP_FAULT", fault).run();
    assert!(!output.status.success(), "{point} {output}");
    true
}

#[test]
fn a_connect_that_fails_or_is_killed_leaves_nothing_half_done() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    host.coop(["network", "create", "back"]).run().success();
    let before = host.snapshot();
    for point in ["plan", "lease", "link"] {
        host.start("web", &root, &[], SLEEP);
        // One that fails has changed nothing.
        if !stop_connect(&host, point, "fail") {
            coop_tests::skip!("COOP_BIN_FAULT names no coop with fault injection");
        }
        let networks = host.inspect("web")["NetworkSettings"]["Networks"].clone();
        assert_eq!(networks.as_object().unwrap().len(), 1, "{point}");
        assert_eq!(
            exec(&host, "web", "ls /sys/class/net")
                .matches("eth")
                .count(),
            1
        );

        // One that is killed is completed by the next start,
        stop_connect(&host, point, "kill");
        host.coop(["restart", "-t", "0", "web"]).run().success();
        assert!(address(&host, "web", "back").starts_with("10."), "{point}");
        assert_eq!(
            exec(&host, "web", "ls /sys/class/net")
                .matches("eth")
                .count(),
            2
        );
        host.coop(["network", "disconnect", "back", "web"])
            .run()
            .success();

        // or undone by a disconnection, or with the container.
        stop_connect(&host, point, "kill");
        host.coop(["network", "disconnect", "back", "web"])
            .run()
            .success();
        assert_eq!(
            exec(&host, "web", "ls /sys/class/net")
                .matches("eth")
                .count(),
            1
        );
        stop_connect(&host, point, "kill");
        host.coop(["rm", "-f", "web"]).run().success();
        host.assert_nothing_left(&before);
    }
    host.coop(["network", "rm", "back"]).run().success();
}

#[test]
fn what_a_killed_up_leaves_of_a_network_is_pruned() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let before = host.snapshot();
    for point in [
        "planning.begin",
        "planning.ids",
        "planning.addresses",
        "planning.save",
    ] {
        let Some(run) = host.coop_with_faults(["run", "-d", "--name", "web", "--rootfs"]) else {
            coop_tests::skip!("COOP_BIN_FAULT names no coop with fault injection");
        };
        let run = run.arg(root.path()).args(["--", "/bin/sh", "-c", SLEEP]);
        let output = run.env("COOP_FAULT", format!("{point}:kill")).run();
        assert!(!output.status.success(), "{point} {output}");
        host.coop(["network", "prune", "-f"]).run().success();
        assert_eq!(networks(&host), [""; 0], "{point}");
        host.coop(["rm", "-f", "web"]).run();
        host.assert_nothing_left(&before);
    }
}
