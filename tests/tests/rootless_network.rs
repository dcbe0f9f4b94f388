//! Networks of an ordinary user: real packets, by `pasta` or `slirp4netns`, and without both.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpStream, UdpSocket};
use std::path::Path;
use std::time::Duration;

use coop_tests::page::{fetch, wait_for_page};
use coop_tests::{Host, Output, Running, USER, User, wait_until};

const STACK: &str = "
name: net
services:
  web:
    image: coop/host
    init: true
    command: [sh, -c, 'echo hello > /www/page; exec httpd -f -vv -p 80 -h /www']
    ports: [PORTS]
  client:
    image: coop/host
    init: true
    command: sleep 1000
";

/// The machine that is all the world beside the host: 192.0.2.1, the host's gateway. The host is
/// 192.0.2.2.
struct World<'h> {
    host: &'h Host,
    pid: String,
    _sleeper: Running<'h>,
}

impl<'h> World<'h> {
    fn new(host: &'h Host) -> Self {
        let script = "echo $$; exec sleep 10000";
        let mut sleeper = { host.tool("unshare").args(["-n", "sh", "-c", script]) }.spawn();
        let pid = sleeper.wait_for("\n");
        let world = Self {
            host,
            pid,
            _sleeper: sleeper,
        };
        let pid = &world.pid;
        let link = format!("ip link add up0 type veth peer name world0 netns {pid}");
        let up = "ip address add 192.0.2.2/24 dev up0; ip link set up0 up";
        let route = "ip route add default via 192.0.2.1";
        let script = format!("set -e; {link}; {up}; {route}");
        host.tool("sh").args(["-c", &script]).run().success();
        // Its link-local address would be another one for a second, and then the same.
        let path = "/proc/sys/net/ipv6/conf/up0/disable_ipv6";
        if Path::new(path).exists() {
            fs::write(path, "1").expect("turn IPv6 off");
        }
        let script = "set -e; ip link set lo up; ip address add 192.0.2.1/24 dev world0; \
                      ip link set world0 up";
        world.enter(script).run().success();
        wait_until("the cable is in", || {
            let up0 = host.tool("ip").args(["-o", "link", "show", "up0"]).run();
            up0.stdout.contains("state UP")
        });
        world
    }

    /// A server of one page, at port 8000.
    fn serve(&self) -> Running<'h> {
        let script = "cd \"$HOME\" && echo outside > page && exec busybox httpd -f -vv -p 8000";
        let server = self.enter(script).spawn();
        wait_until("the world serves", || {
            let processes = self.host.processes();
            let serves = |it: &String| it.contains("httpd") && !it.contains("nsenter");
            processes.iter().any(serves)
        });
        server
    }

    fn enter(&self, script: &str) -> coop_tests::Cmd<'h> {
        let nsenter = self.host.tool("nsenter");
        nsenter.args(["-n", "-t", &self.pid, "sh", "-c", script])
    }
}

/// A user's stack.
struct Stack<'h> {
    user: User<'h>,
    file: String,
}

impl<'h> Stack<'h> {
    fn up(host: &'h Host, user: User<'h>, yaml: &str) -> (Self, Output) {
        let file = host.file("stack.yaml", yaml);
        let stack = Self {
            user,
            file: file.to_str().expect("a path").to_owned(),
        };
        let up = stack.coop("up", &["-d"]);
        (stack, up)
    }

    fn coop(&self, verb: &str, args: &[&str]) -> Output {
        let begin = [verb, "-f", &self.file];
        let args = begin.into_iter().chain(args.iter().copied());
        self.user.coop(args).run()
    }

    fn sh(&self, service: &str, script: &str) -> Output {
        self.coop("exec", &[service, "sh", "-c", script])
    }

    fn down(&self) {
        self.coop("down", &["-t", "0"]).success();
    }
}

/// The processes of the user that keep its networks.
fn keepers(host: &Host) -> Vec<String> {
    let lines = host.processes().into_iter();
    lines
        .filter(|line| line.contains("pasta") || line.contains("slirp4netns"))
        .collect()
}

/// The process that holds the user's network namespace.
fn keeper(user: &User<'_>) -> u32 {
    let lock = user.runtime_dir().join("coop/rootless-network/lock");
    let text = fs::read_to_string(lock).expect("the keeper's lock");
    let pid = text.split(' ').next().and_then(|pid| pid.parse().ok());
    pid.expect("a process id")
}

fn kill(host: &Host, pid: u32) {
    let pid = pid.to_string();
    host.tool("kill").args(["-9", &pid]).run().success();
}

fn web(ports: &str) -> String {
    STACK.replace("PORTS", ports)
}

macro_rules! user {
    ($host:expr) => {
        match User::with_networks($host) {
            Ok(user) => user,
            Err(why) => coop_tests::skip!("{why}"),
        }
    };
}

