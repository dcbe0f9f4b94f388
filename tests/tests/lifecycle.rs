//! Containers in the background: ps, logs, exec, stop, start, kill, rm, inspect, stats.

use coop_tests::{Host, Rootfs, namespace, status_field, wait_until};

const SLEEP: &str = "exec sleep 1000";

fn state(host: &Host, name: &str) -> String {
    host.inspect(name)["State"]["Status"]
        .as_str()
        .unwrap_or_default()
        .to_owned()
}

fn wait_for_exit(host: &Host, name: &str) {
    wait_until(&format!("{name} exits"), || state(host, name) == "exited");
}

#[test]
fn a_detached_container_prints_its_id_and_runs_on() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let run = host
        .coop(["run", "-d", "--name", "box", "--rootfs"])
        .arg(root.path());
    let output = run.args(["--", "/bin/sleep", "1000"]).run();
    let id = output.success().text();
    assert!(
        id.len() >= 12 && id.chars().all(|c| c.is_ascii_hexdigit()),
        "{output}"
    );
    assert!(host.inspect("box")["Id"].as_str().unwrap().starts_with(id));
    assert_eq!(state(&host, "box"), "running");
}

#[test]
fn a_unique_prefix_of_the_id_names_the_container() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    host.start("box", &root, &[], SLEEP);
    let inspected = host.inspect("box");
    let id = inspected["Id"].as_str().unwrap();
    assert_eq!(host.inspect(&id[..6])["Id"], inspected["Id"]);
}

#[test]
fn ps_lists_running_containers_and_with_a_all_of_them() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    host.start("runs", &root, &[], SLEEP);
    host.start("ended", &root, &[], "exit 4");
    wait_for_exit(&host, "ended");
    let output = host.coop(["ps"]).run();
    output.success().says("runs").does_not_say("ended");
    let output = host.coop(["ps", "-a"]).run();
    output
        .success()
        .says("runs")
        .says("ended")
        .says("Exited (4)")
        .says("Up ");
}

#[test]
fn logs_hold_both_streams_in_full() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    host.start("box", &root, &[], "echo one; echo two >&2; echo three");
    wait_for_exit(&host, "box");
    let output = host.coop(["logs", "box"]).run();
    assert_eq!(output.success().lines(), ["one", "three"], "{output}");
    output.warns("two");
}

#[test]
fn logs_tail_shows_the_last_lines() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    host.start(
        "box",
        &root,
        &[],
        "for i in 1 2 3 4 5; do echo line $i; done",
    );
    wait_for_exit(&host, "box");
    let output = host.coop(["logs", "--tail", "2", "box"]).run();
    assert_eq!(output.success().lines(), ["line 4", "line 5"], "{output}");
}

#[test]
fn logs_with_timestamps_begin_with_one() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    host.start("box", &root, &[], "echo hello");
    wait_for_exit(&host, "box");
    let output = host.coop(["logs", "-t", "box"]).run();
    let (time, rest) = output.success().text().split_once(' ').unwrap();
    assert_eq!(rest, "hello");
    assert!(
        time.len() >= 20 && &time[4..5] == "-" && &time[10..11] == "T",
        "{output}"
    );
}

#[test]
fn logs_follow_until_the_container_ends() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let script = "echo first; while ! test -e /go; do sleep 0.1; done; echo last";
    host.start("box", &root, &[], script);
    let mut logs = host.coop(["logs", "-f", "box"]).spawn();
    logs.wait_for("first");
    host.coop(["exec", "box", "/bin/touch", "/go"])
        .run()
        .success();
    logs.wait_for("last");
    logs.wait().success();
}

#[test]
fn a_line_without_an_end_is_not_lost() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    host.start("box", &root, &[], "printf 'no newline'");
    wait_for_exit(&host, "box");
    host.coop(["logs", "box"])
        .run()
        .success()
        .prints("no newline");
}

