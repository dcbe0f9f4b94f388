use std::process::Command;
use std::time::Duration;

use coop_cgroup::{CgroupPath, Controller, Error, Hierarchy, Limits, Max, Version};
use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};

use crate::support::{Group, eventually, on_each, path};

#[test]
fn freeze_stops_and_thaw_resumes() {
    on_each(&[Controller::Freezer, Controller::Cpuacct], |hierarchy| {
        let group = Group::new(hierarchy, "freeze");
        let _busy = group.sh("while :; do :; done");
        eventually("it runs", || group.cpu_ns() > 0);
        group.cgroup.freeze().unwrap();
        group.cgroup.freeze().unwrap();
        assert!(group.cgroup.is_frozen().unwrap());
        let before = group.cpu_ns();
        std::thread::sleep(Duration::from_millis(200));
        assert_eq!(group.cpu_ns(), before, "it used CPU time while frozen");
        group.cgroup.thaw().unwrap();
        assert!(!group.cgroup.is_frozen().unwrap());
        eventually("it runs again", || group.cpu_ns() > before);
    });
}

#[test]
fn kill_all_kills_children_and_frozen_ones() {
    on_each(&[], |hierarchy| {
        let group = Group::new(hierarchy, "kill");
        let mut shell = group.sh("for i in 1 2 3 4 5; do sleep 1000 & done; wait");
        eventually("all have started", || {
            group.cgroup.pids().unwrap().len() == 6
        });
        if hierarchy.version() == Version::V2
            || hierarchy.controllers().contains(Controller::Freezer)
        {
            group.cgroup.freeze().unwrap();
        }
        group.cgroup.kill_all().unwrap();
        assert_eq!(shell.signal(), Some(9));
        eventually("none is left", || group.cgroup.pids().unwrap().is_empty());
        group.cgroup.kill_all().unwrap();
    });
}

#[test]
fn kill_all_outruns_a_process_that_keeps_forking() {
    on_each(&[], |hierarchy| {
        let group = Group::new(hierarchy, "forks");
        let mut shell = group.sh("while :; do /bin/true & done");
        eventually("it forks", || group.cgroup.pids().unwrap().len() > 2);
        group.cgroup.kill_all().unwrap();
        assert_eq!(shell.signal(), Some(9));
        eventually("none is left", || group.cgroup.pids().unwrap().is_empty());
    });
}

#[test]
fn a_running_process_can_be_added() {
    on_each(&[], |hierarchy| {
        let (from, to) = (Group::new(hierarchy, "from"), Group::new(hierarchy, "to"));
        let sleeper = from.sh("exec sleep 1000");
        to.cgroup.add(sleeper.pid()).unwrap();
        assert_eq!(from.cgroup.pids().unwrap(), []);
        assert_eq!(to.cgroup.pids().unwrap(), [sleeper.pid()]);
        let table =
            std::fs::read_to_string(format!("/proc/{}/cgroup", sleeper.pid().as_raw_nonzero()));
        assert!(
            !table.unwrap().contains("/from"),
            "it is left in a hierarchy"
        );
        let gone = Pid::from_raw(i32::MAX).unwrap();
        let error = to.cgroup.add(gone).unwrap_err();
        assert_eq!(error.errno(), Some(rustix::io::Errno::SRCH), "{error}");
    });
}

#[test]
fn a_process_enters_with_the_rights_of_who_opened_the_door() {
    on_each(&[], |hierarchy| {
        use std::os::unix::process::CommandExt;
        let group = Group::new(hierarchy, "nobody");
        let mut command = Command::new("/bin/sleep");
        // Changed before the group is entered: `pre_exec` runs after `uid`.
        command.arg("1000").uid(65534).gid(65534);
        let sleeper = group.spawn(command);
        assert_eq!(group.cgroup.pids().unwrap(), [sleeper.pid()]);
    });
}

#[test]
fn a_clone_starts_inside_on_v2() {
    on_each(&[], |hierarchy| {
        use std::os::fd::AsRawFd;
        let group = Group::new(hierarchy, "clone");
        let Some(into) = group.cgroup.clone_into() else {
            assert_ne!(hierarchy.version(), Version::V2);
            return;
        };
        // SAFETY: all zeroes is a valid `clone_args`.
        let mut args: libc::clone_args = unsafe { std::mem::zeroed() };
        args.flags = 0x2_0000_0000; // CLONE_INTO_CGROUP
        args.exit_signal = libc::SIGCHLD as u64;
        args.cgroup = into.as_raw_fd() as u64;
        // SAFETY: without CLONE_VM this is a fork; the child makes one system call again and
        // again until it is killed.
        let pid = unsafe {
            let pid = libc::syscall(libc::SYS_clone3, &raw mut args, size_of_val(&args));
            if pid == 0 {
                loop {
                    libc::syscall(libc::SYS_ppoll, 0, 0, 0, 0, 0);
                }
            }
            pid
        };
        let pid = Pid::from_raw(pid as i32).expect("clone3");
        let inside = group.cgroup.pids().unwrap();
        kill_process(pid, Signal::KILL).unwrap();
        waitpid(Some(pid), WaitOptions::empty()).unwrap();
        assert_eq!(inside, [pid]);
    });
}

