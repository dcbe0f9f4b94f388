//! Supervisors that leave their command, die, and are replaced.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[macro_use]
mod support;

use std::os::fd::AsFd;

use coop_launcher::logs::Stream;
use coop_launcher::store::{Health, Status};
use coop_launcher::supervisor::Condition;
use coop_ns::pidfd;
use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};
use support::stack::{Plan, SERVER, Stack, status, wait_for};
use support::{fork, in_fork, pipe, read_all, until};

tests!(
    a_detached_supervisor_lets_go_of_its_command,
    a_supervisor_needs_no_terminal_and_no_directory,
    two_supervisors_never_run_for_one_stack,
    a_killed_supervisor_leaves_its_containers_alone,
    what_waited_for_its_start_dies_with_its_supervisor,
    no_line_is_lost_between_two_supervisors,
    the_end_of_an_adopted_container_is_known_before_anyone_reaps_it,
    the_end_of_an_adopted_container_is_known_after_it_was_reaped,
    an_adopted_container_is_checked_and_stopped_as_before,
    an_adopted_stack_is_stopped_in_order,
    what_is_damaged_does_not_keep_the_rest_from_being_adopted,
);

fn a_detached_supervisor_lets_go_of_its_command() {
    let server = Plan::new("server", SERVER);
    let stack = Stack::new(&[&server]);
    let (reader, writer) = pipe();
    // A command whose output, and one more descriptor, someone reads to the end.
    let in_command = || {
        stack.start(&[&server]);
        rustix::io::write(std::io::stdout(), b"started\n").unwrap();
        // Without what belongs to the process that forked us.
        coop_ns::exit_child(0);
    };
    let command = fork(move || {
        rustix::stdio::dup2_stdout(&writer).unwrap();
        rustix::stdio::dup2_stderr(&writer).unwrap();
        let _inherited = rustix::io::dup(&writer).unwrap();
        drop(writer);
        in_command();
    });
    assert_eq!(read_all(reader), "started\n");
    pidfd::wait(command.pidfd.as_fd()).unwrap();
    assert_eq!(status(&stack, &server).0, Status::Running);
    assert!(stack.supervisor().is_some());
}

fn a_supervisor_needs_no_terminal_and_no_directory() {
    let server = Plan::new("server", SERVER);
    let stack = Stack::new(&[&server]);
    stack.start(&[&server]);
    let supervisor = stack.supervisor().unwrap();
    let proc = format!("/proc/{}", supervisor.as_raw_nonzero());
    assert_eq!(
        rustix::process::getsid(Some(supervisor)).unwrap(),
        supervisor
    );
    let link = |name: &str| std::fs::read_link(format!("{proc}/{name}")).unwrap();
    assert_eq!(link("cwd").to_str(), Some("/"));
    for number in 0..=1 {
        assert_eq!(link(&format!("fd/{number}")).to_str(), Some("/dev/null"));
    }
    let log = stack.store.dirs().stack_run(&stack.name);
    assert_eq!(link("fd/2"), log.join("supervisor.log"));
}

fn two_supervisors_never_run_for_one_stack() {
    let server = Plan::new("server", SERVER);
    let stack = Stack::new(&[&server]);
    stack.start(&[&server]);
    assert!(stack.store.stack_lock(&stack.name).unwrap().is_none());
    stack.kill_supervisor();
    assert_eq!(stack.supervisor(), None);
    stack.adopt(&[&server]);
    assert!(stack.store.stack_lock(&stack.name).unwrap().is_none());
}

fn a_killed_supervisor_leaves_its_containers_alone() {
    let server = Plan::new("server", SERVER);
    let stack = Stack::new(&[&server]);
    stack.start(&[&server]);
    stack.kill_supervisor();
    assert!(stack.state(&server).init_alive());
    assert!(stack.store.dirs().container_run(&server.id()).exists());
}

fn what_waited_for_its_start_dies_with_its_supervisor() {
    let db = Plan::new("db", SERVER).checked("false");
    let db = db.with(|plan| plan.unit.health.as_mut().unwrap().retries = u32::MAX);
    let one = Plan::new("one", SERVER).after(&db, Condition::ServiceHealthy);
    let two = Plan::new("two", SERVER).after(&db, Condition::ServiceHealthy);
    let stack = Stack::new(&[&db, &one, &two]);
    let client = stack.up(&[&db, &one, &two]);
    until(|| stack.state(&db).started);
    let waiting = [&one, &two].map(|plan| stack.state(plan).live_init().unwrap());
    stack.kill_supervisor();
    drop(client);
    for pid in waiting {
        support::wait_for_end(pid);
    }
    // Its lock is free as soon as they are gone, who had a copy of it.
    let _lock = until(|| stack.store.stack_lock(&stack.name).unwrap());
    assert!(stack.state(&db).init_alive());
    assert_eq!(stack.state(&one).started, None);
}

