//! A machine that has run out of something: a clear message, nothing lost, nothing half made.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

use coop_tests::{Cmd, Host, Output, Rootfs, Snapshot, cgroup, is_kernel_before, skip, wait_until};

/// Puts Coop's state on a filesystem of its own; false where such a one cannot be used.
fn small_disk(host: &Host, options: &str) -> bool {
    // Layers on tmpfs can be id-mapped since Linux 6.3.
    if is_kernel_before(6, 3) {
        return false;
    }
    host.tool("mount")
        .args(["-t", "tmpfs", "-o", options, "small"])
        .arg(host.coop_root())
        .run()
        .success();
    true
}

/// A mount of its own: a filesystem with an open file cannot become read-only itself.
fn bind(host: &Host, options: &str) {
    for options in ["bind", &format!("remount,bind,{options}")] {
        let root = host.coop_root();
        let mount = host.tool("mount").args(["-o", options]);
        mount.arg(&root).arg(&root).run().success();
    }
}

/// Writes until nothing more fits, then gives some of it back.
fn fill(file: &Path, leave: usize) {
    let mut filler = File::create(file).expect("a file that fills the disk");
    let block = [0; 4096];
    let mut blocks = 0_u64;
    while filler.write_all(&block).is_ok() {
        blocks += 1;
    }
    let kept = blocks.saturating_sub(leave as u64);
    filler.set_len(kept * 4096).expect("shorten the file");
}

/// A run that works, or fails with Coop's status and these words; and is gone either way.
#[track_caller]
fn works_or_is_refused(output: &Output, words: &str) -> bool {
    if output.status.success() {
        return true;
    }
    output.fails(125, &[words]);
    false
}

fn hello<'h>(host: &'h Host, root: &Rootfs) -> Cmd<'h> {
    host.sh(root, &["--network", "none"], "echo hello")
}

/// Tries with ever more room until it works for the third time, and looks for remains each
/// time.
fn with_ever_more(
    host: &Host,
    before: &Snapshot,
    words: &str,
    mut attempt: impl FnMut(usize) -> Output,
) {
    let (mut failed, mut worked) = (0, 0);
    for room in 0..200 {
        let output = attempt(room);
        if works_or_is_refused(&output, words) {
            worked += 1;
        } else {
            failed += 1;
        }
        // What could not even be given back is on record, for any next command.
        assert_eq!(host.containers(), [""; 0]);
        host.assert_nothing_left(before);
        if worked == 3 {
            assert!(failed > 0, "there was room from the beginning");
            return;
        }
    }
    panic!("it never worked");
}

#[test]
fn a_full_disk_is_told_and_leaves_nothing_half_made() {
    let host = Host::new();
    if !small_disk(&host, "size=2m") {
        skip!("Linux before 6.3 has no id-mapped tmpfs");
    }
    let root = Rootfs::new(&host);
    hello(&host, &root).run().success();
    let before = host.snapshot();
    let filler = host.coop_root().join("filler");
    with_ever_more(&host, &before, "No space left on device", |room| {
        fill(&filler, room);
        let output = hello(&host, &root).run();
        fs::remove_file(&filler).expect("empty the disk");
        output
    });
}

#[test]
fn no_inodes_are_told_and_leave_nothing_half_made() {
    let host = Host::new();
    if !small_disk(&host, "nr_inodes=1000") {
        skip!("Linux before 6.3 has no id-mapped tmpfs");
    }
    let root = Rootfs::new(&host);
    hello(&host, &root).run().success();
    let before = host.snapshot();
    let fillers = host.coop_root().join("fillers");
    with_ever_more(&host, &before, "No space left on device", |room| {
        fs::create_dir(&fillers).expect("a directory");
        let made: Vec<_> = (0..1000)
            .map(|number| fillers.join(number.to_string()))
            .take_while(|path| File::create(path).is_ok())
            .collect();
        for path in made.iter().rev().take(room) {
            fs::remove_file(path).expect("give one back");
        }
        let output = hello(&host, &root).run();
        fs::remove_dir_all(&fillers).expect("give all back");
        output
    });
}

#[test]
fn a_log_on_a_full_disk_goes_on_when_there_is_room_again() {
    let host = Host::new();
    if !small_disk(&host, "size=2m") {
        skip!("Linux before 6.3 has no id-mapped tmpfs");
    }
    let root = Rootfs::new(&host);
    let script = "i=0; while :; do echo $i; i=$((i+1)); sleep 0.002; done";
    host.start("counter", &root, &["--network", "none"], script);
    let count = || {
        let log = host.coop(["logs", "counter"]).run();
        let lines = log.success().lines().len();
        for (line, expected) in log.lines().iter().zip(0..) {
            assert_eq!(*line, expected.to_string(), "a line is lost or double");
        }
        lines
    };
    wait_until("some lines", || count() > 20);
    let filler = host.coop_root().join("filler");
    fill(&filler, 0);
    std::thread::sleep(std::time::Duration::from_secs(2));
    assert_eq!(host.inspect("counter")["State"]["Running"], true);
    let when_full = count();
    fs::remove_file(&filler).expect("empty the disk");
    wait_until("the log goes on", || count() > when_full + 200);
    host.coop(["rm", "-f", "counter"]).run().success();
}

