use std::fs;

use coop_cgroup::{
    Controller, CpuQuota, CpuWeight, DeviceNumber, Error, IoLimit, Limit, Limits, Max, Version,
    default_devices,
};

use crate::support::{Group, eventually, on_each};

const MIB: u64 = 1 << 20;

fn memory(bytes: u64) -> Limits {
    Limits {
        memory_max: Some(Max::At(bytes)),
        ..Limits::default()
    }
}

/// The same with no swap to escape to, where swap is accounted.
fn memory_without_swap(group: &mut Group, bytes: u64) {
    let limits = Limits {
        memory_swap: Some(Max::At(bytes)),
        ..memory(bytes)
    };
    for skipped in group.cgroup.apply_available(&limits).unwrap() {
        eprintln!("skipped {}", skipped.limit);
        assert_eq!(skipped.limit, Limit::MemorySwap);
    }
}

const HOG: &str = "exec dd if=/dev/zero of=/dev/null bs=200M count=1";

#[test]
fn memory_limit_kills_the_hog_and_spares_the_neighbour() {
    on_each(&[Controller::Memory], |hierarchy| {
        let mut hog = Group::new(hierarchy, "hog");
        let neighbour = Group::new(hierarchy, "neighbour");
        memory_without_swap(&mut hog, 32 * MIB);
        let mut sleeper = neighbour.sh("exec sleep 1000");
        assert_eq!(hog.sh(HOG).signal(), Some(9));
        assert_eq!(hog.cgroup.oom_kill_count().unwrap(), 1);
        let stats = hog.stats().memory.unwrap();
        assert_eq!((stats.oom_kill, stats.limit), (1, Max::At(32 * MIB)));
        assert!(stats.peak.is_none_or(|peak| peak > 16 * MIB), "{stats:?}");
        assert!(sleeper.is_running());
        assert_eq!(neighbour.cgroup.oom_kill_count().unwrap(), 0);
        assert_eq!(neighbour.stats().memory.unwrap().limit, Max::Unlimited);
    });
}

#[test]
fn memory_and_swap_limits_move_together_up_and_down() {
    on_each(&[Controller::Memory], |hierarchy| {
        let mut group = Group::new(hierarchy, "update");
        for size in [64 * MIB, 128 * MIB, 32 * MIB] {
            memory_without_swap(&mut group, size);
            assert_eq!(group.stats().memory.unwrap().limit, Max::At(size));
        }
        let none = Limits {
            memory_max: Some(Max::Unlimited),
            memory_swap: Some(Max::Unlimited),
            ..Limits::default()
        };
        group.cgroup.apply_available(&none).unwrap();
        assert_eq!(group.stats().memory.unwrap().limit, Max::Unlimited);
    });
}

#[test]
fn pids_limit_refuses_the_fork() {
    on_each(&[Controller::Pids], |hierarchy| {
        let mut group = Group::new(hierarchy, "pids");
        group
            .cgroup
            .apply(&Limits {
                pids_max: Some(Max::At(4)),
                ..Limits::default()
            })
            .unwrap();
        let shell = group.sh("for i in 1 2 3 4 5 6 7 8; do sleep 1000 & done; wait");
        // dash says "Cannot fork" and ends, busybox "can't fork"; both leave their children,
        // which keep standard error open.
        eventually("the limit is reached", || {
            group.cgroup.pids().unwrap().len() >= 3
        });
        eventually("the shell has ended", || {
            !group.cgroup.pids().unwrap().contains(&shell.pid())
        });
        assert_eq!(group.stats().pids.unwrap().limit, Max::At(4));
        assert_eq!(group.cgroup.pids().unwrap().len(), 3);
        group.cgroup.kill_all().unwrap();
        let (code, stderr) = shell.finish();
        assert_ne!(code, Some(0));
        assert!(stderr.contains("fork"), "{stderr}");
    });
}

#[test]
fn cpu_quota_throttles() {
    on_each(&[Controller::Cpu], |hierarchy| {
        let mut group = Group::new(hierarchy, "quota");
        let limits = Limits {
            cpu_quota: Some(CpuQuota::cpus(0.05)),
            ..Limits::default()
        };
        group.cgroup.apply(&limits).unwrap();
        let _busy = group.sh("while :; do :; done");
        eventually("throttling", || {
            let cpu = group.stats().cpu.unwrap();
            cpu.nr_throttled >= 3 && cpu.nr_periods >= cpu.nr_throttled && cpu.throttled_ns > 0
        });
    });
}

#[test]
fn a_cpu_weight_reaches_the_scheduler_in_its_own_scale() {
    on_each(&[Controller::Cpu], |hierarchy| {
        let mut group = Group::new(hierarchy, "weight");
        let limits = Limits {
            cpu_weight: Some(CpuWeight::Shares(1024)),
            ..Limits::default()
        };
        group.cgroup.apply(&limits).unwrap();
        let (file, value) = match hierarchy.version() {
            Version::V2 => ("cpu.weight", "100"),
            _ => ("cpu.shares", "1024"),
        };
        assert_eq!(read(&group, file), value);
    });
}

/// A file of the group, wherever it is.
fn read(group: &Group, file: &str) -> String {
    let hierarchy = coop_cgroup::Hierarchy::detect().unwrap();
    hierarchy
        .bases()
        .find_map(|base| {
            fs::read_to_string(base.join(group.cgroup.path().as_str()).join(file)).ok()
        })
        .unwrap_or_default()
        .trim()
        .to_owned()
}

