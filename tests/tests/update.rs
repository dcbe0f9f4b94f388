//! `coop update`: seen from the cgroup, from inside, and after a restart.

use std::fs;

use coop_tests::cgroup::{self, Version};
use coop_tests::{Host, Rootfs, wait_until};

const SLEEP: &str = "exec sleep 1000";
const MIB: u64 = 1 << 20;

/// The content of a controller's file in the container's cgroup, by version.
fn setting(host: &Host, name: &str, controller: &str, v1: &str, v2: &str) -> String {
    let file = match cgroup::version() {
        Version::V1 => v1,
        Version::V2 => v2,
    };
    let path = cgroup::of(host.pid_of(name), controller).join(file);
    let text = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    text.trim().to_owned()
}

fn memory(host: &Host, name: &str) -> String {
    setting(host, name, "memory", "memory.limit_in_bytes", "memory.max")
}

fn pids(host: &Host, name: &str) -> String {
    setting(host, name, "pids", "pids.max", "pids.max")
}

/// Memory and swap together; nothing on a kernel that does not count swap.
fn memory_and_swap(host: &Host, name: &str) -> Option<u64> {
    let (file, together) = match cgroup::version() {
        Version::V1 => ("memory.memsw.limit_in_bytes", true),
        Version::V2 => ("memory.swap.max", false),
    };
    let path = cgroup::of(host.pid_of(name), "memory").join(file);
    let value: u64 = fs::read_to_string(path).ok()?.trim().parse().ok()?;
    Some(if together {
        value
    } else {
        value + memory(host, name).parse::<u64>().ok()?
    })
}

#[test]
fn limits_change_at_once_and_stay_over_a_restart() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let flags = ["-m", "64m", "--pids-limit", "50", "--stop-signal", "KILL"];
    host.start("box", &root, &flags, SLEEP);
    let update = [
        "update",
        "-m",
        "32m",
        "--cpus",
        "0.5",
        "-c",
        "512",
        "--pids-limit",
        "20",
        "--cpuset-cpus",
        "0",
        "box",
    ];
    host.coop(update).run().success().prints("box");
    let check = || {
        assert_eq!(memory(&host, "box"), (32 * MIB).to_string());
        assert_eq!(pids(&host, "box"), "20");
        let quota = setting(&host, "box", "cpu", "cpu.cfs_quota_us", "cpu.max");
        assert_eq!(quota.split(' ').next(), Some("50000"));
        let weight = setting(&host, "box", "cpu", "cpu.shares", "cpu.weight");
        assert_ne!(
            weight,
            if cgroup::version() == Version::V1 {
                "1024"
            } else {
                "100"
            }
        );
        let inside = host
            .coop([
                "exec",
                "box",
                "/bin/grep",
                "Cpus_allowed_list",
                "/proc/1/status",
            ])
            .run();
        assert!(inside.success().text().ends_with("\t0"), "{inside}");
        let shown = host.inspect("box")["HostConfig"].clone();
        assert_eq!(shown["Memory"], 32 * MIB);
        assert_eq!(shown["PidsLimit"], 20);
    };
    check();
    host.coop(["restart", "box"]).run().success();
    check();
}

#[test]
fn a_new_limit_is_felt_inside() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let script = "while ! test -e /go; do sleep 0.05; done; exec dd if=/dev/zero of=/dev/null bs=100M count=1";
    host.start("hog", &root, &["-m", "256m"], script);
    // All of it: what the machine could swap out would be felt by nobody.
    host.coop(["update", "-m", "16m", "--memory-swap", "16m", "hog"])
        .run()
        .success();
    host.coop(["exec", "hog", "/bin/touch", "/go"])
        .run()
        .success();
    wait_until("it is killed", || {
        host.inspect("hog")["State"]["ExitCode"] == 137
    });
    assert_eq!(host.inspect("hog")["State"]["OOMKilled"], true);
}

#[test]
fn memory_and_swap_change_together_up_and_down() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    host.start("box", &root, &["-m", "64m", "--memory-swap", "128m"], SLEEP);
    if memory_and_swap(&host, "box").is_none() {
        coop_tests::skip!("this kernel does not count swap");
    }
    for (memory_limit, both) in [(256, 512), (32, 48), (48, 48), (512, 1024), (16, 20)] {
        let (memory_flag, both_flag) = (format!("{memory_limit}m"), format!("{both}m"));
        let update = [
            "update",
            "-m",
            &memory_flag,
            "--memory-swap",
            &both_flag,
            "box",
        ];
        host.coop(update).run().success();
        assert_eq!(memory(&host, "box"), (memory_limit * MIB).to_string());
        assert_eq!(memory_and_swap(&host, "box"), Some(both * MIB));
    }
    host.coop(["update", "-m", "64m", "box"])
        .run()
        .fails(1, &["box", "--memory-swap"]);
    assert_eq!(memory(&host, "box"), (16 * MIB).to_string());
    host.coop(["update", "-m", "0", "--memory-swap", "-1", "box"])
        .run()
        .success();
    assert!(memory(&host, "box") == "max" || memory(&host, "box").len() > 15);
}

