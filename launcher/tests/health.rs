//! Health checks in real containers.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[macro_use]
mod support;

use std::time::Duration;

use coop_launcher::store::{Health, Status};
use support::stack::{Plan, SERVER, Stack, status};
use support::until;

tests!(
    a_container_turns_healthy_unhealthy_and_healthy_again,
    a_check_that_takes_too_long_is_killed_and_has_failed,
    a_check_that_cannot_be_started_has_failed,
    a_check_ends_with_its_container,
    the_last_results_are_kept_with_what_was_printed,
    a_server_that_is_up_soon_is_found_healthy_long_before_the_interval_is_over,
);

fn until_health(stack: &Stack, plan: &Plan, health: Health) {
    until(|| (stack.state(plan).health == Some(health)).then_some(()));
}

fn a_container_turns_healthy_unhealthy_and_healthy_again() {
    let web = Plan::new("web", SERVER).checked("! [ -e broken ]");
    let stack = Stack::new(&[&web]);
    stack.start(&[&web]);
    until_health(&stack, &web, Health::Healthy);
    stack.touch("broken");
    until_health(&stack, &web, Health::Unhealthy);
    std::fs::remove_file(stack.path("broken")).unwrap();
    until_health(&stack, &web, Health::Healthy);
    stack.stop(&[&web], None);
    assert_eq!(stack.state(&web).health, None);
}

fn a_check_that_takes_too_long_is_killed_and_has_failed() {
    let web = Plan::new("web", SERVER).checked("echo $$ > checker; exec sleep 1000");
    let web = web.with(|plan| {
        let health = plan.unit.health.as_mut().unwrap();
        (health.timeout, health.retries) = (Duration::from_millis(50), 1);
    });
    let stack = Stack::new(&[&web]);
    stack.start(&[&web]);
    until_health(&stack, &web, Health::Unhealthy);
    assert_eq!(status(&stack, &web).0, Status::Running);
    let check = stack.state(&web).health_log.remove(0);
    assert_eq!(check.output, "Health check exceeded timeout (50ms)");
    assert_eq!(check.exit_code, -1);
}

fn the_last_results_are_kept_with_what_was_printed() {
    let script = "echo check >> checks; echo says $(wc -l < checks); echo more >&2; exit 3";
    let web = Plan::new("web", SERVER).checked(script);
    let stack = Stack::new(&[&web]);
    stack.start(&[&web]);
    until(|| (stack.state(&web).failing_streak > 7).then_some(()));
    let state = stack.state(&web);
    assert_eq!(state.health_log.len(), 5);
    let last = state.health_log.last().unwrap();
    let expected = format!("says {}\nmore\n", state.failing_streak);
    assert_eq!((last.exit_code, &*last.output), (3, &*expected));
    assert!(last.start <= last.end);
    // Where the next supervisor goes on.
    stack.kill_supervisor();
    stack.adopt(&[&web]);
    until(|| (stack.state(&web).failing_streak > state.failing_streak).then_some(()));
    assert_eq!(stack.state(&web).health, Some(Health::Unhealthy));
    stack.stop(&[&web], Some(Duration::ZERO));
}

fn a_check_that_cannot_be_started_has_failed() {
    let web = Plan::new("web", SERVER).checked("");
    let web = web.with(|plan| plan.check = None);
    let stack = Stack::new(&[&web]);
    stack.start(&[&web]);
    until_health(&stack, &web, Health::Unhealthy);
}

fn a_check_ends_with_its_container() {
    // Without a pid namespace, nothing else would end it.
    let web = Plan::new(
        "web",
        "while ! [ -e checker ]; do sleep 0.01; done; sleep 0.05; exit 6",
    );
    let web = web
        .checked("echo $$ > pid; mv pid checker; exec sleep 1000")
        .with(|plan| plan.own_pids = false);
    let stack = Stack::new(&[&web]);
    stack.start(&[&web]);
    stack.wait_for_supervisor();
    assert_eq!(status(&stack, &web), (Status::Stopped, Some(6)));
    let checker = stack.lines("checker")[0].parse().unwrap();
    let checker = rustix::process::Pid::from_raw(checker).unwrap();
    assert!(!support::is_alive(checker));
}

fn a_server_that_is_up_soon_is_found_healthy_long_before_the_interval_is_over() {
    // With an hour between the checks, only the early ones can have found it.
    let web = Plan::new("web", &format!("sleep 0.2; touch up; {SERVER}")).checked("[ -e up ]");
    let web = web.with(|plan| {
        let health = plan.unit.health.as_mut().unwrap();
        (health.interval, health.retries) = (Duration::from_secs(3600), 1);
    });
    let stack = Stack::new(&[&web]);
    stack.start(&[&web]);
    until_health(&stack, &web, Health::Healthy);
    // And then there is an hour of rest.
    stack.assert_idle();
}
