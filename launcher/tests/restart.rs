//! Containers that are started again, by their policy or by request.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[macro_use]
mod support;

use std::time::Duration;

use coop_launcher::logs::Stream;
use coop_launcher::store::{Health, Status};
use coop_launcher::supervisor::{Condition, Report, Request, RestartPolicy};
use support::stack::{Plan, SERVER, STUBBORN, Stack, all_in_words, reports, status, wait_for};
use support::until;

tests!(
    each_run_is_counted_and_logged_until_one_succeeds,
    failures_are_tried_so_often_and_the_last_one_stands,
    what_is_stopped_or_killed_stays_down,
    one_that_waits_for_its_restart_is_stopped_at_once,
    one_that_never_ran_is_not_tried_again,
    one_that_cannot_be_started_again_is_tried_until_it_can,
    a_dependent_waits_for_the_run_that_succeeds,
    health_begins_anew_with_each_run,
    a_restart_stops_and_starts_in_order,
    a_restart_starts_what_does_not_run_and_counts_anew,
    a_stop_wins_over_a_restart_under_way,
    who_watches_hears_of_every_run_to_the_last,
    a_wait_outlives_the_supervisor,
);

const ALWAYS: RestartPolicy = RestartPolicy::Always;

fn on_failure(max_retries: u32) -> RestartPolicy {
    RestartPolicy::OnFailure {
        max_retries: Some(max_retries),
    }
}

fn with_policy(plan: Plan, policy: RestartPolicy) -> Plan {
    plan.with(|plan| plan.unit.restart = policy)
}

/// Adds a line to a file at each run.
fn counting(then: &str) -> String {
    format!("echo run >> runs; echo $(wc -l < runs); {then}")
}

fn each_run_is_counted_and_logged_until_one_succeeds() {
    let script = counting("[ $(wc -l < runs) = 3 ]");
    let job = with_policy(Plan::new("job", &script), on_failure(9));
    let stack = Stack::new(&[&job]);
    stack.start(&[&job]);
    stack.wait_for_supervisor();
    assert_eq!(status(&stack, &job), (Status::Stopped, Some(0)));
    assert_eq!(stack.state(&job).restarts, 2);
    assert_eq!(stack.log(&job, Stream::Stdout), "1\n2\n3\n");
    stack.assert_undone(&job);
}

fn failures_are_tried_so_often_and_the_last_one_stands() {
    let job = with_policy(Plan::new("job", &counting("exit 7")), on_failure(2));
    let stack = Stack::new(&[&job]);
    stack.start(&[&job]);
    stack.wait_for_supervisor();
    assert_eq!(status(&stack, &job), (Status::Stopped, Some(7)));
    assert_eq!(stack.lines("runs").len(), 3);
    stack.assert_undone(&job);
}

fn what_is_stopped_or_killed_stays_down() {
    let [one, two, three] =
        ["one", "two", "three"].map(|name| with_policy(Plan::new(name, STUBBORN), ALWAYS));
    let plans = [&one, &two, &three];
    let stack = Stack::new(&plans);
    stack.start(&plans);
    for plan in plans {
        stack.until_logged(plan, "up");
    }
    stack.stop(&[&one], Some(Duration::ZERO));
    let kill = |plan: &Plan, signal| {
        stack.ask(&Request::Signal {
            ids: vec![plan.id()],
            signal,
        })
    };
    assert_eq!(kill(&two, libc::SIGKILL), []);
    stack.until_stopped(&two);
    // Behind everyone's back is not by request.
    let init = stack.state(&three).live_init().unwrap();
    rustix::process::kill_process(init, rustix::process::Signal::KILL).unwrap();
    until(|| (stack.state(&three).restarts == 1).then_some(()));
    assert_eq!(status(&stack, &one), (Status::Stopped, Some(137)));
    assert_eq!(status(&stack, &two), (Status::Stopped, Some(137)));
    assert!(stack.state(&two).stop_requested);
    stack.stop(&[&three], Some(Duration::ZERO));
    stack.wait_for_supervisor();
}

