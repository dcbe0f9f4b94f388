//! Limits, seen from the host.

use std::fs;
use std::path::Path;

use coop_tests::cgroup::{self, Version};
use coop_tests::{Host, Rootfs, wait_until};

const SLEEP: &str = "exec sleep 1000";
/// Takes 100 MB of memory, for real.
const HOG: &str = "exec dd if=/dev/zero of=/dev/null bs=100M count=1";

/// The content of a controller's file in the container's cgroup, by version.
fn setting(pid: u32, controller: &str, v1: &str, v2: &str) -> String {
    let file = match cgroup::version() {
        Version::V1 => v1,
        Version::V2 => v2,
    };
    let path = cgroup::of(pid, controller).join(file);
    fs::read_to_string(&path)
        .unwrap_or_else(|e| panic!("{}: {e}", path.display()))
        .trim()
        .into()
}

#[test]
fn a_memory_limit_kills_the_hog_and_says_so() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let run = host.coop(["run", "--name", "hog", "--memory", "32M", "--rootfs"]);
    run.arg(root.path())
        .args(["--", "/bin/sh", "-c", HOG])
        .run()
        .code(137);
    let hog = host.inspect("hog");
    assert_eq!(hog["State"]["OOMKilled"], true, "{hog:#}");
    assert_eq!(hog["State"]["ExitCode"], 137, "{hog:#}");
}

#[test]
fn a_memory_limit_spares_the_neighbour() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let neighbour = host.pid_of(host.start("neighbour", &root, &["--memory", "32M"], SLEEP));
    host.sh(&root, &["--memory", "32M"], HOG).run().code(137);
    assert_eq!(host.pid_of("neighbour"), neighbour);
    assert_eq!(host.inspect("neighbour")["State"]["OOMKilled"], false);
}

#[test]
fn a_kill_that_was_not_for_memory_is_not_called_one() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    host.start("box", &root, &["--memory", "32M"], SLEEP);
    host.coop(["kill", "box"]).run().success();
    wait_until("it is gone", || {
        host.inspect("box")["State"]["ExitCode"] == 137
    });
    assert_eq!(host.inspect("box")["State"]["OOMKilled"], false);
}

#[test]
fn a_pids_limit_refuses_one_process_too_many() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let script = "i=0; while [ $i -lt 30 ]; do sleep 1000 & i=$((i+1)); done; echo all started";
    let output = host.sh(&root, &["--pids", "8"], script).run();
    output.does_not_say("all started").warns("fork");
}

#[test]
fn a_number_of_processes_is_limited_when_nobody_asks_for_it() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let pid = host.pid_of(host.start("box", &root, &[], SLEEP));
    let max = setting(pid, "pids", "pids.max", "pids.max");
    assert!(max.parse::<u64>().is_ok(), "pids.max is {max}");
}

#[test]
fn a_cpu_quota_throttles() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let busy = host.start("busy", &root, &["--cpus", "0.1"], "while :; do :; done");
    let stat = cgroup::of(host.pid_of(busy), "cpu").join("cpu.stat");
    wait_until("it is throttled", || {
        cgroup::value(&stat, "nr_throttled") > 0
    });
}

#[test]
fn every_way_to_write_a_quota_means_the_same() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let ways = [["--cpus", "0.5"], ["--cpu", "50%"], ["--cpu", "50000"]];
    for (number, flags) in ways.iter().enumerate() {
        let name = format!("box{number}");
        let pid = host.pid_of(host.start(&name, &root, flags, SLEEP));
        let quota = setting(pid, "cpu", "cpu.cfs_quota_us", "cpu.max");
        let expected = match cgroup::version() {
            Version::V1 => "50000",
            Version::V2 => "50000 100000",
        };
        assert_eq!(quota, expected, "{flags:?}");
    }
}

#[test]
fn memory_is_written_in_bytes_or_with_a_unit() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    for (number, text) in ["64M", "64m", "65536k", "67108864"].iter().enumerate() {
        let name = format!("box{number}");
        let pid = host.pid_of(host.start(&name, &root, &["--memory", text], SLEEP));
        let limit = setting(pid, "memory", "memory.limit_in_bytes", "memory.max");
        assert_eq!(limit, "67108864", "{text}");
    }
}

#[test]
fn a_cpuset_pins_the_container() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let output = host.sh(
        &root,
        &["--cpuset-cpus", "0"],
        "grep Cpus_allowed_list /proc/self/status",
    );
    output.run().success().says(":\t0");
}

#[test]
fn cpu_shares_become_the_weight_of_the_cgroup() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let pid = host.pid_of(host.start("box", &root, &["--cpu-shares", "512"], SLEEP));
    let weight = setting(pid, "cpu", "cpu.shares", "cpu.weight");
    match cgroup::version() {
        Version::V1 => assert_eq!(weight, "512"),
        Version::V2 => assert_ne!(weight, "100", "the default"),
    }
}

#[test]
fn the_cgroup_is_named_after_stack_and_container() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let pid = host.pid_of(host.start("box", &root, &["--memory", "32M"], SLEEP));
    let id = host.inspect("box")["Id"].as_str().unwrap().to_owned();
    let path = cgroup::of(pid, "memory");
    let parts: Vec<_> = path
        .iter()
        .rev()
        .take(3)
        .map(|part| part.to_string_lossy())
        .collect();
    assert_eq!(parts[2], "coop", "{}", path.display());
    assert!(
        id.starts_with(&*parts[0]) || parts[0].starts_with(&id),
        "{}",
        path.display()
    );
}

#[test]
fn the_container_cannot_raise_its_own_limit() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let script = "for f in $(find / -xdev -name memory.max -o -name memory.limit_in_bytes); do \
                  echo 1073741824 > $f && echo raised; done; \
                  mount -t cgroup2 none /srv && echo mounted; exit 0";
    let output = host.sh(&root, &["--memory", "32M"], script).run();
    output
        .success()
        .does_not_say("raised")
        .does_not_say("mounted");
}

#[test]
fn stats_show_use_and_limit() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    host.start(
        "box",
        &root,
        &["--memory", "64M", "--pids", "33", "--cpus", "0.5"],
        SLEEP,
    );
    let output = host.coop(["stats", "--no-stream", "box"]).run();
    let row = output
        .success()
        .stdout
        .lines()
        .find(|line| line.contains("box"))
        .unwrap();
    // As Docker's: the number of processes that there are, the last column; its limit is told
    // by `inspect`.
    assert!(row.contains(" / 64MiB "), "{output}");
    assert_eq!(row.split_whitespace().last(), Some("1"), "{output}");
    let limits = &host.inspect("box")["HostConfig"];
    assert_eq!(limits["PidsLimit"], 33, "{limits:#}");
    assert_eq!(limits["Memory"], 64 << 20, "{limits:#}");
    assert_eq!(limits["NanoCpus"], 500_000_000, "{limits:#}");
}

#[test]
fn a_limit_of_the_container_ends_with_it() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let pid = host.pid_of(host.start("box", &root, &["--memory", "64M"], SLEEP));
    let directory = cgroup::of(pid, "memory");
    assert!(Path::new(&directory).exists());
    host.coop(["rm", "-f", "box"]).run().success();
    assert!(!directory.exists(), "{}", directory.display());
}
