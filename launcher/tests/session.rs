//! A user and one process that no supervisor looks after.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[macro_use]
mod support;

use std::os::fd::{AsFd, OwnedFd};

use coop_launcher::session::{Session, SessionEnd};
use coop_launcher::stdio::{Pipes, Terminal};
use coop_ns::{ExitStatus, Signal};
use rustix::process::{getpid, kill_process};
use support::stages::{create, shell};
use support::{in_fork, pipe, read_all};

tests!(
    input_output_and_status_pass_through,
    the_users_signals_are_the_processs,
    a_process_left_behind_with_the_output_does_not_hold_up_the_end,
    output_that_nobody_reads_ends_the_writer_as_in_a_shell,
    a_terminals_output_is_delivered_to_the_last_byte,
);

fn ended(end: &SessionEnd) -> ExitStatus {
    match end {
        SessionEnd::Ended(status) => *status,
        SessionEnd::Detached(_) => panic!("nobody typed the detach keys"),
    }
}

/// Runs a script in a session. `input` is what the user types; the answer is how it ended and
/// what the user sees.
fn run(script: &str, input: Option<&[u8]>) -> (ExitStatus, String) {
    let mut session = Session::new().unwrap();
    let mut stdin = None;
    if let Some(input) = input {
        let (user, keyboard) = pipe();
        rustix::io::write(&keyboard, input).unwrap();
        drop(keyboard);
        let (theirs, ours) = pipe();
        session.streams().add_input(user, ours).unwrap();
        stdin = Some(theirs);
    }
    let (screen, user) = pipe();
    let (ours, stdout) = pipe();
    session.streams().add_output(ours, &user).unwrap();
    let (ours, stderr) = pipe();
    session.streams().add_output(ours, &user).unwrap();
    drop(user);
    let pipeline = shell(script).stage(Pipes::given(stdin, stdout, stderr));
    let pidfd = create(pipeline).unwrap().start().unwrap();
    let status = ended(&session.run(&pidfd).unwrap());
    (status, read_all(screen))
}

fn input_output_and_status_pass_through() {
    in_fork(|| {
        let script = "tr a-z A-Z; echo err >&2; printf end; exit 3";
        let (status, text) = run(script, Some(b"typed\n"));
        assert_eq!(status, ExitStatus::Exited(3));
        // Two pipes: their order is not fixed.
        assert!(
            text.contains("TYPED\n") && text.contains("err\n"),
            "{text:?}"
        );
        assert!(text.contains("end"), "{text:?}");
    });
}

fn the_users_signals_are_the_processs() {
    in_fork(|| {
        let me = getpid().as_raw_nonzero();
        let script = format!("trap 'exit 42' USR1; kill -USR1 {me}; while :; do sleep 0.01; done");
        assert_eq!(run(&script, None).0, ExitStatus::Exited(42));
        let killed = run(&format!("kill -TERM {me}; sleep 1000"), None).0;
        assert_eq!(killed, ExitStatus::Signaled(Signal::TERM.number()));
    });
}

fn a_process_left_behind_with_the_output_does_not_hold_up_the_end() {
    in_fork(|| {
        let (status, text) = run("sleep 1000 & echo $!; exit 5", None);
        assert_eq!(status, ExitStatus::Exited(5));
        let left = rustix::process::Pid::from_raw(text.trim().parse().unwrap()).unwrap();
        kill_process(left, rustix::process::Signal::KILL).unwrap();
    });
}

fn output_that_nobody_reads_ends_the_writer_as_in_a_shell() {
    in_fork(|| {
        let mut session = Session::new().unwrap();
        let (screen, user) = pipe();
        drop(screen);
        let (ours, stdout) = pipe();
        session.streams().add_output(ours, user).unwrap();
        let stderr = OwnedFd::from(std::fs::File::create("/dev/null").unwrap());
        let pipeline = shell("exec yes").stage(Pipes::given(None, stdout, stderr));
        let pidfd = create(pipeline).unwrap().start().unwrap();
        let status = ended(&session.run(&pidfd).unwrap());
        assert_eq!(status, ExitStatus::Signaled(libc::SIGPIPE));
    });
}

fn a_terminals_output_is_delivered_to_the_last_byte() {
    let (screen, user) = pipe();
    let command = support::fork(|| {
        rustix::stdio::dup2_stdout(&user).unwrap();
        let mut session = Session::new().unwrap();
        let mut created = create(shell("[ -t 0 ] && seq 1 20000").stage(Terminal::new())).unwrap();
        let master = created.take_terminal().unwrap();
        session.connect_terminal(master).unwrap();
        let pidfd = created.start().unwrap();
        assert_eq!(ended(&session.run(&pidfd).unwrap()), ExitStatus::Exited(0));
        coop_ns::exit_child(0);
    });
    drop(user);
    let text = read_all(screen);
    let status = coop_ns::pidfd::wait(command.pidfd.as_fd()).unwrap();
    assert_eq!(status, ExitStatus::Exited(0));
    let expected: Vec<_> = (1..=20_000)
        .map(|number: u32| format!("{number}\r\n"))
        .collect();
    assert_eq!(text, expected.concat());
}
