//! Containers that are asked to end, in order, and killed when they do not.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[macro_use]
mod support;

use std::time::Duration;

use coop_launcher::logs::Stream;
use coop_launcher::store::{Health, Status};
use coop_launcher::supervisor::{Condition, OnSignal, Outcome, Report, Show, UnitSpec};
use rustix::process::{Signal, getpid, kill_process};
use support::in_fork;
use support::stack::{
    Plan, SERVER, STUBBORN, Stack, all_in_words, in_words, reports, status, stop_request,
};

tests!(
    those_that_depend_on_others_end_first,
    only_what_is_asked_for_ends,
    one_that_does_not_listen_is_killed_after_its_grace_period,
    who_asks_again_may_be_less_patient,
    a_grace_period_without_end_does_not_overflow,
    one_that_waits_for_its_start_is_given_up,
    the_signal_is_the_one_that_the_container_wants,
    while_one_is_ending_its_checks_do_not_keep_the_supervisor_busy,
    the_first_signal_stops_a_stack_in_the_foreground_and_the_second_kills_it,
    signals_at_once_start_nothing_that_was_waiting,
    a_forwarded_signal_reaches_the_one_container,
);

/// A server that takes its time to end, and writes down when it has.
fn slow(name: &str) -> Plan {
    let script =
        format!("trap 'sleep 0.05; echo {name} >> order; exit 0' TERM; echo up; sleep 1000 & wait");
    Plan::new(name, &script)
}

fn those_that_depend_on_others_end_first() {
    let db = slow("db");
    let web = slow("web").after(&db, Condition::ServiceStarted);
    let proxy = slow("proxy").after(&web, Condition::ServiceStarted);
    let plans = [&db, &web, &proxy];
    let stack = Stack::new(&plans);
    stack.start(&plans);
    for plan in plans {
        stack.until_logged(plan, "up");
    }
    let words = all_in_words(&stack.stop(&plans, None));
    assert_eq!(words, ["proxy exited", "web exited", "db exited"]);
    assert_eq!(stack.lines("order"), ["proxy", "web", "db"]);
    stack.wait_for_supervisor();
    for plan in plans {
        assert_eq!(status(&stack, plan), (Status::Stopped, Some(0)));
        stack.assert_undone(plan);
    }
}

fn only_what_is_asked_for_ends() {
    let db = Plan::new("db", SERVER);
    let web = Plan::new("web", SERVER).after(&db, Condition::ServiceStarted);
    let stack = Stack::new(&[&db, &web]);
    stack.start(&[&db, &web]);
    stack.until_logged(&db, "up");
    // Web depends on it, and goes on without.
    assert_eq!(all_in_words(&stack.stop(&[&db], None)), ["db exited"]);
    assert_eq!(status(&stack, &web).0, Status::Running);
}

fn one_that_does_not_listen_is_killed_after_its_grace_period() {
    let brief = |plan: &mut Plan| plan.unit.stop_grace_period = Duration::from_millis(50);
    let web = Plan::new("web", STUBBORN).with(brief);
    let stack = Stack::new(&[&web]);
    stack.start(&[&web]);
    stack.until_logged(&web, "up");
    stack.stop(&[&web], None);
    assert_eq!(status(&stack, &web), (Status::Stopped, Some(137)));
}

fn who_asks_again_may_be_less_patient() {
    let db = Plan::new("db", STUBBORN);
    let web = Plan::new("web", STUBBORN).after(&db, Condition::ServiceStarted);
    let stack = Stack::new(&[&db, &web]);
    stack.start(&[&db, &web]);
    stack.until_logged(&web, "up");
    stack.until_logged(&db, "up");
    // An hour each, web first; then someone who does not want to wait.
    let patient = stack.connect();
    patient.request(&stop_request(&[&db, &web], None)).unwrap();
    let words = all_in_words(&stack.stop(&[&db, &web], Some(Duration::ZERO)));
    assert_eq!(words, ["web exited", "db exited"]);
    // And the patient one learns of it as well.
    assert_eq!(
        all_in_words(&reports(&patient)),
        ["web exited", "db exited"]
    );
}

fn a_grace_period_without_end_does_not_overflow() {
    let web = Plan::new("web", STUBBORN).checked("true").with(|plan| {
        plan.unit.stop_grace_period = Duration::MAX;
        let health = plan.unit.health.as_mut().unwrap();
        (health.interval, health.timeout) = (Duration::MAX, Duration::MAX);
    });
    let stack = Stack::new(&[&web]);
    stack.start(&[&web]);
    let client = stack.connect();
    client.request(&stop_request(&[&web], None)).unwrap();
    // Not killed at once: it ends by its own will only.
    stack.assert_idle();
    assert_eq!(status(&stack, &web).0, Status::Running);
    stack.stop(&[&web], Some(Duration::ZERO));
}

fn one_that_waits_for_its_start_is_given_up() {
    let db = Plan::new("db", SERVER).checked("false");
    let db = db.with(|plan| plan.unit.health.as_mut().unwrap().retries = u32::MAX);
    let web = Plan::new("web", SERVER).after(&db, Condition::ServiceHealthy);
    let stack = Stack::new(&[&db, &web]);
    let starting = stack.up(&[&db, &web]);
    while in_words(&starting.next().unwrap().unwrap()) != "db started" {}
    stack.stop(&[&web], None);
    // Who waits for its start waits no longer.
    reports(&starting);
    let state = stack.state(&web);
    assert_eq!((state.status, state.started), (Status::Stopped, None));
    assert_eq!(state.error.unwrap(), "stopped before it was started");
    stack.assert_undone(&web);
    assert_eq!(status(&stack, &db).0, Status::Running);
}

