//! Published ports of an ordinary user.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpStream, UdpSocket};
use std::time::Duration;

use coop_tests::page::{fetch, wait_for_page};
use coop_tests::{Host, UserStack, World, user_with_networks, wait_until, web};

#[test]
fn a_published_port_answers_to_the_host_to_the_world_and_to_containers() {
    let host = Host::new();
    let user = user_with_networks!(&host);
    let world = World::new(&host);
    let before = host.snapshot();
    let (stack, up) = UserStack::up(&host, user, &web("'8080:80', '127.0.0.1:8081:80'"));
    up.success();
    wait_for_page("127.0.0.1:8080");
    wait_for_page("127.0.0.1:8081");
    wait_for_page("192.0.2.2:8080");
    let get = |port: u16| {
        let url = format!("http://192.0.2.2:{port}/page");
        let wget = format!("timeout 20 busybox wget -q -O - {url}");
        world.enter(&wget).run()
    };
    get(8080).success().says("hello");
    get(8081).does_not_say("hello");
    // The container has seen who it was.
    wait_until("the log names the client", || {
        let logs = stack.user.coop(["logs", "net-web-1"]).run();
        logs.stderr.contains("192.0.2.1]")
    });
    for service in ["client", "web"] {
        let get = stack.sh(
            service,
            "timeout 20 wget -q -O - http://192.0.2.2:8080/page",
        );
        get.success().says("hello");
    }
    stack.down();
    assert!(fetch("127.0.0.1:8080").is_err());
    host.assert_nothing_left(&before);
}

#[test]
fn a_stream_of_some_size_comes_through_a_published_port() {
    let host = Host::new();
    let user = user_with_networks!(&host);
    let script = "command: [sh, -c, 'dd if=/dev/zero bs=1M count=64 of=/www/page 2>/dev/null; \
                  exec httpd -f -p 80 -h /www']";
    let yaml = web("'8080:80'").replace(
        "command: [sh, -c, 'echo hello > /www/page; exec httpd -f -vv -p 80 -h /www']",
        script,
    );
    let (stack, up) = UserStack::up(&host, user, &yaml);
    up.success();
    wait_until("all of it arrives", || {
        fetch("127.0.0.1:8080").is_ok_and(|page| page.len() > 64 << 20)
    });
    stack.down();
}

#[test]
fn a_udp_port_is_published_and_answers_come_back() {
    let host = Host::new();
    let user = user_with_networks!(&host);
    // No applet of busybox answers on UDP, so this test does: it is a static binary.
    let this = user.home().join("ears");
    fs::copy(std::env::current_exe().unwrap(), &this).unwrap();
    let yaml = format!(
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
    );
    let (stack, up) = UserStack::up(&host, user, &yaml);
    up.success();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let patience = Some(Duration::from_millis(200));
    socket.set_read_timeout(patience).unwrap();
    socket.connect("127.0.0.1:5353").unwrap();
    wait_until("a datagram is answered", || {
        socket.send(b"datagram").unwrap();
        let mut buffer = [0; 64];
        let got = socket.recv(&mut buffer);
        got.is_ok_and(|length| buffer[..length].starts_with(b"datagram"))
    });
    stack.down();
}

#[test]
#[ignore = "not a test but what listens in the container of another one"]
fn ears() {
    if std::env::var_os("COOP_TEST_EARS").is_none() {
        coop_tests::skip!("not in that container");
    }
    let socket = UdpSocket::bind("0.0.0.0:5000").unwrap();
    let mut buffer = [0; 64];
    loop {
        let (length, from) = socket.recv_from(&mut buffer).unwrap();
        socket.send_to(&buffer[..length], from).unwrap();
    }
}

#[test]
fn ports_come_later_and_go_earlier_than_those_of_others() {
    let host = Host::new();
    let user = user_with_networks!(&host);
    let run = |name: &str, port: &str| {
        let script = "echo hello > /www/page; exec httpd -f -p 80 -h /www";
        let run = ["run", "-d", "--init", "--name", name, "-p", port];
        let args = run.into_iter().chain(["coop/host", "sh", "-c", script]);
        user.coop(args).run()
    };
    run("one", "8080:80").success();
    wait_for_page("127.0.0.1:8080");
    let mut open = TcpStream::connect("127.0.0.1:8080").unwrap();
    run("two", "8081:80").success();
    wait_for_page("127.0.0.1:8081");
    // A connection goes on while ports of others come.
    open.write_all(b"GET /page HTTP/1.0\r\n\r\n").unwrap();
    let mut page = String::new();
    open.read_to_string(&mut page).unwrap();
    assert!(page.contains("hello"), "{page}");
    run("three", "8080:80").fails(125, &["port 8080", "in use", "one"]);
    user.coop(["rm", "-f", "-t", "0", "one"]).run();
    user.coop(["rm", "-f", "one"]).run();
    assert!(fetch("127.0.0.1:8080").is_err());
    wait_for_page("127.0.0.1:8081");
    run("three", "8080:80").success();
    wait_for_page("127.0.0.1:8080");
    user.coop(["rm", "-f", "two", "three"]).run().success();
}

#[test]
fn a_port_of_root_is_refused_with_what_would_allow_it() {
    let host = Host::new();
    let user = user_with_networks!(&host);
    let run = ["run", "--rm", "-p", "81:80", "coop/host", "true"];
    user.coop(run)
        .run()
        .fails(125, &["81", "net.ipv4.ip_unprivileged_port_start"]);
}
