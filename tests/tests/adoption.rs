//! A killed supervisor's successor goes on with everything: restarts, checks, ports, stops.

use std::os::fd::AsRawFd;

use coop_tests::{Host, Rootfs, skip, wait_until};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

fn state(host: &Host, name: &str) -> Value {
    host.inspect(name)["State"].clone()
}

fn restarts(host: &Host, name: &str) -> u64 {
    host.inspect(name)["RestartCount"]
        .as_u64()
        .expect("a count")
}

fn kill(pid: u32) {
    let pid = Pid::from_raw(pid.cast_signed()).expect("a process id");
    kill_process(pid, Signal::KILL).expect("kill");
}

fn kill_supervisors(host: &Host) {
    let supervisors = host.supervisors();
    assert!(!supervisors.is_empty(), "none: {:?}", host.processes());
    supervisors.into_iter().for_each(kill);
    wait_until("they are dead", || host.supervisors().is_empty());
}

#[test]
fn of_many_commands_after_a_kill_one_makes_the_supervisor() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let before = host.snapshot();
    host.start("box", &root, &[], "exec sleep 1000");
    for _ in 0..5 {
        kill_supervisors(&host);
        // Started one by one, the first would be done before the last begins: all of them wait
        // for the same moment.
        let (gate, opener) = std::io::pipe().expect("a pipe");
        let gate = format!("/proc/{}/fd/{}", std::process::id(), gate.as_raw_fd());
        let behind_gate = |words: &[&str]| {
            let command = host.coop(words).env("GATE", &gate);
            command
                .through_shell("read -r open <\"$GATE\"; exec \"$@\"")
                .spawn()
        };
        let commands: Vec<_> = (0..20)
            .map(|number| match number % 4 {
                0 => behind_gate(&["ps", "-q"]),
                1 => behind_gate(&["exec", "box", "true"]),
                2 => behind_gate(&["ls"]),
                _ => behind_gate(&["update", "--restart", "no", "box"]),
            })
            .collect();
        std::thread::sleep(std::time::Duration::from_millis(100));
        drop(opener);
        for command in commands {
            command.wait().success();
        }
        assert_eq!(host.supervisors().len(), 1, "{:?}", host.processes());
    }
    host.coop(["rm", "-f", "box"]).run().success();
    host.assert_nothing_left(&before);
}

#[test]
fn a_container_that_died_unseen_is_brought_back_by_its_policy() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    host.start(
        "kept",
        &root,
        &["--restart", "unless-stopped"],
        "exec sleep 1000",
    );
    host.start("left", &root, &[], "exec sleep 1000");
    let (kept, left) = (host.pid_of("kept"), host.pid_of("left"));
    kill_supervisors(&host);
    kill(kept);
    kill(left);
    wait_until("nothing runs", || host.pids().is_empty());
    host.coop(["ps", "-a"]).run().success();
    wait_until("it runs again", || state(&host, "kept")["Running"] == true);
    assert_eq!(restarts(&host, "kept"), 1);
    assert_eq!(state(&host, "left")["Status"], "exited");
    host.coop(["stop", "-t", "0", "kept"]).run().success();
}

#[test]
fn a_wait_for_a_restart_goes_on_with_its_count() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let before = host.snapshot();
    host.start("job", &root, &["--restart", "always"], "echo run; exit 3");
    wait_until("it waits", || {
        restarts(&host, "job") > 3 && state(&host, "job")["Restarting"] == true
    });
    let count = restarts(&host, "job");
    kill_supervisors(&host);
    host.coop(["ps"]).run().success().says("Restarting (3)");
    assert_eq!(host.supervisors().len(), 1);
    wait_until("the next run", || restarts(&host, "job") > count);
    host.coop(["rm", "-f", "job"]).run().success();
    host.assert_nothing_left(&before);
}

#[test]
fn health_is_not_forgotten() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let flags = ["--health-cmd", "true", "--health-interval", "1h"];
    host.start("box", &root, &flags, "exec sleep 1000");
    let health = || state(&host, "box")["Health"]["Status"].clone();
    wait_until("it is healthy", || health() == "healthy");
    kill_supervisors(&host);
    host.coop(["ps"]).run().success().says("(healthy)");
    assert_eq!(health(), "healthy");
}

