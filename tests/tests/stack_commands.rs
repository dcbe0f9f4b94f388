//! The commands on a stack that is up, and those that only look at its file.

use coop_tests::{Host, cgroup, wait_until};

const TALKERS: &str = "
name: talk
services:
  a:
    image: coop/host
    command: [sh, -c, 'for i in 1 2 3; do echo a$$i; done; exec sleep 1000']
    mem_limit: 64m
    stop_signal: SIGKILL
  b:
    image: coop/host
    command: [sh, -c, 'echo b1; exec sleep 1000']
    deploy: {resources: {limits: {memory: 32m, cpus: '0.25', pids: 20}}}
    stop_signal: SIGKILL
";

#[test]
fn ps_lists_the_services_of_this_stack_only() {
    let host = Host::new();
    let stack = host.stack(TALKERS);
    stack.up();
    host.coop(["run", "-d", "--name", "other", "coop/host", "sleep", "1000"])
        .run()
        .success();
    let output = stack.coop("ps").run();
    assert_eq!(
        output.success().lines().len(),
        3,
        "a header and two rows\n{output}"
    );
    output
        .says("talk-a-1")
        .says("talk-b-1")
        .does_not_say("other");
    host.coop(["ps"])
        .run()
        .success()
        .says("talk-a-1")
        .says("other");
}

#[test]
fn logs_of_a_stack_carry_the_service_in_front() {
    let host = Host::new();
    let stack = host.stack(TALKERS);
    stack.up();
    stack.wait_for_log("a", "a3");
    stack.wait_for_log("b", "b1");
    let output = stack.coop("logs").run();
    for (service, text) in [("a", "a1"), ("a", "a2"), ("a", "a3"), ("b", "b1")] {
        let found = output.lines().iter().any(|line| {
            line.split_once('|')
                .is_some_and(|(head, tail)| head.trim().starts_with(service) && tail.trim() == text)
        });
        assert!(found, "{service}: {text}\n{output}");
    }
}

#[test]
fn logs_of_one_service_can_be_cut_and_dated() {
    let host = Host::new();
    let stack = host.stack(TALKERS);
    stack.up();
    stack.wait_for_log("a", "a3");
    let output = stack.coop("logs").args(["--tail", "1", "-t", "a"]).run();
    assert_eq!(output.success().lines().len(), 1, "{output}");
    output.says("a3").says("T").does_not_say("b1");
}

#[test]
fn logs_follow_all_services_of_the_stack() {
    let host = Host::new();
    let stack = host.stack(TALKERS);
    stack.up();
    let mut logs = stack.coop("logs").arg("-f").spawn();
    logs.wait_for("a3");
    stack
        .coop("exec")
        .args(["b", "sh", "-c", "echo later > /proc/1/fd/1"])
        .run()
        .success();
    logs.wait_for("later");
    stack.down();
    logs.wait();
}

#[test]
fn exec_takes_the_name_of_a_service() {
    let host = Host::new();
    let stack = host.stack(TALKERS);
    stack.up();
    stack
        .coop("exec")
        .args(["b", "sh", "-c", "exit 8"])
        .run()
        .code(8);
}

#[test]
fn exec_takes_the_name_of_a_container_without_the_file() {
    let host = Host::new();
    host.stack(TALKERS).up();
    host.coop(["exec", "talk-b-1", "sh", "-c", "exit 8"])
        .run()
        .code(8);
}

#[test]
fn stop_and_start_take_one_service_or_all() {
    let host = Host::new();
    let stack = host.stack(TALKERS);
    stack.up();
    let running = || stack.coop("ps").arg("-q").run().success().lines().len();
    stack.coop("stop").arg("a").run().success();
    assert_eq!(running(), 1);
    stack.coop("stop").run().success();
    assert_eq!(running(), 0);
    stack.coop("start").run().success();
    wait_until("both run", || running() == 2);
    stack.exec("a", "exit 0");
}

