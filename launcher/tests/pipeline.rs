//! The pipeline around real processes: the order of stages, failures on both sides, deaths.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[macro_use]
mod support;

use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;

use coop_launcher::{Error, Failure, HostSide, Journal, Pipeline, journal};
use coop_ns::{ExitStatus, pidfd};
use rustix::io::Errno;
use support::stages::{MountError, Step, Trace, create, output_to, program, shell};
use support::{BUSYBOX, is_alive, pipe, read_all, until};

tests!(
    stages_go_on_by_turns_and_the_program_comes_last,
    a_batched_stage_waits_for_the_whole_batch,
    a_failure_on_the_host_names_stage_text_and_errno,
    a_failure_in_the_child_crosses_with_stage_text_and_errno,
    a_failure_is_told_when_the_child_was_told_to_go_on_since,
    a_long_failure_is_cut_and_still_told,
    what_the_child_says_is_worth_more_than_what_follows_from_it,
    a_command_that_is_not_found_is_127_and_one_that_is_no_program_126,
    only_the_standard_streams_reach_the_program,
    the_program_leads_a_session_of_its_own,
    the_program_starts_with_no_signal_blocked_or_ignored,
    descriptors_arrive_with_the_stage_that_they_were_passed_for,
    records_are_in_the_journal_before_the_step,
    a_stage_may_add_what_only_the_container_knows,
);

fn run(pipeline: Pipeline) -> Result<ExitStatus, Error> {
    let pidfd = create(pipeline)?.start()?;
    Ok(pidfd::wait(pidfd.as_fd()).unwrap())
}

/// What a program prints.
fn output(pipeline: Pipeline) -> String {
    let (reader, writer) = pipe();
    let status = run(pipeline.stage(output_to(writer))).unwrap();
    assert_eq!(status, ExitStatus::Exited(0));
    read_all(reader)
}

fn failure(result: Result<impl Sized, Error>) -> Failure {
    match result {
        Err(Error::Stage(failure)) => failure,
        Err(error) => panic!("{error:?}"),
        Ok(_) => panic!("it worked"),
    }
}

fn stages_go_on_by_turns_and_the_program_comes_last() {
    let (reader, writer) = pipe();
    let trace = Trace::new(writer.try_clone().unwrap());
    let pipeline = shell("echo program")
        .stage(Step::noting("one", HostSide::Each, &trace))
        .stage(Step::noting("two", HostSide::None, &trace))
        .stage(Step::noting("three", HostSide::Each, &trace))
        .stage(output_to(writer));
    drop(trace);
    assert_eq!(run(pipeline).unwrap(), ExitStatus::Exited(0));
    let trace = read_all(reader);
    let at = |line: &str| trace.lines().position(|other| other == line);
    let order = |before: &str, after: &str| {
        assert!(at(before) < at(after), "{before} before {after}:\n{trace}");
    };
    // Two has no host side after the clone; the sides run side by side otherwise.
    assert_eq!(trace.lines().count(), 9, "{trace}");
    assert_eq!(at("two attach"), None, "{trace}");
    order("one prepare", "two prepare");
    order("two prepare", "three prepare");
    order("three prepare", "one attach");
    order("one attach", "one enter");
    order("one attach", "three attach");
    order("one enter", "two enter");
    order("two enter", "three enter");
    order("three attach", "three enter");
    order("three enter", "program");
}

fn a_batched_stage_waits_for_the_whole_batch() {
    let (reader, writer) = pipe();
    let trace = Trace::new(writer);
    let make = |name, side| Step::noting(name, side, &trace);
    let mut batch: Vec<_> = (0..2)
        .map(|_| {
            shell("exit 7")
                .stage(make("early", HostSide::Each))
                .stage(make("links", HostSide::Batched))
                .stage(make("late", HostSide::Each))
                .clone_child(None)
                .unwrap()
        })
        .collect();
    for cloned in &mut batch {
        cloned.attach().unwrap();
    }
    trace.note("commit");
    for cloned in batch {
        let pidfd = cloned.finish().unwrap().start().unwrap();
        let status = pidfd::wait(pidfd.as_fd()).unwrap();
        assert_eq!(status, ExitStatus::Exited(7));
    }
    drop(trace);
    let trace = read_all(reader);
    let commit = trace.lines().position(|line| line == "commit").unwrap();
    for (index, line) in trace.lines().enumerate() {
        let after = ["links enter", "late attach", "late enter"].contains(&line);
        let before = line.ends_with("prepare") || line.ends_with("s attach");
        assert!(!after || index > commit, "{line}:\n{trace}");
        assert!(!before || index < commit, "{line}:\n{trace}");
    }
    assert_eq!(trace.matches("links enter").count(), 2, "{trace}");
}

