//! Waiting, signals and leases between real processes.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[macro_use]
mod support;

use std::os::fd::AsFd;

use coop_ns::{CloneArgs, Error, ExitStatus, IdPool, Signal, exit_child, pidfd};
use rustix::io::Errno;
use rustix::pipe::pipe;
use rustix::process::Pid;
use support::{Held, in_child};

tests!(
    a_child_s_end_is_seen_once_it_has_come,
    a_real_time_signal_arrives,
    the_end_of_somebody_else_s_child_is_known_when_it_is_reaped,
    a_reaped_process_cannot_be_signalled_nor_named,
    processes_that_lease_at_the_same_time_never_share_ids,
);

fn a_child_s_end_is_seen_once_it_has_come() {
    let (_, status) = in_child(CloneArgs::default(), |_| {}, || exit_child(42));
    assert_eq!(status, ExitStatus::Exited(42));

    let held = Held::container(coop_ns::Namespaces::empty());
    let pidfd = held.child.pidfd.as_fd();
    assert_eq!(pidfd::pid(pidfd), Ok(held.child.pid));
    assert_eq!(pidfd::try_wait(pidfd), Ok(None));
    pidfd::send_signal(pidfd, Signal::KILL).unwrap();
    assert_eq!(pidfd::wait(pidfd), Ok(ExitStatus::Signaled(9)));
    assert_eq!(pidfd::wait(pidfd), Err(Error::Wait(Errno::CHILD)));
}

fn a_real_time_signal_arrives() {
    let held = Held::container(coop_ns::Namespaces::empty());
    let pidfd = held.child.pidfd.as_fd();
    pidfd::send_signal(pidfd, "SIGRTMIN+3".parse().unwrap()).unwrap();
    assert_eq!(pidfd::wait(pidfd), Ok(ExitStatus::Signaled(37)));
}

fn the_end_of_somebody_else_s_child_is_known_when_it_is_reaped() {
    let (pids, pid_out) = pipe().unwrap();
    let (step, next) = pipe().unwrap();
    let parent = Held::start(
        CloneArgs::default(),
        |_| {},
        || {
            let child = Held::container(coop_ns::Namespaces::empty());
            let pid = child.child.pid.as_raw_nonzero().get();
            rustix::io::write(&pid_out, &pid.to_ne_bytes()).unwrap();
            rustix::io::read(&step, &mut [0; 1]).unwrap();
            child.kill();
            String::new()
        },
    );
    let mut pid = [0; 4];
    rustix::io::read(&pids, &mut pid).unwrap();
    let pid = Pid::from_raw(i32::from_ne_bytes(pid)).unwrap();
    let pidfd = pidfd::open(pid).unwrap();

    let running = match pidfd::exit_info(pidfd.as_fd()) {
        Err(Error::ProcessInfo(Errno::NOTTY)) => {
            println!("  skipped: no PIDFD_GET_INFO before Linux 6.13");
            rustix::io::write(&next, b"!").unwrap();
            return parent.kill();
        }
        result => result,
    };
    assert_eq!(running, Ok(None));
    rustix::io::write(&next, b"!").unwrap();
    pidfd::wait(parent.child.pidfd.as_fd()).unwrap();
    match pidfd::exit_info(pidfd.as_fd()) {
        Err(Error::ProcessInfo(Errno::SRCH)) => println!("  skipped: before Linux 6.15"),
        result => assert_eq!(result, Ok(Some(ExitStatus::Signaled(9)))),
    }
}

fn a_reaped_process_cannot_be_signalled_nor_named() {
    let held = Held::start(CloneArgs::default(), |_| {}, String::new);
    let pidfd = held.child.pidfd.as_fd();
    pidfd::wait(pidfd).unwrap();
    assert_eq!(
        pidfd::send_signal(pidfd, Signal::TERM),
        Err(Error::SendSignal {
            signal: Signal::TERM,
            source: Errno::SRCH
        })
    );
    assert_eq!(pidfd::pid(pidfd), Err(Error::ProcessInfo(Errno::SRCH)));
    assert!(pidfd::start_time(held.child.pid).is_err());
}

fn processes_that_lease_at_the_same_time_never_share_ids() {
    const PROCESSES: u32 = 8;
    const EACH: u32 = 20;
    let directory = tempfile::tempdir().unwrap();
    let pool = IdPool::new(
        directory.path().join("ids"),
        1 << 20,
        PROCESSES * EACH * 65_536,
    );
    let children: Vec<_> = (0..PROCESSES)
        .map(|process| {
            Held::start(
                CloneArgs::default(),
                |_| {},
                || {
                    for lease in 0..EACH {
                        let owner = format!("{process}.{lease}");
                        let range = pool.lease(&owner).unwrap();
                        // Giving back and taking again in between must not disturb the others.
                        if lease % 3 == 0 {
                            pool.release(&owner).unwrap();
                            pool.lease(&owner).unwrap();
                        } else {
                            assert_eq!(pool.lease(&owner).unwrap(), range);
                        }
                    }
                    String::new()
                },
            )
        })
        .collect();
    for child in children {
        let status = pidfd::wait(child.child.pidfd.as_fd()).unwrap();
        assert_eq!(status, ExitStatus::Exited(0), "{}", child.text());
    }
    let leases = pool.leases().unwrap();
    assert_eq!(leases.len() as u32, PROCESSES * EACH);
    assert!(
        leases
            .windows(2)
            .all(|pair| !pair[0].range.overlaps(pair[1].range))
    );
    // The pool is exactly full.
    assert!(pool.lease("one more").is_err());
}