#[test]
fn exec_joins_every_namespace_and_the_cgroups_of_the_container() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let inside = host.pid_of(host.start("box", &root, &[], SLEEP));
    let mut exec = host
        .coop(["exec", "box", "/bin/sh", "-c", "echo in; exec sleep 2000"])
        .spawn();
    exec.wait_for("in");
    let joined = || {
        let processes = host.processes();
        let is_it = |line: &&String| {
            line.split_once(' ')
                .is_some_and(|(_, rest)| rest == "sleep 2000")
        };
        processes
            .iter()
            .find(is_it)?
            .split(' ')
            .next()?
            .parse::<u32>()
            .ok()
    };
    wait_until("it runs", || joined().is_some());
    let joined = joined().expect("it runs");
    for kind in ["cgroup", "ipc", "mnt", "net", "pid", "user", "uts"] {
        assert_eq!(namespace(joined, kind), namespace(inside, kind), "{kind}");
    }
    let cgroups = |pid| std::fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap();
    assert_eq!(cgroups(joined), cgroups(inside));
    for field in ["CapEff", "CapBnd", "NoNewPrivs", "Uid", "Gid", "Seccomp"] {
        assert_eq!(
            status_field(joined, field),
            status_field(inside, field),
            "{field}"
        );
    }
}

#[test]
fn exec_passes_on_the_exit_status_input_environment_user_and_directory() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    host.start("box", &root, &["-e", "OF=container"], SLEEP);
    host.coop(["exec", "box", "/bin/sh", "-c", "exit 9"])
        .run()
        .code(9);
    let flags = [
        "exec",
        "-i",
        "-e",
        "WORD=of exec",
        "--user",
        "app",
        "--workdir",
        "/srv",
        "box",
    ];
    let script = "id -u; pwd; echo $WORD; echo $OF; cat";
    let output = host
        .coop(flags)
        .args(["/bin/sh", "-c", script])
        .stdin("input")
        .run();
    assert_eq!(
        output.success().lines(),
        ["1000", "/srv", "of exec", "container", "input"]
    );
}

#[test]
fn exec_can_have_a_terminal() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    host.start("box", &root, &[], SLEEP);
    let exec = host.coop(["exec", "-it", "box", "/bin/sh", "-c", "tty; stty size"]);
    exec.pty(91, 33)
        .wait()
        .success()
        .says("33 91")
        .does_not_say("not a tty");
}

#[test]
fn exec_of_a_missing_command_gives_127_and_leaves_the_container_running() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    host.start("box", &root, &[], SLEEP);
    host.coop(["exec", "box", "/bin/nothing"])
        .run()
        .fails(127, &["/bin/nothing"]);
    assert_eq!(state(&host, "box"), "running");
}

#[test]
fn stop_asks_first_and_reports_the_status_of_the_command() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let script = "trap 'exit 6' TERM; echo ready; while :; do sleep 0.1; done";
    host.start("box", &root, &[], script);
    wait_until("it is ready", || {
        host.coop(["logs", "box"]).run().stdout.contains("ready")
    });
    host.coop(["stop", "box"]).run().success();
    assert_eq!(host.inspect("box")["State"]["ExitCode"], 6);
}

#[test]
fn stop_kills_what_does_not_listen() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    host.start(
        "box",
        &root,
        &[],
        "trap '' TERM; while :; do sleep 0.1; done",
    );
    host.coop(["stop", "--time", "1", "box"]).run().success();
    let inspected = host.inspect("box");
    assert_eq!(inspected["State"]["Status"], "exited");
    assert_eq!(inspected["State"]["ExitCode"], 137);
}

#[test]
fn a_stopped_container_holds_no_cgroup_process_or_mount() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let before = host.snapshot();
    // Without a network: a bridge stays as long as a container has its address, as Docker's does.
    let flags = ["--stop-signal", "KILL", "--network", "none"];
    host.start("box", &root, &flags, SLEEP);
    host.coop(["stop", "box"]).run().success();
    wait_until("only files are left", || {
        let difference = before.difference(&host.snapshot());
        // That there is such a container is on record.
        let expected = ["  + file: data/", "  + file: run/by-stack/"];
        difference
            .lines()
            .all(|line| expected.iter().any(|start| line.starts_with(start)))
    });
}