#[test]
fn kill_takes_one_service_or_all() {
    let host = Host::new();
    let stack = host.stack(TALKERS);
    stack.up();
    let running = || stack.coop("ps").arg("-q").run().success().lines().len();
    stack.coop("kill").arg("a").run().success();
    wait_until("one runs", || running() == 1);
    stack.coop("kill").run().success();
    wait_until("none runs", || running() == 0);
}

#[test]
fn stats_show_the_limits_of_every_service() {
    let host = Host::new();
    let stack = host.stack(TALKERS);
    stack.up();
    let output = stack.coop("stats").arg("--no-stream").run();
    let row = |name: &str| {
        let found = output.stdout.lines().find(|line| line.contains(name));
        found
            .unwrap_or_else(|| panic!("no {name}\n{output}"))
            .to_owned()
    };
    assert!(row("talk-a-1").contains("64MiB"), "{output}");
    assert!(row("talk-b-1").contains("32MiB"), "{output}");
}

#[test]
fn deploy_resources_limits_are_limits_of_the_kernel() {
    let host = Host::new();
    let stack = host.stack(TALKERS);
    stack.up();
    let pid = host.pid_of("talk-b-1");
    let read = |controller: &str, v1: &str, v2: &str| {
        let file = if cgroup::version() == cgroup::Version::V1 {
            v1
        } else {
            v2
        };
        std::fs::read_to_string(cgroup::of(pid, controller).join(file))
            .unwrap()
            .trim()
            .to_owned()
    };
    assert_eq!(
        read("memory", "memory.limit_in_bytes", "memory.max"),
        (32 << 20).to_string()
    );
    assert_eq!(read("pids", "pids.max", "pids.max"), "20");
    assert!(read("cpu", "cpu.cfs_quota_us", "cpu.max").starts_with("25000"));
}

#[test]
fn config_prints_the_stack_with_variables_anchors_and_defaults_resolved() {
    let host = Host::new();
    let stack = host.stack(
        "
name: resolved
x-common: &common
  image: coop/host
  environment: {WORD: '${WORD:-default word}', SET: '${SET}'}
services:
  a: {<<: *common, command: 'echo $$HOME', mem_limit: 64m}
  b: {<<: *common, hostname: bee}
",
    );
    let output = stack.coop("config").env("SET", "from outside").run();
    output
        .success()
        .says("default word")
        .says("from outside")
        .says("hostname: bee");
    assert_eq!(
        // Once in the extension.
        output.stdout.matches("image: coop/host").count(),
        3,
        "{output}"
    );
    // Extensions stay, as with compose.
    output
        .does_not_say("${")
        .does_not_say("<<")
        .says("x-common");
}

#[test]
fn what_config_prints_is_a_stack_file_again() {
    let host = Host::new();
    let printed = host
        .stack(TALKERS)
        .coop("config")
        .run()
        .success()
        .stdout
        .clone();
    let again = host
        .stack(&printed)
        .coop("config")
        .run()
        .success()
        .stdout
        .clone();
    assert_eq!(again, printed);
}

#[test]
fn variables_come_from_the_env_file_beside_the_stack_too() {
    let host = Host::new();
    host.file(".env", "WORD=from .env\n");
    let stack = host.stack(
        "name: dotenv\nservices: {a: {image: coop/host, hostname: h, command: ['${WORD}']}}\n",
    );
    stack.coop("config").run().success().says("from .env");
    stack
        .coop("config")
        .env("WORD", "stronger")
        .run()
        .success()
        .says("stronger");
}

#[test]
fn plan_tells_what_would_be_done_and_does_nothing() {
    let host = Host::new();
    let stack = host.stack(TALKERS);
    let before = host.snapshot();
    stack
        .coop("plan")
        .run()
        .success()
        .says("talk-a-1")
        .says("talk-b-1")
        .says("coop/host");
    host.assert_nothing_left(&before);
}
