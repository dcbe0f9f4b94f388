//! A launch whose child dies, and a child whose launch dies.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[macro_use]
mod support;

use std::os::fd::AsFd;

use coop_launcher::{Cloned, Created, Error, HostSide, Pipeline};
use coop_ns::{Namespaces, pidfd};
use rustix::process::Pid;
use support::stages::{Step, create, shell};
use support::{fork, is_alive, kill, pipe, until};

tests!(
    a_child_that_is_killed_while_it_is_set_up_is_told_as_such,
    a_child_that_is_killed_while_it_waits_is_not_told_as_started,
    a_dropped_child_is_killed_and_reaped_before_and_after_it_is_ready,
    a_killed_launch_takes_its_waiting_children_along,
);

fn a_child_that_is_killed_while_it_is_set_up_is_told_as_such() {
    let enter = Step::new("rootfs").enter(|_| {
        loop {
            rustix::event::pause();
        }
    });
    let mut cloned = shell(":").stage(enter).clone_child(None).unwrap();
    cloned.attach().unwrap();
    rustix::process::kill_process(cloned.pid(), rustix::process::Signal::KILL).unwrap();
    let error = cloned.finish().err().unwrap();
    assert!(matches!(error, Error::ChildDied { .. }), "{error:?}");
    let text = error.to_string();
    assert!(
        text.contains("set-up") && text.contains("SIGKILL"),
        "{text}"
    );
}

fn a_child_that_is_killed_while_it_waits_is_not_told_as_started() {
    let created = create(shell(":")).unwrap();
    rustix::process::kill_process(created.pid(), rustix::process::Signal::KILL).unwrap();
    until(|| (!is_alive(created.pid())).then_some(()));
    let error = created.start().unwrap_err();
    assert!(matches!(error, Error::ChildDied { .. }), "{error:?}");
}

fn a_dropped_child_is_killed_and_reaped_before_and_after_it_is_ready() {
    let sandbox = || {
        Step::new("sandbox").prepare(|launch| {
            launch.new_namespaces(Namespaces::PID);
            Ok(())
        })
    };
    let cloned = shell(":")
        .stage(sandbox())
        .stage(Step::new("waits").on_host(HostSide::Each))
        .clone_child(None)
        .unwrap();
    let first = cloned.pid();
    drop(cloned);
    let created = create(shell(":").stage(sandbox())).unwrap();
    let second = created.pid();
    drop(created);
    for pid in [first, second] {
        // Not even a zombie.
        assert_eq!(coop_launcher::store::ProcStat::of(pid).unwrap(), None);
    }
}

fn a_killed_launch_takes_its_waiting_children_along() {
    let (reader, writer) = pipe();
    let (dies, _stay) = pipe();
    let launch = fork(|| {
        // Each inherits the ends of those before it. Becoming another user takes the signal
        // of the parent's death away: then only the end of the channel is left to tell.
        let pipeline = || {
            shell(":")
                .stage(Step::new("sandbox").prepare(|launch| {
                    launch.new_namespaces(Namespaces::PID);
                    Ok(())
                }))
                .stage(Step::new("user").enter(|_| Ok(coop_ns::privileges::set_user(1, 1, &[])?)))
        };
        let waiting = |pipeline: Pipeline| {
            let mut cloned = pipeline.clone_child(None).unwrap();
            cloned.attach().unwrap();
            cloned
        };
        let created = [create(pipeline()).unwrap(), create(pipeline()).unwrap()];
        let cloned = [
            waiting(pipeline().stage(Step::new("batch").on_host(HostSide::Batched))),
            waiting(pipeline().stage(Step::new("batch").on_host(HostSide::Batched))),
        ];
        let pids = { created.iter().map(Created::pid) }.chain(cloned.iter().map(Cloned::pid));
        let line: Vec<_> = pids.map(|pid| pid.as_raw_nonzero().to_string()).collect();
        rustix::io::write(&writer, line.join(" ").as_bytes()).unwrap();
        let _ = rustix::io::read(&dies, &mut [0; 1]);
    });
    let mut buffer = [0; 100];
    let length = rustix::io::read(&reader, &mut buffer).unwrap();
    let pids: Vec<_> = { std::str::from_utf8(&buffer[..length]).unwrap().split(' ') }
        .map(|pid| Pid::from_raw(pid.parse().unwrap()).unwrap())
        .collect();
    assert_eq!(pids.len(), 4);
    assert!(pids.iter().all(|&pid| is_alive(pid)));
    kill(&launch.pidfd);
    pidfd::wait(launch.pidfd.as_fd()).unwrap();
    for pid in pids {
        support::wait_for_end(pid);
    }
}
