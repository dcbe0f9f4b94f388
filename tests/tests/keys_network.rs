//! `network_mode: service:NAME` and `container:NAME`: two containers with one network.

use std::fs;

use coop_tests::{Host, Rootfs, Stack, namespace, wait_until};

const SLEEP: &str = "exec sleep 1000";

/// A stack of `web`, and of `side`, which has the network of `web`.
fn stack<'h>(host: &'h Host, root: &Rootfs, web: &str) -> Stack<'h> {
    let service = |keys: &str| {
        format!(
            "{{rootfs: {}, stop_grace_period: 0s, command: [/bin/sh, -c, {SLEEP:?}], {keys}}}",
            root.path().display()
        )
    };
    host.stack(&format!(
        "name: shop\nservices:\n  side: {}\n  web: {}\n",
        service("network_mode: 'service:web'"),
        service(web)
    ))
}

/// The links of a container, by name, without the loopback.
fn links(host: &Host, container: &str) -> Vec<String> {
    let list = "ls /sys/class/net";
    let output = host.coop(["exec", container, "sh", "-c", list]).run();
    let names = output.success().lines().into_iter();
    names.filter(|it| *it != "lo").map(str::to_owned).collect()
}

#[test]
fn a_service_has_the_network_and_the_names_of_another() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let before = host.snapshot();
    let stack = stack(
        &host,
        &root,
        "hostname: store, ports: ['18080:80'], extra_hosts: ['far:192.0.2.9'], dns: 192.0.2.53",
    );
    stack.up();
    let (web, side) = (host.pid_of("shop-web-1"), host.pid_of("shop-side-1"));
    for kind in ["net", "user"] {
        assert_eq!(namespace(web, kind), namespace(side, kind), "{kind}");
    }
    for kind in ["pid", "ipc", "uts", "mnt"] {
        assert_ne!(namespace(web, kind), namespace(side, kind), "{kind}");
    }
    // One reaches the other on the loopback, and whoever calls the published port reaches both.
    let serve = "echo hello >/tmp/index.html; httpd -p 80 -h /tmp";
    stack.exec("side", serve);
    for service in ["web", "side"] {
        let got = stack.exec(service, "timeout 20 wget -qO- http://127.0.0.1/index.html");
        assert_eq!(got.trim(), "hello", "{service}");
    }
    let names = "hostname; cat /etc/hostname /etc/hosts /etc/resolv.conf";
    assert_eq!(stack.exec("side", names), stack.exec("web", names));
    let names = stack.exec("side", names);
    for word in ["store", "192.0.2.9\tfar", "nameserver "] {
        assert!(names.contains(word), "{word}: {names}");
    }
    // What it writes there is written for both.
    stack.exec("side", "echo '192.0.2.10 new' >>/etc/hosts");
    assert!(stack.exec("web", "cat /etc/hosts").contains("192.0.2.10"));
    stack.down();
    host.assert_nothing_left(&before);
}

#[test]
fn inspect_and_ps_say_whose_network_it_is() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let stack = stack(&host, &root, "ports: ['18080:80']");
    stack.up();
    let (web, side) = (host.inspect("shop-web-1"), host.inspect("shop-side-1"));
    let id = web["Id"].as_str().unwrap();
    let mode = &side["HostConfig"]["NetworkMode"];
    assert_eq!(mode.as_str(), Some(&*format!("container:{id}")));
    assert_eq!(side["NetworkSettings"]["IPAddress"], "");
    assert_eq!(side["NetworkSettings"]["Networks"], serde_json::json!({}));
    assert_eq!(side["NetworkSettings"]["Ports"], serde_json::json!({}));
    for key in ["HostsPath", "HostnamePath", "ResolvConfPath"] {
        assert_eq!(side[key], web[key], "{key}");
    }
    assert_eq!(side["Config"]["Hostname"], web["Config"]["Hostname"]);
    assert_eq!(side["Mounts"], serde_json::json!([]));
    let format = "{{.Names}} {{.Networks}} {{.Ports}}";
    let list = host.coop(["ps", "--format", format]).run();
    list.success().says("shop-side-1 container:shop-web-1");
    assert_eq!(list.text().matches("18080").count(), 1, "{list}");
    stack.down();
}

