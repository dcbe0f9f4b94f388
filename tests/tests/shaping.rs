//! Links that are worse than they need be: `x-net`.

use std::path::Path;

use coop_tests::{Host, User, wait_until};

const STACK: &str = "
name: worse
services:
  web:
    image: coop/host
    init: true
    command: [sh, -c, 'dd if=/dev/zero of=/www/page bs=1k count=512 2>/dev/null; exec httpd -f -p 80 -h /www']
    x-net: SHAPE
  client:
    image: coop/host
    init: true
    command: sleep 1000
";

fn worse(shape: &str) -> String {
    STACK.replace("SHAPE", shape)
}

/// Whether the kernel has this queueing discipline.
fn has(host: &Host, discipline: &str) -> bool {
    let script = format!("tc qdisc replace dev lo root {discipline} && tc qdisc del dev lo root");
    host.tool("sh").args(["-c", &script]).run().status.success()
}

const TBF: &str = "tbf rate 1mbit burst 10kb latency 50ms";
const NETEM: &str = "netem delay 1ms";

/// The disciplines of all interfaces, as seen from where `pid` is.
fn disciplines(host: &Host, pid: Option<u32>) -> String {
    let tc = ["tc", "-s", "qdisc", "show"];
    let output = match pid {
        None => host.tool("tc").args(&tc[1..]).run(),
        Some(pid) => {
            // By its path: the nsenter of busybox runs a tc of its own, which knows less.
            let paths = ["/sbin/tc", "/usr/sbin/tc"];
            let path = paths.into_iter().find(|path| Path::new(path).exists());
            let nsenter = host.tool("nsenter").args(["-n", "-t", &pid.to_string()]);
            nsenter.arg(path.expect("tc")).args(&tc[1..]).run()
        }
    };
    output.success().stdout.clone()
}

fn line<'a>(text: &'a str, kind: &str) -> &'a str {
    let mut lines = text.lines();
    let found = lines.find(|line| line.starts_with(&format!("qdisc {kind} ")));
    found.unwrap_or_else(|| panic!("no {kind}\n{text}"))
}

/// The address of the service that is made worse.
fn address(host: &Host, network: &str) -> String {
    let format = format!("{{{{(index .NetworkSettings.Networks \"{network}\").IPAddress}}}}");
    let output = host.coop(["inspect", "-f", &format, "worse-web-1"]).run();
    output.success().stdout.trim().to_owned()
}

/// Three packets from the other service, and their answers.
fn ping(host: &Host, address: &str) -> coop_tests::Output {
    let pid = host.pid_of("worse-client-1").to_string();
    let nsenter = host.tool("nsenter").args(["-n", "-t", &pid]);
    let ping = ["busybox", "ping", "-c", "3", "-W", "2", address];
    nsenter.args(ping).run()
}

#[test]
fn a_rate_holds_in_both_directions_and_after_a_restart() {
    let host = Host::new();
    if !has(&host, TBF) {
        coop_tests::skip!("the kernel has no sch_tbf");
    }
    let stack = host.stack(&worse("{rate: 100mbit}"));
    stack.up();
    let both_ends_are_shaped = || {
        assert!(line(&disciplines(&host, None), "tbf").contains("rate 100Mbit"));
        let pid = host.pid_of("worse-web-1");
        let inside = disciplines(&host, Some(pid));
        assert!(line(&inside, "tbf").contains("rate 100Mbit"), "{inside}");
        let client = host.pid_of("worse-client-1");
        assert!(!disciplines(&host, Some(client)).contains("tbf"));
    };
    both_ends_are_shaped();
    wait_until("the page arrives", || {
        let get = "timeout 20 wget -q -O - http://web/page | wc -c";
        stack
            .coop("exec")
            .args(["client", "sh", "-c", get])
            .run()
            .stdout
            .trim()
            == "524288"
    });
    // It was held back, and not only configured to be.
    let inside = disciplines(&host, Some(host.pid_of("worse-web-1")));
    let statistics = inside.split("qdisc tbf").nth(1).expect("statistics");
    let overlimits = statistics.split("overlimits ").nth(1);
    let overlimits = overlimits.and_then(|it| it.split(' ').next()?.parse::<u64>().ok());
    assert!(overlimits > Some(0), "{inside}");
    stack
        .coop("restart")
        .args(["-t", "0", "web"])
        .run()
        .success();
    both_ends_are_shaped();
    stack.down();
    assert!(!disciplines(&host, None).contains("tbf"));
}

