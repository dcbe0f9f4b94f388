//! `coop run`: the process, its surroundings and its end.

use coop_tests::{Host, Rootfs, wait_until};
use rustix::process::Signal;

#[test]
fn the_exit_status_is_the_commands() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    host.sh(&root, &[], "exit 0").run().code(0);
    host.sh(&root, &[], "exit 7").run().code(7);
}

#[test]
fn a_command_that_a_signal_ended_gives_128_and_the_signal() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let mut run = host
        .sh(&root, &["--name", "victim"], "echo ready; exec sleep 1000")
        .spawn();
    run.wait_for("ready");
    host.coop(["kill", "victim"]).run().success();
    run.wait().code(128 + 9);
}

#[test]
fn a_signal_to_coop_reaches_the_command() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let script = "trap 'exit 42' TERM; echo ready; while :; do sleep 0.1; done";
    let mut run = host.sh(&root, &[], script).spawn();
    run.wait_for("ready");
    run.signal(Signal::TERM);
    run.wait().code(42);
}

#[test]
fn the_issues_example_shows_a_world_of_its_own() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let flags = [
        "--memory",
        "64M",
        "--cpu",
        "50000",
        "--pids",
        "64",
        "--hostname",
        "sandbox",
    ];
    let output = host
        .sh(
            &root,
            &flags,
            "hostname; ps; cat /proc/self/cgroup; ls /; exit 5",
        )
        .run();
    output.code(5);
    let lines = output.lines();
    assert_eq!(lines[0], "sandbox", "{output}");
    let processes: Vec<_> = lines
        .iter()
        .filter(|line| line.contains(" root "))
        .collect();
    assert!(processes.len() <= 2, "only the shell and ps\n{output}");
    assert!(
        processes[0].starts_with("1 "),
        "the shell is pid 1\n{output}"
    );
    let cgroups: Vec<_> = lines
        .iter()
        .filter(|line| line.contains("::/") || is_v1(line))
        .collect();
    assert!(!cgroups.is_empty(), "{output}");
    assert!(cgroups.iter().all(|line| line.ends_with(":/")), "{output}");
    assert!(lines.contains(&"marker"), "the image's root\n{output}");
}

fn is_v1(line: &str) -> bool {
    line.split(':').count() == 3 && line.starts_with(|c: char| c.is_ascii_digit())
}

#[test]
fn environment_comes_from_flags_and_files_and_not_from_the_caller() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let file = host.file("env", "# a comment\nFROM_FILE=file value\nBOTH=file\n");
    let flags = [
        "--env",
        "FROM_FLAG=flag value",
        "-e",
        "BOTH=flag",
        "-e",
        "INHERITED",
    ];
    let output = host
        .coop(["run", "--rm", "--env-file"])
        .arg(file)
        .args(flags)
        .arg("--rootfs")
        .arg(root.path())
        .args(["--", "env"])
        .env("INHERITED", "by name")
        .env("NOT_ASKED_FOR", "secret")
        .run();
    output
        .success()
        .does_not_say("secret")
        .does_not_say("COOP_");
    for line in [
        "FROM_FILE=file value",
        "FROM_FLAG=flag value",
        "BOTH=flag",
        "INHERITED=by name",
    ] {
        assert!(output.lines().contains(&line), "{line}\n{output}");
    }
    assert!(
        output.stdout.contains("PATH=") && output.stdout.contains("HOME=/root"),
        "{output}"
    );
}

#[test]
fn the_working_directory_is_the_one_asked_for() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    host.sh(&root, &[], "pwd").run().success().prints("/");
    host.sh(&root, &["--workdir", "/srv"], "pwd")
        .run()
        .success()
        .prints("/srv");
}

#[test]
fn a_user_by_name_brings_its_groups() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let output = host
        .sh(&root, &["--user", "app"], "id -u; id -g; id -G; echo $HOME")
        .run();
    assert_eq!(
        output.success().lines(),
        ["1000", "1000", "1000 2000", "/home"],
        "{output}"
    );
}

#[test]
fn a_user_by_number_needs_no_entry_in_passwd() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let output = host
        .sh(&root, &["--user", "4242:2000"], "id -u; id -g; id -G")
        .run();
    assert_eq!(
        output.success().lines(),
        ["4242", "2000", "2000"],
        "{output}"
    );
    let output = host.sh(&root, &["--user", "4242"], "id -u; id -g").run();
    assert_eq!(output.success().lines(), ["4242", "0"], "{output}");
}

#[test]
fn an_ordinary_user_inside_has_no_capability() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let output = host
        .sh(&root, &["--user", "app"], "grep CapEff /proc/self/status")
        .run();
    output.success().says("0000000000000000");
}

