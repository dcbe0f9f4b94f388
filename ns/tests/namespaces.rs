//! Real clones, looked at from outside and from inside.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[macro_use]
mod support;

use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;

use coop_ns::{
    CloneArgs, Error, ExitStatus, Handle, Namespace, Namespaces, Signal, TimeOffset, TimeOffsets,
    clone3, hostname, pidfd, set_time_offsets, unshare_time,
};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::process::{getpid, getuid};
use rustix::system::uname;
use rustix::time::{ClockId, clock_gettime};
use support::{
    HOST_BASE, Held, container, in_child, in_namespaces, proc_status, root, status_field,
};

tests!(
    a_container_has_namespaces_of_its_own_and_ids_that_are_nobody_s_outside,
    inside_the_first_process_is_pid_1_and_root_and_names_its_host,
    namespaces_not_asked_for_are_shared,
    a_child_starts_in_its_cgroup,
    a_refused_clone_says_what_was_asked_for_and_why_not,
    a_child_does_not_run_the_signal_handlers_of_its_parent,
    abort_works_in_a_child_in_another_pid_namespace,
    clocks_of_a_time_namespace_are_ahead_by_the_offsets,
    a_process_moves_itself_into_new_namespaces,
    a_bound_namespace_outlives_its_process,
);

fn a_container_has_namespaces_of_its_own_and_ids_that_are_nobody_s_outside() {
    if !root() {
        return;
    }
    let held = Held::container(Namespaces::supported());
    let pid = held.child.pid;
    for kind in Namespaces::supported().kinds() {
        let (theirs, ours) = (
            Handle::open(pid, kind).unwrap(),
            Handle::current(kind).unwrap(),
        );
        assert!(!theirs.same_as(&ours), "{kind} namespace is shared");
    }
    let status = proc_status(pid.as_raw_nonzero());
    // Not root of the container yet: it has not changed its user.
    assert_eq!(status_field(&status, "Uid"), "0\t0\t0\t0");
    let own_and_inner_pid = status_field(&status, "NSpid");
    assert_eq!(own_and_inner_pid, format!("{}\t1", pid.as_raw_nonzero()));
    for map in ["uid_map", "gid_map"] {
        let map = std::fs::read_to_string(format!("/proc/{}/{map}", pid.as_raw_nonzero())).unwrap();
        let fields: Vec<_> = map.split_whitespace().collect();
        assert_eq!(fields, ["0", &HOST_BASE.to_string(), "65536"]);
    }
    held.kill();
}

fn inside_the_first_process_is_pid_1_and_root_and_names_its_host() {
    if !root() {
        return;
    }
    let host = uname().nodename().to_owned();
    let text = in_namespaces(container(), || {
        coop_ns::privileges::set_user(0, 0, &[]).unwrap();
        hostname::set_hostname("sandbox").unwrap();
        hostname::set_domainname("example.org").unwrap();
        let names = uname();
        format!(
            "pid {} uid {} host {} domain {}",
            getpid().as_raw_nonzero(),
            getuid().as_raw(),
            names.nodename().to_string_lossy(),
            names.domainname().to_string_lossy(),
        )
    });
    assert_eq!(text, "pid 1 uid 0 host sandbox domain example.org");
    assert_eq!(uname().nodename(), host.as_c_str());
}

fn namespaces_not_asked_for_are_shared() {
    if !root() {
        return;
    }
    let held = Held::container(Namespaces::UTS);
    for kind in Namespaces::supported().kinds() {
        let theirs = Handle::open(held.child.pid, kind).unwrap();
        let shared = theirs.same_as(&Handle::current(kind).unwrap());
        assert_eq!(shared, kind != Namespace::Uts, "{kind}");
    }
    held.kill();
}

fn a_child_starts_in_its_cgroup() {
    if !root() {
        return;
    }
    let Some(mount) = cgroup2_mount() else {
        println!("  skipped: no cgroup2 file system is mounted");
        return;
    };
    let path = mount.join(format!("coop-ns-test-{}", std::process::id()));
    std::fs::create_dir(&path).unwrap();
    let directory: OwnedFd = std::fs::File::open(&path).unwrap().into();
    let args = CloneArgs {
        namespaces: Namespaces::empty(),
        cgroup: Some(directory.as_fd()),
    };
    let (text, _) = in_child(
        args,
        |_| {},
        || std::fs::read_to_string("/proc/self/cgroup").unwrap(),
    );
    std::fs::remove_dir(&path).unwrap();
    let own = format!("/coop-ns-test-{}", std::process::id());
    let unified = text.lines().find(|line| line.starts_with("0::")).unwrap();
    assert!(unified.ends_with(&own), "{text}");
}

fn cgroup2_mount() -> Option<PathBuf> {
    let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap();
    mounts.lines().find_map(|line| {
        let fields: Vec<_> = line.split(' ').collect();
        (fields.get(2) == Some(&"cgroup2")).then(|| PathBuf::from(fields[1]))
    })
}

fn a_refused_clone_says_what_was_asked_for_and_why_not() {
    if !root() {
        return;
    }
    let no_cgroup = rustix::fs::open("/", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).unwrap();
    let args = CloneArgs {
        namespaces: Namespaces::UTS,
        cgroup: Some(no_cgroup.as_fd()),
    };
    // SAFETY: this program has one thread.
    let error = unsafe { clone3(&args) }.unwrap_err();
    assert_eq!(
        error.to_string(),
        "clone a process into new namespaces (uts)"
    );
    let source = std::error::Error::source(&error).unwrap();
    assert_eq!(source.downcast_ref(), Some(&Errno::BADF));
}

