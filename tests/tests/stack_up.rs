//! `coop up`: order, conditions, idempotence, what goes away with `down`.

use std::fs;

use coop_tests::{Host, Stack, wait_until};
use rustix::process::Signal;

const PAIR: &str = "
name: pair
services:
  web:
    image: coop/host
    command: httpd -f -p 80 -h /www
    stop_signal: SIGKILL
    mem_limit: 64m
    cpus: 0.5
    pids_limit: 32
    ports: ['8080:80']
  client:
    image: coop/host
    command: sleep 1000
    stop_signal: SIGKILL
    depends_on: [web]
";

#[test]
fn down_leaves_no_cgroup_mount_link_rule_process_or_directory() {
    let host = Host::new();
    let before = host.snapshot();
    let stack = host.stack(PAIR);
    stack.up();
    let during = host.snapshot();
    let difference = before.difference(&during);
    for kind in ["cgroup", "file", "link", "process", "rule"] {
        assert!(
            difference.contains(&format!("+ {kind}: ")),
            "no {kind} in\n{difference}"
        );
    }
    stack.down();
    host.assert_nothing_left(&before);
}

#[test]
fn the_short_option_names_the_file_too() {
    let host = Host::new();
    let stack = host.stack(PAIR);
    host.coop(["up", "-d", "-f"])
        .arg(stack.file())
        .run()
        .success();
    host.coop(["ps", "-f"])
        .arg(stack.file())
        .run()
        .success()
        .says("web");
    host.coop(["ps", "-p", "pair"]).run().success().says("web");
    host.coop(["down", "-p", "pair"]).run().success();
    assert_eq!(host.containers(), [""; 0]);
}

#[test]
fn a_stack_file_in_the_working_directory_is_found() {
    let host = Host::new();
    host.file("compose.yaml", PAIR);
    host.coop(["up", "-d"]).run().success();
    host.coop(["exec", "client", "true"]).run().success();
    host.coop(["down"]).run().success();
}

#[test]
fn going_up_twice_changes_nothing() {
    let host = Host::new();
    let stack = host.stack(PAIR);
    stack.up();
    let ids = || stack.coop("ps").arg("-q").run().success().stdout.clone();
    let (before, supervisors) = (ids(), host.supervisors());
    assert_eq!(before.lines().count(), 2, "{before}");
    stack.up();
    assert_eq!(ids(), before);
    assert_eq!(host.supervisors(), supervisors);
}

#[test]
fn going_up_again_brings_back_what_ended() {
    let host = Host::new();
    let stack = host.stack(PAIR);
    stack.up();
    stack.coop("kill").arg("client").run().success();
    wait_until("the client is gone", || {
        !stack.coop("ps").run().success().stdout.contains("client")
    });
    stack.up();
    stack.exec("client", "exit 0");
}

#[test]
fn a_changed_service_is_replaced_and_restarts_what_asks_for_it() {
    const CHAIN: &str = "
name: change
services:
  db:
    image: coop/host
    command: sleep 1000
    stop_signal: SIGKILL
    environment: {VERSION: 'one'}
  stays:
    image: coop/host
    command: sleep 1000
    stop_signal: SIGKILL
    depends_on: [db]
  restarts:
    image: coop/host
    command: sleep 1000
    stop_signal: SIGKILL
    depends_on: {db: {condition: service_started, restart: true}}
";
    let host = Host::new();
    let stack = host.stack(CHAIN);
    stack.up();
    let start_time = |service: &str| {
        let stat = stack.exec(service, "cat /proc/1/stat");
        stat.split(' ').nth(21).map(str::to_owned)
    };
    let (stays, restarts) = (start_time("stays"), start_time("restarts"));
    let changed = host.file("changed.yaml", CHAIN.replace("one", "two"));
    let stack = Stack::at(&host, changed);
    stack.up();
    assert_eq!(stack.exec("db", "echo $VERSION").trim(), "two");
    assert_eq!(start_time("stays"), stays);
    assert_ne!(start_time("restarts"), restarts);
    // What stayed finds what it depends on when it is started anew.
    stack.coop("stop").args(["stays"]).run().success();
    stack.coop("start").args(["stays"]).run().success();
    stack.exec("stays", "exit 0");
    stack.down();
}

#[test]
fn service_completed_successfully_waits_for_the_end_of_the_job() {
    let host = Host::new();
    let stack = host.stack(
        "
name: order
services:
  late:
    image: coop/host
    command: [sh, -c, 'test -e /shared/done && echo after || echo before; exec sleep 1000']
    volumes: ['shared:/shared']
    depends_on: {job: {condition: service_completed_successfully}}
  job:
    image: coop/host
    command: [sh, -c, 'sleep 1; echo x > /shared/done']
    volumes: ['shared:/shared']
volumes: {shared: }
",
    );
    stack.up();
    stack.wait_for_log("late", "after");
}

#[test]
fn service_healthy_waits_for_the_check_to_succeed() {
    let host = Host::new();
    let stack = host.stack(
        "
name: health
services:
  late:
    image: coop/host
    command: [sh, -c, 'test -e /shared/ready && echo after || echo before; exec sleep 1000']
    volumes: ['shared:/shared']
    depends_on: {slow: {condition: service_healthy}}
  slow:
    image: coop/host
    command: [sh, -c, 'sleep 1; echo x > /shared/ready; exec sleep 1000']
    volumes: ['shared:/shared']
    healthcheck: {test: 'test -e /shared/ready', interval: 100ms, retries: 100}
volumes: {shared: }
",
    );
    stack.up();
    stack.wait_for_log("late", "after");
    stack.coop("ps").run().success().says("(healthy)");
}

