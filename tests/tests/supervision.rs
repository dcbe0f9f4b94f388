//! What the supervisor does by itself: restarts, health checks, its own log, its size.

use coop_tests::{Host, Rootfs, wait_until};
use serde_json::Value;

fn state(host: &Host, name: &str) -> Value {
    host.inspect(name)["State"].clone()
}

fn restarts(host: &Host, name: &str) -> u64 {
    host.inspect(name)["RestartCount"]
        .as_u64()
        .expect("a count")
}

fn logged(host: &Host, name: &str) -> Vec<String> {
    let output = host.coop(["logs", name]).run();
    output
        .success()
        .lines()
        .into_iter()
        .map(str::to_owned)
        .collect()
}

/// Prints how often it has run, which it writes down in its root.
const COUNT: &str = "echo run >> /runs; wc -l < /runs";

#[test]
fn a_container_that_fails_is_started_again_until_it_succeeds() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let before = host.snapshot();
    let script = format!("{COUNT}; test $(wc -l < /runs) = 3");
    host.start("job", &root, &["--restart", "on-failure"], &script);
    // Between a run's end and its record the status is "exited" as well.
    wait_until("it succeeds", || host.supervisors().is_empty());
    assert_eq!(state(&host, "job")["Status"], "exited");
    assert_eq!(state(&host, "job")["ExitCode"], 0);
    assert_eq!(restarts(&host, "job"), 2);
    assert_eq!(logged(&host, "job"), ["1", "2", "3"]);
    host.coop(["rm", "-f", "job"]).run().success();
    host.assert_nothing_left(&before);
}

#[test]
fn on_failure_gives_up_after_so_many_times() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    host.start(
        "job",
        &root,
        &["--restart", "on-failure:2"],
        "echo run; exit 7",
    );
    wait_until("it is given up", || host.supervisors().is_empty());
    assert_eq!(state(&host, "job")["ExitCode"], 7);
    assert_eq!(logged(&host, "job").len(), 3);
}

#[test]
fn a_container_that_is_stopped_while_it_waits_for_its_restart_stays_down() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let before = host.snapshot();
    host.start("job", &root, &["--restart", "always"], "exit 3");
    // By now it waits for seconds.
    wait_until("it waits", || {
        restarts(&host, "job") > 4 && state(&host, "job")["Restarting"] == true
    });
    host.coop(["ps"]).run().success().says("Restarting (3)");
    host.coop(["stop", "job"]).run().success();
    assert_eq!(state(&host, "job")["Status"], "exited");
    wait_until("its supervisor ends", || host.supervisors().is_empty());
    // And starts again when it is told to, counted from the beginning.
    host.coop(["start", "job"]).run().success();
    wait_until("it restarts", || restarts(&host, "job") > 0);
    host.coop(["rm", "-f", "job"]).run().success();
    host.assert_nothing_left(&before);
}

#[test]
fn a_killed_container_stays_down_and_one_that_died_does_not() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    host.start("box", &root, &["--restart", "always"], "exec sleep 1000");
    let first = host.pid_of("box");
    let pid = rustix::process::Pid::from_raw(first.cast_signed()).expect("a process id");
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).expect("kill");
    wait_until("it runs again", || {
        let state = state(&host, "box");
        state["Running"] == true && state["Pid"] != first
    });
    assert_eq!(restarts(&host, "box"), 1);
    host.coop(["stop", "-t", "0", "box"]).run().success();
    assert_eq!(state(&host, "box")["Status"], "exited");
    wait_until("its supervisor ends", || host.supervisors().is_empty());
}

#[test]
fn a_command_that_cannot_be_executed_is_not_tried_again() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let run = host
        .coop([
            "run",
            "-d",
            "--name",
            "box",
            "--restart",
            "always",
            "--rootfs",
        ])
        .arg(root.path());
    run.args(["--", "/no/such/program"]).run().code(127);
    wait_until("its supervisor ends", || host.supervisors().is_empty());
}