fn until_resting(stack: &Stack, plan: &Plan) {
    until(|| (stack.state(plan).status == Status::Restarting).then_some(()));
}

fn one_that_waits_for_its_restart_is_stopped_at_once() {
    let job = with_policy(Plan::new("job", "exit 3"), ALWAYS);
    let stack = Stack::new(&[&job]);
    stack.start(&[&job]);
    // By now it waits for seconds.
    until(|| (stack.state(&job).restarts > 4).then_some(()));
    until_resting(&stack, &job);
    stack.assert_idle();
    assert_eq!(all_in_words(&stack.stop(&[&job], None)), ["job exited"]);
    stack.wait_for_supervisor();
    assert_eq!(status(&stack, &job), (Status::Stopped, Some(3)));
    assert!(stack.state(&job).stop_requested);
}

fn one_that_never_ran_is_not_tried_again() {
    let job = with_policy(Plan::new("job", ":"), ALWAYS);
    let job = job.with(|plan| plan.fault = Some("no".into()));
    let stack = Stack::new(&[&job]);
    let words = all_in_words(&stack.start(&[&job]));
    assert!(words[0].starts_with("job failed"), "{words:?}");
    stack.wait_for_supervisor();
    assert_eq!(status(&stack, &job), (Status::Stopped, Some(125)));
    assert_eq!(stack.state(&job).restarts, 0);
}

fn one_that_cannot_be_started_again_is_tried_until_it_can() {
    let plan = |fault: Option<String>| {
        let job = with_policy(Plan::new("job", &counting("exit 1")), ALWAYS);
        job.with(|plan| plan.fault = fault)
    };
    let job = plan(None);
    let stack = Stack::new(&[&job]);
    stack.start(&[&job]);
    until(|| (!stack.lines("runs").is_empty()).then_some(()));
    let mut broken = plan(Some("no network".into()));
    broken.unit.id = job.id();
    stack.rewrite(&broken);
    until(|| {
        stack
            .state(&job)
            .error
            .filter(|why| why.contains("no network"))
    });
    assert_eq!(status(&stack, &job).0, Status::Restarting);
    let runs = stack.lines("runs").len();
    stack.rewrite(&job);
    until(|| (stack.lines("runs").len() > runs).then_some(()));
    stack.stop(&[&job], None);
    stack.assert_undone(&job);
}

fn a_dependent_waits_for_the_run_that_succeeds() {
    let script = counting("[ $(wc -l < runs) = 3 ]");
    let job = with_policy(Plan::new("job", &script), on_failure(9));
    let web = Plan::new("web", "wc -l < runs").after(&job, Condition::ServiceCompletedSuccessfully);
    let stack = Stack::new(&[&job, &web]);
    stack.start(&[&job, &web]);
    stack.wait_for_supervisor();
    assert_eq!(stack.log(&web, Stream::Stdout), "3\n");
}

fn health_begins_anew_with_each_run() {
    let script = format!("{}; exit 1", wait_for("fall"));
    let web = with_policy(Plan::new("web", &script), ALWAYS).checked("! [ -e fall ]");
    let stack = Stack::new(&[&web]);
    let healthy = || (stack.state(&web).health == Some(Health::Healthy)).then_some(());
    stack.start(&[&web]);
    until(healthy);
    stack.touch("fall");
    until_resting(&stack, &web);
    assert_eq!(stack.state(&web).health, None);
    std::fs::remove_file(stack.path("fall")).unwrap();
    until(healthy);
    stack.stop(&[&web], Some(Duration::ZERO));
}

fn restart(plans: &[&Plan]) -> Request {
    Request::Restart {
        signal: None,
        ids: plans.iter().map(|plan| plan.id()).collect(),
        timeout: None,
    }
}

