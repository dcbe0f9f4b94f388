//! Limits that hold: what a container may not have is refused to it, held back from it or
//! swapped away, and its neighbour notices nothing.
//!
//! For cgroup v2 with every controller, as in the virtual machine of `cargo xtask vm-test`.
//! What is missing on the machine is skipped, with the reason. Nothing is measured by the
//! clock but upper bounds: a slow machine does less in the same time, never more.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Instant;

use coop_tests::cgroup::{self, Version};
use coop_tests::{Host, Rootfs, skip, status_field, wait_until};
use rustix::fs::{major, minor};

const SLEEP: &str = "exec sleep 1000";
const BUSY: &str = "while :; do :; done";
const MIB: u64 = 1 << 20;

/// A file of the container's cgroup.
fn file(host: &Host, container: &str, controller: &str, name: &str) -> PathBuf {
    cgroup::of(host.pid_of(container), controller).join(name)
}

fn read(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    text.trim().to_owned()
}

/// Why nothing can be seen here of what only cgroup v2 has.
fn lacks(controller: &str) -> Option<String> {
    if cgroup::version() == Version::V1 {
        return Some("this machine has cgroup v1".into());
    }
    let controllers = read(Path::new("/sys/fs/cgroup/cgroup.controllers"));
    let is_there = controllers.split(' ').any(|name| name == controller);
    (!is_there).then(|| format!("no {controller} controller, only {controllers}"))
}

#[test]
fn memory_kills_the_hog_and_its_neighbour_has_not_felt_a_thing() {
    let host = Host::new();
    if let Some(reason) = lacks("memory") {
        skip!("{reason}");
    }
    let root = Rootfs::new(&host);
    let hog = "while ! test -e /go; do sleep 0.05; done; exec dd if=/dev/zero of=/dev/null bs=64M";
    let limit = "mem_limit: 24m\nmemswap_limit: 24m";
    let stack = host.services(&root, &[("hog", limit, hog), ("calm", limit, SLEEP)]);
    stack.up();
    let calm = file(&host, "shop-calm-1", "memory", "memory.events");
    let max = file(&host, "shop-hog-1", "memory", "memory.max");
    assert_eq!(read(&max), (24 * MIB).to_string());
    stack.exec("hog", "touch /go");
    wait_until("the hog is killed", || {
        host.inspect("shop-hog-1")["State"]["Status"] == "exited"
    });
    let state = &host.inspect("shop-hog-1")["State"];
    assert_eq!(state["OOMKilled"], true, "{state:#}");
    assert_eq!(state["ExitCode"], 137, "{state:#}");
    for event in ["max", "oom", "oom_kill"] {
        assert_eq!(cgroup::value(&calm, event), 0, "{event} of the neighbour");
    }
    let state = &host.inspect("shop-calm-1")["State"];
    assert_eq!(state["Running"], true, "{state:#}");
    assert_eq!(state["OOMKilled"], false, "{state:#}");
    stack.down();
}

#[test]
fn a_reservation_is_what_the_kernel_protects_from_reclaim() {
    let host = Host::new();
    if let Some(reason) = lacks("memory") {
        skip!("{reason}");
    }
    let root = Rootfs::new(&host);
    let flags = ["--memory", "64m", "--memory-reservation", "16m"];
    host.start("box", &root, &flags, SLEEP);
    let low = file(&host, "box", "memory", "memory.low");
    assert_eq!(read(&low), (16 * MIB).to_string());
    host.coop(["update", "--memory-reservation", "8m", "box"])
        .run()
        .success();
    assert_eq!(read(&low), (8 * MIB).to_string());
    assert_eq!(
        host.inspect("box")["HostConfig"]["MemoryReservation"],
        8 * MIB
    );
}