#[test]
fn a_service_that_completes_at_the_second_attempt_lets_the_next_one_start() {
    let host = Host::new();
    let before = host.snapshot();
    let stack = host.stack(
        "
name: tries
services:
  job:
    image: coop/host
    command: sh -c 'echo run >> /state/runs; test $$(wc -l < /state/runs) = 2'
    restart: on-failure
    volumes: [state:/state]
  web:
    image: coop/host
    command: sleep 1000
    stop_signal: SIGKILL
    depends_on: {job: {condition: service_completed_successfully}}
volumes: {state: {}}
",
    );
    stack.up();
    stack.exec("web", "exit 0");
    stack.coop("down").arg("-v").run().success();
    host.assert_nothing_left(&before);
}

#[test]
fn health_checks_leave_their_results() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let flags = [
        "--health-cmd",
        "echo seen; test -e /fine",
        "--health-interval",
        "100ms",
        "--health-retries",
        "2",
    ];
    host.start("box", &root, &flags, "exec sleep 1000");
    wait_until("it is unhealthy", || {
        state(&host, "box")["Health"]["Status"] == "unhealthy"
    });
    host.coop(["exec", "box", "/bin/touch", "/fine"])
        .run()
        .success();
    wait_until("it is healthy", || {
        state(&host, "box")["Health"]["Status"] == "healthy"
    });
    host.coop(["stop", "-t", "0", "box"]).run().success();
}

#[test]
fn the_supervisors_own_words_are_beside_its_socket() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let before = host.snapshot();
    host.start("box", &root, &[], "exec sleep 1000");
    let log = host.coop_root().join("run/stacks/box/supervisor.log");
    assert_eq!(std::fs::read_to_string(&log).expect("a log"), "");
    host.coop(["rm", "-f", "box"]).run().success();
    assert!(!log.exists());
    host.assert_nothing_left(&before);
}

/// Kilobytes, of a line in `/proc/PID/status`.
fn kilobytes(pid: u32, key: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("a status");
    let line = status.lines().find_map(|line| line.strip_prefix(key));
    let number = line.and_then(|line| line.split_whitespace().next());
    number
        .and_then(|number| number.parse().ok())
        .unwrap_or_default()
}

/// Whether the program under test is one without debug information: several times as small.
fn is_release_build() -> bool {
    const MOST: u64 = 20 * 1024 * 1024;
    let program = std::env::var_os("COOP_BIN").expect("COOP_BIN");
    std::fs::metadata(program).expect("the program").len() < MOST
}

#[test]
fn the_supervisor_of_ten_services_is_small() {
    let host = Host::new();
    let services = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9].map(|number| {
        format!(
            "  s{number}:\n    image: coop/host\n    command: sleep 1000\n    stop_signal: SIGKILL\n    \
             healthcheck: {{test: 'true', interval: 1s}}\n"
        )
    });
    let stack = host.stack(&format!("name: ten\nservices:\n{}", services.concat()));
    stack.up();
    // After it has run checks and saved states.
    wait_until("all are healthy", || {
        let ps = stack.coop("ps").run();
        ps.success().stdout.matches("(healthy)").count() == 10
    });
    let supervisors = host.supervisors();
    let [pid] = supervisors[..] else {
        panic!("one supervisor: {supervisors:?}")
    };
    let sizes = ["VmRSS:", "RssAnon:", "RssFile:"].map(|key| kilobytes(pid, key));
    println!(
        "supervisor of 10: VmRSS {} kB, of which anonymous {} kB, files {} kB",
        sizes[0], sizes[1], sizes[2]
    );
    stack.down();
    if !is_release_build() {
        coop_tests::skip!("a build with debug information is larger than what is delivered");
    }
    assert!(sizes[0] <= 3 * 1024, "{} kB", sizes[0]);
}