#[test]
fn published_ports_are_held_again() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    host.start("web", &root, &["-p", "8080:80"], "exec sleep 1000");
    kill_supervisors(&host);
    host.coop(["ps"]).run().success();
    let run = host
        .coop(["run", "--rm", "-p", "8080:80", "--rootfs"])
        .arg(root.path());
    let refused = run.args(["--", "/bin/true"]).run();
    refused.code(125).warns("8080");
}

#[test]
fn a_stop_under_way_goes_on() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let before = host.snapshot();
    // Deaf to its stop signal: killed when its time is over.
    host.start("box", &root, &["--restart", "always"], "exec sleep 1000");
    let stop = host.coop(["stop", "-t", "3", "box"]).spawn();
    let asked = host.coop_root().join("data/containers");
    let asked = std::fs::read_dir(asked)
        .expect("containers")
        .next()
        .expect("one")
        .expect("an entry");
    let saved = asked.path().join("state.json");
    wait_until("it was asked", || {
        std::fs::read_to_string(&saved).is_ok_and(|text| text.contains("signalled"))
    });
    kill_supervisors(&host);
    drop(stop);
    host.coop(["ps"]).run().success();
    wait_until("it is killed", || state(&host, "box")["Status"] == "exited");
    wait_until("nobody is left", || host.supervisors().is_empty());
    assert_eq!(restarts(&host, "box"), 0);
    host.coop(["rm", "box"]).run().success();
    host.assert_nothing_left(&before);
}

#[test]
fn a_paused_container_stays_paused_and_can_be_stopped() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let before = host.snapshot();
    let flags = ["--health-cmd", "true", "--health-interval", "100ms"];
    host.start("box", &root, &flags, "exec sleep 1000");
    host.coop(["pause", "box"]).run().success();
    kill_supervisors(&host);
    host.coop(["ps"]).run().success().says("Paused");
    assert_eq!(state(&host, "box")["Paused"], true);
    host.coop(["unpause", "box"]).run().success();
    assert_eq!(state(&host, "box")["Paused"], false);
    host.coop(["pause", "box"]).run().success();
    host.coop(["stop", "-t", "0", "box"]).run().success();
    assert_eq!(state(&host, "box")["Status"], "exited");
    host.coop(["rm", "box"]).run().success();
    host.assert_nothing_left(&before);
}

#[test]
fn a_container_that_ends_while_it_is_adopted_comes_back_by_its_policy() {
    let host = Host::new();
    let before = host.snapshot();
    let stack = host.stack(
        "
name: phoenix
services:
  always: {image: coop/host, command: sleep 1000, stop_signal: SIGKILL, restart: always}
  never: {image: coop/host, command: sleep 1000, stop_signal: SIGKILL}
",
    );
    let Some(adopting) = stack.coop_with_faults("ps") else {
        skip!("COOP_BIN_FAULT names no binary with faults");
    };
    stack.up();
    kill_supervisors(&host);
    // Its successor has seen that both run, and stops before it takes them over.
    let ps = adopting.env("COOP_FAULT", "adopt.look:stop").spawn();
    wait_until("the new supervisor stops", || {
        host.supervisors().iter().any(|pid| {
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"));
            stat.is_ok_and(|stat| stat.contains(") T "))
        })
    });
    for service in ["always", "never"] {
        kill(host.pid_of(&format!("phoenix-{service}-1")));
    }
    wait_until("both are gone", || host.pids() == host.supervisors());
    // It stops at each container.
    let go_on = |pid: &u32| {
        let pid = Pid::from_raw(pid.cast_signed()).expect("a process id");
        kill_process(pid, Signal::CONT).expect("go on");
    };
    wait_until("one comes back and the other is stopped", || {
        host.supervisors().iter().for_each(go_on);
        let never = state(&host, "phoenix-never-1");
        restarts(&host, "phoenix-always-1") == 1
            && state(&host, "phoenix-always-1")["Status"] == "running"
            && never["Status"] == "exited"
            && never["FinishedAt"] != "0001-01-01T00:00:00Z"
    });
    ps.wait().success();
    stack.down();
    host.assert_nothing_left(&before);
}