#[test]
fn swap_is_what_memory_and_swap_leave_over_memory() {
    let host = Host::new();
    if let Some(reason) = lacks("memory") {
        skip!("{reason}");
    }
    let _swap = Swap::give(&host);
    if free_swap() < 64 * MIB {
        skip!("this machine has no 64 MiB of swap");
    }
    let root = Rootfs::new(&host);
    let touch = |flags: [&str; 4], size: &str| {
        let script = format!("exec dd if=/dev/zero of=/dev/null bs={size} count=1");
        host.sh(&root, &flags, &script).run()
    };
    let some = ["--memory", "16m", "--memory-swap", "48m"];
    let none = ["--memory", "16m", "--memory-swap", "16m"];
    // 32 MiB fit into 16 of memory and 32 of swap, and 96 do not; without swap not even 32.
    touch(some, "32M").success();
    touch(some, "96M").code(137);
    touch(none, "32M").code(137);

    host.start("box", &root, &some, SLEEP);
    let max = file(&host, "box", "memory", "memory.swap.max");
    assert_eq!(read(&max), (32 * MIB).to_string());
    host.coop(["update", "--memory-swap", "24m", "box"])
        .run()
        .success();
    assert_eq!(read(&max), (8 * MIB).to_string());
}

/// Bytes of swap that nobody uses.
fn free_swap() -> u64 {
    let meminfo = read(Path::new("/proc/meminfo"));
    let free = meminfo.lines().find_map(|line| {
        let kib = line.strip_prefix("SwapFree:")?.trim().strip_suffix(" kB")?;
        kib.parse::<u64>().ok()
    });
    free.unwrap_or(0) * 1024
}

/// A swap file of a virtual machine, where a machine of its own may be changed; no longer there
/// when it is dropped.
struct Swap<'h>(Option<(&'h Host, PathBuf)>);

impl<'h> Swap<'h> {
    fn give(host: &'h Host) -> Self {
        if std::env::var_os("COOP_GUEST_VARIANT").is_none() || free_swap() >= 64 * MIB {
            return Self(None);
        }
        let file = host.file("swap", vec![0; 128 << 20]);
        let make = "chmod 600 \"$0\" && busybox mkswap \"$0\" && busybox swapon \"$0\"";
        let made = host.tool("sh").args(["-c", make]).arg(&file).run();
        made.success();
        Self(Some((host, file)))
    }
}

impl Drop for Swap<'_> {
    fn drop(&mut self) {
        if let Some((host, file)) = &self.0 {
            host.tool("busybox").arg("swapoff").arg(file).run();
        }
    }
}

#[test]
fn a_cpu_quota_bounds_what_is_used() {
    let host = Host::new();
    if let Some(reason) = lacks("cpu") {
        skip!("{reason}");
    }
    let root = Rootfs::new(&host);
    // Two that want a processor each, and a tenth of one for both.
    let script = format!("({BUSY}) & {BUSY}");
    host.start("busy", &root, &["--cpus", "0.1"], &script);
    let stat = file(&host, "busy", "cpu", "cpu.stat");
    wait_until("twenty periods have passed", || {
        cgroup::value(&stat, "nr_periods") >= 20
    });
    let used = cgroup::value(&stat, "usage_usec");
    // Read later, so there are rather more than fewer.
    let periods = cgroup::value(&stat, "nr_periods");
    assert!(cgroup::value(&stat, "nr_throttled") > 0);
    // 10 ms for each period of 100 ms. What is overdrawn at a late tick is paid back later,
    // hence the factor; unlimited it would be ten to twenty times as much.
    let bound = (periods + 2) * 10_000 * 3;
    assert!(used < bound, "{used} µs in {periods} periods");

    // Live: with no quota there are no more periods.
    host.coop(["update", "--cpus", "0", "busy"]).run().success();
    let max = file(&host, "busy", "cpu", "cpu.max");
    assert!(read(&max).starts_with("max "), "{}", read(&max));
    let before = cgroup::value(&stat, "usage_usec");
    wait_until("it gets more than its quota was", || {
        cgroup::value(&stat, "usage_usec") > before + 1_000_000
    });
}

#[test]
fn one_process_too_many_is_refused_and_counted() {
    let host = Host::new();
    if let Some(reason) = lacks("pids") {
        skip!("{reason}");
    }
    let root = Rootfs::new(&host);
    let fork = "i=0; while [ $i -lt 12 ]; do sleep 1000 & i=$((i+1)); done; echo all started";
    host.start("box", &root, &["--pids-limit", "8"], SLEEP);
    let events = file(&host, "box", "pids", "pids.events");
    let current = file(&host, "box", "pids", "pids.current");
    let refused = host.coop(["exec", "box", "/bin/sh", "-c", fork]).run();
    refused
        .does_not_say("all started")
        .warns("Resource temporarily unavailable");
    assert!(cgroup::value(&events, "max") > 0);
    assert!(read(&current).parse::<u64>().unwrap() <= 8);
    // Live: as many as it likes, from now on.
    host.coop(["update", "--pids-limit", "64", "box"])
        .run()
        .success();
    let started = host.coop(["exec", "box", "/bin/sh", "-c", fork]).run();
    started.success().says("all started");
}

