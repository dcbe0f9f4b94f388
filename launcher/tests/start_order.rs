//! Who is started when, and what becomes of those whose turn never comes.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[macro_use]
mod support;

use coop_launcher::store::Status;
use coop_launcher::supervisor::{Condition, Report, Request};
use support::stack::{Plan, SERVER, Stack, all_in_words, status};

tests!(
    a_command_that_starts_a_stack_is_answered_while_the_stack_runs,
    a_container_starts_after_those_it_depends_on,
    one_that_failed_to_complete_ends_those_that_wait_for_it,
    one_that_ends_before_it_is_healthy_ends_those_that_wait_for_it,
    one_that_turns_unhealthy_ends_those_that_wait_for_it,
    one_that_is_not_required_is_done_without,
    a_second_start_waits_for_dependencies_again,
    when_one_cannot_be_set_up_none_of_the_batch_is_left,
    a_command_that_is_not_found_ends_only_its_own_container,
    exit_status_and_signals_are_recorded,
    a_container_can_be_started_again,
    a_container_that_does_not_exist_harms_no_other,
    a_supervisor_gathers_no_descriptors,
);

fn a_command_that_starts_a_stack_is_answered_while_the_stack_runs() {
    let server = Plan::new("server", SERVER);
    let stack = Stack::new(&[&server]);
    let words = all_in_words(&stack.start(&[&server]));
    assert_eq!(words, ["server created", "server started"]);
    let state = stack.state(&server);
    assert_eq!(state.status, Status::Running);
    assert!(state.init_alive() && state.started.is_some());
    assert_eq!(
        stack
            .supervisor()
            .map(|pid| pid == rustix::process::getpid()),
        Some(false)
    );
    stack.stop(&[&server], None);
    stack.wait_for_supervisor();
    stack.assert_undone(&server);
    // Lock and socket go with the last container.
    stack.assert_gone();
}

fn a_container_starts_after_those_it_depends_on() {
    let job = Plan::new("job", "sleep 0.05; echo job >> order");
    let db = Plan::new("db", &format!("echo db >> order; touch db-up; {SERVER}"))
        .checked("[ -e db-up ] && echo db-checked >> order")
        .after(&job, Condition::ServiceCompletedSuccessfully);
    let web = Plan::new("web", &format!("echo web >> order; {SERVER}"))
        .after(&db, Condition::ServiceHealthy);
    let probe = Plan::new("probe", "echo probe >> order").after(&web, Condition::ServiceStarted);
    // Also when they are asked for in another order.
    let plans = [&probe, &web, &db, &job];
    let stack = Stack::new(&plans);
    let words = all_in_words(&stack.start(&plans));
    let started: Vec<_> = words
        .iter()
        .filter(|line| !line.ends_with("created"))
        .collect();
    assert_eq!(
        started,
        [
            "job started",
            "job exited",
            "db started",
            "db healthy",
            "web started",
            "probe started"
        ]
    );
    // All are created before the first is started, after one commit for all of them.
    assert!(
        words[..4].iter().all(|line| line.ends_with("created")),
        "{words:?}"
    );
    assert_eq!(
        stack
            .lines("events")
            .iter()
            .filter(|line| *line == "commit")
            .count(),
        1
    );
    stack.stop(&plans, None);
    stack.wait_for_supervisor();
    let order = stack.lines("order");
    let first = |what: &str| order.iter().position(|line| line == what).unwrap();
    assert!(
        first("job") < first("db") && first("db") < first("db-checked"),
        "{order:?}"
    );
    assert!(first("db-checked") < first("web"), "{order:?}");
}

/// The failure of `waiting` among the reports.
fn failure_of(reports: &[Report], waiting: &Plan) -> (String, i32) {
    let found = reports.iter().find_map(|report| match report {
        Report::Failed {
            id,
            error,
            exit_code,
            ..
        } if *id == waiting.id() => Some((error.clone(), *exit_code)),
        _ => None,
    });
    found.unwrap_or_else(|| panic!("{reports:?}"))
}

