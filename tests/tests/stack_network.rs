//! Who can reach whom.

use coop_tests::page::{fetch, wait_for_page};
use coop_tests::{Host, World, wait_until};

const WEB: &str = "
name: net
services:
  web:
    image: coop/host
    command: [sh, -c, 'echo hello > /www/page; exec httpd -f -vv -p 80 -h /www']
    ports: [PORTS]
  client:
    image: coop/host
    command: sleep 1000
";

fn web(ports: &str) -> String {
    WEB.replace("PORTS", ports)
}

/// The address of the stack's bridge.
fn gateway(host: &Host) -> String {
    let output = host.tool("ip").args(["-o", "-4", "address"]).run();
    let lines = output.success().lines();
    let bridge = lines.iter().find(|line| !line.contains(" lo "));
    let address = bridge.and_then(|line| line.split_whitespace().nth(3)?.split('/').next());
    address
        .unwrap_or_else(|| panic!("no bridge\n{output}"))
        .to_owned()
}

#[test]
fn a_service_reaches_another_one_by_its_name() {
    let host = Host::new();
    let stack = host.stack(&web(""));
    stack.up();
    wait_until("web answers", || {
        let get = stack
            .coop("exec")
            .args(["client", "wget", "-q", "-O", "-", "http://web/page"]);
        get.run().stdout.contains("hello")
    });
}

#[test]
fn every_service_knows_every_name_before_anything_started() {
    let host = Host::new();
    let stack = host.stack(&web(""));
    stack.up();
    for service in ["web", "client"] {
        for name in ["web", "client"] {
            let asked = stack.coop("exec").args([service, "nslookup", name]).run();
            let known = asked.text().contains(&format!("Name:\t{name}"));
            assert!(known, "{service} does not know {name}:\n{asked}");
        }
    }
}

#[test]
fn a_published_port_answers_on_the_loopback_and_on_the_gateway() {
    let host = Host::new();
    let stack = host.stack(&web("'8080:80'"));
    stack.up();
    wait_for_page("127.0.0.1:8080");
    wait_for_page(&format!("{}:8080", gateway(&host)));
}

#[test]
fn a_published_port_answers_to_another_machine() {
    let host = Host::new();
    let neighbour = World::new(&host);
    let stack = host.stack(&web("'8080:80'"));
    stack.up();
    wait_for_page("127.0.0.1:8080");
    neighbour
        .run("timeout 20 wget -q -O - http://192.0.2.2:8080/page")
        .success()
        .says("hello");
    // The container has seen who it was.
    wait_until("the log names the client", || {
        stack.logs("web").contains("192.0.2.1]")
    });
}

#[test]
fn a_port_published_on_the_loopback_answers_there_only() {
    let host = Host::new();
    let neighbour = World::new(&host);
    let stack = host.stack(&web("'127.0.0.1:8080:80'"));
    stack.up();
    wait_for_page("127.0.0.1:8080");
    assert!(fetch("192.0.2.2:8080").is_err());
    let outside = neighbour.run("timeout 2 busybox wget -q -O - http://192.0.2.2:8080/page");
    outside.does_not_say("hello");
}

#[test]
fn a_port_that_is_not_published_does_not_answer() {
    let host = Host::new();
    let stack = host.stack(&web("'8081:80'"));
    stack.up();
    wait_for_page("127.0.0.1:8081");
    assert!(fetch("127.0.0.1:80").is_err());
}

#[test]
fn a_published_port_answers_to_the_stacks_own_containers() {
    let host = Host::new();
    let stack = host.stack(&web("'8080:80'"));
    stack.up();
    wait_for_page("127.0.0.1:8080");
    let url = format!("http://{}:8080/page", gateway(&host));
    for service in ["client", "web"] {
        let page = stack.exec(service, &format!("timeout 20 wget -q -O - {url}"));
        assert_eq!(page, "hello", "from {service}");
    }
}

#[test]
fn a_udp_port_is_published_as_such() {
    let host = Host::new();
    // No applet of busybox listens on UDP, so this test does: it is a static binary.
    let this = std::env::current_exe().unwrap();
    let stack = host.stack(&format!(
        "
name: udp
services:
  ears:
    image: coop/host
    command: /ears --ignored --exact --nocapture ears
    environment: {{COOP_TEST_EARS: 'yes'}}
    volumes: ['{}:/ears:ro']
    ports: ['5353:5000/udp']
",
        this.display()
    ));
    stack.up();
    stack.wait_for_log("ears", "listening");
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    wait_until("a datagram arrives", || {
        socket.send_to(b"datagram", "127.0.0.1:5353").unwrap();
        stack.logs("ears").contains("got datagram")
    });
}

#[test]
#[ignore = "not a test but what listens in the container of another one"]
fn ears() {
    if std::env::var_os("COOP_TEST_EARS").is_none() {
        coop_tests::skip!("not in that container");
    }
    let socket = std::net::UdpSocket::bind("0.0.0.0:5000").unwrap();
    println!("listening");
    let mut buffer = [0; 64];
    loop {
        let length = socket.recv(&mut buffer).unwrap();
        println!("got {}", String::from_utf8_lossy(&buffer[..length]));
    }
}

#[test]
fn containers_reach_the_outside_under_the_hosts_address() {
    let host = Host::new();
    let neighbour = World::new(&host);
    let script = "cd \"$HOME\" && echo outside > page && exec busybox httpd -f -vv -p 8000";
    let mut server = neighbour.enter(script).spawn();
    let stack = host.stack(&web(""));
    stack.up();
    wait_until("the outside answers", || {
        let get = [
            "client",
            "timeout",
            "5",
            "wget",
            "-q",
            "-O",
            "-",
            "http://192.0.2.1:8000/page",
        ];
        stack
            .coop("exec")
            .args(get)
            .run()
            .stdout
            .contains("outside")
    });
    server.wait_for("192.0.2.2");
}

#[test]
fn containers_of_different_stacks_do_not_reach_each_other() {
    let host = Host::new();
    let one = host.stack(&web("'8080:80'"));
    one.up();
    wait_for_page("127.0.0.1:8080");
    let addresses = one.exec("web", "ip -4 -o addr show eth0");
    let address = addresses
        .split_whitespace()
        .nth(3)
        .and_then(|a| a.split('/').next())
        .unwrap();
    let two = host.stack(&web("").replace("name: net", "name: other"));
    two.up();
    let get = [
        "client",
        "wget",
        "-q",
        "-T",
        "2",
        "-O",
        "-",
        &format!("http://{address}/page"),
    ];
    let output = two.coop("exec").args(get).run();
    assert!(!output.status.success(), "{output}");
    output.does_not_say("hello");
}

#[test]
fn rules_of_others_stay_untouched() {
    let host = Host::new();
    let script = "add table inet mine; add chain inet mine c; add rule inet mine c counter";
    host.tool("nft").arg(script).run().success();
    let mine = || {
        host.tool("nft")
            .args(["list", "table", "inet", "mine"])
            .run()
            .stdout
    };
    let before = mine();
    let stack = host.stack(&web("'8080:80'"));
    stack.up();
    assert_eq!(mine(), before);
    stack.down();
    assert_eq!(mine(), before);
}