fn the_signal_is_the_one_that_the_container_wants() {
    let script = "trap 'exit 9' USR1; trap 'exit 15' TERM; echo up; sleep 1000 & wait";
    let web = Plan::new("web", script).with(|plan| plan.unit.stop_signal = libc::SIGUSR1);
    let script = "trap 'exit 37' 37; trap 'exit 15' TERM; echo up; sleep 1000 & wait";
    let init = Plan::new("init", script).with(|plan| plan.unit.stop_signal = 37);
    let plans = [&web, &init];
    let stack = Stack::new(&plans);
    stack.start(&plans);
    stack.until_logged(&web, "up");
    stack.until_logged(&init, "up");
    stack.stop(&plans, None);
    assert_eq!(status(&stack, &web), (Status::Stopped, Some(9)));
    // A real-time signal: systemd's SIGRTMIN+3.
    assert_eq!(status(&stack, &init), (Status::Stopped, Some(37)));
}

fn while_one_is_ending_its_checks_do_not_keep_the_supervisor_busy() {
    let web = Plan::new("web", STUBBORN).checked("true");
    let stack = Stack::new(&[&web]);
    stack.start(&[&web]);
    support::until(|| (stack.state(&web).health == Some(Health::Healthy)).then_some(()));
    let client = stack.connect();
    client.request(&stop_request(&[&web], None)).unwrap();
    // The next check is due by now, and is not made any more.
    stack.assert_idle();
}

/// Sends the supervisor, which is this process, signals when something happens.
struct Meddler<F: FnMut(&str)>(F);

impl<F: FnMut(&str)> Show for Meddler<F> {
    fn report(&mut self, report: &Report) {
        self.0(&in_words(report));
    }

    fn output(&mut self, unit: &UnitSpec, _: Stream, bytes: &[u8]) {
        self.0(&format!(
            "{}: {}",
            unit.name,
            String::from_utf8_lossy(bytes)
        ));
    }

    fn interrupted(&mut self, _: u32) {}

    fn aborting(&mut self) {}
}

fn signal_us(signal: Signal) {
    kill_process(getpid(), signal).unwrap();
}

/// Runs the containers in the foreground.
fn watched(stack: &Stack, plans: &[&Plan], on: OnSignal, meddle: impl FnMut(&str)) -> Outcome {
    stack.in_foreground(&mut Meddler(meddle), on, plans)
}

fn the_first_signal_stops_a_stack_in_the_foreground_and_the_second_kills_it() {
    in_fork(|| {
        let db = slow("db");
        let web = Plan::new(
            "web",
            "trap 'echo asked' TERM; echo up; sleep 1000 & wait; wait",
        );
        let web = web.after(&db, Condition::ServiceStarted);
        let stack = Stack::new(&[&db, &web]);
        let mut up = 0;
        let outcome = watched(&stack, &[&db, &web], OnSignal::Stop, |line| match line {
            "db: up\n" | "web: up\n" => {
                up += 1;
                if up == 2 {
                    signal_us(Signal::INT);
                }
            }
            "web: asked\n" => signal_us(Signal::TERM),
            _ => {}
        });
        assert!(outcome.interrupted);
        assert_eq!(status(&stack, &web), (Status::Stopped, Some(137)));
        assert_eq!(status(&stack, &db), (Status::Stopped, Some(137)));
        assert!(!stack.path("order").exists());
        stack.assert_gone();
    });
}

fn signals_at_once_start_nothing_that_was_waiting() {
    in_fork(|| {
        let db = Plan::new("db", "exec sleep 1000").checked("false");
        let db = db.with(|plan| plan.unit.health.as_mut().unwrap().retries = u32::MAX);
        let web = Plan::new("web", "touch web-ran").after(&db, Condition::ServiceHealthy);
        let stack = Stack::new(&[&db, &web]);
        let outcome = watched(&stack, &[&db, &web], OnSignal::Stop, |line| {
            if line == "db started" {
                signal_us(Signal::INT);
                signal_us(Signal::TERM);
            }
        });
        assert!(outcome.interrupted);
        assert_eq!(status(&stack, &db), (Status::Stopped, Some(137)));
        let error = stack.state(&web).error.unwrap();
        assert_eq!(error, "stopped before it was started");
        stack.assert_undone(&web);
        assert!(!stack.path("web-ran").exists());
    });
}

fn a_forwarded_signal_reaches_the_one_container() {
    in_fork(|| {
        let web = Plan::new("web", "trap 'exit 40' HUP; echo up; sleep 1000 & wait");
        let stack = Stack::new(&[&web]);
        let outcome = watched(&stack, &[&web], OnSignal::Forward, |line| {
            if line == "web: up\n" {
                signal_us(Signal::HUP);
            }
        });
        assert!(!outcome.interrupted);
        assert_eq!(status(&stack, &web), (Status::Stopped, Some(40)));
    });
}