fn no_line_is_lost_between_two_supervisors() {
    let count = |from: u32, to: u32| {
        format!("i={from}; while [ $i -le {to} ]; do echo line $i; i=$((i+1)); done")
    };
    // The last line is cut in two by the kill, and the last lines come with the exit.
    let script = format!(
        "{}; printf 'line '; touch cut; {}; echo 301; {}; touch alone; {}; {}; exit 7",
        count(1, 300),
        wait_for("killed"),
        count(302, 600),
        wait_for("adopted"),
        count(601, 2000),
    );
    let job = Plan::new("job", &script);
    let stack = Stack::new(&[&job]);
    stack.start(&[&job]);
    stack.until_made("cut");
    stack.until_logged(&job, "line 300\n");
    // What it has read of the last line is in its hands only, and beside the log.
    stack.assert_idle();
    stack.kill_supervisor();
    stack.touch("killed");
    stack.until_made("alone");
    stack.adopt(&[&job]);
    stack.touch("adopted");
    stack.wait_for_supervisor();
    let expected: Vec<_> = (1..=2000)
        .map(|number: u32| format!("line {number}\n"))
        .collect();
    assert_eq!(stack.log(&job, Stream::Stdout), expected.concat());
    assert_eq!(status(&stack, &job), (Status::Stopped, Some(7)));
    stack.assert_undone(&job);
}

/// Runs the body in a process to which orphans are given: it decides when they are reaped.
fn as_parent_of_orphans(body: impl FnOnce()) {
    in_fork(|| {
        let me = rustix::process::getpid();
        rustix::process::set_child_subreaper(Some(me)).unwrap();
        body();
    });
}

fn adopted(plan: &Plan) -> (Stack, Pid) {
    let stack = Stack::new(&[plan]);
    stack.start(&[plan]);
    let init = stack.state(plan).live_init().unwrap();
    stack.kill_supervisor();
    stack.adopt(&[plan]);
    (stack, init)
}

fn job(name: &str) -> Plan {
    Plan::new(name, &format!("{}; exit 33", wait_for("go")))
}

fn the_end_of_an_adopted_container_is_known_before_anyone_reaps_it() {
    as_parent_of_orphans(|| {
        let job = job("job");
        let (stack, init) = adopted(&job);
        stack.touch("go");
        stack.wait_for_supervisor();
        assert_eq!(status(&stack, &job), (Status::Stopped, Some(33)));
        waitpid(Some(init), WaitOptions::empty()).unwrap();

        let killed = Plan::new("killed", SERVER);
        let (stack, init) = adopted(&killed);
        kill_process(init, Signal::KILL).unwrap();
        stack.wait_for_supervisor();
        assert_eq!(status(&stack, &killed), (Status::Stopped, Some(137)));
        waitpid(Some(init), WaitOptions::empty()).unwrap();
    });
}

fn the_end_of_an_adopted_container_is_known_after_it_was_reaped() {
    as_parent_of_orphans(|| {
        let job = job("job");
        let (stack, init) = adopted(&job);
        // It does not look before the status has gone from /proc.
        let supervisor = stack.supervisor().unwrap();
        kill_process(supervisor, Signal::STOP).unwrap();
        stack.touch("go");
        let pidfd = pidfd::open(init).unwrap();
        waitpid(Some(init), WaitOptions::empty()).unwrap();
        let kernel_keeps_it = pidfd::exit_info(pidfd.as_fd()).is_ok();
        kill_process(supervisor, Signal::CONT).unwrap();
        stack.wait_for_supervisor();
        if !kernel_keeps_it {
            println!("  this kernel (before 6.15) keeps no status of a reaped process");
        }
        let code = kernel_keeps_it.then_some(33);
        assert_eq!(status(&stack, &job), (Status::Stopped, code));
        stack.assert_undone(&job);
    });
}

fn an_adopted_container_is_checked_and_stopped_as_before() {
    let server = Plan::new("server", SERVER).checked("! [ -e broken ]");
    let stack = Stack::new(&[&server]);
    stack.start(&[&server]);
    stack.until_logged(&server, "up");
    let health = |health| until(|| (stack.state(&server).health == Some(health)).then_some(()));
    health(Health::Healthy);
    stack.kill_supervisor();
    stack.adopt(&[&server]);
    stack.touch("broken");
    health(Health::Unhealthy);
    stack.stop(&[&server], None);
    assert_eq!(status(&stack, &server), (Status::Stopped, Some(0)));
    stack.wait_for_supervisor();
    stack.assert_undone(&server);
}

fn what_is_damaged_does_not_keep_the_rest_from_being_adopted() {
    let (lost, mute, fine) = (job("lost"), job("mute"), job("fine"));
    let plans = [&lost, &mute, &fine];
    let stack = Stack::new(&plans);
    stack.start(&plans);
    stack.kill_supervisor();
    let config = stack.store.dirs().container(&lost.id()).join("config.json");
    std::fs::write(config, "{").unwrap();
    let pipe = stack.store.dirs().container_run(&mute.id()).join("stdout");
    std::fs::remove_file(pipe).unwrap();
    stack.adopt(&plans);
    stack.touch("go");
    stack.wait_for_supervisor();
    assert_eq!(status(&stack, &mute), (Status::Stopped, Some(33)));
    assert_eq!(status(&stack, &fine), (Status::Stopped, Some(33)));
    assert_eq!(status(&stack, &lost).0, Status::Running);
}

fn an_adopted_stack_is_stopped_in_order() {
    let slow = |name: &str| {
        let script = format!(
            "trap 'sleep 0.05; echo {name} >> order; exit 0' TERM; echo up; sleep 1000 & wait"
        );
        Plan::new(name, &script)
    };
    let db = slow("db");
    let web = slow("web").after(&db, Condition::ServiceStarted);
    let stack = Stack::new(&[&db, &web]);
    stack.start(&[&db, &web]);
    stack.until_logged(&db, "up");
    stack.until_logged(&web, "up");
    stack.kill_supervisor();
    stack.adopt(&[&db, &web]);
    stack.stop(&[&db, &web], None);
    assert_eq!(stack.lines("order"), ["web", "db"]);
}
