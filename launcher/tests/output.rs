//! What containers write is logged, all of it, and costs nothing when there is none.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[macro_use]
mod support;

use std::fs::File;

use coop_launcher::logs::Stream;
use coop_launcher::store::Status;
use rustix::process::{Signal, kill_process};
use support::stack::{Plan, SERVER, Stack, status, wait_for};
use support::until;

tests!(
    what_is_written_right_before_the_exit_is_logged,
    a_megabyte_before_the_exit_is_logged,
    what_a_large_pipe_holds_at_the_exit_is_logged,
    streams_are_kept_apart_and_lines_whole,
    a_container_without_output_costs_nothing,
    a_container_that_closed_its_output_costs_nothing,
    a_terminal_that_was_hung_up_costs_nothing,
    a_terminals_last_words_are_logged,
);

fn ended(plan: &Plan) -> Stack {
    let stack = Stack::new(&[plan]);
    stack.start(&[plan]);
    stack.wait_for_supervisor();
    stack
}

fn what_is_written_right_before_the_exit_is_logged() {
    for run in 0..20 {
        let job = Plan::new("job", "echo out; echo err >&2; printf last; exit 3");
        let stack = ended(&job);
        assert_eq!(stack.log(&job, Stream::Stdout), "out\nlast", "run {run}");
        assert_eq!(stack.log(&job, Stream::Stderr), "err\n", "run {run}");
    }
}

fn a_megabyte_before_the_exit_is_logged() {
    let job = Plan::new("job", "seq 1 160000; echo end");
    let stack = ended(&job);
    let numbers = (1..=160_000).map(|number: u32| number.to_string());
    let lines: Vec<_> = numbers.chain(["end\n".into()]).collect();
    let expected = lines.join("\n");
    assert!(expected.len() > 1_000_000);
    assert!(
        stack.log(&job, Stream::Stdout) == expected,
        "lines are missing or mixed up"
    );
}

fn what_a_large_pipe_holds_at_the_exit_is_logged() {
    let script = format!("{}; seq 1 140000; exit 3", wait_for("go"));
    let job = Plan::new("job", &script);
    let stack = Stack::new(&[&job]);
    stack.start(&[&job]);
    // A program may have its pipe made as large as this without privileges.
    let init = stack.state(&job).live_init().unwrap();
    let stdout = File::open(format!("/proc/{}/fd/1", init.as_raw_nonzero())).unwrap();
    rustix::pipe::fcntl_setpipe_size(&stdout, 1024 * 1024).unwrap();
    drop(stdout);
    // The end and all of the output are there when the supervisor looks.
    let supervisor = stack.supervisor().unwrap();
    kill_process(supervisor, Signal::STOP).unwrap();
    stack.touch("go");
    support::wait_for_end(init);
    kill_process(supervisor, Signal::CONT).unwrap();
    stack.wait_for_supervisor();
    let log = stack.log(&job, Stream::Stdout);
    assert!(log.len() > 800_000, "{} bytes", log.len());
    assert!(log.ends_with("\n139999\n140000\n"));
    assert_eq!(status(&stack, &job), (Status::Stopped, Some(3)));
}

fn streams_are_kept_apart_and_lines_whole() {
    let job = Plan::new(
        "job",
        "for part in a b c; do printf $part; sleep 0.01; printf $part >&2; done; echo; echo >&2",
    );
    let stack = ended(&job);
    let lines: Vec<_> = { stack.records(&job).into_iter() }
        .map(|record| (record.stream, record.log))
        .collect();
    assert!(
        lines.contains(&(Stream::Stdout, "abc\n".into())),
        "{lines:?}"
    );
    assert!(
        lines.contains(&(Stream::Stderr, "abc\n".into())),
        "{lines:?}"
    );
    assert_eq!(lines.len(), 2);
}

fn a_container_without_output_costs_nothing() {
    let web = Plan::new("web", "exec sleep 1000");
    let stack = Stack::new(&[&web]);
    stack.start(&[&web]);
    stack.assert_idle();
}

fn a_container_that_closed_its_output_costs_nothing() {
    let web = Plan::new("web", "echo up; exec sleep 1000 >&- 2>&-");
    let other = Plan::new("other", SERVER);
    let stack = Stack::new(&[&web, &other]);
    stack.start(&[&web, &other]);
    stack.until_logged(&web, "up");
    stack.assert_idle();
    assert_eq!(status(&stack, &web).0, Status::Running);
}

fn a_terminal_that_was_hung_up_costs_nothing() {
    let web = Plan::new("web", "echo up; exec sleep 1000 <&- >&- 2>&-");
    let web = web.with(|plan| plan.unit.terminal = true);
    let stack = Stack::new(&[&web]);
    stack.start(&[&web]);
    stack.until_logged(&web, "up");
    until(|| {
        let fds = std::fs::read_dir(format!("/proc/{}/fd", stack.state(&web).pid?)).ok()?;
        (fds.count() == 0).then_some(())
    });
    stack.assert_idle();
    assert_eq!(status(&stack, &web).0, Status::Running);
}

fn a_terminals_last_words_are_logged() {
    for run in 0..20 {
        let job = Plan::new("job", "[ -t 1 ] && echo terminal; printf last");
        let job = job.with(|plan| plan.unit.terminal = true);
        let stack = ended(&job);
        assert_eq!(
            stack.log(&job, Stream::Stdout),
            "terminal\r\nlast",
            "run {run}"
        );
    }
}
