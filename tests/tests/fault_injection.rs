//! A launch that is killed, or fails, at every one of its steps.
//!
//! Needs `coop` built with the cargo feature `fault`: `COOP_FAULT=list` names the points that
//! a launch passes, `COOP_FAULT=POINT:kill` and `POINT:fail` stop it at one.

use std::collections::BTreeSet;
use std::path::Path;

use coop_tests::{Cmd, Host, Rootfs, Stack, skip, wait_until};
use rustix::mount::MountFlags;
use rustix::process::{Pid, Signal, kill_process};

/// The points of a listing, in order, each once.
fn points(listing: &str) -> Vec<String> {
    let is_point = |line: &&str| {
        line.contains('.')
            && line
                .chars()
                .all(|c| c.is_ascii_lowercase() || "._-".contains(c))
    };
    let mut seen = BTreeSet::new();
    let points: Vec<_> = listing
        .lines()
        .filter(is_point)
        .filter(|point| seen.insert((*point).to_owned()))
        .map(str::to_owned)
        .collect();
    assert!(
        points.len() > 10,
        "these cannot be all the steps of a launch\n{listing}"
    );
    points
}

/// What happens after the go-ahead, or while taking things down, may be too late to change
/// the command's exit status.
fn must_fail(point: &str) -> bool {
    let (stage, step) = point.split_once('.').unwrap_or((point, ""));
    !step.contains("undo") && stage != "exit"
}

fn launch<'h>(host: &'h Host, root: &Rootfs) -> Option<Cmd<'h>> {
    let run = host.coop_with_faults(["run", "--rm", "--memory", "64M", "-p", "8080:80"])?;
    Some(
        run.arg("--rootfs")
            .arg(root.path())
            .args(["--", "/bin/true"]),
    )
}

/// Stops a `run` at every point, and looks what is left after the next command.
fn stop_everywhere(action: &str) {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let Some(listing) = launch(&host, &root) else {
        skip!("COOP_BIN_FAULT names no coop with fault injection");
    };
    let listing = listing.env("COOP_FAULT", "list").run();
    listing.success();
    let before = host.snapshot();
    for point in points(&listing.stderr) {
        eprintln!("{point}:{action}");
        let run = launch(&host, &root).expect("there was one");
        let output = run.env("COOP_FAULT", format!("{point}:{action}")).run();
        let failed = !output.status.success();
        assert!(
            failed || !must_fail(&point),
            "{point}:{action} went unnoticed\n{output}"
        );
        assert!(!output.stderr.contains("panicked at"), "{output}");
        host.coop(["ps", "-a"]).run().success();
        host.assert_nothing_left(&before);
    }
}

#[test]
fn a_run_that_is_killed_at_any_step_leaves_nothing_after_the_next_command() {
    stop_everywhere("kill");
}

#[test]
fn a_run_that_fails_at_any_step_leaves_nothing() {
    stop_everywhere("fail");
}

#[test]
fn an_injected_failure_is_one_message_that_names_the_step() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let Some(listing) = launch(&host, &root) else {
        skip!("COOP_BIN_FAULT names no coop with fault injection");
    };
    let listing = listing.env("COOP_FAULT", "list").run();
    for point in points(&listing.stderr)
        .iter()
        .filter(|point| must_fail(point))
    {
        let run = launch(&host, &root).expect("there was one");
        run.env("COOP_FAULT", format!("{point}:fail"))
            .run()
            .fails(125, &[point]);
    }
}

const PAIR: &str = "
name: pair
services:
  web:
    image: coop/host
    command: sleep 1000
    init: true
    stop_signal: SIGKILL
    ports: ['8080:80']
    secrets: [token]
  client: {image: coop/host, command: sleep 1000, stop_signal: SIGKILL, depends_on: [web]}
secrets: {token: {environment: TOKEN}}
";

/// `up -d` with the secret that the stack asks for.
fn up<'h>(stack: &Stack<'h>) -> Option<Cmd<'h>> {
    Some(stack.coop_with_faults("up")?.arg("-d").env("TOKEN", "t"))
}

fn mount_tmpfs(directory: &Path) {
    let flags = MountFlags::empty();
    rustix::mount::mount("tmpfs", directory, "tmpfs", flags, None).expect("mount a tmpfs");
}

/// Stops an `up` at every point; `down` is the next command.
fn stop_a_stack_everywhere(action: &str) {
    let host = Host::new();
    let stack = host.stack(PAIR);
    // Secrets are in memory: the state directory's own, as everywhere but in these tests.
    mount_tmpfs(&host.coop_root());
    let Some(listing) = up(&stack) else {
        skip!("COOP_BIN_FAULT names no coop with fault injection");
    };
    // Not in the state directory, whose content is compared.
    let list = host.work().join("points");
    let fault = format!("list:{}", list.display());
    listing.env("COOP_FAULT", fault).run().success();
    stack.down();
    let listing = std::fs::read_to_string(list).expect("the points of an up");
    assert!(listing.contains("secrets.new"), "{listing}");
    let before = host.snapshot();
    for point in points(&listing) {
        eprintln!("{point}:{action}");
        let up = up(&stack).expect("there was one");
        up.env("COOP_FAULT", format!("{point}:{action}")).run();
        stack.down();
        host.assert_nothing_left(&before);
    }
}

