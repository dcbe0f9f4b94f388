//! A container on several networks, in a stack: addresses, interfaces, routes, IPv6, ports.

#![allow(clippy::unwrap_used)]

use coop_tests::{Host, Rootfs, Stack, wait_until};

fn service(root: &Rootfs, script: &str, keys: &str) -> String {
    format!(
        "{{rootfs: {}, stop_signal: SIGKILL, command: [/bin/sh, -c, {script:?}], {keys}}}",
        root.path().display()
    )
}

const SLEEP: &str = "exec sleep 1000";
const SERVE: &str =
    "mkdir -p /tmp/www; echo hello >/tmp/www/page; exec httpd -f -p '[::]:80' -h /tmp/www";

fn reaches(stack: &Stack<'_>, from: &str, url: &str) -> bool {
    let get = format!("timeout 4 wget -q -O - http://{url}/page");
    let output = stack.coop("exec").args([from, "/bin/sh", "-c", &get]).run();
    output.status.success()
}

/// Two networks, a gate on both, and one container on each.
fn shop<'h>(host: &'h Host, root: &Rootfs) -> Stack<'h> {
    let gate = "ports: ['18080:80'], networks: {
        back: {ipv4_address: 10.81.0.40, mac_address: '02:00:00:00:00:40', aliases: [store]},
        front: {priority: 7, gw_priority: 1, interface_name: lan, ipv6_address: 'fd81::40'}}";
    host.stack(&format!(
        "name: shop
services:
  gate: {}
  web: {}
  db: {}
networks:
  front:
    enable_ipv6: true
    ipam: {{config: [{{subnet: 'fd81::/64'}}, {{subnet: 10.82.0.0/24}}]}}
  back:
    internal: true
    ipam: {{config: [{{subnet: 10.81.0.0/24, gateway: 10.81.0.7}}]}}
    driver_opts: {{com.docker.network.driver.mtu: 1400}}
",
        service(root, SERVE, gate),
        service(root, SERVE, "networks: [front]"),
        service(root, SLEEP, "networks: [back]")
    ))
}

#[test]
fn each_network_has_its_interface_address_and_names() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let before = host.snapshot();
    let stack = shop(&host, &root);
    stack.up();
    let inside = stack.exec(
        "gate",
        "ip addr; ip route; ip -6 route; cat /sys/class/net/*/mtu",
    );
    for words in [
        "10.81.0.40/24",
        "02:00:00:00:00:40",
        "fd81::40/64",
        "default via 10.82.0.1 dev lan",
        "default via fd81::1 dev lan",
        "1400",
    ] {
        assert!(inside.contains(words), "{words}: {inside}");
    }
    // One of them is named, and the other gets the first name.
    let names = stack.exec("gate", "ls /sys/class/net");
    assert_eq!(
        names.split_whitespace().collect::<Vec<_>>(),
        ["eth0", "lan", "lo"]
    );
    // No address waits to be used.
    assert!(!inside.contains("tentative"), "{inside}");
    // Who is where is known by each network's own names.
    wait_until("web answers", || reaches(&stack, "gate", "web"));
    wait_until("gate answers", || reaches(&stack, "db", "store"));
    wait_until("it is reached", || reaches(&stack, "db", "gate"));
    wait_until("it is reached", || reaches(&stack, "web", "[fd81::40]"));
    assert!(
        !reaches(&stack, "web", "store"),
        "an alias of the other network"
    );
    assert!(!reaches(&stack, "db", "web"));
    let web = &host.inspect("shop-web-1")["NetworkSettings"]["Networks"]["shop_front"];
    let web = web["IPAddress"].as_str().unwrap().to_owned();
    assert!(!reaches(&stack, "db", &web));
    // The gate is no router between its networks.
    let through =
        format!("ip route add {web} via 10.81.0.40 2>&1; timeout 3 wget -q -O - http://{web}/page");
    let output = stack
        .coop("exec")
        .args(["db", "/bin/sh", "-c", &through])
        .run();
    output.does_not_say("hello");
    stack.down();
    host.assert_nothing_left(&before);
}

