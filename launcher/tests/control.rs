//! The control socket: several clients, bad clients, slow clients, strangers.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[macro_use]
mod support;

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use coop_launcher::store::{Name, State, Status};
use coop_launcher::supervisor::{Client, Condition, Report, Request};
use coop_ns::privileges::set_user;
use support::stack::{Plan, STUBBORN, Stack, all_in_words, reports, status, stop_request};
use support::stack::{SERVER, wait_for};
use support::{in_fork, until};

tests!(
    each_client_hears_of_its_own_containers_and_is_answered_when_they_are_done,
    a_client_that_goes_away_leaves_the_request_and_the_others_alone,
    a_client_that_does_not_read_is_told_everything_later_and_keeps_nobody_busy,
    nonsense_is_not_answered_and_harms_nobody,
    a_stranger_is_not_heard,
    nobody_listens_where_no_supervisor_is,
    a_silent_client_neither_keeps_the_supervisor_nor_makes_it_busy,
    a_request_for_what_runs_or_has_ended_is_done_at_once,
    a_supervisor_whose_stack_was_removed_ends,
);

fn each_client_hears_of_its_own_containers_and_is_answered_when_they_are_done() {
    let db = Plan::new("db", SERVER);
    let web = Plan::new("web", STUBBORN);
    let job = Plan::new("job", &format!("{}; exit 3", wait_for("go")));
    let late = Plan::new("late", SERVER).after(&job, Condition::ServiceCompletedSuccessfully);
    let stack = Stack::new(&[&db, &web, &job, &late]);
    stack.start(&[&db, &web, &job]);
    stack.until_logged(&db, "up");

    let starter = stack.connect();
    starter
        .request(&Request::Start {
            ids: vec![late.id()],
        })
        .unwrap();
    let stopper = stack.connect();
    stopper.request(&stop_request(&[&web], None)).unwrap();
    let quick = stack.stop(&[&db], None);
    assert_eq!(all_in_words(&quick), ["db exited"]);
    stack.touch("go");
    let words = all_in_words(&reports(&starter));
    assert_eq!(words.len(), 2, "{words:?}");
    assert_eq!(words[0], "late created");
    assert!(
        words[1].starts_with("late failed: dependency job did not"),
        "{words:?}"
    );
    stack.stop(&[&web], Some(Duration::ZERO));
    assert_eq!(all_in_words(&reports(&stopper)), ["web exited"]);
    stack.wait_for_supervisor();
}

fn a_client_that_goes_away_leaves_the_request_and_the_others_alone() {
    let db = Plan::new("db", &format!("{}; touch db-up; {SERVER}", wait_for("go")));
    let db = db.checked("[ -e db-up ]");
    let db = db.with(|plan| plan.unit.health.as_mut().unwrap().retries = u32::MAX);
    let web = Plan::new("web", SERVER).after(&db, Condition::ServiceHealthy);
    let other = Plan::new("other", STUBBORN);
    let stack = Stack::new(&[&db, &web, &other]);
    let first = stack.up(&[&db, &web, &other]);
    until(|| stack.state(&other).started);
    let patient = stack.connect();
    patient.request(&stop_request(&[&other], None)).unwrap();
    // Gone while it waits for web; its place is taken by the next one.
    drop(first);
    drop(stack.connect());
    stack.touch("go");
    stack.until_logged(&web, "up");
    assert_eq!(all_in_words(&stack.stop(&[&web], None)), ["web exited"]);
    stack.stop(&[&other], Some(Duration::ZERO));
    assert_eq!(all_in_words(&reports(&patient)), ["other exited"]);
}

fn a_client_that_does_not_read_is_told_everything_later_and_keeps_nobody_busy() {
    let server = Plan::new("server", "exec sleep 1000");
    let jobs: Vec<_> = (0..150)
        .map(|number| Plan::new(&format!("job-{number}"), ":"))
        .collect();
    let plans: Vec<_> = jobs.iter().chain([&server]).collect();
    let stack = Stack::new(&plans);
    let client = stack.up(&plans);
    // More reports than a socket holds.
    for job in &jobs {
        stack.until_stopped(job);
    }
    stack.assert_idle();
    let words = all_in_words(&reports(&client));
    for plan in &plans {
        let name = &plan.unit.name;
        for what in ["created", "started"] {
            assert!(words.contains(&format!("{name} {what}")), "{name} {what}");
        }
    }
    assert_eq!(
        all_in_words(&stack.stop(&[&server], Some(Duration::ZERO))),
        ["server exited"]
    );
}

/// A connection that says what it wants.
fn raw_connection(stack: &Stack) -> rustix::fd::OwnedFd {
    use rustix::net::*;
    let fd = socket_with(
        AddressFamily::UNIX,
        SocketType::SEQPACKET,
        SocketFlags::CLOEXEC,
        None,
    );
    let fd = fd.unwrap();
    let path = stack
        .store
        .dirs()
        .stack_run(&stack.name)
        .join("control.sock");
    connect(&fd, &SocketAddrUnix::new(path).unwrap()).unwrap();
    fd
}