#[test]
fn remove_leaves_nothing_and_spares_the_neighbour() {
    on_each(&[], |hierarchy| {
        let stack = format!("coop-cgroup-test-{}-remove", std::process::id());
        let one = CgroupPath::new(format!("{stack}/one")).unwrap();
        let two = CgroupPath::new(format!("{stack}/two")).unwrap();
        let group = Group::new(hierarchy, "removed");
        let mut first = group.sh("sleep 1000 & sleep 1000");
        hierarchy.create(&one).unwrap();
        hierarchy.create(&two).unwrap();
        hierarchy.open(&two).unwrap().add(first.pid()).unwrap();
        // `two` has a process: removing `one` must leave it and the parent alone.
        hierarchy.remove(&one).unwrap();
        assert!(!hierarchy.exists(&one) && hierarchy.exists(&two));
        assert!(first.is_running());
        hierarchy.remove(&two).unwrap();
        assert_eq!(first.signal(), Some(9));
        assert!(
            !hierarchy.exists(&CgroupPath::new(stack).unwrap()),
            "the parent is left"
        );
        // Done already is fine, and so is a path that never was.
        hierarchy.remove(&two).unwrap();
        hierarchy.remove(&path("never")).unwrap();
    });
}

#[test]
fn remove_ends_what_is_frozen_and_nested() {
    on_each(&[Controller::Freezer], |hierarchy| {
        let group = Group::new(hierarchy, "nested");
        let inner = hierarchy
            .create(&group.cgroup.path().join("a/b/c").unwrap())
            .unwrap();
        // By way of another group: on v2 this one is no leaf and takes no process.
        let outside = Group::new(hierarchy, "outside");
        let mut sleeper = outside.sh("exec sleep 1000");
        inner.add(sleeper.pid()).unwrap();
        assert_eq!(group.cgroup.pids().unwrap(), [sleeper.pid()]);
        inner.freeze().unwrap();
        group.cgroup.freeze().unwrap();
        hierarchy.remove(group.cgroup.path()).unwrap();
        assert_eq!(sleeper.signal(), Some(9));
        assert!(!hierarchy.exists(group.cgroup.path()));
    });
}

#[test]
fn remove_copes_with_groups_nested_beyond_all_reason() {
    on_each(&[], |hierarchy| {
        let group = Group::new(hierarchy, "deep");
        // In one hierarchy, as a container could do it; deeper than descriptors allow.
        let base = hierarchy.bases().next().unwrap();
        let mut here = base.join(group.cgroup.path().as_str());
        for _ in 0..1100 {
            here.push("d");
            if std::fs::create_dir(&here).is_err() {
                break;
            }
        }
        hierarchy.remove(group.cgroup.path()).unwrap();
        assert!(!hierarchy.exists(group.cgroup.path()));
    });
}

#[test]
fn remove_kills_a_process_that_a_crash_left_in_one_hierarchy_only() {
    on_each(&[], |hierarchy| {
        let group = Group::new(hierarchy, "half");
        let mut sleeper = Command::new("sleep").arg("1000").spawn().unwrap();
        let base = hierarchy.bases().next().unwrap();
        let procs = base.join(group.cgroup.path().as_str()).join("cgroup.procs");
        std::fs::write(procs, sleeper.id().to_string()).unwrap();
        hierarchy.remove(group.cgroup.path()).unwrap();
        let status = sleeper.wait().unwrap();
        assert_eq!(
            std::os::unix::process::ExitStatusExt::signal(&status),
            Some(9)
        );
    });
}

#[test]
fn neighbours_may_come_and_go_at_the_same_time() {
    on_each(&[], |hierarchy| {
        let work = |name: &'static str| {
            let hierarchy = hierarchy.clone();
            std::thread::spawn(move || {
                // A stack of its own, so that the parent is made and removed each time.
                let stack = format!("coop-cgroup-test-{}-race/{name}", std::process::id());
                let path = CgroupPath::new(stack).unwrap();
                for _ in 0..100 {
                    hierarchy.create(&path).unwrap();
                    hierarchy.remove(&path).unwrap();
                }
            })
        };
        for thread in [work("a"), work("b")] {
            thread.join().unwrap();
        }
    });
}

#[test]
fn opening_what_is_not_there_is_an_error() {
    on_each(&[], |hierarchy| {
        let error = hierarchy.open(&path("absent")).unwrap_err();
        assert_eq!(error.errno(), Some(rustix::io::Errno::NOENT), "{error}");
    });
}

#[test]
fn a_parent_with_processes_cannot_hand_down_controllers_and_says_so() {
    on_each(&[], |hierarchy| {
        if hierarchy.version() != Version::V2 || hierarchy.controllers().is_empty() {
            return eprintln!("skipped: v1 has no such rule");
        }
        let group = Group::new(hierarchy, "internal");
        let sleeper = group.sh("exec sleep 1000");
        let base = hierarchy
            .bases()
            .next()
            .unwrap()
            .join(group.cgroup.path().as_str());
        let inside = Hierarchy::unified_at(&base).unwrap();
        // Pids and CPU are the kernel's exception: it would take them, and spoil the group.
        let limits = [
            Limits {
                memory_max: Some(Max::At(1 << 30)),
                ..Limits::default()
            },
            Limits {
                pids_max: Some(Max::At(100)),
                ..Limits::default()
            },
        ];
        let mut child = inside.create(&CgroupPath::new("child").unwrap()).unwrap();
        for limits in limits {
            match child.apply(&limits).unwrap_err() {
                Error::InternalProcesses { path, .. } => assert_eq!(path, base),
                Error::NoController { .. } => eprintln!("skipped: no controller"),
                error => panic!("{error}"),
            }
        }
        child.add(sleeper.pid()).unwrap();
        assert_eq!(child.pids().unwrap(), [sleeper.pid()]);
    });
}
