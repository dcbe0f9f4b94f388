//! Keys of the stack file that limit a container, beside those of `limits.rs`, and where its
//! cgroup is.

use std::fs;
use std::path::{Path, PathBuf};

use coop_tests::cgroup::{self, Version};
use coop_tests::{Host, Rootfs, skip, wait_until};

const SLEEP: &str = "exec sleep 1000";

/// A file of a controller in the cgroup of the container.
fn file(pid: u32, controller: &str, v1: &str, v2: &str) -> PathBuf {
    cgroup::of(pid, controller).join(match cgroup::version() {
        Version::V1 => v1,
        Version::V2 => v2,
    })
}

fn read(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    text.trim().to_owned()
}

#[test]
fn shared_memory_has_the_size_of_the_file() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let stack = host.web(&root, "shm_size: 1m", SLEEP);
    stack.up();
    let fill = "dd if=/dev/zero of=/dev/shm/x bs=64k count=32 2>/dev/null; stat -c %s /dev/shm/x";
    assert_eq!(stack.exec("web", fill).trim(), "1048576");
    assert_eq!(host.inspect("shop-web-1")["HostConfig"]["ShmSize"], 1 << 20);
    stack.down();
}

#[test]
fn a_limit_of_memory_comes_with_one_of_swap() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let stack = host.web(&root, "mem_limit: 32m", SLEEP);
    stack.up();
    let pid = host.pid_of("shop-web-1");
    assert_eq!(
        host.inspect("shop-web-1")["HostConfig"]["MemorySwap"],
        64 << 20
    );
    // Memory and swap together on v1, swap alone on v2.
    let path = file(
        pid,
        "memory",
        "memory.memsw.limit_in_bytes",
        "memory.swap.max",
    );
    let expected: u64 = match cgroup::version() {
        Version::V1 => 64 << 20,
        Version::V2 => 32 << 20,
    };
    stack.down();
    if path.exists() {
        assert_eq!(read(&path), expected.to_string());
    }
}

#[test]
fn how_eagerly_it_is_swapped_is_of_cgroup_v1_only() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let stack = host.web(&root, "mem_swappiness: 5", SLEEP);
    let up = stack.coop("up").arg("-d").run();
    match cgroup::version() {
        Version::V1 => {
            let pid = { up.success() }
                .status
                .success()
                .then(|| host.pid_of("shop-web-1"));
            let path = cgroup::of(pid.unwrap(), "memory").join("memory.swappiness");
            assert_eq!(read(&path), "5");
            stack.down();
        }
        Version::V2 => drop(up.fails(1, &["swappiness"])),
    }
}

/// A block device of this machine, by its node and number.
fn block_device() -> Option<(PathBuf, String)> {
    let disks = fs::read_dir("/sys/block").ok()?;
    disks.flatten().find_map(|disk| {
        let node = Path::new("/dev").join(disk.file_name());
        let number = fs::read_to_string(disk.path().join("dev")).ok()?;
        node.exists().then(|| (node, number.trim().to_owned()))
    })
}

#[test]
fn rates_of_a_block_device_are_limited() {
    let Some((device, number)) = block_device() else {
        skip!("this machine has no block device");
    };
    let host = Host::new();
    let root = Rootfs::new(&host);
    let rate = |rate: &str| format!("[{{path: {}, rate: {rate}}}]", device.display());
    let keys = format!(
        "blkio_config: {{device_read_bps: {}, device_write_iops: {}}}",
        rate("1mb"),
        rate("77")
    );
    let stack = host.web(&root, &keys, SLEEP);
    stack.up();
    let pid = host.pid_of("shop-web-1");
    let v1 = |file: &str| read(&cgroup::of(pid, "blkio").join(file));
    match cgroup::version() {
        Version::V1 => {
            let bytes = v1("blkio.throttle.read_bps_device");
            assert_eq!(bytes, format!("{number} 1048576"));
            assert_eq!(
                v1("blkio.throttle.write_iops_device"),
                format!("{number} 77")
            );
        }
        Version::V2 => {
            let max = read(&cgroup::of(pid, "io").join("io.max"));
            assert_eq!(
                max,
                format!("{number} rbps=1048576 wbps=max riops=max wiops=77")
            );
        }
    }
    stack.down();
    host.sh(&root, &["--device-read-bps", "/dev/null:1m"], "true")
        .run()
        .fails(125, &["/dev/null", "not a block device"]);
}

#[test]
fn a_weight_that_no_scheduler_heeds_is_refused_with_the_way_out() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let output = host.sh(&root, &["--blkio-weight", "300"], "true").run();
    if output.status.success() {
        skip!("a disk of this machine has a scheduler with weights");
    }
    output.fails(125, &["weight", "bfq"]);
}

#[test]
fn a_container_runs_below_the_cgroup_that_it_names_and_is_looked_after_there() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let before = host.snapshot();
    let stack = host.web(&root, "cgroup_parent: /batch/night\nmem_limit: 64m", SLEEP);
    stack.up();
    let container = host.inspect("shop-web-1");
    let pid = host.pid_of("shop-web-1");
    let id = container["Id"].as_str().unwrap();
    let memory = cgroup::of(pid, "memory");
    assert!(
        memory.ends_with(format!("batch/night/coop-{id}")),
        "{}",
        memory.display()
    );
    let parent = container["HostConfig"]["CgroupParent"].as_str().unwrap();
    assert_eq!(parent.trim_start_matches('/'), "batch/night");
    // Its own cgroup is the root of what it sees.
    let seen = stack.exec("web", "cat /proc/self/cgroup");
    assert!(seen.lines().any(|line| line.ends_with(":/")), "{seen}");
    let stats = host.coop(["stats", "--no-stream", "shop-web-1"]).run();
    stats.success().says("64MiB");
    host.coop([
        "update",
        "--memory",
        "32m",
        "--memory-swap",
        "64m",
        "shop-web-1",
    ])
    .run()
    .success();
    let limit = file(pid, "memory", "memory.limit_in_bytes", "memory.max");
    assert_eq!(read(&limit), (32 << 20).to_string());
    host.coop(["pause", "shop-web-1"]).run().success();
    let state = || host.inspect("shop-web-1")["State"]["Status"].clone();
    assert_eq!(state(), "paused");
    host.coop(["unpause", "shop-web-1"]).run().success();
    assert_eq!(state(), "running");
    let check = host.coop(["system", "check", "--dry-run"]).run();
    check.success().does_not_say("batch");
    stack.down();
    wait_until("its cgroup is gone", || !memory.exists());
    // The parent may be somebody else's: it stays until somebody removes it.
    for hierarchy in cgroup::hierarchies() {
        for directory in ["batch/night", "batch"] {
            let _ = fs::remove_dir(hierarchy.join(directory));
        }
    }
    host.assert_nothing_left(&before);
}

#[test]
fn a_container_can_see_the_cgroups_of_the_host() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let output = host
        .sh(&root, &["--cgroupns", "host"], "cat /proc/self/cgroup")
        .run();
    output.success().says("/coop/");
    let output = host.sh(&root, &[], "cat /proc/self/cgroup").run();
    output.success().does_not_say("coop");
}
