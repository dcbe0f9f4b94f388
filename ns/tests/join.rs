//! Entering running containers from the initial user namespace.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[macro_use]
mod support;

use std::os::fd::AsFd;

use coop_ns::privileges::set_user;
use coop_ns::{
    Child, CloneArgs, Error, ExitStatus, Forked, Handle, IdMaps, Namespace, Namespaces,
    PidNamespace, clone3_in_pid_namespace_of, exit_child, hostname, idmap, join, pidfd,
};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{DumpableBehavior, getpid, getuid, set_dumpable_behavior};
use support::{
    HOST_BASE, Held, container, in_child, in_namespaces, proc_status, read_all, root, run_body,
    status_field,
};

tests!(
    root_joins_a_container_with_its_own_user_namespace,
    without_setns_by_pidfd_root_joins_one_namespace_after_the_other,
    joining_leaves_out_namespaces_that_are_ours_already,
    one_clone_puts_a_process_into_all_namespaces_of_a_container,
    an_unprivileged_owner_joins_its_own_container,
    without_setns_by_pidfd_the_owner_joins_the_user_namespace_first,
    a_container_that_has_ended_cannot_be_joined,
);

fn all_but_pid() -> Namespaces {
    container() - Namespaces::PID
}

/// The joined namespaces of the calling process are those of the container.
fn assert_joined(held: &Held, kinds: Namespaces) {
    for kind in kinds.kinds() {
        let theirs = Handle::open(held.child.pid, kind).unwrap();
        assert!(theirs.same_as(&Handle::current(kind).unwrap()), "{kind}");
    }
}

fn root_joins_a_container_with_its_own_user_namespace() {
    if !root() {
        return;
    }
    let held = Held::container(container());
    let text = in_namespaces(Namespaces::empty(), || {
        join(held.child.pidfd.as_fd(), all_but_pid()).unwrap();
        assert_joined(&held, all_but_pid());
        let before = getuid().as_raw();
        set_user(0, 0, &[]).unwrap();
        hostname::set_hostname("joined").unwrap();
        format!("{before} then {}", getuid().as_raw())
    });
    assert_eq!(text, "65534 then 0");
    held.kill();
}

fn without_setns_by_pidfd_root_joins_one_namespace_after_the_other() {
    if !root() {
        return;
    }
    let held = Held::container(container());
    in_namespaces(Namespaces::empty(), || {
        refuse_setns_of(all_but_pid());
        join(held.child.pidfd.as_fd(), all_but_pid()).unwrap();
        assert_joined(&held, all_but_pid());
        String::new()
    });
    held.kill();
}

/// Makes the kernel answer `setns(2)` with just these flags as one before 5.8 answers the
/// call with a pidfd: `EINVAL`.
fn refuse_setns_of(namespaces: Namespaces) {
    let statement = |code: u32, k: u32| libc::sock_filter {
        code: code as u16,
        jt: 0,
        jf: 0,
        k,
    };
    let load = |offset| statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, offset);
    let unless_equal_skip = |value, skipped| libc::sock_filter {
        jf: skipped,
        ..statement(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, value)
    };
    let answer = |action| statement(libc::BPF_RET | libc::BPF_K, action);
    // Offsets in `struct seccomp_data`: the call's number, the low half of its second argument.
    let second = 24 + if cfg!(target_endian = "big") { 4 } else { 0 };
    let mut filter = [
        load(0),
        unless_equal_skip(libc::SYS_setns as u32, 3),
        load(second),
        unless_equal_skip(namespaces.bits(), 1),
        answer(libc::SECCOMP_RET_ERRNO | libc::EINVAL as u32),
        answer(libc::SECCOMP_RET_ALLOW),
    ];
    let program = libc::sock_fprog {
        len: filter.len() as u16,
        filter: filter.as_mut_ptr(),
    };
    coop_ns::privileges::no_new_privs().unwrap();
    // SAFETY: the program and its filter live until the call returns; the kernel copies them.
    let result = unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &program) };
    assert_eq!(result, 0);
}

fn joining_leaves_out_namespaces_that_are_ours_already() {
    if !root() {
        return;
    }
    // The kernel refuses to enter the user namespace that one is in: this goes the way that
    // kernels before 5.8 go, too.
    let held = Held::container(Namespaces::UTS | Namespaces::NET);
    in_namespaces(Namespaces::empty(), || {
        join(held.child.pidfd.as_fd(), container()).unwrap();
        assert_joined(&held, container());
        String::new()
    });
    held.kill();
}

