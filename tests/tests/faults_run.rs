//! What goes wrong with one container: one clear message, the right exit status, and
//! nothing left behind.

use std::fs;

use coop_tests::{Cmd, Host, Rootfs, Snapshot};

/// Runs the command, which has to fail this way and to leave the host as it was.
#[track_caller]
fn fails_without_a_trace(host: &Host, before: &Snapshot, run: Cmd<'_>, code: i32, words: &[&str]) {
    run.run().fails(code, words);
    host.assert_nothing_left(before);
    assert_eq!(host.containers(), [""; 0]);
}

#[test]
fn a_missing_rootfs_is_named() {
    let host = Host::new();
    let before = host.snapshot();
    let run = host.coop(["run", "--rootfs", "/no/such/root", "--", "/bin/sh"]);
    fails_without_a_trace(&host, &before, run, 125, &["/no/such/root"]);
}

#[test]
fn a_rootfs_that_is_a_file_is_refused() {
    let host = Host::new();
    let before = host.snapshot();
    let file = host.file("no-directory", "x");
    let run = host
        .coop(["run", "--rootfs"])
        .arg(&file)
        .args(["--", "/bin/sh"]);
    fails_without_a_trace(&host, &before, run, 125, &["no-directory"]);
}

#[test]
fn an_unknown_image_is_named() {
    let host = Host::new();
    let before = host.snapshot();
    let run = host.coop(["run", "ghost:1", "sh"]);
    fails_without_a_trace(&host, &before, run, 125, &["ghost:1"]);
}

#[test]
fn a_missing_command_gives_127() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let before = host.snapshot();
    let run = host
        .coop(["run", "--rootfs"])
        .arg(root.path())
        .args(["--", "/bin/nothing"]);
    fails_without_a_trace(&host, &before, run, 127, &["/bin/nothing"]);
}

#[test]
fn a_missing_command_without_a_path_gives_127() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let before = host.snapshot();
    let run = host
        .coop(["run", "--rootfs"])
        .arg(root.path())
        .args(["--", "nothing"]);
    fails_without_a_trace(&host, &before, run, 127, &["nothing"]);
}

#[test]
fn a_command_that_is_not_executable_gives_126() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let before = host.snapshot();
    let run = host
        .coop(["run", "--rootfs"])
        .arg(root.path())
        .args(["--", "/etc/not-executable"]);
    fails_without_a_trace(&host, &before, run, 126, &["/etc/not-executable"]);
}

#[test]
fn a_directory_as_command_gives_126() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let before = host.snapshot();
    let run = host
        .coop(["run", "--rootfs"])
        .arg(root.path())
        .args(["--", "/etc"]);
    fails_without_a_trace(&host, &before, run, 126, &["/etc"]);
}

#[test]
fn a_volume_that_cannot_be_mounted_gives_125() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let before = host.snapshot();
    let shared = host
        .file("shared/file", "x")
        .parent()
        .unwrap()
        .to_path_buf();
    let volume = format!("{}:/marker/below-a-file", shared.display());
    let run = host.sh(&root, &["-v", &volume], "exit 0");
    fails_without_a_trace(&host, &before, run, 125, &["/marker"]);
}

#[test]
fn an_unknown_user_gives_125() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let before = host.snapshot();
    let run = host.sh(&root, &["--user", "ghost"], "exit 0");
    fails_without_a_trace(&host, &before, run, 125, &["ghost"]);
}

#[test]
fn a_working_directory_that_is_a_file_gives_125() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let before = host.snapshot();
    let run = host.sh(&root, &["--workdir", "/marker"], "exit 0");
    fails_without_a_trace(&host, &before, run, 125, &["/marker"]);
}

#[test]
fn an_unknown_capability_is_named() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let before = host.snapshot();
    let run = host.sh(&root, &["--cap-add", "FLY"], "exit 0");
    fails_without_a_trace(&host, &before, run, 125, &["FLY"]);
}