#[test]
fn the_entrypoint_goes_before_the_command() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let run = host.coop(["run", "--rm", "--entrypoint", "/bin/echo", "--rootfs"]);
    run.arg(root.path())
        .args(["--", "a", "b"])
        .run()
        .success()
        .prints("a b");
}

#[test]
fn standard_input_is_passed_on_only_when_asked_for() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    host.sh(&root, &["-i"], "cat")
        .stdin("hello")
        .run()
        .success()
        .prints("hello");
    host.sh(&root, &[], "cat")
        .stdin("hello")
        .run()
        .success()
        .prints("");
}

#[test]
fn the_end_of_input_reaches_the_command() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let mut run = host
        .sh(&root, &["-i"], "cat; echo the end")
        .open_stdin()
        .spawn();
    run.send("one\n");
    run.wait_for("one");
    run.close_stdin();
    run.wait().success().says("the end");
}

#[test]
fn the_two_output_streams_stay_apart() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let output = host.sh(&root, &[], "echo to out; echo to err >&2").run();
    output.success().prints("to out").warns("to err");
}

#[test]
fn a_large_output_arrives_whole() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let output = host
        .sh(&root, &[], "yes 0123456789abcde | head -n 65536")
        .run();
    assert_eq!(output.success().stdout.len(), 16 * 65536);
}

#[test]
fn a_terminal_is_the_containers_own_and_has_the_callers_size() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let output = host
        .sh(&root, &["-it"], "tty; stty size")
        .pty(91, 33)
        .wait();
    output
        .success()
        .says("/dev/")
        .says("33 91")
        .does_not_say("not a tty");
}

#[test]
fn a_new_window_size_reaches_the_container() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let script = "trap 'stty size; exit' WINCH; echo ready; while :; do sleep 0.1; done";
    let mut run = host.sh(&root, &["-it"], script).pty(80, 24);
    run.wait_for("ready");
    run.resize(120, 40);
    run.wait_for("40 120");
    run.wait().success();
}

#[test]
fn ctrl_c_on_the_terminal_interrupts_the_command_and_not_coop() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let script = "trap 'echo interrupted; exit 3' INT; echo ready; while :; do sleep 0.1; done";
    let mut run = host.sh(&root, &["-it"], script).pty(80, 24);
    run.wait_for("ready");
    run.send("\u{3}");
    run.wait().code(3).says("interrupted");
}

#[test]
fn the_terminal_is_left_as_it_was() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    // One terminal for stty, coop and stty again.
    let coop = host.sh(&root, &["-it"], "exit 0");
    let output = coop
        .through_shell(r#"stty -g; "$@"; stty -g"#)
        .pty(80, 24)
        .wait();
    let settings: Vec<_> = output
        .lines()
        .into_iter()
        .filter(|line| line.contains(':'))
        .collect();
    assert_eq!(settings.len(), 2, "{output}");
    assert_eq!(settings[0], settings[1], "{output}");
}

#[test]
fn verbose_names_each_step_from_the_namespaces_to_the_exit() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let output = host.sh(&root, &["--verbose"], "exit 0").run();
    let first = "[coop] creating namespaces: user pid uts ipc net mnt cgroup";
    let last = "[coop] container exited: exit status 0";
    output.success().prints("").warns(first).warns(last);
    let at = |text| output.stderr.find(text);
    assert!(at(first) < at(last), "{output}");
}

#[test]
fn usage_tells_processor_time_and_memory() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let output = host.sh(&root, &["--usage"], "exit 0").run();
    let told = output.success().stderr.to_lowercase();
    assert!(told.contains("cpu") && told.contains("memory"), "{output}");
}

#[test]
fn a_container_that_is_removed_at_its_end_leaves_nothing() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let before = host.snapshot();
    host.sh(&root, &[], "exit 3").run().code(3);
    host.assert_nothing_left(&before);
    assert_eq!(host.containers(), [""; 0]);
}

#[test]
fn a_child_that_outlives_the_command_dies_with_the_container() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let before = host.snapshot();
    host.sh(&root, &[], "sleep 1000 & echo started")
        .run()
        .success()
        .prints("started");
    wait_until("the child dies", || {
        !host.processes().iter().any(|p| p.contains("sleep 1000"))
    });
    host.assert_nothing_left(&before);
}

#[test]
fn the_built_in_image_has_a_shell_and_the_tools_of_the_examples() {
    let host = Host::new();
    let script = "for tool in sh ls cat ps hostname ip httpd wget; do \
                  command -v $tool >/dev/null || echo no $tool; done; \
                  cat /etc/passwd /etc/group; ls /www/index.html";
    let output = host
        .coop(["run", "--rm", "coop/host", "sh", "-c", script])
        .run();
    output
        .success()
        .says("root:")
        .says("/www/index.html")
        .does_not_say("no ");
}
