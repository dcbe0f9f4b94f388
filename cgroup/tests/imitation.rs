//! v2's files in a directory that imitates a cgroup filesystem: which file gets what.

#![allow(missing_docs, clippy::unwrap_used, reason = "a test program")]

use std::fs;
use std::path::Path;

use coop_cgroup::{
    CgroupPath, CpuQuota, CpuWeight, DeviceNumber, Error, Hierarchy, IoLimit, IoWeight, Limit,
    Limits, Max,
};

const LEAF: &str = "coop/stack/id";

/// A hierarchy in which `coop/stack/id` exists and has `files`, all empty.
fn imitate(dir: &Path, files: &[&str]) -> Hierarchy {
    let leaf = dir.join(LEAF);
    fs::create_dir_all(&leaf).unwrap();
    for part in [dir, &dir.join("coop"), &dir.join("coop/stack"), &leaf] {
        fs::write(
            part.join("cgroup.controllers"),
            "cpuset cpu io memory hugetlb pids rdma\n",
        )
        .unwrap();
        fs::write(part.join("cgroup.subtree_control"), "cpu io memory pids\n").unwrap();
    }
    fs::write(leaf.join("cgroup.controllers"), "cpu io memory pids\n").unwrap();
    for file in files {
        fs::write(leaf.join(file), "").unwrap();
    }
    Hierarchy::unified_at(dir).unwrap()
}

fn leaf() -> CgroupPath {
    CgroupPath::new(LEAF).unwrap()
}

#[test]
fn each_limit_goes_to_its_file() {
    let dir = tempfile::tempdir().unwrap();
    let expected = [
        ("cpu.weight", "100"),
        ("cpu.max", "50000 100000"),
        ("cpuset.cpus", "0-1"),
        ("cpuset.mems", "0"),
        ("memory.max", "67108864"),
        ("memory.high", "max"),
        ("memory.low", "1048576"),
        ("memory.swap.max", "33554432"),
        ("pids.max", "64"),
        ("io.max", "8:0 rbps=1048576 wiops=max"),
        ("io.weight", "default 50"),
        ("hugetlb.2MB.max", "0"),
    ];
    let hierarchy = imitate(dir.path(), &expected.map(|(file, _)| file));
    let io = IoLimit {
        read_bps: Some(Max::At(1 << 20)),
        write_iops: Some(Max::Unlimited),
        ..IoLimit::new(DeviceNumber { major: 8, minor: 0 })
    };
    let limits = Limits {
        cpu_weight: Some(CpuWeight::Shares(1024)),
        cpu_quota: Some(CpuQuota::cpus(0.5)),
        cpuset_cpus: Some("0-1".parse().unwrap()),
        cpuset_mems: Some("0".parse().unwrap()),
        memory_max: Some(Max::At(64 << 20)),
        memory_high: Some(Max::Unlimited),
        memory_low: Some(Max::At(1 << 20)),
        memory_swap: Some(Max::At(96 << 20)),
        pids_max: Some(Max::At(64)),
        io_max: vec![io],
        io_weight: Some(IoWeight::Weight(50)),
        hugetlb: [("2MB".to_owned(), Max::At(0))].into(),
        ..Limits::default()
    };
    // As it would come back from a saved plan.
    let saved = serde_json::to_string(&limits).unwrap();
    assert_eq!(serde_json::from_str::<Limits>(&saved).unwrap(), limits);
    hierarchy.open(&leaf()).unwrap().apply(&limits).unwrap();
    for (file, value) in expected {
        let found = fs::read_to_string(dir.path().join(LEAF).join(file)).unwrap();
        assert_eq!(found, value, "{file}");
    }
}

#[test]
fn controllers_on_request_are_handed_down_from_the_base() {
    let dir = tempfile::tempdir().unwrap();
    let hierarchy = imitate(dir.path(), &["cpuset.cpus"]);
    let limits = Limits {
        cpuset_cpus: Some("1".parse().unwrap()),
        ..Limits::default()
    };
    hierarchy.create(&leaf()).unwrap().apply(&limits).unwrap();
    for part in ["", "coop", "coop/stack"] {
        let control = dir.path().join(part).join("cgroup.subtree_control");
        assert!(
            fs::read_to_string(control).unwrap().starts_with("+cpuset"),
            "{part:?}"
        );
    }
    // The group itself holds processes and hands down nothing.
    let own = dir.path().join(LEAF).join("cgroup.subtree_control");
    assert_eq!(fs::read_to_string(own).unwrap(), "cpu io memory pids\n");
}