#[test]
fn a_cpu_set_moves_a_running_process() {
    on_each(&[Controller::Cpuset], |hierarchy| {
        let mut group = Group::new(hierarchy, "cpuset");
        let sleeper = group.sh("exec sleep 1000");
        let limits = Limits {
            cpuset_cpus: Some("0".parse().unwrap()),
            ..Limits::default()
        };
        group.cgroup.apply(&limits).unwrap();
        let status = format!("/proc/{}/status", sleeper.pid().as_raw_nonzero());
        let status = fs::read_to_string(status).unwrap();
        let allowed = status
            .lines()
            .find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
        assert_eq!(allowed.map(str::trim), Some("0"));
        // A process that comes later is in it too, and a second handle sees the same.
        let other = hierarchy.open(group.cgroup.path()).unwrap();
        assert_eq!(other.pids().unwrap(), [sleeper.pid()]);
        let later = group.sh("grep -q 'Cpus_allowed_list:.0$' /proc/self/status");
        assert_eq!(later.finish().0, Some(0));
    });
}

#[test]
fn devices_outside_of_the_list_are_refused() {
    on_each(&[Controller::Devices], |hierarchy| {
        let mut group = Group::new(hierarchy, "devices");
        let open = Group::new(hierarchy, "no-list");
        let limits = Limits {
            devices: Some(default_devices()),
            ..Limits::default()
        };
        group.cgroup.apply(&limits).unwrap();
        let kmsg = "exec 3</dev/kmsg";
        assert_eq!(open.sh(kmsg).finish().0, Some(0));
        let (code, stderr) = group.sh(kmsg).finish();
        assert_ne!(code, Some(0));
        assert!(stderr.contains("Operation not permitted"), "{stderr}");
        // A node of one's own may be made, and not used.
        let dir = tempfile::tempdir().unwrap();
        let node = dir.path().join("node").display().to_string();
        let (code, stderr) = group
            .sh(&format!("mknod {node} c 1 11 && exec 3<{node}"))
            .finish();
        assert!(fs::exists(&node).unwrap());
        assert_ne!(code, Some(0));
        assert!(stderr.contains("Operation not permitted"), "{stderr}");
        let usual = "echo >/dev/null && head -c 1 /dev/zero && head -c 1 /dev/urandom";
        assert_eq!(group.sh(usual).finish().0, Some(0));
    });
}

#[test]
fn a_device_list_can_be_changed_and_lifted() {
    on_each(&[Controller::Devices], |hierarchy| {
        let mut group = Group::new(hierarchy, "relist");
        let kmsg = "exec 3</dev/kmsg";
        for (list, works) in [
            ("c 1:3 rwm", false),
            ("c 1:11 r", true),
            ("c 1:3 r", false),
            ("a", true),
        ] {
            let devices = Some(vec![list.parse().unwrap()]);
            group
                .cgroup
                .apply(&Limits {
                    devices,
                    ..Limits::default()
                })
                .unwrap();
            // Standard input must be usable in any case: the shell has it already.
            assert_eq!(group.sh(kmsg).finish().0 == Some(0), works, "{list}");
        }
    });
}

#[test]
fn an_io_limit_reaches_the_block_layer() {
    on_each(&[Controller::Io], |hierarchy| {
        let Some(device) = whole_disk() else {
            eprintln!("skipped: no disk");
            return;
        };
        let mut group = Group::new(hierarchy, "io");
        let io = IoLimit {
            read_bps: Some(Max::At(MIB)),
            write_iops: Some(Max::At(100)),
            ..IoLimit::new(device)
        };
        match group.cgroup.apply(&Limits {
            io_max: vec![io],
            ..Limits::default()
        }) {
            Err(Error::Unsupported { reason, .. }) => return eprintln!("skipped: {reason}"),
            result => result.unwrap(),
        }
        if hierarchy.version() == Version::V2 {
            let text = format!("{device} rbps=1048576 wbps=max riops=max wiops=100");
            assert_eq!(read(&group, "io.max"), text);
        } else {
            assert_eq!(
                read(&group, "blkio.throttle.read_bps_device"),
                format!("{device} 1048576")
            );
            assert_eq!(
                read(&group, "blkio.throttle.write_iops_device"),
                format!("{device} 100")
            );
        }
    });
}

fn whole_disk() -> Option<DeviceNumber> {
    let disks = fs::read_dir("/sys/block").ok()?;
    disks.flatten().find_map(|disk| {
        let number = fs::read_to_string(disk.path().join("dev")).ok()?;
        let (major, minor) = number.trim().split_once(':')?;
        Some(DeviceNumber {
            major: major.parse().ok()?,
            minor: minor.parse().ok()?,
        })
    })
}

#[test]
fn a_missing_controller_is_named_with_its_remedy() {
    on_each(&[], |hierarchy| {
        let all = Limits {
            cpu_weight: Some(CpuWeight::Weight(100)),
            cpuset_cpus: Some("0".parse().unwrap()),
            memory_low: Some(Max::At(0)),
            pids_max: Some(Max::At(100)),
            hugetlb: [("2MB".to_owned(), Max::At(0))].into(),
            ..Limits::default()
        };
        let missing: Vec<Limit> = hierarchy
            .missing(&all)
            .into_iter()
            .map(|(limit, _)| limit)
            .collect();
        if missing.is_empty() {
            return eprintln!("skipped: this hierarchy has every controller");
        }
        let mut group = Group::new(hierarchy, "missing");
        let error = group.cgroup.apply(&all).unwrap_err();
        let Error::NoController {
            controller,
            ref remedy,
            ..
        } = error
        else {
            panic!("{error}")
        };
        assert!(!remedy.is_empty() && error.to_string().contains(&controller.to_string()));
        let skipped = group.cgroup.apply_available(&all).unwrap();
        for limit in missing {
            assert!(
                skipped.iter().any(|skipped| skipped.limit == limit),
                "{limit}"
            );
        }
    });
}