#[test]
fn an_end_on_a_full_disk_is_written_down_when_there_is_room_again() {
    let host = Host::new();
    if !small_disk(&host, "size=2m") {
        skip!("Linux before 6.3 has no id-mapped tmpfs");
    }
    let root = Rootfs::new(&host);
    let script = "while ! test -e /tmp/go; do sleep 0.01; done";
    let script =
        format!("{script}; i=0; while test $i -lt 5000; do echo $i; i=$((i+1)); done; exit 7");
    let flags = ["--network", "none", "--tmpfs", "/tmp"];
    host.start("box", &root, &flags, &script);
    let filler = host.coop_root().join("filler");
    let go = ["exec", "box", "/bin/sh", "-c", "touch /tmp/go"];
    let init = host.pid_of("box");
    fill(&filler, 0);
    host.coop(go).run().success();
    wait_until("it has ended", || !host.pids().contains(&init));
    std::thread::sleep(std::time::Duration::from_secs(2));
    fs::remove_file(&filler).expect("empty the disk");
    wait_until("its end is written down", || {
        host.inspect("box")["State"]["ExitCode"] == 7
    });
    wait_until("nobody looks after it any more", || {
        host.supervisors().is_empty()
    });
    let log = host.coop(["logs", "box"]).run();
    let lines = log.success().lines();
    assert_eq!(lines.len(), 5000);
    assert!(
        lines
            .iter()
            .zip(0..)
            .all(|(line, i)| *line == i.to_string())
    );
    host.coop(["rm", "box"]).run().success();
}

#[test]
fn a_read_only_state_directory_is_told_and_can_still_be_read() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    host.start("box", &root, &["--network", "none"], "exec sleep 1000");
    bind(&host, "ro");
    let before = host.snapshot();
    hello(&host, &root)
        .run()
        .fails(125, &["Read-only file system"]);
    host.coop(["ps"]).run().success().says("box");
    host.coop(["inspect", "box"]).run().success();
    host.coop(["logs", "box"]).run().success();
    host.assert_nothing_left(&before);
    // A container can always be ended; that it has is written down later.
    let init = host.pid_of("box");
    host.coop(["kill", "box"]).run();
    wait_until("it has ended", || !host.pids().contains(&init));
    // Its supervisor tries now and then to write there.
    wait_until("the directory can be written to again", || {
        let umount = host.tool("umount").arg(host.coop_root()).run();
        umount.status.success()
    });
    host.coop(["ps", "-a"]).run().success().says("Exited");
    wait_until("its end is written down", || {
        host.inspect("box")["State"]["ExitCode"] == 137
    });
    host.coop(["rm", "-f", "box"]).run().success();
}

#[test]
fn no_descriptors_are_told_and_leave_nothing() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    hello(&host, &root).run().success();
    let before = host.snapshot();
    with_ever_more(&host, &before, "Too many open files", |room| {
        // Fewer than three are not enough for the standard streams.
        let limited = format!("ulimit -n {}; exec \"$@\"", room + 4);
        hello(&host, &root).through_shell(&limited).run()
    });
}

#[test]
fn a_stack_without_descriptors_is_told_and_leaves_nothing() {
    let host = Host::new();
    let stack = host.stack(
        "
name: few
services:
  a: {image: coop/host, command: sleep 1000, stop_signal: SIGKILL}
  b: {image: coop/host, command: sleep 1000, stop_signal: SIGKILL, depends_on: [a]}
",
    );
    stack.up();
    stack.down();
    let before = host.snapshot();
    for room in (6..60).step_by(3) {
        let limited = format!("ulimit -n {room}; exec \"$@\"");
        let output = stack.coop("up").arg("-d").through_shell(&limited).run();
        if output.status.success() {
            stack.down();
        } else {
            output.code(1);
            assert!(output.stderr.contains("Too many open files"), "{output}");
            // What could not even be given back is on record, for any next command.
            host.coop(["ps"]).run().success();
        }
        host.assert_nothing_left(&before);
    }
}

#[test]
fn no_pids_are_told_and_leave_nothing() {
    let host = Host::new();
    if cgroup::version() == cgroup::Version::V2 {
        skip!("with cgroup v2 a container is born in its own cgroup, whose limit counts");
    }
    let root = Rootfs::new(&host);
    hello(&host, &root).run().success();
    let pids = cgroup::hierarchies()
        .into_iter()
        .find(|hierarchy| hierarchy.ends_with("pids"));
    let Some(pids) = pids else {
        skip!("no pids controller");
    };
    let full = pids.join("full");
    fs::create_dir(&full).expect("a cgroup");
    let before = host.snapshot();
    with_ever_more(&host, &before, "Resource temporarily unavailable", |room| {
        fs::write(full.join("pids.max"), (room + 1).to_string()).expect("set the limit");
        let procs = full.join("cgroup.procs");
        let limited = format!("echo $$ > {}; exec \"$@\"", procs.display());
        hello(&host, &root).through_shell(&limited).run()
    });
}