#[test]
fn a_stopped_container_starts_again_as_it_was() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let flags = [
        "--hostname",
        "again",
        "-e",
        "WORD=kept",
        "--stop-signal",
        "KILL",
    ];
    host.start(
        "box",
        &root,
        &flags,
        "hostname; echo $WORD; exec sleep 1000",
    );
    let id = host.inspect("box")["Id"].clone();
    host.coop(["stop", "box"]).run().success();
    host.coop(["start", "box"]).run().success();
    assert_eq!(host.inspect("box")["Id"], id);
    wait_until("it writes again", || {
        host.coop(["logs", "box"]).run().lines() == ["again", "kept", "again", "kept"]
    });
}

#[test]
fn kill_sends_the_signal_asked_for() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    host.start(
        "box",
        &root,
        &[],
        "trap 'echo got it' USR1; echo ready; while :; do sleep 0.1; done",
    );
    wait_until("it is ready", || {
        host.coop(["logs", "box"]).run().stdout.contains("ready")
    });
    host.coop(["kill", "--signal", "USR1", "box"])
        .run()
        .success();
    wait_until("it notices", || {
        host.coop(["logs", "box"]).run().stdout.contains("got it")
    });
    assert_eq!(state(&host, "box"), "running");
}

#[test]
fn rm_removes_a_stopped_container_and_everything_of_it() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let before = host.snapshot();
    host.start("box", &root, &[], "exit 0");
    wait_for_exit(&host, "box");
    host.coop(["rm", "box"]).run().success();
    host.assert_nothing_left(&before);
}

#[test]
fn rm_spares_a_running_container_unless_forced() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let before = host.snapshot();
    host.start("box", &root, &[], SLEEP);
    host.coop(["rm", "box"]).run().fails(1, &["box", "running"]);
    assert_eq!(state(&host, "box"), "running");
    host.coop(["rm", "-f", "box"]).run().success();
    host.assert_nothing_left(&before);
}

#[test]
fn a_detached_container_with_rm_goes_away_by_itself() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let before = host.snapshot();
    host.start("box", &root, &["--rm"], "exit 0");
    wait_until("it is gone", || host.containers().is_empty());
    host.assert_nothing_left(&before);
}

#[test]
fn inspect_tells_how_the_container_was_made_and_how_it_is() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let flags = [
        "--memory",
        "64M",
        "--pids",
        "64",
        "--hostname",
        "sandbox",
        "--label",
        "a=b",
    ];
    host.start("box", &root, &flags, SLEEP);
    let box_ = host.inspect("box");
    assert_eq!(box_["State"]["Running"], true, "{box_:#}");
    assert_eq!(box_["HostConfig"]["Memory"], 64 << 20, "{box_:#}");
    assert_eq!(box_["HostConfig"]["PidsLimit"], 64, "{box_:#}");
    assert_eq!(box_["Config"]["Hostname"], "sandbox", "{box_:#}");
    assert_eq!(box_["Config"]["Labels"]["a"], "b", "{box_:#}");
    assert_eq!(
        box_["Name"].as_str().unwrap().trim_start_matches('/'),
        "box",
        "{box_:#}"
    );
}

#[test]
fn a_name_without_a_container_is_an_error_for_every_command() {
    let host = Host::new();
    for command in ["logs", "stop", "start", "kill", "rm", "inspect"] {
        host.coop([command, "ghost"]).run().fails(1, &["ghost"]);
    }
    host.coop(["exec", "ghost", "sh"])
        .run()
        .fails(1, &["ghost"]);
    host.coop(["stats", "--no-stream", "ghost"])
        .run()
        .fails(1, &["ghost"]);
}

#[test]
fn the_supervisor_ends_with_its_last_container() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    host.start("box", &root, &[], SLEEP);
    assert_eq!(host.supervisors().len(), 1, "{:?}", host.processes());
    host.coop(["rm", "-f", "box"]).run().success();
    wait_until("the supervisor ends", || host.supervisors().is_empty());
}

#[test]
fn hanging_up_the_caller_does_not_touch_a_detached_container() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let run = host
        .coop(["run", "-d", "--name", "box", "--rootfs"])
        .arg(root.path());
    // The terminal goes away with its session: everything in it gets SIGHUP.
    let terminal = run.args(["--", "/bin/sleep", "1000"]).pty(80, 24);
    terminal.wait().success();
    assert_eq!(state(&host, "box"), "running");
}