#[test]
fn a_cpu_set_confines_a_process_that_would_rather_be_elsewhere() {
    let host = Host::new();
    if let Some(reason) = lacks("cpuset") {
        skip!("{reason}");
    }
    let cpus = fs::read_to_string("/sys/fs/cgroup/cpuset.cpus.effective").unwrap();
    let Some(last) = cpus
        .trim()
        .rsplit([',', '-'])
        .next()
        .filter(|it| *it != "0")
    else {
        skip!("one processor only: {cpus}");
    };
    let root = Rootfs::new(&host);
    host.start("box", &root, &["--cpuset-cpus", last], BUSY);
    let pid = host.pid_of("box");
    let confined_to = |cpu: &str| {
        assert_eq!(status_field(pid, "Cpus_allowed_list"), cpu);
        let process = rustix::process::Pid::from_raw(pid.cast_signed());
        let set = rustix::thread::sched_getaffinity(process).expect("its affinity");
        assert_eq!(set.count(), 1);
        assert!(set.is_set(cpu.parse().unwrap()));
        wait_until("it runs there", || processor(pid) == cpu);
    };
    confined_to(last);
    let inside = host
        .coop([
            "exec",
            "box",
            "/bin/grep",
            "Cpus_allowed_list",
            "/proc/self/status",
        ])
        .run();
    assert!(inside.success().text().ends_with(&format!("\t{last}")));
    // Live: while it runs it is moved.
    host.coop(["update", "--cpuset-cpus", "0", "box"])
        .run()
        .success();
    confined_to("0");
}

/// The processor that a process ran on last: the 39th field of `/proc/PID/stat`.
fn processor(pid: u32) -> String {
    let stat = read(Path::new(&format!("/proc/{pid}/stat")));
    let (_, behind_the_name) = stat.rsplit_once(')').expect("a name");
    let field = behind_the_name.split_whitespace().nth(36);
    field.expect("the processor").to_owned()
}

/// The disk that holds `path`: its node, and `MAJOR:MINOR`. Limits are those of whole disks.
fn disk_of(path: &Path) -> Option<(PathBuf, String)> {
    let device = fs::metadata(path).ok()?.dev();
    let number = format!("{}:{}", major(device), minor(device));
    let mut place = fs::canonicalize(Path::new("/sys/dev/block").join(number)).ok()?;
    if place.join("partition").exists() {
        place = place.parent()?.to_owned();
    }
    let node = Path::new("/dev").join(place.file_name()?);
    Some((node, read(&place.join("dev"))))
}

/// Bytes and operations that a container has written to a disk.
fn written(io_stat: &Path, number: &str) -> (u64, u64) {
    let text = read(io_stat);
    let line = text.lines().find_map(|line| line.strip_prefix(number));
    let field = |key: &str| {
        let mut fields = line?.split(' ');
        fields.find_map(|field| field.strip_prefix(key)?.parse().ok())
    };
    (field("wbytes=").unwrap_or(0), field("wios=").unwrap_or(0))
}

/// Writes past the page cache: each write is one of the disk.
const WRITE: &str = "while :; do dd if=/dev/zero of=/x bs=16k count=16 oflag=direct; done";

