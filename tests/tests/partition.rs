//! Services that are cut off from each other, and healed.

use coop_tests::{Host, Stack, User, wait_until};

const STACK: &str = "
name: cut
services:
  web:
    image: coop/host
    init: true
    command: [sh, -c, 'echo hello > /www/page; exec httpd -f -p 80 -h /www']
    ports: ['8080:80']
  client: {image: coop/host, init: true, command: sleep 1000}
  other: {image: coop/host, init: true, command: sleep 1000}
";

fn reaches(stack: &Stack<'_>, from: &str, url: &str) -> bool {
    let script = format!("timeout 1 wget -q -O - http://{url}/page");
    let get = stack.coop("exec").args([from, "sh", "-c", &script]).run();
    get.stdout.contains("hello")
}

fn cut(host: &Host, stack: &Stack<'_>, verb: &str, sides: &[&str]) -> coop_tests::Output {
    let file = stack.file().to_str().expect("a path");
    host.coop(["network", verb, "-f", file]).args(sides).run()
}

fn partitions(host: &Host) -> String {
    let format = "{{json .Partitions}}";
    let inspect = ["network", "inspect", "-f", format, "cut_default"];
    host.coop(inspect).run().success().stdout.trim().to_owned()
}

#[test]
fn two_services_are_cut_off_until_they_are_healed_and_a_third_is_not() {
    let host = Host::new();
    let stack = host.stack(STACK);
    stack.up();
    wait_until("web answers", || reaches(&stack, "client", "web"));
    wait_until("it is reached", || reaches(&stack, "other", "web"));
    let done = cut(&host, &stack, "partition", &["client", "web"]);
    done.success().prints("cut_default: client | web");
    assert!(!reaches(&stack, "client", "web"));
    wait_until("it is reached", || reaches(&stack, "other", "web"));
    // No other way round: not over the port that is published on the gateway either.
    let gateway = stack.exec(
        "client",
        "ip route | sed -n 's/default via //p' | cut -d' ' -f1",
    );
    let published = format!("{}:8080", gateway.trim());
    wait_until("it is reached", || reaches(&stack, "other", &published));
    assert!(!reaches(&stack, "client", &published));
    assert_eq!(partitions(&host), r#"[["client","web"]]"#);
    // Twice is once.
    cut(&host, &stack, "partition", &["web", "client"]).success();
    cut(&host, &stack, "heal", &["web", "client"]).success();
    wait_until("it is reached", || reaches(&stack, "client", "web"));
    assert_eq!(partitions(&host), "[]");
    cut(&host, &stack, "heal", &["web", "client"]).fails(1, &["not cut off"]);
    cut(&host, &stack, "heal", &[]).success().prints("");
    stack.down();
}

#[test]
fn packets_of_any_kind_stop_and_come_again() {
    let host = Host::new();
    let stack = host.stack(STACK);
    stack.up();
    let address = "{{.NetworkSettings.Networks.cut_default.IPAddress}}";
    let address = host.coop(["inspect", "-f", address, "cut-web-1"]).run();
    let address = address.success().stdout.trim().to_owned();
    let pid = host.pid_of("cut-client-1").to_string();
    let ping = || {
        let nsenter = host.tool("nsenter").args(["-n", "-t", &pid]);
        let ping = ["busybox", "ping", "-c", "1", "-W", "1", &address];
        nsenter.args(ping).run().status.success()
    };
    wait_until("web answers", ping);
    cut(&host, &stack, "partition", &["client", "web"]).success();
    assert!(!ping());
    cut(&host, &stack, "heal", &[]).success();
    wait_until("web answers", ping);
    stack.down();
}

#[test]
fn what_is_cut_off_stays_so_over_restart_replacement_and_further_replicas() {
    let host = Host::new();
    let stack = host.stack(STACK);
    stack.up();
    wait_until("web answers", || reaches(&stack, "client", "web"));
    cut(&host, &stack, "partition", &["client", "web"]).success();
    stack
        .coop("restart")
        .args(["-t", "0", "web"])
        .run()
        .success();
    wait_until("web answers again", || reaches(&stack, "other", "web"));
    assert!(!reaches(&stack, "client", "web"));
    let again = ["-d", "--force-recreate", "--no-deps", "-t", "0", "web"];
    stack.coop("up").args(again).run().success();
    wait_until("the new web answers", || reaches(&stack, "other", "web"));
    assert!(!reaches(&stack, "client", "web"));
    // The network goes with the last of them, and comes again.
    let all = ["-d", "--force-recreate", "-t", "0"];
    stack.coop("up").args(all).run().success();
    wait_until("all are new", || reaches(&stack, "other", "web"));
    assert!(!reaches(&stack, "client", "web"));
    stack
        .coop("up")
        .args(["-d", "--scale", "client=2"])
        .run()
        .success();
    let get = "timeout 1 wget -q -O - http://web/page";
    let second = host.coop(["exec", "cut-client-2", "sh", "-c", get]).run();
    second.does_not_say("hello");
    stack.down();
    // The network has gone, and with it what was cut off.
    stack.up();
    wait_until("all is well", || reaches(&stack, "client", "web"));
    stack.down();
}

#[test]
fn a_container_is_cut_off_alone_and_what_makes_no_sense_is_refused() {
    let host = Host::new();
    let stack = host.stack(&STACK.replace("    ports: ['8080:80']\n", ""));
    stack
        .coop("up")
        .args(["-d", "--scale", "client=2"])
        .run()
        .success();
    let reaches_by = |name: &str| {
        let get = "timeout 1 wget -q -O - http://web/page";
        let get = host.coop(["exec", name, "sh", "-c", get]).run();
        get.stdout.contains("hello")
    };
    wait_until("web answers", || reaches_by("cut-client-1"));
    cut(&host, &stack, "partition", &["cut-client-1", "web"]).success();
    assert!(!reaches_by("cut-client-1"));
    wait_until("it is reached", || reaches_by("cut-client-2"));
    cut(&host, &stack, "partition", &["web", "web"]).fails(1, &["in common"]);
    cut(&host, &stack, "partition", &["web", "nobody"]).fails(1, &["nobody"]);
    let run = [
        "run",
        "-d",
        "--init",
        "--name",
        "far",
        "coop/host",
        "sleep",
        "1000",
    ];
    host.coop(run).run().success();
    cut(&host, &stack, "partition", &["web", "far"]).fails(1, &["no network together"]);
    host.coop(["rm", "-f", "far"]).run().success();
    stack.down();
}

#[test]
fn users_cut_off_their_own_services() {
    let host = Host::new();
    let user = match User::with_networks(&host) {
        Ok(user) => user,
        Err(why) => coop_tests::skip!("{why}"),
    };
    let file = host.file("stack.yaml", STACK);
    let file = file.to_str().expect("a path");
    user.coop(["up", "-d", "-f", file]).run().success();
    let reaches = |from: &str| {
        let get = "timeout 1 wget -q -O - http://web/page";
        let exec = ["exec", "-f", file, from, "sh", "-c", get];
        user.coop(exec).run().stdout.contains("hello")
    };
    wait_until("web answers", || reaches("client"));
    let cut = ["network", "partition", "-f", file, "client", "web"];
    user.coop(cut).run().success();
    assert!(!reaches("client") && reaches("other"));
    user.coop(["network", "heal", "-f", file]).run().success();
    wait_until("it is reached", || reaches("client"));
    user.coop(["down", "-t", "0", "-f", file]).run().success();
}
