//! Networks of an ordinary user: who reaches whom, by real packets.

use std::fs;
use std::path::Path;

use coop_tests::page::wait_for_page;
use coop_tests::{Host, USER, User, UserStack, World, user_with_networks, wait_until, web};

#[test]
fn services_reach_each_other_by_name_and_the_world_by_the_hosts_address() {
    let host = Host::new();
    let user = user_with_networks!(&host);
    let world = World::new(&host);
    let mut server = world.serve();
    let before = host.snapshot();
    let (stack, up) = UserStack::up(&host, user, &web(""));
    assert!(!up.success().stderr.contains("loopback"), "{up}");
    wait_until("web answers", || {
        let get = stack.sh("client", "timeout 2 wget -q -O - http://web/page");
        get.stdout.contains("hello")
    });
    wait_until("the world answers", || {
        let get = stack.sh(
            "client",
            "timeout 2 wget -q -O - http://192.0.2.1:8000/page",
        );
        get.stdout.contains("outside")
    });
    server.wait_for("192.0.2.2");
    // What listens on the host is its own business.
    let listener = std::net::TcpListener::bind("127.0.0.1:7007").unwrap();
    for address in ["127.0.0.1", "192.0.2.1", "host.docker.internal"] {
        let script = format!("timeout 2 wget -q -O - http://{address}:7007/");
        assert!(!stack.sh("client", &script).status.success());
    }
    drop(listener);
    stack.down();
    host.assert_nothing_left(&before);
}

#[test]
fn networks_of_a_user_are_as_separate_as_roots() {
    let host = Host::new();
    let user = user_with_networks!(&host);
    let yaml = "
name: apart
services:
  web:
    image: coop/host
    init: true
    command: [sh, -c, 'echo hello > /www/page; exec httpd -f -p 80 -h /www']
    networks: [one]
  near: {image: coop/host, init: true, command: sleep 1000, networks: [one]}
  far: {image: coop/host, init: true, command: sleep 1000, networks: [two]}
networks: {one: {}, two: {}}
";
    let (stack, up) = UserStack::up(&host, user, yaml);
    up.success();
    let address = stack.sh("web", "ip -4 -o addr show eth0");
    let address = { address.stdout.split_whitespace().nth(3) }
        .and_then(|address| address.split('/').next())
        .unwrap();
    let get = |from: &str| {
        stack.sh(
            from,
            &format!("timeout 1 wget -q -O - http://{address}/page"),
        )
    };
    wait_until("the neighbour is answered", || {
        get("near").stdout.contains("hello")
    });
    get("far").does_not_say("hello");
    stack.down();
}

#[test]
fn a_running_container_is_connected_to_one_more_network() {
    let host = Host::new();
    let user = user_with_networks!(&host);
    let (stack, up) = UserStack::up(&host, user, &web(""));
    up.success();
    let network = |args: &[&str]| {
        let args = ["network"].into_iter().chain(args.iter().copied());
        stack.user.coop(args).run()
    };
    network(&["create", "extra"]).success();
    network(&["connect", "extra", "net-web-1"]).success();
    let links = |service: &str| stack.sh(service, "ip -4 -o address").stdout.lines().count();
    assert_eq!((links("web"), links("client")), (3, 2));
    network(&["disconnect", "extra", "net-web-1"]).success();
    stack.down();
    network(&["rm", "extra"]).success();
}

#[test]
fn a_user_has_ipv6_as_well() {
    let host = Host::new();
    let user = user_with_networks!(&host);
    let yaml = web("'8080:80'") + "networks: {default: {enable_ipv6: true}}\n";
    let before = host.snapshot();
    let (stack, up) = UserStack::up(&host, user, &yaml);
    up.success();
    wait_for_page("[::1]:8080");
    wait_for_page("127.0.0.1:8080");
    let own = stack.sh("web", "ip -6 -o address show dev eth0 scope global");
    let own = { own.stdout.split_whitespace().nth(3) }.and_then(|own| own.split('/').next());
    let url = format!("http://[{}]/page", own.expect("an address"));
    let get = format!("timeout 20 wget -q -O - {url}");
    stack.sh("client", &get).success().says("hello");
    stack.down();
    host.assert_nothing_left(&before);
}

#[test]
fn a_user_with_subordinate_ids_has_networks_as_well() {
    if !Path::new("/usr/bin/newuidmap").exists() {
        coop_tests::skip!("newuidmap is not installed");
    }
    let host = Host::new();
    let user = match User::with_ranges_and_networks(&host) {
        Ok(user) => user,
        Err(why) => coop_tests::skip!("{why}"),
    };
    let world = World::new(&host);
    let before = host.snapshot();
    let (stack, up) = UserStack::up(&host, user, &web("'8080:80'"));
    up.success();
    wait_for_page("192.0.2.2:8080");
    let wget = "timeout 20 busybox wget -q -O - http://192.0.2.2:8080/page";
    world.enter(wget).run().success().says("hello");
    stack.down();
    host.assert_nothing_left(&before);
}

#[test]
fn users_of_one_host_have_networks_of_their_own() {
    let host = Host::new();
    let user = user_with_networks!(&host);
    let root = host.coop([
        "run",
        "-d",
        "--init",
        "--name",
        "roots",
        "coop/host",
        "sleep",
        "1000",
    ]);
    root.run().success();
    let own = [
        "run",
        "-d",
        "--init",
        "--name",
        "users",
        "coop/host",
        "sleep",
        "1000",
    ];
    user.coop(own).run().success();
    assert_eq!(
        fs::metadata(user.runtime_dir())
            .map(|it| std::os::unix::fs::MetadataExt::uid(&it))
            .unwrap(),
        USER
    );
    let address = "{{.NetworkSettings.Networks.bridge.IPAddress}}";
    let of_root = host.coop(["inspect", "-f", address, "roots"]).run();
    let of_root = of_root.success().stdout.trim().to_owned();
    let ping = format!("ping -c 1 -W 1 {of_root}");
    let tried = user.coop(["exec", "users", "sh", "-c", &ping]).run();
    assert!(!tried.status.success(), "{tried}");
    user.coop(["rm", "-f", "users"]).run().success();
    host.coop(["rm", "-f", "roots"]).run().success();
}
