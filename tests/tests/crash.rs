//! `kill -9` of everything that can be killed: the next command adopts or cleans.

use coop_tests::{Host, Rootfs, Stack, wait_until};
use rustix::process::{Pid, Signal};

const PAIR: &str = "
name: pair
services:
  web: {image: coop/host, command: sleep 1000, stop_signal: SIGKILL, ports: ['8080:80']}
  client: {image: coop/host, command: sleep 1000, stop_signal: SIGKILL, depends_on: [web]}
";

/// Writes a number about every 50 ms.
const COUNTER: &str = "i=0; while :; do echo $i; i=$((i+1)); sleep 0.05; done";

/// Kills a process that this test's host runs.
fn kill(host: &Host, pid: u32) {
    assert!(
        host.pids().contains(&pid),
        "{pid} is not ours: {:?}",
        host.processes()
    );
    let pid = Pid::from_raw(pid.cast_signed()).expect("a process id");
    rustix::process::kill_process(pid, Signal::KILL).expect("kill");
}

fn kill_supervisors(host: &Host) {
    let supervisors = host.supervisors();
    assert!(
        !supervisors.is_empty(),
        "no supervisor: {:?}",
        host.processes()
    );
    for pid in supervisors {
        kill(host, pid);
    }
    wait_until("the supervisors are dead", || host.supervisors().is_empty());
}

/// The numbers in a log, which have to be 0, 1, 2, … without a gap.
fn numbers(log: &str) -> usize {
    let numbers: Vec<usize> = log
        .lines()
        .map(|line| line.trim().parse().expect("a number"))
        .collect();
    let expected: Vec<usize> = (0..numbers.len()).collect();
    assert_eq!(numbers, expected, "a line is missing or double");
    numbers.len()
}

#[test]
fn after_a_killed_foreground_run_the_container_can_be_removed() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let before = host.snapshot();
    let script = "echo ready; exec sleep 1000";
    let mut run = host.sh(&root, &["--name", "orphan"], script).spawn();
    run.wait_for("ready");
    run.signal(Signal::KILL);
    wait_until("coop is dead", || !host.pids().contains(&run.pid()));
    host.coop(["ps", "-a"]).run().success();
    host.coop(["rm", "-f", "orphan"]).run();
    host.assert_nothing_left(&before);
    assert_eq!(host.containers(), [""; 0]);
}

#[test]
fn after_a_killed_foreground_run_the_name_is_free_once_the_container_ended() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let mut run = host
        .sh(&root, &["--name", "again"], "echo ready; exec sleep 1")
        .spawn();
    run.wait_for("ready");
    run.signal(Signal::KILL);
    wait_until("the container ended", || host.pids().is_empty());
    host.sh(&root, &["--name", "again"], "exit 0")
        .run()
        .success();
}

#[test]
fn a_container_outlives_its_supervisor_and_is_adopted() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let before = host.snapshot();
    host.start("box", &root, &[], "exec sleep 1000");
    let pid = host.pid_of("box");
    kill_supervisors(&host);
    host.coop(["ps"]).run().success().says("box").says("Up ");
    assert_eq!(host.pid_of("box"), pid);
    wait_until("a new supervisor is there", || {
        host.supervisors().len() == 1
    });
    host.coop(["rm", "-f", "box"]).run().success();
    host.assert_nothing_left(&before);
}

#[test]
fn no_line_is_lost_while_there_is_no_supervisor() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    host.start("box", &root, &[], COUNTER);
    let log = || host.coop(["logs", "box"]).run().success().stdout.clone();
    wait_until("some lines", || numbers(&log()) > 5);
    kill_supervisors(&host);
    host.coop(["ps"]).run().success();
    let count = numbers(&log());
    wait_until("more lines", || numbers(&log()) > count + 5);
}

#[test]
fn the_exit_of_an_adopted_container_is_recorded() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    host.start(
        "box",
        &root,
        &[],
        "while ! test -e /go; do sleep 0.1; done; exit 5",
    );
    kill_supervisors(&host);
    host.coop(["exec", "box", "/bin/touch", "/go"])
        .run()
        .success();
    wait_until("it ended", || {
        host.inspect("box")["State"]["Status"] == "exited"
    });
    host.coop(["rm", "box"]).run().success();
}

#[test]
fn a_container_that_ended_without_a_supervisor_is_found_stopped() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let before = host.snapshot();
    host.start("box", &root, &[], "exec sleep 1000");
    let pid = host.pid_of("box");
    kill_supervisors(&host);
    kill(&host, pid);
    wait_until("nothing runs", || host.pids().is_empty());
    host.coop(["ps", "-a"])
        .run()
        .success()
        .says("box")
        .says("Exited");
    host.coop(["ps"]).run().success().does_not_say("box");
    host.coop(["rm", "box"]).run().success();
    host.assert_nothing_left(&before);
}