#[test]
fn its_port_is_published_once_for_both_families() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let stack = shop(&host, &root);
    stack.up();
    let ports = stack.coop("port").args(["gate", "80"]).run();
    assert_eq!(ports.success().lines(), ["0.0.0.0:18080", "[::]:18080"]);
    let list = stack.coop("ps").args(["--format", "{{.Ports}}"]).run();
    list.success()
        .says("0.0.0.0:18080->80/tcp, [::]:18080->80/tcp");
    let host_address = "fd99::1";
    host.tool("sh")
        .args(["-c", "ip link add wire type veth peer name wire2; ip link set wire2 up; ip addr add fd99::1/64 dev wire nodad; ip link set wire up"])
        .run()
        .success();
    for address in ["127.0.0.1", &format!("[{host_address}]")] {
        wait_until(address, || {
            let url = format!("http://{address}:18080/page");
            let get = ["-q", "--timeout=2", "--tries=1", "-O", "-", &url];
            host.tool("wget").args(get).run().stdout.contains("hello")
        });
    }
    stack.down();
}

#[test]
fn it_comes_back_as_it_was() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let stack = shop(&host, &root);
    stack.up();
    let look = "ip -o addr show dev eth0 | grep -v fe80 | sed 's/.*inet/inet/; s/ scope.*//'; ip route | grep default";
    let before = stack.exec("gate", look);
    stack.coop("restart").arg("gate").run().success();
    assert_eq!(stack.exec("gate", look), before);
    stack.coop("stop").run().success();
    // What a reboot takes.
    std::fs::remove_dir_all(host.coop_root().join("run/networks")).unwrap();
    stack.coop("start").run().success();
    assert_eq!(stack.exec("gate", look), before);
    wait_until("gate answers", || reaches(&stack, "db", "gate"));
    stack.down();
}

#[test]
fn containers_that_are_kept_apart_reach_the_outside_and_not_each_other() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let stack = host.stack(&format!(
        "name: shop\nservices:\n  web: {}\n  db: {}\nnetworks: {{default: {{driver_opts: {{com.docker.network.bridge.enable_icc: 'false'}}}}}}\n",
        service(&root, SERVE, "ports: ['18080:80']"),
        service(&root, SLEEP, "")
    ));
    stack.up();
    wait_until("it answers", || {
        let get = [
            "-q",
            "--timeout=2",
            "--tries=1",
            "-O",
            "-",
            "http://127.0.0.1:18080/page",
        ];
        host.tool("wget").args(get).run().stdout.contains("hello")
    });
    let web = host.inspect("shop-web-1")["NetworkSettings"]["IPAddress"].clone();
    assert!(!reaches(&stack, "db", web.as_str().unwrap()));
    // The gateway answers, be it for names.
    let ask = "timeout 5 nslookup web | grep -q Address";
    stack
        .coop("exec")
        .args(["db", "/bin/sh", "-c", ask])
        .run()
        .success();
    stack.down();
}

#[test]
fn the_hardware_address_of_a_service_is_that_of_its_first_network() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let mac = "02:42:00:00:00:77";
    let keys = format!("mac_address: '{mac}', networks: {{back: , front: {{priority: 1}}}}");
    let stack = host.stack(&format!(
        "name: shop\nservices:\n  web: {}\n  near: {}\nnetworks: {{front: , back: }}\n",
        service(&root, SERVE, &keys),
        service(&root, SLEEP, "networks: [front]"),
    ));
    stack.up();
    let address = |interface: &str| {
        let file = format!("cat /sys/class/net/{interface}/address");
        stack.exec("web", &file).trim().to_owned()
    };
    assert_eq!(address("eth0"), mac);
    assert_ne!(address("eth1"), mac);
    // Its neighbour sends its packets there.
    wait_until("the neighbour is answered", || {
        reaches(&stack, "near", "web")
    });
    let neighbours = stack.exec("near", "ip neigh");
    assert!(neighbours.contains(mac), "{neighbours}");
    stack.down();
    let clash =
        "mac_address: '02:42:00:00:00:01', networks: {back: {mac_address: '02:42:00:00:00:02'}}";
    for (keys, words) in [
        (clash, "network back says another one"),
        (
            "mac_address: '02:42:00:00:00:01', network_mode: none",
            "network_mode: none",
        ),
        (
            "mac_address: '01:00:5e:00:00:01'",
            "not the hardware address of an interface",
        ),
    ] {
        let yaml = format!(
            "name: shop\nservices:\n  web: {}\nnetworks: {{back: }}\n",
            service(&root, SLEEP, keys)
        );
        let config = host.stack(&yaml).coop("config").run();
        config.stack_fails(&["mac_address", words]);
    }
}