fn a_child_does_not_run_the_signal_handlers_of_its_parent() {
    extern "C" fn handler(_: i32) {}
    // SAFETY: the handler does nothing; the old action is put back below.
    let old = unsafe { libc::signal(libc::SIGUSR1, handler as *const () as libc::sighandler_t) };
    let (_, status) = in_child(
        CloneArgs::default(),
        |_| {},
        || {
            let own = pidfd::open(getpid()).unwrap();
            let signal = "USR1".parse::<Signal>().unwrap();
            pidfd::send_signal(own.as_fd(), signal).unwrap();
            "survived".to_owned()
        },
    );
    // SAFETY: as above.
    unsafe { libc::signal(libc::SIGUSR1, old) };
    assert_eq!(status, ExitStatus::Signaled(libc::SIGUSR1));
}

fn abort_works_in_a_child_in_another_pid_namespace() {
    if !root() {
        return;
    }
    let args = CloneArgs {
        namespaces: Namespaces::PID,
        cgroup: None,
    };
    // abort(3) sends the signal to the cached thread id. Pid 1 of a namespace is immune to
    // signals from inside, so it is the grandchild that aborts.
    let (text, _) = in_child(
        args,
        |_| {},
        || {
            let (_, status) = in_child(CloneArgs::default(), |_| {}, || std::process::abort());
            status.to_string()
        },
    );
    assert_eq!(text, "signal 6 (SIGABRT)");
}

fn clocks_of_a_time_namespace_are_ahead_by_the_offsets() {
    if !root() || !Namespaces::supported().contains(Namespaces::TIME) {
        return;
    }
    let offset = |seconds| TimeOffset {
        seconds,
        nanoseconds: 0,
    };
    let offsets = TimeOffsets {
        monotonic: offset(1_000_000),
        boottime: offset(2_000_000),
    };
    let seconds = |clock| clock_gettime(clock).tv_sec;
    // In a child, since unsharing changes where our own children are made.
    let text = in_namespaces(Namespaces::empty(), || {
        unshare_time().unwrap();
        set_time_offsets(getpid(), &offsets).unwrap();
        let before = [seconds(ClockId::Monotonic), seconds(ClockId::Boottime)];
        let inner = in_namespaces(Namespaces::empty(), || {
            format!(
                "{} {}",
                seconds(ClockId::Monotonic),
                seconds(ClockId::Boottime)
            )
        });
        let inner: Vec<i64> = inner.split(' ').map(|n| n.parse().unwrap()).collect();
        assert!(inner[0] >= before[0] + 1_000_000, "{inner:?} {before:?}");
        assert!(inner[1] >= before[1] + 2_000_000, "{inner:?} {before:?}");
        // A process lives in it now.
        let error = set_time_offsets(getpid(), &offsets).unwrap_err();
        assert!(matches!(
            error,
            Error::SetTimeOffsets {
                source: Errno::ACCESS,
                ..
            }
        ));
        "done".to_owned()
    });
    assert_eq!(text, "done");
}

fn a_process_moves_itself_into_new_namespaces() {
    if !root() {
        return;
    }
    let before = Handle::current(Namespace::Uts).unwrap();
    // In a child, since the test's own process has threads and stays where it is.
    let text = in_namespaces(Namespaces::empty(), || {
        coop_ns::unshare(Namespaces::UTS | Namespaces::CGROUP).unwrap();
        hostname::set_hostname("moved").unwrap();
        let moved = !Handle::current(Namespace::Uts).unwrap().same_as(&before);
        format!(
            "{moved} {}",
            std::fs::read_to_string("/proc/self/cgroup").unwrap()
        )
    });
    let (moved, cgroups) = text.split_once(' ').unwrap();
    assert_eq!(moved, "true");
    assert!(
        cgroups.lines().all(|line| line.ends_with(":/")),
        "{cgroups}"
    );
}

fn a_bound_namespace_outlives_its_process() {
    if !root() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("uts");
    // The bind mount must not show on the host while the test runs.
    let text = in_namespaces(Namespaces::MOUNT, || {
        let private = rustix::mount::MountPropagationFlags::PRIVATE
            | rustix::mount::MountPropagationFlags::REC;
        rustix::mount::mount_change("/", private).unwrap();
        let held = Held::container(Namespaces::UTS);
        let handle = Handle::open(held.child.pid, Namespace::Uts).unwrap();
        let id = handle.id();
        handle.persist(&path).unwrap();
        drop(handle);
        held.kill();

        let kept = Handle::open_path(&path, Namespace::Uts).unwrap();
        assert_eq!(kept.id(), id);
        assert!(matches!(
            kept.persist(&path).unwrap_err(),
            Error::Persist {
                source: Errno::EXIST,
                ..
            }
        ));
        let wrong = Handle::open_path(&path, Namespace::Net).unwrap();
        assert!(matches!(
            wrong.enter().unwrap_err(),
            Error::Enter {
                source: Errno::INVAL,
                ..
            }
        ));
        kept.enter().unwrap();
        hostname::set_hostname("kept").unwrap();
        Handle::remove(&path).unwrap();
        assert!(!path.exists());
        Handle::remove(&path).unwrap();
        uname().nodename().to_string_lossy().into_owned()
    });
    assert_eq!(text, "kept");
    assert_ne!(uname().nodename(), c"kept");
}