fn mount_error() -> MountError {
    MountError {
        path: "/proc",
        source: Errno::PERM,
    }
}

fn assert_mount_failure(failure: &Failure) {
    assert_eq!(failure.stage, "rootfs");
    let text = format!("mount /proc: {}", Errno::PERM);
    assert_eq!(failure.message, text);
    assert!(failure.is(Errno::PERM));
}

fn a_failure_on_the_host_names_stage_text_and_errno() {
    let prepare = Step::new("rootfs").prepare(|_| Err(mount_error().into()));
    assert_mount_failure(&failure(create(shell(":").stage(prepare))));

    let attach = Step::new("rootfs")
        .on_host(HostSide::Each)
        .attach(|_| Err(mount_error().into()));
    let error = create(shell(":").stage(attach)).unwrap_err();
    assert_eq!(error.exit_code(), 125);
    assert_mount_failure(&failure(Err::<(), _>(error)));
}

fn a_failure_in_the_child_crosses_with_stage_text_and_errno() {
    let enter = Step::new("rootfs").enter(|_| Err(mount_error().into()));
    let error = create(shell(":").stage(enter)).unwrap_err();
    assert_eq!(error.exit_code(), 125);
    assert_mount_failure(&failure(Err::<(), _>(error)));
}

fn a_failure_is_told_when_the_child_was_told_to_go_on_since() {
    // The host is ahead of the child by two go-aheads that are never read: to the kernel that
    // is a connection reset, which must not hide what the child said before.
    let (ready, go) = pipe();
    let enter = Step::new("rootfs").on_host(HostSide::Each).enter(move |_| {
        rustix::io::read(&ready, &mut [0; 1])?;
        Err(mount_error().into())
    });
    let mut cloned = shell(":")
        .stage(enter)
        .stage(Step::new("one").on_host(HostSide::Each))
        .stage(Step::new("two").on_host(HostSide::Each))
        .clone_child(None)
        .unwrap();
    cloned.attach().unwrap();
    rustix::io::write(&go, b"!").unwrap();
    until(|| (!is_alive(cloned.pid())).then_some(()));
    assert_mount_failure(&failure(cloned.finish()));
}

fn a_long_failure_is_cut_and_still_told() {
    // Six bytes each in JSON, and characters of two bytes, which must not be cut in two.
    for text in ["\u{1}".repeat(100_000), "ä".repeat(100_000)] {
        let message = text.clone();
        let enter = Step::new("rootfs").enter(move |_| Err(message.clone().into()));
        let failure = failure(create(shell(":").stage(enter)));
        assert_eq!(failure.stage, "rootfs");
        assert!(failure.message.len() > 1000, "{}", failure.message);
        assert!(text.starts_with(&failure.message));
    }
}

fn what_the_child_says_is_worth_more_than_what_follows_from_it() {
    // The host's step fails because the child is gone, for a reason that it told.
    let pipeline = shell(":")
        .stage(Step::new("rootfs").enter(|_| Err(mount_error().into())))
        .stage(Step::new("maps").on_host(HostSide::Each).attach(|child| {
            until(|| (!is_alive(child.pid())).then_some(()));
            Err(Errno::SRCH.into())
        }));
    assert_mount_failure(&failure(create(pipeline)));

    // A failure of the host's own is told as it is while the child lives.
    let pipeline = shell(":").stage(
        Step::new("maps")
            .on_host(HostSide::Each)
            .attach(|_| Err(Errno::SRCH.into())),
    );
    let failure = failure(create(pipeline));
    assert_eq!(failure.stage, "maps");
    assert!(failure.is(Errno::SRCH));
}

fn a_command_that_is_not_found_is_127_and_one_that_is_no_program_126() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    std::fs::write(&file, "not executable").unwrap();
    let (file, directory) = (file.to_str().unwrap(), dir.path().to_str().unwrap());
    let start = |command: &str| create(program(&[command])).unwrap().start().unwrap_err();
    for (command, code) in [
        ("no-such-command", 127),
        ("/no/such/command", 127),
        ("/etc/passwd/command", 127),
        (file, 126),
        (directory, 126),
    ] {
        let error = start(command);
        assert_eq!(error.exit_code(), code, "{error}");
        assert!(error.to_string().contains(command), "{error}");
    }
    assert!(start("no-such-command").to_string().contains("not found"));
}