#[test]
fn a_missing_knob_is_told_from_a_missing_controller() {
    let dir = tempfile::tempdir().unwrap();
    let hierarchy = imitate(dir.path(), &["memory.max"]);
    let limits = Limits {
        memory_max: Some(Max::At(1 << 20)),
        memory_swap: Some(Max::At(1 << 20)),
        memory_swappiness: Some(10),
        ..Limits::default()
    };
    let mut group = hierarchy.open(&leaf()).unwrap();
    let error = group.apply(&limits).unwrap_err();
    assert!(
        matches!(
            error,
            Error::Unsupported {
                limit: Limit::MemorySwap,
                ..
            }
        ),
        "{error}"
    );
    let skipped = group.apply_available(&limits).unwrap();
    let skipped: Vec<Limit> = skipped.iter().map(|skipped| skipped.limit).collect();
    assert_eq!(skipped, [Limit::MemorySwap, Limit::MemorySwappiness]);
    assert_eq!(
        fs::read_to_string(dir.path().join(LEAF).join("memory.max")).unwrap(),
        "1048576"
    );
}

#[test]
fn statistics_are_read_from_what_there_is() {
    let dir = tempfile::tempdir().unwrap();
    let hierarchy = imitate(dir.path(), &["io.stat"]);
    let leaf_dir = dir.path().join(LEAF);
    let files = [
        (
            "cpu.stat",
            "usage_usec 1500\nuser_usec 1000\nsystem_usec 500\nnr_periods 4\nnr_throttled 2\nthrottled_usec 7\n",
        ),
        (
            "cpu.pressure",
            "some avg10=2.50 avg60=0.00 avg300=0.00 total=7\nfull avg10=0.50 avg60=0.00 avg300=0.00 total=1\n",
        ),
        ("memory.current", "1000\n"),
        ("memory.max", "max\n"),
        ("memory.stat", "anon 100\nfile 700\ninactive_file 300\n"),
        (
            "memory.events",
            "low 0\nhigh 0\nmax 9\noom 3\noom_kill 2\noom_group_kill 0\n",
        ),
        (
            "io.stat",
            "8:0 rbytes=10 wbytes=20 rios=1 wios=2 dbytes=0 dios=0\n",
        ),
        ("pids.current", "3\n"),
        ("pids.max", "64\n"),
    ];
    for (file, text) in files {
        fs::write(leaf_dir.join(file), text).unwrap();
    }
    let stats = hierarchy.open(&leaf()).unwrap().stats().unwrap();
    let (cpu, memory) = (stats.cpu.unwrap(), stats.memory.unwrap());
    assert_eq!(
        (cpu.usage_ns, cpu.nr_throttled, cpu.throttled_ns),
        (1_500_000, 2, 7000)
    );
    let pressure = cpu.pressure.unwrap();
    assert!((pressure.some.avg10 - 2.5).abs() < 1e-9);
    assert_eq!((pressure.some.total_us, pressure.full.total_us), (7, 1));
    assert_eq!(
        (memory.current, memory.working_set(), memory.peak),
        (1000, 700, None)
    );
    assert_eq!(
        (memory.oom, memory.oom_kill, memory.limit),
        (Some(3), 2, Max::Unlimited)
    );
    assert_eq!(
        (stats.io.unwrap().write_bytes, stats.pids.unwrap().limit),
        (20, Max::At(64))
    );
}

#[test]
fn garbage_in_a_file_is_an_error_that_names_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let hierarchy = imitate(dir.path(), &["memory.stat", "memory.events"]);
    fs::write(dir.path().join(LEAF).join("memory.current"), "many\n").unwrap();
    let error = hierarchy.open(&leaf()).unwrap().stats().unwrap_err();
    assert!(
        matches!(&error, Error::Parse { path, .. } if path.ends_with("memory.current")),
        "{error}"
    );
}
