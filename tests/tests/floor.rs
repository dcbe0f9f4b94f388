//! The program that benchmarks call the floor: it makes what a default container has.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::chown;
use std::path::PathBuf;

use coop_tests::{Host, Rootfs, is_kernel_before, skip};

/// Where cargo has put the program, unless `COOP_FLOOR` says otherwise.
fn floor() -> OsString {
    std::env::var_os("COOP_FLOOR").unwrap_or_else(|| env!("CARGO_BIN_EXE_floor").into())
}

const FIRST_ID: u32 = 0x7000_0000;
const TABLE: &str = "/proc/self/mountinfo";

/// What one line of `proc_pid_mountinfo(5)` says: mount point, filesystem, options.
fn mount(line: &str) -> (&str, &str, &str) {
    let (place, kind) = line.split_once(" - ").expect("a line of mountinfo");
    let mut kind = kind.split(' ');
    let point = place.split(' ').nth(4).expect("a mount point");
    let filesystem = kind.next().expect("a filesystem");
    (point, filesystem, kind.nth(1).expect("options"))
}

/// Mount points and filesystems; not those of cgroup v2 beside v1, which benchmarks do without.
fn mounts(table: &str) -> Vec<(&str, &str)> {
    let mut mounts: Vec<_> = table
        .lines()
        .map(mount)
        .map(|(point, filesystem, _)| (point, filesystem))
        .filter(|it| *it != ("/sys/fs/cgroup/unified", "cgroup2"))
        .collect();
    mounts.sort_unstable();
    mounts
}

/// The hierarchies of a container in the floor's words.
fn hierarchies(table: &str) -> String {
    let options = table
        .lines()
        .map(mount)
        .filter(|(_, filesystem, _)| *filesystem == "cgroup")
        .map(|(.., options)| options.trim_start_matches("rw,"));
    match options.collect::<Vec<_>>().join(":") {
        none if none.is_empty() => "v2".into(),
        words => words,
    }
}

fn scratch(host: &Host) -> PathBuf {
    let scratch = host.work().join("scratch");
    fs::create_dir(&scratch).expect("a scratch directory");
    for name in ["upper", "work"] {
        fs::create_dir(scratch.join(name)).expect("a scratch directory");
    }
    for name in ["hosts", "hostname", "resolv.conf"] {
        fs::write(scratch.join(name), "").expect("a scratch directory");
    }
    for entry in fs::read_dir(&scratch).expect("a scratch directory") {
        chown(
            entry.expect("a scratch directory").path(),
            Some(FIRST_ID),
            Some(FIRST_ID),
        )
        .expect("a scratch directory");
    }
    scratch
}

#[test]
fn the_floor_mounts_what_a_default_container_has() {
    if is_kernel_before(6, 3) {
        skip!("the floor id-maps a tmpfs: Linux 6.3 and newer");
    }
    let host = Host::new();
    let root = Rootfs::new(&host);
    for name in ["hosts", "hostname", "resolv.conf"] {
        fs::write(root.path().join("etc").join(name), "").unwrap();
    }
    let container = host.sh(&root, &["--network", "none"], &format!("cat {TABLE}"));
    let container = container.run();
    let floor = host
        .tool(floor())
        .arg(root.path())
        .arg(scratch(&host))
        .arg(hierarchies(container.success().text()))
        .args(["/bin/cat", TABLE])
        .run();
    assert_eq!(
        mounts(floor.success().text()),
        mounts(container.success().text())
    );
}

#[test]
fn the_floor_ends_as_its_program_does_and_leaves_nothing() {
    if is_kernel_before(6, 3) {
        skip!("the floor id-maps a tmpfs: Linux 6.3 and newer");
    }
    let host = Host::new();
    let root = Rootfs::new(&host);
    for name in ["hosts", "hostname", "resolv.conf"] {
        fs::write(root.path().join("etc").join(name), "").unwrap();
    }
    let container = host.sh(&root, &["--network", "none"], &format!("cat {TABLE}"));
    let words = hierarchies(container.run().success().text());
    let scratch = scratch(&host);
    let before = host.snapshot();
    let floor = host
        .tool(floor())
        .arg(root.path())
        .arg(&scratch)
        .arg(&words);
    floor.args(["/bin/sh", "-c", "exit 7"]).run().code(7);
    host.assert_nothing_left(&before);
}

#[test]
fn the_floor_says_what_failed() {
    let host = Host::new();
    let missing = host.work().join("missing");
    host.tool(floor())
        .args([&missing, &missing])
        .args(["v2", "/bin/true"])
        .run()
        .code(125)
        .warns("floor: clone the root filesystem");
}