#[test]
fn services_reach_each_other_by_name_and_the_world_by_the_hosts_address() {
    let host = Host::new();
    let user = user!(&host);
    let world = World::new(&host);
    let mut server = world.serve();
    let before = host.snapshot();
    let (stack, up) = Stack::up(&host, user, &web(""));
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
fn a_published_port_answers_to_the_host_to_the_world_and_to_containers() {
    let host = Host::new();
    let user = user!(&host);
    let world = World::new(&host);
    let before = host.snapshot();
    let (stack, up) = Stack::up(&host, user, &web("'8080:80', '127.0.0.1:8081:80'"));
    up.success();
    wait_for_page("127.0.0.1:8080");
    wait_for_page("127.0.0.1:8081");
    wait_for_page("192.0.2.2:8080");
    let get = |port: u16| {
        let url = format!("http://192.0.2.2:{port}/page");
        let wget = format!("timeout 5 busybox wget -q -O - {url}");
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
        let get = stack.sh(service, "timeout 5 wget -q -O - http://192.0.2.2:8080/page");
        get.success().says("hello");
    }
    stack.down();
    assert!(fetch("127.0.0.1:8080").is_err());
    host.assert_nothing_left(&before);
}

#[test]
fn a_stream_of_some_size_comes_through_a_published_port() {
    let host = Host::new();
    let user = user!(&host);
    let script = "command: [sh, -c, 'dd if=/dev/zero bs=1M count=64 of=/www/page 2>/dev/null; \
                  exec httpd -f -p 80 -h /www']";
    let yaml = web("'8080:80'").replace(
        "command: [sh, -c, 'echo hello > /www/page; exec httpd -f -vv -p 80 -h /www']",
        script,
    );
    let (stack, up) = Stack::up(&host, user, &yaml);
    up.success();
    wait_until("all of it arrives", || {
        fetch("127.0.0.1:8080").is_ok_and(|page| page.len() > 64 << 20)
    });
    stack.down();
}

#[test]
fn a_udp_port_is_published_and_answers_come_back() {
    let host = Host::new();
    let user = user!(&host);
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
    let (stack, up) = Stack::up(&host, user, &yaml);
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
fn networks_of_a_user_are_as_separate_as_roots() {
    let host = Host::new();
    let user = user!(&host);
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
    let (stack, up) = Stack::up(&host, user, yaml);
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
fn ports_come_later_and_go_earlier_than_those_of_others() {
    let host = Host::new();
    let user = user!(&host);
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
fn a_running_container_is_connected_to_one_more_network() {
    let host = Host::new();
    let user = user!(&host);
    let (stack, up) = Stack::up(&host, user, &web(""));
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
fn a_port_of_root_is_refused_with_what_would_allow_it() {
    let host = Host::new();
    let user = user!(&host);
    let run = ["run", "--rm", "-p", "81:80", "coop/host", "true"];
    user.coop(run)
        .run()
        .fails(125, &["81", "net.ipv4.ip_unprivileged_port_start"]);
}

#[test]
fn a_supervisor_that_is_killed_leaves_network_and_ports_as_they_are() {
    let host = Host::new();
    let user = user!(&host);
    let before = host.snapshot();
    let (stack, up) = Stack::up(&host, user, &web("'8080:80'"));
    up.success();
    wait_for_page("127.0.0.1:8080");
    let keeper = keeper(&stack.user);
    for supervisor in host.supervisors() {
        if supervisor != keeper && !is_init(supervisor) {
            kill(&host, supervisor);
        }
    }
    wait_for_page("127.0.0.1:8080");
    stack.coop("ps", &[]).success();
    wait_for_page("127.0.0.1:8080");
    stack.coop("restart", &["-t", "0", "web"]).success();
    wait_for_page("127.0.0.1:8080");
    stack.down();
    host.assert_nothing_left(&before);
}

/// Whether the process is Coop's init in a container.
fn is_init(pid: u32) -> bool {
    let namespace = |pid: &str| fs::read_link(format!("/proc/{pid}/ns/pid")).ok();
    namespace(&pid.to_string()) != namespace("self")
}

#[test]
fn everything_that_is_killed_together_leaves_nothing() {
    let host = Host::new();
    let user = user!(&host);
    let _world = World::new(&host);
    user.sh(&[], "true").run().success();
    let before = host.snapshot();
    let (stack, up) = Stack::up(&host, user, &web("'8080:80'"));
    up.success();
    wait_for_page("127.0.0.1:8080");
    assert_eq!(keepers(&host).len(), 1, "{:?}", host.processes());
    for process in host.supervisors() {
        kill(&host, process);
    }
    wait_until("the way out is gone", || keepers(&host).is_empty());
    stack.down();
    stack.user.coop(["system", "check"]).run().success();
    host.assert_nothing_left(&before);
}

#[test]
fn a_keeper_that_is_killed_is_followed_by_another_in_the_same_namespace() {
    let host = Host::new();
    let user = user!(&host);
    let _world = World::new(&host);
    let before = host.snapshot();
    let (stack, up) = Stack::up(&host, user, &web("'8080:80'"));
    up.success();
    wait_for_page("127.0.0.1:8080");
    let client = |script: &str| stack.sh("client", script);
    kill(&host, keeper(&stack.user));
    // The supervisor holds the namespace, and does not wait for a command.
    wait_for_page("127.0.0.1:8080");
    client("timeout 5 wget -q -O - http://web/page")
        .success()
        .says("hello");
    wait_until("there is a way out again", || keepers(&host).len() == 1);
    stack.coop("restart", &["-t", "0", "web"]).success();
    wait_for_page("127.0.0.1:8080");
    wait_until("the client reaches the new one", || {
        client("timeout 1 wget -q -O - http://web/page")
            .stdout
            .contains("hello")
    });
    stack.down();
    host.assert_nothing_left(&before);
}

#[test]
fn a_way_out_that_is_killed_is_opened_again() {
    let host = Host::new();
    let user = user!(&host);
    let world = World::new(&host);
    let _server = world.serve();
    let (stack, up) = Stack::up(&host, user, &web(""));
    up.success();
    let get = || {
        let get = stack.sh(
            "client",
            "timeout 1 wget -q -O - http://192.0.2.1:8000/page",
        );
        get.stdout.contains("outside")
    };
    wait_until("the world answers", get);
    let [program] = &keepers(&host)[..] else {
        panic!("{:?}", host.processes())
    };
    let pid = program.split(' ').next().unwrap().parse().unwrap();
    kill(&host, pid);
    wait_until("the world answers again", get);
    stack.down();
}

#[test]
fn a_user_has_ipv6_as_well() {
    let host = Host::new();
    let user = user!(&host);
    let yaml = web("'8080:80'") + "networks: {default: {enable_ipv6: true}}\n";
    let before = host.snapshot();
    let (stack, up) = Stack::up(&host, user, &yaml);
    up.success();
    wait_for_page("[::1]:8080");
    wait_for_page("127.0.0.1:8080");
    let own = stack.sh("web", "ip -6 -o address show dev eth0 scope global");
    let own = { own.stdout.split_whitespace().nth(3) }.and_then(|own| own.split('/').next());
    let url = format!("http://[{}]/page", own.expect("an address"));
    let get = format!("timeout 2 wget -q -O - {url}");
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
    let (stack, up) = Stack::up(&host, user, &web("'8080:80'"));
    up.success();
    wait_for_page("192.0.2.2:8080");
    let wget = "timeout 5 busybox wget -q -O - http://192.0.2.2:8080/page";
    world.enter(wget).run().success().says("hello");
    stack.down();
    host.assert_nothing_left(&before);
}

#[test]
fn a_host_without_a_network_has_networks_all_the_same() {
    let host = Host::new();
    let user = user!(&host);
    let (stack, up) = Stack::up(&host, user, &web("'8080:80'"));
    up.success();
    wait_for_page("127.0.0.1:8080");
    wait_until("web answers", || {
        let get = stack.sh("client", "timeout 2 wget -q -O - http://web/page");
        get.stdout.contains("hello")
    });
    stack.down();
}

/// Takes a program away from this test's host.
fn hide(program: &str) {
    let path = Path::new("/usr/bin").join(program);
    if path.exists() {
        rustix::mount::mount_bind("/dev/null", &path).expect("hide a program");
    }
}

#[test]
fn slirp4netns_is_the_second_choice() {
    if !Path::new("/usr/bin/slirp4netns").exists() {
        coop_tests::skip!("slirp4netns is not installed");
    }
    let host = Host::new();
    let user = user!(&host);
    hide("pasta");
    let world = World::new(&host);
    let _server = world.serve();
    let before = host.snapshot();
    let (stack, up) = Stack::up(&host, user, &web("'8080:80'"));
    up.success();
    wait_for_page("127.0.0.1:8080");
    wait_until("the world answers", || {
        let get = stack.sh(
            "client",
            "timeout 2 wget -q -O - http://192.0.2.1:8000/page",
        );
        get.stdout.contains("outside")
    });
    assert!(keepers(&host)[0].contains("slirp4netns"));
    stack.down();
    host.assert_nothing_left(&before);
}

#[test]
fn with_neither_program_there_is_a_loopback_and_the_packages_are_named() {
    let host = Host::new();
    let user = User::new(&host);
    hide("pasta");
    hide("slirp4netns");
    let run = |flags: &[&'static str]| {
        let args = ["run", "--rm"].into_iter().chain(flags.iter().copied());
        user.coop(args.chain(["coop/host", "ip", "-o", "link"]))
            .run()
    };
    run(&["-p", "8080:80"]).fails(125, &["published ports", "without root", "passt"]);
    run(&["--network", "bridge"]).fails(125, &["network bridge", "slirp4netns"]);
    let default = run(&[]);
    default.success().warns("package passt, or slirp4netns");
    assert_eq!(default.stdout.lines().count(), 1, "{default}");
    default.says("lo:");
    let (stack, up) = Stack::up(&host, user, &web("").replace("    ports: []\n", ""));
    up.success().warns("network_mode: none");
    assert_eq!(up.stderr.matches("network_mode: none").count(), 1, "{up}");
    stack.down();
}

#[test]
fn users_of_one_host_have_networks_of_their_own() {
    let host = Host::new();
    let user = user!(&host);
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