fn one_clone_puts_a_process_into_all_namespaces_of_a_container() {
    if !root() {
        return;
    }
    let held = Held::container(container());
    let (output, input) = pipe_with(PipeFlags::CLOEXEC).unwrap();
    let (ready, go) = pipe_with(PipeFlags::CLOEXEC).unwrap();
    let target = held.child.pidfd.as_fd();
    // SAFETY: this program has one thread.
    let forked = unsafe { clone3_in_pid_namespace_of(target, &CloneArgs::default()) }.unwrap();
    let Forked::Parent(child) = forked else {
        drop((go, output));
        let code = run_body(
            || {
                join(target, all_but_pid()).unwrap();
                set_user(0, 0, &[]).unwrap();
                rustix::io::write(&input, b"in ").unwrap();
                rustix::io::read(&ready, &mut [0; 1]).unwrap();
                let pid = getpid().as_raw_nonzero();
                format!("pid {pid} uid {}", getuid().as_raw())
            },
            &input,
        );
        exit_child(code)
    };
    drop(input);
    let mut buffer = [0; 3];
    rustix::io::read(&output, &mut buffer).unwrap();
    assert_eq!(&buffer, b"in ");

    // From outside: all namespaces are the container's, the user its root, the parent us.
    for kind in container().kinds() {
        let theirs = Handle::open(child.pid, kind).unwrap();
        let containers = Handle::open(held.child.pid, kind).unwrap();
        assert!(theirs.same_as(&containers), "{kind}");
    }
    let status = proc_status(child.pid.as_raw_nonzero());
    assert_eq!(
        status_field(&status, "Uid"),
        vec![HOST_BASE.to_string(); 4].join("\t")
    );
    assert_eq!(
        status_field(&status, "PPid"),
        getpid().as_raw_nonzero().to_string()
    );
    drop(go);
    assert_eq!(read_all(&output), "pid 2 uid 0");
    let ended = pidfd::wait(child.pidfd.as_fd()).unwrap();
    assert_eq!(ended, ExitStatus::Exited(0));

    // And our own children are in our own pid namespace again.
    let text = in_namespaces(Namespaces::empty(), || {
        getpid().as_raw_nonzero().to_string()
    });
    assert_ne!(text, "3");
    let own = Handle::current(Namespace::Pid).unwrap();
    let children = Handle::open_path("/proc/self/ns/pid_for_children", Namespace::Pid).unwrap();
    assert!(own.same_as(&children));
    held.kill();
}

fn an_unprivileged_owner_joins_its_own_container() {
    if root() {
        join_as_owner(|_| {});
    }
}

fn without_setns_by_pidfd_the_owner_joins_the_user_namespace_first() {
    if root() {
        join_as_owner(refuse_setns_of);
    }
}

/// Has a user without rights make a container and join it.
fn join_as_owner(prepare: impl FnOnce(Namespaces)) {
    let text = in_namespaces(Namespaces::empty(), || {
        set_user(12_345, 12_345, &[]).unwrap();
        // A change of user makes a process not dumpable, and its files in /proc root's.
        set_dumpable_behavior(DumpableBehavior::Dumpable).unwrap();
        let namespaces = Namespaces::USER | Namespaces::UTS;
        let args = CloneArgs {
            namespaces,
            cgroup: None,
        };
        let own_ids = IdMaps::rootless(12_345, 12_345, &[], &[]);
        let map = |child: &Child| {
            idmap::write(child.pid, &own_ids).unwrap();
        };
        let held = Held::start(args, map, Held::wait_to_be_killed);
        prepare(namespaces);
        join(held.child.pidfd.as_fd(), namespaces).unwrap();
        assert_joined(&held, namespaces);
        hostname::set_hostname("mine").unwrap();
        let uid = getuid().as_raw();
        held.kill();
        format!("uid {uid}")
    });
    assert_eq!(text, "uid 0");
}

fn a_container_that_has_ended_cannot_be_joined() {
    if !root() {
        return;
    }
    let (_, status) = in_child(CloneArgs::default(), |_| {}, String::new);
    assert_eq!(status, ExitStatus::Exited(0));
    let held = Held::container(container());
    let target = held.child.pidfd.as_fd().try_clone_to_owned().unwrap();
    let own = PidNamespace::current().unwrap();

    // Its pid namespace, held open, takes no process when its init has ended.
    let dead = Handle::open(held.child.pid, Namespace::Pid).unwrap();
    held.kill();
    dead.enter().unwrap();
    // SAFETY: this program has one thread.
    let error = unsafe { coop_ns::clone3(&CloneArgs::default()) }.unwrap_err();
    assert!(matches!(
        error,
        Error::Clone {
            source: Errno::NOMEM,
            ..
        }
    ));
    own.use_for_children().unwrap();

    // SAFETY: this program has one thread.
    let error = unsafe { clone3_in_pid_namespace_of(target.as_fd(), &CloneArgs::default()) };
    assert!(matches!(
        error.unwrap_err(),
        Error::Join {
            source: Errno::SRCH,
            ..
        }
    ));
    in_namespaces(Namespaces::empty(), String::new);
}