#[test]
fn a_container_that_ended_without_a_supervisor_starts_again() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    host.start("box", &root, &[], "exec sleep 1000");
    let pid = host.pid_of("box");
    kill_supervisors(&host);
    kill(&host, pid);
    wait_until("nothing runs", || host.pids().is_empty());
    host.coop(["start", "box"]).run().success();
    assert_ne!(host.pid_of("box"), pid);
}

#[test]
fn a_killed_init_is_an_exit_with_137() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let before = host.snapshot();
    host.start("box", &root, &[], "sleep 2000 & exec sleep 1000");
    kill(&host, host.pid_of("box"));
    // The status is seen as soon as the process is gone, the code once it is recorded.
    wait_until("it is recorded", || {
        host.inspect("box")["State"]["ExitCode"] == 137
    });
    assert_eq!(host.inspect("box")["State"]["Status"], "exited");
    assert!(
        !host
            .processes()
            .iter()
            .any(|process| process.contains("sleep 2000"))
    );
    host.coop(["rm", "box"]).run().success();
    host.assert_nothing_left(&before);
}

#[test]
fn down_after_a_killed_supervisor_leaves_nothing() {
    let host = Host::new();
    let before = host.snapshot();
    let stack = host.stack(PAIR);
    stack.up();
    kill_supervisors(&host);
    stack.down();
    host.assert_nothing_left(&before);
}

#[test]
fn down_after_everything_was_killed_leaves_nothing() {
    let host = Host::new();
    let before = host.snapshot();
    let stack = host.stack(PAIR);
    stack.up();
    for pid in host.pids() {
        kill_if_there(pid);
    }
    wait_until("nothing runs", || host.pids().is_empty());
    stack.down();
    host.assert_nothing_left(&before);
}

fn kill_if_there(pid: u32) {
    // The init of a pid namespace takes its children along.
    if let Some(pid) = Pid::from_raw(pid.cast_signed()) {
        let _ = rustix::process::kill_process(pid, Signal::KILL);
    }
}

#[test]
fn up_after_a_killed_supervisor_adopts_what_runs() {
    let host = Host::new();
    let stack = host.stack(PAIR);
    stack.up();
    let ids = |stack: &Stack<'_>| stack.coop("ps").arg("-q").run().success().stdout.clone();
    let before = ids(&stack);
    kill_supervisors(&host);
    stack.up();
    assert_eq!(ids(&stack), before);
    stack.exec("client", "exit 0");
    stack.down();
}

#[test]
fn down_after_a_killed_foreground_up_leaves_nothing() {
    let host = Host::new();
    let before = host.snapshot();
    let stack = host.stack(PAIR);
    let up = stack.coop("up").spawn();
    wait_until("both run", || {
        host.processes()
            .iter()
            .filter(|process| process.ends_with("sleep 1000"))
            .count()
            == 2
    });
    up.signal(Signal::KILL);
    drop(up);
    stack.down();
    host.assert_nothing_left(&before);
}

#[test]
fn down_after_an_up_that_was_killed_while_it_waited_leaves_nothing() {
    let host = Host::new();
    let before = host.snapshot();
    let stack = host.stack(
        "
name: half
services:
  never:
    image: coop/host
    command: sleep 1000
    depends_on: {job: {condition: service_completed_successfully}}
  job: {image: coop/host, command: sleep 2000, stop_signal: SIGKILL}
",
    );
    let up = stack.coop("up").arg("-d").spawn();
    wait_until("the job runs", || {
        host.processes()
            .iter()
            .any(|process| process.ends_with("sleep 2000"))
    });
    up.signal(Signal::KILL);
    drop(up);
    stack.down();
    host.assert_nothing_left(&before);
}

#[test]
fn a_container_whose_cgroup_somebody_else_removed_can_still_be_removed() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let before = host.snapshot();
    host.start("box", &root, &[], "exec sleep 1000");
    let cgroup = coop_tests::cgroup::of(host.pid_of("box"), "pids");
    for pid in host.pids() {
        kill_if_there(pid);
    }
    wait_until("nothing runs", || host.pids().is_empty());
    // Coop may have been quicker, in which case there is nothing to remove.
    let _ = std::fs::remove_dir(cgroup);
    host.coop(["rm", "-f", "box"]).run().success();
    host.assert_nothing_left(&before);
}