fn only_the_standard_streams_reach_the_program() {
    // One that a careless caller let through: not close-on-exec.
    let leak = rustix::io::dup(std::io::stderr()).unwrap();
    assert!(
        !rustix::io::fcntl_getfd(&leak)
            .unwrap()
            .contains(rustix::io::FdFlags::CLOEXEC)
    );
    let (passed, _other) = pipe();
    let mut passed = Some(passed);
    let stage = Step::new("passes")
        .on_host(HostSide::Each)
        .attach(move |child| {
            if let Some(fd) = passed.take() {
                child.pass(fd);
            }
            Ok(())
        })
        .enter(|child| {
            // Kept open up to the exec.
            std::mem::forget(child.passed());
            Ok(())
        });
    let pipeline = program(&[BUSYBOX, "ls", "/proc/self/fd"]).stage(stage);
    // 3 is the directory that `ls` reads.
    assert_eq!(output(pipeline), "0\n1\n2\n3\n");
}

fn the_program_leads_a_session_of_its_own() {
    let text = output(shell(
        "read -r pid _ _ _ group session rest < /proc/self/stat; echo $pid $group $session",
    ));
    let mut ids = text.split_whitespace();
    let pid = ids.next().unwrap();
    assert!(ids.all(|id| id == pid), "{text}");
}

fn the_program_starts_with_no_signal_blocked_or_ignored() {
    support::in_fork(|| {
        let _blocked = coop_launcher::signals::SignalFd::new(&coop_launcher::signals::FORWARDABLE);
        let text = output(program(&[
            BUSYBOX,
            "grep",
            "-E",
            "^Sig(Blk|Ign)",
            "/proc/self/status",
        ]));
        assert_eq!(
            text,
            "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n"
        );
    });
}

fn descriptors_arrive_with_the_stage_that_they_were_passed_for() {
    let (reader, writer) = pipe();
    let writer = Rc::new(writer);
    let stage = |name: &'static str, side| {
        let writer = Rc::clone(&writer);
        Step::new(name)
            .on_host(side)
            .attach(move |child| {
                child.pass(writer.try_clone()?);
                Ok(())
            })
            .enter(move |child| {
                let fd: OwnedFd = child.passed().ok_or("nothing was passed")?;
                rustix::io::write(&fd, format!("{name} ").as_bytes())?;
                Ok(())
            })
    };
    let nothing =
        Step::new("nothing")
            .on_host(HostSide::Each)
            .enter(|child| match child.passed() {
                Some(_) => Err("another stage's".into()),
                None => Ok(()),
            });
    let pipeline = shell("exit 3")
        .stage(stage("each", HostSide::Each))
        .stage(stage("batched", HostSide::Batched))
        .stage(nothing);
    drop(writer);
    assert_eq!(run(pipeline).unwrap(), ExitStatus::Exited(3));
    assert_eq!(read_all(reader), "each batched ");
}

fn records_are_in_the_journal_before_the_step() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("journal");
    let mut journal = Journal::open(&path).unwrap();
    let seen = path.clone();
    let cgroup = Step::new("cgroup").prepare(move |launch| {
        launch.record(&"coop/web")?;
        // As if it were killed now: another process finds the record.
        assert!(std::fs::read_to_string(&seen)?.contains("coop/web"));
        Ok(())
    });
    let network = Step::new("network").prepare(|launch| {
        launch.record(&["veth1"])?;
        Err("no such bridge".into())
    });
    let result = shell(":")
        .stage(cgroup)
        .stage(network)
        .clone_child(Some(&mut journal));
    assert_eq!(failure(result).stage, "network");
    let mut undone = Vec::new();
    journal::unwind(&path, |stage, record| {
        undone.push(format!("{stage} {record}"));
        Ok(())
    })
    .unwrap();
    assert_eq!(undone, [r#"network ["veth1"]"#, r#"cgroup "coop/web""#]);
}

fn a_stage_may_add_what_only_the_container_knows() {
    let home = Step::new("home").enter(|child| {
        child
            .process
            .set_default_variable("HOME", "/root".as_ref())?;
        Ok(())
    });
    assert_eq!(output(shell("echo $HOME").stage(home)), "/root\n");
}