fn nonsense_is_not_answered_and_harms_nobody() {
    let server = Plan::new("server", SERVER);
    let stack = Stack::new(&[&server]);
    stack.start(&[&server]);
    let huge = vec![b'x'; 150_000];
    for nonsense in [
        &b"hello"[..],
        b"{\"start\":{}}",
        b"{\"start\":{\"ids\":[\"../..\"]}}",
        &huge,
    ] {
        let fd = raw_connection(&stack);
        rustix::net::send(&fd, nonsense, rustix::net::SendFlags::NOSIGNAL).unwrap();
        // The end of the connection, and no word.
        let answer = rustix::net::recv(&fd, &mut [0; 100], rustix::net::RecvFlags::empty());
        assert_eq!(answer.map(|(length, _)| length), Ok(0));
    }
    assert_eq!(status(&stack, &server).0, Status::Running);
    stack.stop(&[&server], Some(Duration::ZERO));
}

fn a_stranger_is_not_heard() {
    let server = Plan::new("server", SERVER);
    let stack = Stack::new(&[&server]);
    stack.start(&[&server]);
    let dir = stack.store.dirs().stack_run(&stack.name);
    let as_stranger = |body: &dyn Fn()| {
        in_fork(|| {
            set_user(12_345, 12_345, &[]).unwrap();
            body();
        });
    };
    // The directories are closed to others,
    as_stranger(&|| {
        Client::connect(&dir).unwrap_err();
    });
    // and were they open, the kernel would still tell who it is.
    let open = |path: &std::path::Path| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o777)).unwrap();
    };
    dir.ancestors().take(4).for_each(open);
    open(&dir.join("control.sock"));
    as_stranger(&|| {
        let client = Client::connect(&dir).unwrap().unwrap();
        // Closed before it is read: to write may already fail.
        let _ = client.request(&stop_request(&[&server], Some(Duration::ZERO)));
        assert_eq!(client.next().unwrap(), None);
    });
    assert_eq!(status(&stack, &server).0, Status::Running);
    stack.stop(&[&server], Some(Duration::ZERO));
}

fn nobody_listens_where_no_supervisor_is() {
    let server = Plan::new("server", STUBBORN);
    let stack = Stack::new(&[&server]);
    let dir = stack.store.dirs().stack_run(&stack.name);
    assert!(Client::connect(&dir).unwrap().is_none());
    stack.start(&[&server]);
    let client = stack.connect();
    client.request(&stop_request(&[&server], None)).unwrap();
    stack.kill_supervisor();
    // Who was waiting for its answer learns that there is none,
    assert_eq!(client.next().unwrap(), None);
    // and the socket that it left leads to nobody.
    assert!(dir.join("control.sock").exists());
    assert!(Client::connect(&dir).unwrap().is_none());
}

fn a_silent_client_neither_keeps_the_supervisor_nor_makes_it_busy() {
    let server = Plan::new("server", SERVER);
    let stack = Stack::new(&[&server]);
    stack.start(&[&server]);
    stack.until_logged(&server, "up");
    let silent = stack.connect();
    let answered = stack.connect();
    answered
        .request(&Request::Start {
            ids: vec![server.id()],
        })
        .unwrap();
    assert_eq!(answered.next().unwrap(), Some(Report::Done));
    stack.assert_idle();
    stack.stop(&[&server], None);
    stack.wait_for_supervisor();
    assert_eq!(silent.next().unwrap(), None);
    assert_eq!(answered.next().unwrap(), None);
}

fn a_request_for_what_runs_or_has_ended_is_done_at_once() {
    let server = Plan::new("server", SERVER);
    let job = Plan::new("job", ":");
    let stack = Stack::new(&[&server, &job]);
    stack.start(&[&server, &job]);
    stack.until_stopped(&job);
    assert_eq!(
        stack.ask(&Request::Start {
            ids: vec![server.id()]
        }),
        []
    );
    assert_eq!(stack.stop(&[&job], None), []);
    assert_eq!(stack.stop(&[], None), []);
}

fn a_supervisor_whose_stack_was_removed_ends() {
    let server = Plan::new("server", SERVER);
    let stack = Stack::new(&[&server]);
    stack.start(&[&server]);
    stack.until_logged(&server, "up");
    let init = stack.state(&server).live_init().unwrap();
    // Someone removes the files of a container that runs: no reason to leave it alone.
    stack.store.remove(&server.id()).unwrap();
    stack.stop(&[&server], None);
    stack.wait_for_supervisor();
    assert!(!support::is_alive(init));
    let name = Name::parse("server").unwrap();
    let state = State::new(server.id(), name, stack.name.clone(), "none".into());
    stack.store.create(&state, &server).unwrap();
}