#[test]
fn a_container_is_connected_by_a_link_that_is_worse() {
    let host = Host::new();
    if !has(&host, TBF) {
        coop_tests::skip!("the kernel has no sch_tbf");
    }
    host.coop(["network", "create", "far"]).run().success();
    let before = host.snapshot();
    let run = ["run", "-d", "--init", "--name", "box"];
    let run = host.coop(run).args(["coop/host", "sleep", "1000"]).run();
    run.success();
    let connect = |shape: &str| {
        let connect = ["network", "connect", "--x-net", shape, "far", "box"];
        host.coop(connect).run()
    };
    connect("rate=fast").fails(125, &["is not a unit of a rate"]);
    connect("rate=20mbit").success();
    let both_ends_are_shaped = || {
        let inside = disciplines(&host, Some(host.pid_of("box")));
        for text in [&disciplines(&host, None), &inside] {
            assert_eq!(text.matches("qdisc tbf").count(), 1, "{text}");
            assert!(line(text, "tbf").contains("rate 20Mbit"), "{text}");
        }
        assert!(line(&inside, "tbf").contains("dev eth1"), "{inside}");
    };
    both_ends_are_shaped();
    host.coop(["restart", "-t", "0", "box"]).run().success();
    both_ends_are_shaped();
    let disconnect = host.coop(["network", "disconnect", "far", "box"]).run();
    disconnect.success();
    assert!(!disciplines(&host, None).contains("tbf"));
    // What cannot be made worse is not connected.
    if !has(&host, NETEM) {
        connect("loss=1%").fails(1, &["tc failed", "modprobe sch_netem"]);
        let links = host.coop(["exec", "box", "ls", "/sys/class/net"]).run();
        assert!(!links.success().stdout.contains("eth1"), "{links}");
    }
    host.coop(["rm", "-f", "box"]).run().success();
    host.assert_nothing_left(&before);
    host.coop(["network", "rm", "far"]).run().success();
}

#[test]
fn a_user_has_worse_links_as_well() {
    let host = Host::new();
    if !has(&host, TBF) {
        coop_tests::skip!("the kernel has no sch_tbf");
    }
    let user = match User::with_networks(&host) {
        Ok(user) => user,
        Err(why) => coop_tests::skip!("{why}"),
    };
    let file = host.file("stack.yaml", worse("{rate: 10mbit}"));
    let file = file.to_str().expect("a path");
    user.coop(["up", "-d", "-f", file]).run().success();
    let pid = user.pid_of("worse-web-1");
    assert!(line(&disciplines(&host, Some(pid)), "tbf").contains("rate 10Mbit"));
    user.coop(["down", "-t", "0", "-f", file]).run().success();
}

#[test]
fn a_delay_is_that_of_each_direction() {
    let host = Host::new();
    if !has(&host, NETEM) {
        coop_tests::skip!("the kernel has no sch_netem");
    }
    let stack = host.stack(&worse("{delay: 60ms, jitter: 5ms, rate: 10mbit}"));
    stack.up();
    let address = address(&host, "worse_default");
    let round_trip = ping(&host, &address).stdout;
    // `round-trip min/avg/max = 113.1/120.2/127.3 ms`
    let least = round_trip
        .rsplit("= ")
        .next()
        .and_then(|it| it.split('/').next());
    let least: f64 = least.and_then(|it| it.parse().ok()).expect("a time");
    assert!(least >= 110.0, "{round_trip}");
    stack.down();
}

#[test]
fn packets_are_lost_on_one_network_and_not_on_the_other() {
    let host = Host::new();
    if !has(&host, NETEM) {
        coop_tests::skip!("the kernel has no sch_netem");
    }
    let networks = "
    networks:
      good:
      bad: {x-net: {loss: 100%}}
";
    let yaml = worse("{delay: 1ms}").replace("    x-net: {delay: 1ms}\n", networks);
    let yaml = yaml.replace("sleep 1000\n", "sleep 1000\n    networks: [good, bad]\n");
    let stack = host.stack(&format!("{yaml}networks: {{good: , bad: }}\n"));
    stack.up();
    let answers = |network: &str| ping(&host, &address(&host, network)).status.success();
    wait_until("it is reached", || answers("worse_good"));
    assert!(!answers("worse_bad"));
    stack.down();
}

#[test]
fn a_kernel_without_the_module_is_named_and_nothing_is_left() {
    let host = Host::new();
    if has(&host, NETEM) {
        coop_tests::skip!("the kernel has sch_netem");
    }
    host.coop(["run", "--rm", "--network", "none", "coop/host", "true"])
        .run()
        .success();
    let before = host.snapshot();
    let stack = host.stack(&worse("{loss: 1%}"));
    let up = stack.coop("up").arg("-d").run();
    up.stack_fails(&["web", "tc failed", "modprobe sch_netem"]);
    host.assert_nothing_left(&before);
}

#[test]
fn what_makes_no_sense_is_refused_where_it_stands() {
    let host = Host::new();
    for (shape, words) in [
        ("{rate: 10}", "has no unit"),
        ("{rate: fast}", "is not a unit of a rate"),
        ("{loss: 101%}", "not a part of a hundred"),
        ("{loss: 1}", "not a part of a hundred"),
        ("{delay: 5ms, jitter: 6ms}", "before they were sent"),
        ("{delay: 2h}", "longer than an hour"),
        ("{}", "says nothing"),
        ("{latency: 5ms}", "latency"),
    ] {
        let stack = host.stack(&worse(shape));
        stack.coop("config").run().stack_fails(&["x-net", words]);
    }
}