/// It keeps what it is in, which has lost its link, and joins the new one when it is itself
/// started again.
#[test]
fn who_joins_a_network_that_is_made_again_joins_it_at_its_own_restart() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let before = host.snapshot();
    let stack = stack(&host, &root, "stop_signal: SIGKILL");
    stack.up();
    let net = |name| namespace(host.pid_of(name), "net");
    let first = net("shop-web-1");
    assert_eq!(links(&host, "shop-side-1"), ["eth0"]);
    stack.coop("restart").arg("web").run().success();
    assert_ne!(net("shop-web-1"), first);
    assert_eq!(net("shop-side-1"), first);
    assert_eq!(links(&host, "shop-web-1"), ["eth0"]);
    assert_eq!(links(&host, "shop-side-1"), [""; 0]);
    stack.coop("restart").arg("side").run().success();
    assert_eq!(net("shop-side-1"), net("shop-web-1"));
    assert_eq!(links(&host, "shop-side-1"), ["eth0"]);
    // Both at a time: the one that joins comes after the other. The kernel may give the new
    // namespace the number of the first one, which is gone now.
    stack.coop("restart").run().success();
    assert_eq!(net("shop-side-1"), net("shop-web-1"));
    assert_eq!(links(&host, "shop-side-1"), ["eth0"]);
    stack.coop("stop").run().success();
    stack.coop("start").run().success();
    assert_eq!(net("shop-side-1"), net("shop-web-1"));
    stack.down();
    host.assert_nothing_left(&before);
}

#[test]
fn a_service_whose_network_is_changed_takes_the_others_along() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let first = stack(&host, &root, "hostname: one");
    first.up();
    let pids = || ["shop-web-1", "shop-side-1"].map(|name| host.pid_of(name));
    let [web, side] = pids();
    let second = stack(&host, &root, "hostname: two");
    second.up();
    let anew = pids();
    assert!(anew[0] != web && anew[1] != side);
    assert_eq!(second.exec("side", "hostname").trim(), "two");
    second.up();
    assert_eq!(pids(), anew);
    second.down();
}

#[test]
fn run_joins_a_container_of_any_stack_by_name() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let before = host.snapshot();
    host.start("one", &root, &["-h", "first"], SLEEP);
    let join = |name: &str| ["--network".to_owned(), format!("container:{name}")];
    let flags = |name: &str| join(name).map(|it| -> &'static str { it.leak() });
    host.start("two", &root, &flags("one"), SLEEP);
    // One that joins a joiner is in the same network.
    host.start("three", &root, &flags("two"), SLEEP);
    let net = |name| namespace(host.pid_of(name), "net");
    assert_eq!(net("two"), net("one"));
    assert_eq!(net("three"), net("one"));
    let output = host.sh(&root, &flags("one"), "hostname; ls /sys/class/net");
    output.run().success().says("first").says("eth0");

    let fails = |flags: &[&str], words: &[&str]| {
        host.sh(&root, flags, "true").run().fails(125, words);
    };
    let network = flags("one");
    let with = |more: &[&'static str]| [&network[..], more].concat();
    fails(
        &with(&["-p", "80"]),
        &["port publishing and the container type network mode"],
    );
    fails(&with(&["-h", "x"]), &["hostname and the network mode"]);
    fails(
        &with(&["--dns", "192.0.2.1"]),
        &["dns and the network mode"],
    );
    fails(
        &with(&["--add-host", "a:192.0.2.1"]),
        &["custom host-to-IP mapping and the network mode"],
    );
    fails(&flags("nobody"), &["nobody"]);
    fails(&["--network", "service:one"], &["write container:NAME"]);
    host.coop(["stop", "-t", "0", "one"]).run().success();
    fails(&network, &["it is not running", "coop start one"]);
    // The others keep a network of which only the loopback is left, and so do their files.
    host.coop(["rm", "one"]).run().success();
    wait_until("the link is gone", || links(&host, "two").is_empty());
    host.coop(["exec", "two", "cat", "/etc/hosts"])
        .run()
        .success();
    let two = host.pid_of("two");
    assert!(fs::exists(format!("/proc/{two}/ns/net")).unwrap());
    host.coop(["stop", "-t", "0", "two"]).run().success();
    host.coop(["cp", "two:/bin/sh", "-"]).run().success();
    host.coop(["start", "two"])
        .run()
        .fails(1, &["one", "make this container anew"]);
    host.coop(["rm", "-f", "two", "three"]).run().success();
    host.assert_nothing_left(&before);
}

#[test]
fn a_network_without_links_and_that_of_the_host_can_be_told_apart() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    host.start("alone", &root, &["--network", "none"], SLEEP);
    let joined = host.start("joined", &root, &["--network", "container:alone"], SLEEP);
    assert_eq!(links(&host, joined), [""; 0]);
    assert_eq!(
        namespace(host.pid_of("alone"), "net"),
        namespace(host.pid_of(joined), "net")
    );
    host.start("open", &root, &["--network", "host"], SLEEP);
    host.sh(&root, &["--network", "container:open"], "true")
        .run()
        .fails(125, &["open has the host's", "write host"]);
}