#[test]
fn what_the_kernel_refuses_changes_nothing() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    host.start("box", &root, &["-m", "64m", "--pids-limit", "50"], SLEEP);
    let config = || host.inspect("box")["HostConfig"].clone();
    let before = config();
    // No machine has this processor; what is set before it is taken back.
    let wrong = [
        "update",
        "-m",
        "32m",
        "--cpus",
        "0.5",
        "--pids-limit",
        "20",
        "--cpuset-cpus",
        "4095",
        "box",
    ];
    host.coop(wrong).run().fails(1, &["box", "CPU set", "4095"]);
    assert_eq!(memory(&host, "box"), (64 * MIB).to_string());
    assert_eq!(pids(&host, "box"), "50");
    let quota = setting(&host, "box", "cpu", "cpu.cfs_quota_us", "cpu.max");
    assert!(
        quota.starts_with("-1") || quota.starts_with("max"),
        "{quota}"
    );
    assert_eq!(config(), before);
    // Refused before anything is tried.
    for (flags, word) in [
        (&["--cpu-quota", "10"][..], "CPU quota"),
        (&["--cpu-period", "7"], "CPU quota"),
        (&["--cpu-shares", "1"], "CPU weight"),
        (&["--blkio-weight", "5"], "I/O weight"),
        (&["--cpuset-cpus", "a-b"], "--cpuset-cpus"),
        (&[], "nothing to change"),
    ] {
        host.coop(["update", "--pids-limit", "20"])
            .args(flags)
            .arg("box");
        let update = host.coop(["update"]).args(flags).arg("box").run();
        update.fails(1, &[word]);
    }
    assert_eq!(config(), before);
}

#[test]
fn a_stopped_container_is_started_with_its_new_limits() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let create = host
        .coop(["create", "--name", "box", "--rootfs"])
        .arg(root.path());
    create.args(["--", "/bin/sh", "-c", SLEEP]).run().success();
    host.coop(["update", "-m", "48m", "box", "ghost"])
        .run()
        .fails(1, &["ghost"])
        .prints("box");
    host.coop(["start", "box"]).run().success();
    assert_eq!(memory(&host, "box"), (48 * MIB).to_string());
}

#[test]
fn a_new_restart_policy_holds_at_the_next_end() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let script = "echo run; while ! test -e /go; do sleep 0.05; done; rm /go; exit 1";
    host.start("box", &root, &[], script);
    host.coop(["update", "--restart", "on-failure:3", "box"])
        .run()
        .success();
    let policy = host.inspect("box")["HostConfig"]["RestartPolicy"].clone();
    if !policy.is_null() {
        assert_eq!(policy["Name"], "on-failure");
    }
    host.coop(["exec", "box", "/bin/touch", "/go"])
        .run()
        .success();
    wait_until("it runs again", || {
        host.coop(["logs", "box"]).run().lines() == ["run", "run"]
    });
    host.coop(["update", "--restart", "no", "box"])
        .run()
        .success();
    wait_until("it runs", || {
        host.inspect("box")["State"]["Running"] == true
    });
    host.coop(["exec", "box", "/bin/touch", "/go"])
        .run()
        .success();
    wait_until("it stays down", || {
        host.inspect("box")["State"]["Status"] == "exited"
    });
    host.start("once", &root, &["--rm"], SLEEP);
    host.coop(["update", "--restart", "always", "once"])
        .run()
        .fails(1, &["once", "--rm"]);
}

#[test]
fn a_paused_container_can_be_updated() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    host.start("box", &root, &["-m", "64m"], SLEEP);
    host.coop(["pause", "box"]).run().success();
    host.coop(["update", "-m", "32m", "--cpuset-cpus", "0", "box"])
        .run()
        .success();
    assert_eq!(memory(&host, "box"), (32 * MIB).to_string());
    assert_eq!(host.inspect("box")["State"]["Paused"], true);
    host.coop(["unpause", "box"]).run().success();
    host.coop(["kill", "box"]).run().success();
}