#[test]
fn a_rate_of_a_disk_is_kept_to() {
    let host = Host::new();
    if let Some(reason) = lacks("io") {
        skip!("{reason}");
    }
    let Some((disk, number)) = disk_of(&host.work()) else {
        skip!("{} is on no disk", host.work().display());
    };
    let root = Rootfs::new(&host);
    // 4 writes of 16 KiB in each second, by the one limit and by the other.
    let bytes = format!("{}:64k", disk.display());
    let writes = format!("{}:4", disk.display());
    let begin = Instant::now();
    host.start("bytes", &root, &["--device-write-bps", &bytes], WRITE);
    host.start("writes", &root, &["--device-write-iops", &writes], WRITE);
    host.start("free", &root, &[], WRITE);
    let max = |name| read(&file(&host, name, "io", "io.max"));
    assert_eq!(
        max("bytes"),
        format!("{number} rbps=max wbps=65536 riops=max wiops=max")
    );
    assert_eq!(
        max("writes"),
        format!("{number} rbps=max wbps=max riops=max wiops=4")
    );
    assert_eq!(max("free"), "");

    let stat = |name| file(&host, name, "io", "io.stat");
    let [of_bytes, of_writes, of_free] = ["bytes", "writes", "free"].map(stat);
    // As many bytes as the limited ones would take minutes for, and both have begun.
    wait_until("everybody has written", || {
        written(&of_free, &number).0 >= 8 * MIB
            && written(&of_bytes, &number).0 > 0
            && written(&of_writes, &number).1 > 0
    });
    let (bytes, (_, writes)) = (written(&of_bytes, &number).0, written(&of_writes, &number));
    // Measured from before the first write to after the last one, with a burst granted: more
    // than that is too fast on any machine.
    let seconds = begin.elapsed().as_secs() + 2;
    assert!(bytes <= seconds * 65_536, "{bytes} bytes in {seconds} s");
    assert!(writes <= seconds * 4 + 16, "{writes} writes in {seconds} s");
    let stats = host
        .coop(["stats", "--no-stream", "--format", "json", "free"])
        .run();
    assert_ne!(stats.success().json()["BlockIO"], "0B / 0B", "{stats}");
}

#[test]
fn a_share_of_the_disk_is_set_where_something_heeds_it() {
    let host = Host::new();
    if let Some(reason) = lacks("io") {
        skip!("{reason}");
    }
    let root = Rootfs::new(&host);
    let start = host.coop(["run", "-d", "--name", "box", "--blkio-weight", "300"]);
    let start = start.arg("--rootfs").arg(root.path());
    let start = start.args(["--", "/bin/sh", "-c", SLEEP]).run();
    if !start.status.success() {
        start.fails(125, &["weight", "bfq"]);
        skip!("this kernel has neither io.weight nor bfq");
    }
    // BFQ counts as Docker does, the kernel's own file from 1 to 10,000.
    let (bfq, own) = (
        file(&host, "box", "io", "io.bfq.weight"),
        file(&host, "box", "io", "io.weight"),
    );
    let weight = || {
        let file = if bfq.exists() { &bfq } else { &own };
        let text = read(file);
        let first = text.lines().next().unwrap_or_default();
        first.trim_start_matches("default ").parse::<u64>().unwrap()
    };
    let before = weight();
    assert_ne!(before, 100, "the default");
    host.coop(["update", "--blkio-weight", "600", "box"])
        .run()
        .success();
    assert!(weight() > before, "{} after {before}", weight());
}

#[test]
fn what_a_container_waits_for_is_shown() {
    let host = Host::new();
    if let Some(reason) = lacks("cpu") {
        skip!("{reason}");
    }
    let root = Rootfs::new(&host);
    host.start("busy", &root, &["--cpus", "0.1"], BUSY);
    if !file(&host, "busy", "cpu", "cpu.pressure").exists() {
        skip!("this kernel does not count pressure: boot with psi=1");
    }
    let stats = || {
        let stats = host.coop(["stats", "--no-stream", "--format", "json", "busy"]);
        stats.run().success().json()
    };
    wait_until("it is seen to wait for a processor", || {
        stats()["PSI"]["CPU"]["Some"]["Total"].as_u64() > Some(0)
    });
    let psi = &stats()["PSI"];
    for resource in ["CPU", "Memory", "IO"] {
        for tasks in ["Some", "Full"] {
            for average in ["Avg10", "Avg60", "Avg300"] {
                let share = psi[resource][tasks][average].as_f64();
                let is_share = share.is_some_and(|share| (0.0..=100.0).contains(&share));
                assert!(is_share, "{resource} {tasks} {average}\n{psi:#}");
            }
        }
    }
    let usage = host.sh(
        &root,
        &["--usage", "--cpus", "0.1"],
        "i=0; while [ $i -lt 50000 ]; do i=$((i+1)); done",
    );
    usage.run().success().warns("waited ").warns(" for cpu");
}