#[test]
fn an_up_that_is_killed_at_any_step_leaves_nothing_after_down() {
    stop_a_stack_everywhere("kill");
}

#[test]
fn an_up_that_fails_at_any_step_leaves_nothing_after_down() {
    stop_a_stack_everywhere("fail");
}

/// Where a container is when a command on it is stopped.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Found {
    /// It runs, and its supervisor was killed: the command makes the next one.
    Orphaned,
    /// It has ended.
    Stopped,
    /// It is not there.
    Missing,
}

fn kill_supervisors(host: &Host) {
    for pid in host.supervisors() {
        let pid = Pid::from_raw(pid.cast_signed()).expect("a process id");
        // It may have ended by itself.
        let _ = kill_process(pid, Signal::KILL);
    }
    wait_until("no supervisor", || host.supervisors().is_empty());
}

fn find(host: &Host, root: &Rootfs, found: Found) {
    const FLAGS: [&str; 5] = ["--init", "-i", "--memory=64M", "-p", "8080:80"];
    if found == Found::Missing {
        return;
    }
    host.start("box", root, &FLAGS, "exec sleep 1000");
    match found {
        Found::Orphaned => kill_supervisors(host),
        _ => drop(host.coop(["stop", "-t", "0", "box"]).run()),
    }
}

/// Stops a command, and a supervisor that it makes, at every point. There is one container
/// afterwards, or none; it has one name, and can be removed by it.
fn stop_a_command_everywhere(found: Found, command: &[&str], action: &str) {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let before = host.snapshot();
    let list = host.work().join("points");
    let fault = format!("list:{}", list.display());
    find(&host, &root, found);
    let root_path = root.path().display().to_string();
    let words = || command.iter().map(|word| word.replace("ROOT", &root_path));
    let Some(listing) = host.coop_with_faults(words()) else {
        skip!("COOP_BIN_FAULT names no coop with fault injection");
    };
    listing.env("COOP_FAULT", fault).run().success();
    let listing = std::fs::read_to_string(list).expect("the points of a command");
    let remove = || {
        let names = host.containers();
        assert!(names.len() <= 1, "{names:?}");
        for name in names {
            host.coop(["rm", "-f", &name]).run().success();
        }
        host.assert_nothing_left(&before);
    };
    remove();
    let points: BTreeSet<_> = listing.lines().collect();
    assert!(!points.is_empty(), "{command:?} passes no point");
    for point in points {
        eprintln!("{command:?} {point}:{action}");
        find(&host, &root, found);
        let faulty = host.coop_with_faults(words()).expect("there was one");
        let output = faulty.env("COOP_FAULT", format!("{point}:{action}")).run();
        assert!(!output.stderr.contains("panicked at"), "{output}");
        kill_supervisors(&host);
        // The next command mends what it finds.
        host.coop(["ps", "-a"]).run().success();
        for name in host.containers() {
            assert_eq!(host.inspect(&name)["Name"], format!("/{name}"));
            let other = if name == "box" { "new" } else { "box" };
            host.coop(["inspect", other]).run().code(1);
        }
        remove();
    }
}

#[test]
fn a_rename_that_is_stopped_at_any_step_leaves_one_name() {
    for found in [Found::Orphaned, Found::Stopped] {
        for action in ["kill", "fail"] {
            stop_a_command_everywhere(found, &["rename", "box", "new"], action);
        }
    }
}

#[test]
fn an_update_that_is_stopped_leaves_a_container_that_can_be_used() {
    for action in ["kill", "fail"] {
        stop_a_command_everywhere(Found::Orphaned, &["update", "-m", "32M", "box"], action);
    }
}

#[test]
fn a_create_that_is_stopped_at_any_step_leaves_nothing_or_a_container() {
    let create = ["create", "--name", "box", "--rootfs", "ROOT", "/bin/true"];
    for action in ["kill", "fail"] {
        stop_a_command_everywhere(Found::Missing, &create, action);
    }
}

#[test]
fn a_start_that_is_stopped_at_any_step_leaves_a_container_that_can_be_removed() {
    for action in ["kill", "fail"] {
        stop_a_command_everywhere(Found::Stopped, &["start", "box"], action);
    }
}

#[test]
fn a_restart_that_is_stopped_at_any_step_leaves_a_container_that_can_be_removed() {
    let restart = ["restart", "-t", "0", "box"];
    stop_a_command_everywhere(Found::Orphaned, &restart, "kill");
}
