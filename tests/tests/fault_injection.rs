//! A launch that is killed, or fails, at every one of its steps.
//!
//! Needs `coop` built with the cargo feature `fault`: `COOP_FAULT=list` names the points that
//! a launch passes, `COOP_FAULT=POINT:kill` and `POINT:fail` stop it at one.

use std::collections::BTreeSet;

use coop_tests::{Cmd, Host, Rootfs, skip};

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
  web: {image: coop/host, command: sleep 1000, stop_signal: SIGKILL, ports: ['8080:80']}
  client: {image: coop/host, command: sleep 1000, stop_signal: SIGKILL, depends_on: [web]}
";

/// Stops an `up` at every point; `down` is the next command.
fn stop_a_stack_everywhere(action: &str) {
    let host = Host::new();
    let stack = host.stack(PAIR);
    let Some(listing) = stack.coop_with_faults("up") else {
        skip!("COOP_BIN_FAULT names no coop with fault injection");
    };
    // Not in the state directory, whose content is compared.
    let list = host.work().join("points");
    let fault = format!("list:{}", list.display());
    listing.arg("-d").env("COOP_FAULT", fault).run().success();
    stack.down();
    let listing = std::fs::read_to_string(list).expect("the points of an up");
    let before = host.snapshot();
    for point in points(&listing) {
        eprintln!("{point}:{action}");
        let up = stack
            .coop_with_faults("up")
            .expect("there was one")
            .arg("-d");
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
