//! Several containers of one service.

use coop_tests::{Cmd, Host, Stack};

const FILE: &str = "
name: many
services:
  web:
    image: coop/host
    command: sleep 1000
    scale: 2
  client:
    image: coop/host
    command: sleep 1000
    depends_on: [web]
";

fn scale(stack: &Stack<'_>, number: u32) {
    stack
        .coop("up")
        .args(["-d", "-t", "0", "--scale", &format!("web={number}")])
        .run()
        .success();
}

fn names(host: &Host) -> Vec<String> {
    let mut names = host.containers();
    names.sort();
    names
}

#[test]
fn a_service_has_as_many_containers_as_asked_for() {
    let host = Host::new();
    let before = host.snapshot();
    let stack = host.stack(FILE);
    stack.up();
    assert_eq!(names(&host), ["many-client-1", "many-web-1", "many-web-2"]);
    scale(&stack, 4);
    assert_eq!(names(&host).len(), 5);
    scale(&stack, 1);
    assert_eq!(names(&host), ["many-client-1", "many-web-1"]);
    stack.coop("down").args(["-t", "0"]).run().success();
    host.assert_nothing_left(&before);
}

#[test]
fn a_gap_is_filled_and_the_others_stay() {
    let host = Host::new();
    let stack = host.stack(FILE);
    scale(&stack, 3);
    let start = |name: &str| stack.exec(name, "cat /proc/1/stat | cut -d' ' -f22");
    let third = start("many-web-3");
    host.coop(["rm", "-f", "many-web-2"]).run().success();
    scale(&stack, 3);
    assert_eq!(names(&host).len(), 4);
    assert_eq!(start("many-web-3"), third);
    stack.coop("down").args(["-t", "0"]).run().success();
}

#[test]
fn others_find_all_of_them_by_the_service_name_also_later_ones() {
    let host = Host::new();
    let stack = host.stack(FILE);
    stack.up();
    let found = || {
        let asked = stack.coop("exec").args(["client", "nslookup", "web"]).run();
        let lines = asked.lines().into_iter();
        // The first address is the name server's.
        lines.filter(|line| line.starts_with("Address")).count() - 1
    };
    assert_eq!(found(), 2);
    scale(&stack, 3);
    assert_eq!(found(), 3);
    scale(&stack, 1);
    assert_eq!(found(), 1);
    stack.coop("down").args(["-t", "0"]).run().success();
}

#[test]
fn what_there_can_be_only_one_of_is_refused_with_its_line() {
    let host = Host::new();
    let stack = host.stack(
        "
name: one
services:
  web: {image: coop/host, command: sleep 1000, container_name: only}
  port: {image: coop/host, command: sleep 1000, ports: ['8080:80']}
",
    );
    stack
        .coop("up")
        .args(["-d", "--scale", "web=2"])
        .run()
        .stack_fails(&["container names must be unique", "container_name: only"]);
    stack
        .coop("up")
        .args(["-d", "--scale", "port=2"])
        .run()
        .stack_fails(&["port 8080"]);
    stack
        .coop("up")
        .args(["-d", "--scale", "nope=2"])
        .run()
        .stack_fails(&["no such service: nope"]);
    assert_eq!(host.containers(), [""; 0]);
}

/// Services `w0`, `w1` and so on, which do nothing.
fn services(number: usize, keys: &str) -> String {
    let mut text = "name: many\nservices:\n".to_owned();
    for service in 0..number {
        let service = format!(
            "  w{service}: {{image: coop/host, command: sleep 1000, stop_signal: SIGKILL{keys}}}\n"
        );
        text.push_str(&service);
    }
    text
}

/// How many files the command itself opens, without the supervisor that it leaves: what it would
/// have to read of each container that there is. None without `strace`.
fn opens(host: &Host, command: Cmd<'_>) -> Option<usize> {
    if !host.tool("strace").arg("-V").run().status.success() {
        eprintln!("not tested: there is no strace");
        return None;
    }
    let trace = host.work().join("trace");
    let strace = format!(
        "exec strace -o {} -e trace=open,openat,openat2,open_tree \"$@\"",
        trace.display()
    );
    command.through_shell(&strace).run().success();
    Some(
        std::fs::read_to_string(&trace)
            .expect("a trace")
            .lines()
            .count(),
    )
}

#[test]
fn the_last_container_costs_what_the_first_one_does() {
    let host = Host::new();
    let run = |name: &str| {
        let run = host.coop(["run", "-d", "--network", "none", "--name", name]);
        run.args(["coop/host", "sleep", "1000"])
    };
    run("first").run().success();
    let Some(second) = opens(&host, run("second")) else {
        return;
    };
    for number in 0..15 {
        run(&format!("more-{number}")).run().success();
    }
    let last = opens(&host, run("last")).unwrap();
    assert!(last <= second + 2, "{second} files, and then {last}");
    let names = host.containers();
    host.coop(["rm", "-f"]).args(names).run().success();
}

#[test]
fn a_container_of_a_larger_stack_costs_no_more_to_make_and_to_remove() {
    let host = Host::new();
    let cost = |number: usize| {
        let stack = host.stack(&services(number, ""));
        let up = opens(&host, stack.coop("up").arg("-d"))?;
        let down = opens(&host, stack.coop("down").args(["-t", "0"]))?;
        Some([up, down])
    };
    // The image is made at its first use.
    let Some(_) = cost(1) else { return };
    let [few, more, most] = [4, 8, 16].map(|number| cost(number).unwrap());
    for verb in 0..2 {
        let first = more[verb] - few[verb];
        let then = most[verb] - more[verb];
        assert!(
            then <= 2 * first + 8,
            "4 more open {first} files, and 8 more {then}: {few:?} {more:?} {most:?}"
        );
    }
}

#[test]
fn a_stack_that_is_made_in_parts_comes_whole_or_not_at_all() {
    let host = Host::new();
    let before = host.snapshot();
    let good = services(40, ", network_mode: none");
    // The kernel refuses it when all others wait for their start already.
    let bad = "  bad: {image: coop/host, command: sleep 1000, network_mode: none, \
               working_dir: /proc/1/nowhere}\n";
    let stack = host.stack(&format!("{good}{bad}"));
    let failed = stack.coop("up").arg("-d").run();
    assert!(!failed.status.success());
    assert_eq!(host.containers(), [""; 0]);
    let stack = host.stack(&good);
    stack.up();
    assert_eq!(host.containers().len(), 40);
    stack.coop("down").run().success();
    host.assert_nothing_left(&before);
}

#[test]
fn a_network_has_room_for_the_stack_that_it_is_made_for() {
    let host = Host::new();
    let before = host.snapshot();
    let stack = host.stack(FILE);
    let create = |number: u32| {
        let up = stack.coop("up").args(["--no-start", "--scale"]);
        up.arg(format!("web={number}")).run()
    };
    create(300).success();
    let last = host.inspect("many-web-300");
    let network = &last["NetworkSettings"]["Networks"]["many_default"];
    assert_eq!(network["IPPrefixLen"], 22, "{network}");
    stack.coop("down").run().success();
    // A port of a bridge for each, of which the kernel gives it 1,023.
    let refused = create(1100);
    assert!(!refused.status.success());
    assert!(
        refused
            .stderr
            .contains("a bridge of the kernel has no more than 1023 ports"),
        "{refused}"
    );
    assert_eq!(host.containers(), [""; 0]);
    host.assert_nothing_left(&before);
}