#[test]
fn a_missing_env_file_is_named() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let before = host.snapshot();
    let run = host.sh(&root, &["--env-file", "ghost.env"], "exit 0");
    fails_without_a_trace(&host, &before, run, 125, &["ghost.env"]);
}

#[test]
fn a_name_in_use_is_named_and_its_container_untouched() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    host.start("box", &root, &[], "exec sleep 1000");
    let pid = host.pid_of("box");
    let before = host.snapshot();
    host.sh(&root, &["--name", "box"], "exit 0")
        .run()
        .fails(125, &["box", "in use"]);
    host.assert_nothing_left(&before);
    assert_eq!(host.pid_of("box"), pid);
}

#[test]
fn a_port_in_use_names_its_holder() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let before = host.snapshot();
    let _listener = std::net::TcpListener::bind("0.0.0.0:8080").unwrap();
    let run = host.sh(&root, &["--publish", "8080:80"], "exit 0");
    let holder = format!("pid {}", std::process::id());
    fails_without_a_trace(&host, &before, run, 125, &["8080", &holder]);
}

#[test]
fn a_port_of_another_container_names_that_container() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    host.start("first", &root, &["-p", "8080:80"], "exec sleep 1000");
    let before = host.snapshot();
    host.sh(&root, &["-p", "8080:80"], "exit 0")
        .run()
        .fails(125, &["8080", "first"]);
    host.assert_nothing_left(&before);
}

#[test]
fn a_limit_without_its_controller_is_an_error_that_names_it() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    host.hide_controller("memory");
    let before = host.snapshot();
    let run = host.sh(&root, &["--memory", "64M"], "exit 0");
    fails_without_a_trace(&host, &before, run, 125, &["memory", "controller"]);
}

#[test]
fn a_missing_controller_that_nobody_asked_for_does_not_matter() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    host.hide_controller("memory");
    host.sh(&root, &[], "exit 0").run().success();
}

#[test]
fn an_ordinary_user_without_permission_reads_so() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let before = host.snapshot();
    let run = host
        .coop_as_user(65534, ["run", "--rm", "--rootfs"])
        .arg(root.path());
    run.args(["--", "/bin/true"])
        .run()
        .fails(125, &["ermission"]);
    host.assert_nothing_left(&before);
}

#[test]
fn a_full_disk_of_the_container_is_its_own_problem() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let before = host.snapshot();
    let script = "dd if=/dev/zero of=/dev/shm/big bs=1M count=100000";
    host.sh(&root, &[], script)
        .run()
        .code(1)
        .warns("No space left on device");
    host.assert_nothing_left(&before);
}

#[test]
fn a_value_that_makes_no_sense_is_refused_before_anything_happens() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let before = host.snapshot();
    let values = [
        ["--memory", "lots"],
        ["--cpus", "-1"],
        ["--pids", "few"],
        ["--publish", "http:80"],
    ];
    for flags in values {
        let output = host.sh(&root, &flags, "exit 0").run();
        assert!(
            matches!(output.status.code(), Some(2 | 125)),
            "{flags:?}\n{output}"
        );
        output.warns(flags[1]);
    }
    host.assert_nothing_left(&before);
}

#[test]
fn an_image_whose_shell_is_a_loop_of_links_gives_126_or_127() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    fs::remove_file(root.path().join("bin/sh")).unwrap();
    std::os::unix::fs::symlink("sh", root.path().join("bin/sh")).unwrap();
    let output = host.sh(&root, &[], "exit 0").run();
    assert!(matches!(output.status.code(), Some(126 | 127)), "{output}");
    output.warns("/bin/sh");
}

#[test]
fn a_wrong_flag_gives_125_and_help_0() {
    let host = Host::new();
    let wrong = host.coop(["run", "--memmory", "64M", "coop/host", "true"]);
    wrong.run().fails(125, &["--memmory", "--memory"]);
    let both = host.coop(["run", "-p", "80", "--network", "host", "coop/host", "true"]);
    both.run().fails(125, &["ports", "--network host"]);
    host.coop(["run", "--help"]).run().success().says("Usage");
}
