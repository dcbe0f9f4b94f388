//! `coop system check`: what killed processes leave is found and mended, and nothing else.

use std::fs;

use coop_tests::{Host, Output, Rootfs, wait_until};
use rustix::process::{Pid, Signal};

const FLAGS: [&str; 2] = ["--stop-signal", "KILL"];
const SLEEP: &str = "exec sleep 1000";

fn check(host: &Host, args: &[&str]) -> Output {
    host.coop(["system", "check"]).args(args).run()
}

/// The host is clean, and says so.
#[track_caller]
fn assert_clean(host: &Host) {
    check(host, &["--dry-run"])
        .success()
        .prints("nothing to mend");
    check(host, &[]).success().prints("nothing to mend");
}

fn kill(pid: u32) {
    let pid = Pid::from_raw(pid.cast_signed()).expect("a process id");
    rustix::process::kill_process(pid, Signal::KILL).expect("kill");
}

#[test]
fn a_host_that_is_well_is_left_alone() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    assert_clean(&host);
    host.start("box", &root, &FLAGS, SLEEP);
    host.start("ended", &root, &FLAGS, "exit 3");
    wait_until("it has ended", || {
        host.inspect("ended")["State"]["Status"] == "exited"
    });
    let before = host.containers();
    assert_clean(&host);
    assert_eq!(host.containers(), before);
}

#[test]
fn a_container_without_a_supervisor_gets_one() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    host.start("box", &root, &FLAGS, SLEEP);
    let pid = host.pid_of("box");
    for supervisor in host.supervisors() {
        kill(supervisor);
    }
    wait_until("it is dead", || host.supervisors().is_empty());
    check(&host, &["--dry-run"])
        .code(1)
        .prints("container box: runs without a supervisor");
    assert!(host.supervisors().is_empty(), "it only looks");
    insta::assert_snapshot!(
        check(&host, &[]).success().stdout,
        @"container box: runs without a supervisor: a new one looks after it"
    );
    assert_eq!(host.supervisors().len(), 1);
    assert_eq!(host.pid_of("box"), pid);
    assert_clean(&host);
}

#[test]
fn an_end_that_nobody_saw_is_written_down() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    host.start("box", &root, &FLAGS, SLEEP);
    let pid = host.pid_of("box");
    for supervisor in host.supervisors() {
        kill(supervisor);
    }
    kill(pid);
    wait_until("both are dead", || host.processes().is_empty());
    insta::assert_snapshot!(
        check(&host, &[]).success().stdout,
        @"container box: has ended, and nobody has written it down: written down"
    );
    assert_eq!(host.inspect("box")["State"]["Status"], "exited");
    assert_clean(&host);
}

#[test]
fn halves_and_leases_of_nobody_go() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let flags = ["--stop-signal", "KILL", "--network", "none"];
    host.start("box", &root, &flags, SLEEP);
    let before = host.snapshot();
    let data = host.coop_root().join("data");
    let id = "f".repeat(64);
    fs::create_dir_all(data.join(format!("containers/.new-{id}/upper"))).unwrap();
    fs::create_dir_all(data.join(format!("containers/.old-{id}"))).unwrap();
    std::os::unix::fs::symlink(format!("../containers/{id}"), data.join("names/ghost")).unwrap();
    fs::create_dir_all(data.join("volumes/half")).unwrap();
    // No process has this number; one of a check that is going on stays.
    fs::create_dir_all(data.join("check-4294967295/tmp")).unwrap();
    let going_on = data.join(format!("check-{}", std::process::id()));
    fs::create_dir(&going_on).unwrap();
    fs::write(data.join(format!("id-pool/900000000-65536-{id}")), "").unwrap();
    let run = host.coop_root().join("run");
    fs::create_dir_all(run.join(format!("containers/{id}"))).unwrap();
    fs::create_dir_all(run.join("stacks/ghost")).unwrap();
    fs::create_dir_all(run.join("networks/ghost/leases")).unwrap();
    let own = host.inspect("box")["Id"].as_str().unwrap().to_owned();
    fs::write(
        data.join(format!("containers/{own}/state.json.4194999")),
        "{",
    )
    .unwrap();
    let found = check(&host, &["--dry-run"]);
    assert_eq!(found.code(1).lines().len(), 10, "{found}");
    let mended = check(&host, &[]);
    assert_eq!(mended.success().lines().len(), 10, "{mended}");
    assert_clean(&host);
    fs::remove_dir(&going_on).expect("it is left alone");
    host.assert_nothing_left(&before);
    assert_eq!(host.inspect("box")["State"]["Status"], "running");
}

#[test]
fn a_planned_launch_that_was_killed_gives_back_what_it_had() {
    let host = Host::new();
    let Some(run) = host.coop_with_faults(["run", "--rm", "coop/host", "true"]) else {
        coop_tests::skip!("no binary with fault injection");
    };
    host.coop(["run", "--rm", "coop/host", "true"])
        .run()
        .success();
    let before = host.snapshot();
    run.env("COOP_FAULT", "planning:save=kill").run();
    check(&host, &[]).success();
    assert_clean(&host);
    host.assert_nothing_left(&before);
}

#[test]
fn after_a_reboot_containers_are_stopped_and_start_again_as_they_were() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let mut flags = FLAGS.to_vec();
    flags.extend(["-p", "8080:80"]);
    host.start("web", &root, &flags, SLEEP);
    host.start("client", &root, &FLAGS, SLEEP);
    let address = |name: &str| host.inspect(name)["NetworkSettings"]["IPAddress"].clone();
    let addresses = [address("web"), address("client")];
    // What a reboot does: nothing runs, /run is empty, the kernel has a new boot id.
    let pids = [host.pid_of("web"), host.pid_of("client")];
    for pid in host.supervisors().into_iter().chain(pids) {
        kill(pid);
    }
    wait_until("nothing runs", || host.processes().is_empty());
    let links = host.tool("ip").args(["-o", "link"]).run();
    for link in links.lines() {
        let name = link.split(": ").nth(1).unwrap_or_default();
        let name = name.split('@').next().unwrap_or_default();
        if name.starts_with("coop") {
            // A link whose namespace has just ended goes by itself.
            host.tool("ip").args(["link", "del", name]).run();
        }
    }
    host.tool("nft").args(["flush", "ruleset"]).run().success();
    fs::remove_dir_all(host.coop_root().join("run")).unwrap();
    for entry in fs::read_dir(host.coop_root().join("data/containers")).unwrap() {
        let file = entry.unwrap().path().join("state.json");
        let text = fs::read_to_string(&file).unwrap();
        let mut state: serde_json::Value = serde_json::from_str(&text).unwrap();
        state["boot_id"] = "00000000-0000-0000-0000-000000000000".into();
        fs::write(&file, state.to_string()).unwrap();
    }
    let mended = check(&host, &[]);
    mended
        .success()
        .says("container web: has ended")
        .says("container client: has ended");
    assert_clean(&host);
    assert_eq!(host.inspect("web")["State"]["Status"], "exited");
    host.coop(["start", "client", "web"]).run().success();
    assert_eq!([address("web"), address("client")], addresses);
    assert_eq!(host.inspect("web")["State"]["Status"], "running");
    assert_clean(&host);
    host.coop(["rm", "-f", "web", "client"]).run().success();
    assert_clean(&host);
}