fn a_restart_stops_and_starts_in_order() {
    let slow = |name: &str| {
        let script = format!(
            "trap 'sleep 0.05; echo -{name} >> order; exit 0' TERM; echo +{name} >> order; \
             echo up; sleep 1000 & wait"
        );
        Plan::new(name, &script)
    };
    let db = slow("db");
    let web = slow("web").after(&db, Condition::ServiceStarted);
    let stack = Stack::new(&[&db, &web]);
    stack.start(&[&db, &web]);
    stack.until_logged(&db, "up");
    stack.until_logged(&web, "up");
    let words = all_in_words(&stack.ask(&restart(&[&db, &web])));
    assert_eq!(
        words,
        [
            "web restarting",
            "db restarting",
            "db created",
            "web created",
            "db started",
            "web started"
        ]
    );
    until(|| (stack.lines("order").len() == 6).then_some(()));
    assert_eq!(stack.lines("order")[2..4], ["-web", "-db"]);
    assert!(!stack.state(&db).stop_requested);
    stack.stop(&[&web, &db], Some(Duration::ZERO));
}

fn a_restart_starts_what_does_not_run_and_counts_anew() {
    let job = with_policy(Plan::new("job", "echo run >> runs; exit 3"), ALWAYS);
    let done = Plan::new("done", "echo done >> done");
    let server = Plan::new("server", SERVER);
    let stack = Stack::new(&[&job, &done, &server]);
    stack.start(&[&job, &done, &server]);
    stack.until_stopped(&done);
    until(|| (stack.state(&job).restarts > 3).then_some(()));
    until_resting(&stack, &job);
    let words = all_in_words(&stack.ask(&restart(&[&job, &done])));
    for word in ["job started", "done started"] {
        assert!(words.iter().any(|other| other == word), "{words:?}");
    }
    until(|| (stack.lines("done").len() == 2).then_some(()));
    assert!(stack.state(&job).restarts < 4);
    stack.stop(&[&job, &server], Some(Duration::ZERO));
}

fn a_stop_wins_over_a_restart_under_way() {
    let web = Plan::new("web", STUBBORN);
    let stack = Stack::new(&[&web]);
    stack.start(&[&web]);
    stack.until_logged(&web, "up");
    let restarting = stack.connect();
    restarting.request(&restart(&[&web])).unwrap();
    until(|| stack.state(&web).stop);
    stack.stop(&[&web], Some(Duration::ZERO));
    assert_eq!(all_in_words(&reports(&restarting)), ["web exited"]);
    stack.wait_for_supervisor();
    assert_eq!(status(&stack, &web), (Status::Stopped, Some(137)));
}

fn who_watches_hears_of_every_run_to_the_last() {
    let job = with_policy(
        Plan::new("job", &format!("{}; exit 5", wait_for("go"))),
        on_failure(1),
    );
    let stack = Stack::new(&[&job]);
    stack.start(&[&job]);
    let watcher = stack.connect();
    let watch = Request::Watch {
        ids: vec![job.id()],
    };
    watcher.request(&watch).unwrap();
    // The supervisor takes requests in turn: the first has been taken when this is answered.
    stack.ask(&Request::Reload {
        ids: vec![job.id()],
    });
    stack.touch("go");
    let reports = reports(&watcher);
    let words = all_in_words(&reports);
    assert_eq!(
        words,
        ["job restarting", "job created", "job started", "job exited"]
    );
    let Some(Report::Exited(state)) = reports.last() else {
        panic!("{words:?}")
    };
    assert_eq!((state.exit_code, state.restarts), (Some(5), 1));
}

fn a_wait_outlives_the_supervisor() {
    let job = with_policy(Plan::new("job", &counting("exit 3")), ALWAYS);
    let stack = Stack::new(&[&job]);
    stack.start(&[&job]);
    until(|| (stack.state(&job).restarts > 2).then_some(()));
    until_resting(&stack, &job);
    stack.kill_supervisor();
    let before = stack.state(&job);
    if before.status != Status::Restarting {
        return println!("  the supervisor was quicker: nothing to see");
    }
    stack.adopt(&[&job]);
    until(|| (stack.state(&job).restarts > before.restarts).then_some(()));
    stack.stop(&[&job], Some(Duration::ZERO));
    stack.wait_for_supervisor();
    stack.assert_undone(&job);
}