#[test]
fn a_job_that_fails_keeps_its_dependents_from_starting() {
    let host = Host::new();
    let before = host.snapshot();
    let stack = host.stack(
        "
name: broken
services:
  late:
    image: coop/host
    command: [sh, -c, 'echo started; exec sleep 1000']
    depends_on: {job: {condition: service_completed_successfully}}
  job: {image: coop/host, command: [sh, -c, exit 3]}
",
    );
    stack
        .coop("up")
        .arg("-d")
        .run()
        .stack_fails(&["job", "3", "late"]);
    stack.coop("logs").arg("late").run().does_not_say("started");
    stack.down();
    host.assert_nothing_left(&before);
}

#[test]
fn a_service_that_never_gets_healthy_keeps_its_dependents_from_starting() {
    let host = Host::new();
    let stack = host.stack(
        "
name: sick
services:
  late:
    image: coop/host
    command: sleep 1000
    stop_signal: SIGKILL
    depends_on: {ill: {condition: service_healthy}}
  ill:
    image: coop/host
    command: sleep 1000
    stop_signal: SIGKILL
    healthcheck: {test: [CMD, 'false'], interval: 100ms, retries: 2}
",
    );
    stack
        .coop("up")
        .arg("-d")
        .run()
        .stack_fails(&["ill", "unhealthy", "late"]);
    stack.down();
}

#[test]
fn in_the_foreground_lines_carry_the_service_and_ctrl_c_takes_all_down() {
    let host = Host::new();
    let before = host.snapshot();
    let stack = host.stack(
        "
name: front
services:
  a: {image: coop/host, command: [sh, -c, 'echo from a; exec sleep 1000'], stop_signal: SIGKILL}
  b:
    image: coop/host
    command: [sh, -c, 'echo from b; exec sleep 1000']
    stop_signal: SIGKILL
    depends_on: [a]
    ports: ['8080:80']
",
    );
    let mut up = stack.coop("up").spawn();
    // Who of them is quicker to speak is not decided by who was started first.
    let mut lines = [up.wait_for("from "), up.wait_for("from ")];
    lines.sort();
    assert_eq!(lines, ["a-1  | from a", "b-1  | from b"]);
    up.signal_group(Signal::INT);
    up.wait();
    wait_until("nothing runs", || host.pids().is_empty());
    stack.down();
    host.assert_nothing_left(&before);
}

#[test]
fn ctrl_c_while_going_up_takes_down_what_came_up() {
    let host = Host::new();
    let before = host.snapshot();
    let stack = host.stack(
        "
name: half
services:
  first: {image: coop/host, command: [sh, -c, 'echo up; exec sleep 1000'], stop_signal: SIGKILL}
  never:
    image: coop/host
    command: sleep 1000
    stop_signal: SIGKILL
    depends_on: {job: {condition: service_completed_successfully}}
  job: {image: coop/host, command: sleep 1000, stop_signal: SIGKILL, depends_on: [first]}
",
    );
    let mut up = stack.coop("up").spawn();
    up.wait_for("up");
    up.signal_group(Signal::INT);
    up.wait();
    wait_until("nothing runs", || host.pids().is_empty());
    stack.down();
    host.assert_nothing_left(&before);
}

#[test]
fn the_foreground_ends_when_all_containers_ended() {
    let host = Host::new();
    let stack = host.stack(
        "
name: short
services:
  a: {image: coop/host, command: [sh, -c, 'echo from a']}
  b: {image: coop/host, command: [sh, -c, 'echo from b']}
",
    );
    stack
        .coop("up")
        .run()
        .success()
        .says("from a")
        .says("from b");
}

#[test]
fn down_keeps_named_volumes_and_down_v_removes_them() {
    let host = Host::new();
    let before = host.snapshot();
    let yaml = "
name: keep
services:
  a:
    image: coop/host
    command: [sh, -c, 'cat /data/file; echo kept > /data/file']
    volumes: ['data:/data']
volumes: {data: }
";
    let stack = host.stack(yaml);
    stack.coop("up").run().success();
    stack.down();
    stack.coop("up").run().success().says("kept");
    stack.coop("down").arg("-v").run().success();
    host.assert_nothing_left(&before);
}

#[test]
fn down_of_a_stack_that_is_not_up_changes_nothing() {
    let host = Host::new();
    let stack = host.stack(PAIR);
    let before = host.snapshot();
    stack.down();
    host.assert_nothing_left(&before);
}

#[test]
fn two_stacks_live_side_by_side() {
    let host = Host::new();
    let before = host.snapshot();
    let yaml = |name: &str| {
        format!(
            "name: {name}\nservices: {{web: {{image: coop/host, command: sleep 1000, stop_signal: SIGKILL}}}}\n"
        )
    };
    let (one, two) = (host.stack(&yaml("one")), host.stack(&yaml("two")));
    one.up();
    two.up();
    one.down();
    two.exec("web", "exit 0");
    two.down();
    host.assert_nothing_left(&before);
}

#[test]
fn a_stack_of_rootfs_directories_needs_no_image() {
    let host = Host::new();
    let root = coop_tests::Rootfs::new(&host);
    let path = root.path().display();
    let stack = host.stack(&format!(
        "name: plain\nservices: {{a: {{rootfs: {path}, command: cat /marker}}}}\n"
    ));
    stack
        .coop("up")
        .run()
        .success()
        .says(coop_tests::Rootfs::MARKER);
    assert!(fs::exists(root.path()).unwrap());
}
