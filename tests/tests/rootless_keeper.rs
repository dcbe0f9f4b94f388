//! The process that keeps a user's networks, and what becomes of them when it or others are killed.

use std::fs;

use coop_tests::page::wait_for_page;
use coop_tests::{Host, User, UserStack, World, user_with_networks, wait_until, web};

/// Whether the process is Coop's init in a container.
fn is_init(pid: u32) -> bool {
    let namespace = |pid: &str| fs::read_link(format!("/proc/{pid}/ns/pid")).ok();
    namespace(&pid.to_string()) != namespace("self")
}

#[test]
fn a_supervisor_that_is_killed_leaves_network_and_ports_as_they_are() {
    let host = Host::new();
    let user = user_with_networks!(&host);
    let before = host.snapshot();
    let (stack, up) = UserStack::up(&host, user, &web("'8080:80'"));
    up.success();
    wait_for_page("127.0.0.1:8080");
    let keeper = stack.keeper();
    for supervisor in host.supervisors() {
        if supervisor != keeper && !is_init(supervisor) {
            host.kill(supervisor);
        }
    }
    wait_for_page("127.0.0.1:8080");
    stack.coop("ps", &[]).success();
    wait_for_page("127.0.0.1:8080");
    stack.coop("restart", &["-t", "0", "web"]).success();
    wait_for_page("127.0.0.1:8080");
    stack.down();
    host.assert_nothing_left(&before);
}

#[test]
fn everything_that_is_killed_together_leaves_nothing() {
    let host = Host::new();
    let user = user_with_networks!(&host);
    let _world = World::new(&host);
    user.sh(&[], "true").run().success();
    let before = host.snapshot();
    let (stack, up) = UserStack::up(&host, user, &web("'8080:80'"));
    up.success();
    wait_for_page("127.0.0.1:8080");
    assert_eq!(host.ways_out().len(), 1, "{:?}", host.processes());
    for process in host.supervisors() {
        host.kill(process);
    }
    wait_until("the way out is gone", || host.ways_out().is_empty());
    stack.down();
    stack.user.coop(["system", "check"]).run().success();
    host.assert_nothing_left(&before);
}

#[test]
fn a_keeper_that_is_killed_is_followed_by_another_in_the_same_namespace() {
    let host = Host::new();
    let user = user_with_networks!(&host);
    let _world = World::new(&host);
    let before = host.snapshot();
    let (stack, up) = UserStack::up(&host, user, &web("'8080:80'"));
    up.success();
    wait_for_page("127.0.0.1:8080");
    let client = |script: &str| stack.sh("client", script);
    host.kill(stack.keeper());
    // The supervisor holds the namespace, and does not wait for a command.
    wait_for_page("127.0.0.1:8080");
    client("timeout 20 wget -q -O - http://web/page")
        .success()
        .says("hello");
    wait_until("there is a way out again", || host.ways_out().len() == 1);
    stack.coop("restart", &["-t", "0", "web"]).success();
    wait_for_page("127.0.0.1:8080");
    wait_until("the client reaches the new one", || {
        client("timeout 1 wget -q -O - http://web/page")
            .stdout
            .contains("hello")
    });
    stack.down();
    host.assert_nothing_left(&before);
}

/// What the keeper has in the file system.
fn files(user: &User<'_>) -> Vec<String> {
    let dir = user.runtime_dir().join("coop/rootless-network");
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    entries
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect()
}

#[test]
fn a_keeper_that_is_killed_at_any_step_leaves_nothing() {
    let host = Host::new();
    let user = user_with_networks!(&host);
    let _world = World::new(&host);
    user.sh(&[], "true").run().success();
    let before = host.snapshot();
    let stack = UserStack::new(&host, user, &web("'8080:80'"));
    let call = |verb: &str, more: &[&str], fault: &str| {
        let words = stack.words(verb).into_iter().chain(more.iter().copied());
        let call = stack.user.coop_with_faults(words)?;
        Some(call.env("COOP_FAULT", fault).run())
    };
    // The steps, in their order.
    let list = stack.user.home().join("points");
    let Some(up) = call("up", &["-d"], &format!("list:{}", list.display())) else {
        coop_tests::skip!("COOP_BIN_FAULT names no coop with fault injection");
    };
    up.success();
    stack.down();
    host.assert_nothing_left(&before);
    wait_until("the keeper has gone", || files(&stack.user).is_empty());
    let passed = fs::read_to_string(&list).expect("the points");
    let mut steps: Vec<_> = { passed.lines() }
        .filter_map(|point| point.strip_prefix("keeper."))
        .collect();
    steps.dedup();
    assert_eq!(
        steps,
        ["lock", "namespace", "mount", "listen", "serve", "tidy"]
    );

    for step in steps {
        // The last one comes when all containers have gone.
        let up = call("up", &["-d"], &format!("keeper.{step}:kill")).expect("as before");
        assert_eq!(up.status.success(), step == "tidy", "{step} {up}");
        stack.down();
        let prune = stack.user.coop(["network", "prune", "-f"]).run();
        prune.success();
        wait_until("nothing of the keeper is left", || {
            files(&stack.user).is_empty() && host.ways_out().is_empty()
        });
        host.assert_nothing_left(&before);
        // The next one is none the worse for it.
        stack.coop("up", &["-d"]).success();
        wait_for_page("127.0.0.1:8080");
        stack.down();
        host.assert_nothing_left(&before);
    }
}