fn one_that_failed_to_complete_ends_those_that_wait_for_it() {
    let job = Plan::new("job", "exit 3");
    let web = Plan::new("web", SERVER).after(&job, Condition::ServiceCompletedSuccessfully);
    let probe = Plan::new("probe", SERVER).after(&web, Condition::ServiceStarted);
    let stack = Stack::new(&[&job, &web, &probe]);
    let reports = stack.start(&[&job, &web, &probe]);
    let (error, code) = failure_of(&reports, &web);
    assert_eq!(
        error,
        "dependency job did not complete successfully: it exited with status 3"
    );
    assert_eq!(code, 1);
    let (error, _) = failure_of(&reports, &probe);
    assert!(
        error.starts_with("dependency web failed to start: "),
        "{error}"
    );
    stack.wait_for_supervisor();
    assert_eq!(status(&stack, &job), (Status::Stopped, Some(3)));
    assert_eq!(status(&stack, &web), (Status::Stopped, Some(1)));
    assert_eq!(stack.state(&web).started, None);
    for plan in [&job, &web, &probe] {
        stack.assert_undone(plan);
    }
}

fn one_that_ends_before_it_is_healthy_ends_those_that_wait_for_it() {
    let db = Plan::new("db", "sleep 0.05; exit 4").checked("false");
    let db = db.with(|plan| plan.unit.health.as_mut().unwrap().retries = u32::MAX);
    let web = Plan::new("web", SERVER).after(&db, Condition::ServiceHealthy);
    let stack = Stack::new(&[&db, &web]);
    let reports = stack.start(&[&db, &web]);
    assert_eq!(
        failure_of(&reports, &web).0,
        "dependency db exited with status 4"
    );
    stack.wait_for_supervisor();
}

fn one_that_turns_unhealthy_ends_those_that_wait_for_it() {
    let db = Plan::new("db", SERVER).checked("exit 1");
    let web = Plan::new("web", SERVER).after(&db, Condition::ServiceHealthy);
    let stack = Stack::new(&[&db, &web]);
    let reports = stack.start(&[&db, &web]);
    assert_eq!(failure_of(&reports, &web).0, "dependency db is unhealthy");
    assert!(all_in_words(&reports).contains(&"db unhealthy".to_owned()));
    // The unhealthy one itself goes on.
    assert_eq!(status(&stack, &db).0, Status::Running);
}

fn one_that_is_not_required_is_done_without() {
    let job = Plan::new("job", "exit 3");
    let sick = Plan::new("sick", SERVER).checked("exit 1");
    let web = Plan::new("web", SERVER)
        .after(&job, Condition::ServiceCompletedSuccessfully)
        .after(&sick, Condition::ServiceHealthy)
        .with(|plan| {
            for dependency in &mut plan.unit.depends_on {
                dependency.required = false;
            }
        });
    let stack = Stack::new(&[&job, &sick, &web]);
    let reports = stack.start(&[&job, &sick, &web]);
    assert_eq!(status(&stack, &web).0, Status::Running);
    // Not before it was clear that waiting is in vain.
    let words = all_in_words(&reports);
    let position = |what: &str| words.iter().position(|word| word == what).unwrap();
    assert!(
        position("sick unhealthy") < position("web started"),
        "{words:?}"
    );
}

fn a_second_start_waits_for_dependencies_again() {
    let db = Plan::new("db", &format!("echo db >> order; {SERVER}"));
    let web = Plan::new("web", "echo web >> order").after(&db, Condition::ServiceStarted);
    // Web is looked at first: what db was in its first run must not count for the second.
    let plans = [&web, &db];
    let stack = Stack::new(&plans);
    for _ in 0..2 {
        let words = all_in_words(&stack.start(&plans));
        let at = |what| words.iter().position(|line| line == what).unwrap();
        assert!(at("db started") < at("web started"), "{words:?}");
        stack.until_logged(&db, "up");
        stack.stop(&plans, None);
        stack.wait_for_supervisor();
    }
}

fn when_one_cannot_be_set_up_none_of_the_batch_is_left() {
    let db = Plan::new("db", SERVER);
    let web = Plan::new("web", SERVER).with(|plan| plan.fault = Some("no such image".into()));
    let probe = Plan::new("probe", SERVER);
    let plans = [&db, &web, &probe];
    let stack = Stack::new(&plans);
    let reports = stack.start(&plans);
    assert_eq!(failure_of(&reports, &web), ("no such image".into(), 125));
    assert!(
        !all_in_words(&reports)
            .iter()
            .any(|line| line.ends_with("started"))
    );
    stack.wait_for_supervisor();
    for plan in plans {
        assert_eq!(status(&stack, plan), (Status::Stopped, Some(125)));
        stack.assert_undone(plan);
    }
    let error = stack.state(&db).error.unwrap();
    assert_eq!(error, "another container of the stack could not be created");
}

fn a_command_that_is_not_found_ends_only_its_own_container() {
    // Found by the shell that the test runs everything with: so by its status.
    let db = Plan::new("db", SERVER);
    let web = Plan::new("web", "exec no-such-command");
    let stack = Stack::new(&[&db, &web]);
    stack.start(&[&db, &web]);
    support::until(|| (status(&stack, &web) == (Status::Stopped, Some(127))).then_some(()));
    assert_eq!(status(&stack, &db).0, Status::Running);
}

fn exit_status_and_signals_are_recorded() {
    let plain = |name, script| Plan::new(name, script).with(|plan| plan.own_pids = false);
    let fine = Plan::new("fine", "exit 0");
    let failing = Plan::new("failing", "exit 42");
    let terminated = plain("terminated", "kill -TERM $$");
    let killed = plain("killed", "kill -KILL $$");
    let plans = [&fine, &failing, &terminated, &killed];
    let stack = Stack::new(&plans);
    stack.start(&plans);
    stack.wait_for_supervisor();
    for (plan, code) in plans.into_iter().zip([0, 42, 143, 137]) {
        let state = stack.state(plan);
        assert_eq!(
            (state.status, state.exit_code),
            (Status::Stopped, Some(code))
        );
        assert!(state.pid.is_none() && state.finished >= state.started);
        stack.assert_undone(plan);
    }
}

fn a_container_can_be_started_again() {
    let db = Plan::new("db", SERVER);
    let job = Plan::new("job", "echo run; exit 5");
    let stack = Stack::new(&[&db, &job]);
    stack.start(&[&db, &job]);
    for _ in 0..2 {
        support::until(|| (status(&stack, &job) == (Status::Stopped, Some(5))).then_some(()));
        let ids = vec![job.id()];
        let words = all_in_words(&stack.ask(&Request::Start { ids }));
        assert_eq!(&words[..2], ["job created", "job started"]);
    }
    stack.stop(&[&db], None);
    stack.wait_for_supervisor();
    assert_eq!(
        stack.log(&job, coop_launcher::logs::Stream::Stdout),
        "run\n".repeat(3)
    );
    stack.assert_undone(&job);
}

fn a_container_that_does_not_exist_harms_no_other() {
    let db = Plan::new("db", SERVER);
    let gone = Plan::new("gone", SERVER);
    let stack = Stack::new(&[&db]);
    stack.start(&[&db]);
    let reports = stack.ask(&Request::Start {
        ids: vec![gone.id()],
    });
    let (error, code) = failure_of(&reports, &gone);
    assert!(error.contains("does not exist"), "{error}");
    assert_eq!(code, 125);
    assert_eq!(status(&stack, &db).0, Status::Running);
    stack.stop(&[&db], None);
    stack.wait_for_supervisor();
}

fn a_supervisor_gathers_no_descriptors() {
    let db = Plan::new("db", SERVER);
    let web = Plan::new("web", "exec sleep 1000").checked("true");
    let stack = Stack::new(&[&db, &web]);
    stack.start(&[&db]);
    let supervisor = stack.supervisor().unwrap().as_raw_nonzero();
    let open = || {
        std::fs::read_dir(format!("/proc/{supervisor}/fd"))
            .unwrap()
            .count()
    };
    let once_more = || {
        stack.ask(&Request::Start {
            ids: vec![web.id()],
        });
        support::until(|| stack.state(&web).health);
        stack.stop(&[&web], Some(std::time::Duration::ZERO));
        // It has forgotten who asked as well.
        stack.assert_idle();
    };
    once_more();
    let before = open();
    for _ in 0..5 {
        once_more();
    }
    assert_eq!(open(), before);
}
