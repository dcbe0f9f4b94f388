//! `coop ui` on a terminal, with containers that run.

use coop_tests::{Host, Screen, Stack, wait_until};
use rustix::process::Signal;

const PAIR: &str = "
name: pair
services:
  busy:
    image: coop/host
    command: [sh, -c, 'echo busy began; while :; do :; done']
    stop_signal: SIGKILL
    cpus: 0.2
    mem_limit: 64m
  idle:
    image: coop/host
    command: [sh, -c, 'echo idle began; while :; do sleep 0.2; echo tick; done']
    stop_signal: SIGKILL
    healthcheck: {test: 'true', interval: 100ms}
";

/// The dashboard of a host on which the stack is up, with its first numbers.
fn dashboard<'h>(host: &'h Host, stack: &Stack<'_>) -> Screen<'h> {
    stack.up();
    let mut screen = Screen::of(host.coop(["ui"]).env("TERM", "xterm"), 140, 30);
    screen.wait_until("both containers with numbers", |text| {
        ["pair-busy-1", "pair-idle-1"]
            .iter()
            .all(|name| number(text, name, 4).is_some_and(|cpu| cpu.parse::<f64>().is_ok()))
    });
    screen
}

/// The words of a container's row.
fn row(screen: &str, name: &str) -> Option<Vec<String>> {
    let line = screen
        .lines()
        .find(|line| line.split_whitespace().nth(1) == Some(name))?;
    Some(line.split_whitespace().map(str::to_owned).collect())
}

fn number(screen: &str, name: &str, column: usize) -> Option<String> {
    row(screen, name)?.get(column).cloned()
}

fn state(screen: &str, name: &str) -> Option<String> {
    number(screen, name, 2)
}

/// Quits, and looks at what is left of the dashboard: nothing.
#[track_caller]
fn quit(mut screen: Screen<'_>, settings: &str, key: &str) {
    screen.send(key);
    screen.wait_until_ended();
    assert_eq!(screen.settings(), settings);
    assert!(!screen.is_alternate() && !screen.hides_cursor());
    screen.wait().success();
}

#[test]
fn it_shows_live_numbers_and_logs_and_gives_the_terminal_back() {
    let host = Host::new();
    let before = host.snapshot();
    let stack = host.stack(PAIR);
    stack.up();
    // As it was before: that of a terminal which nobody has touched.
    let mut untouched = Screen::of(host.tool("sleep").arg("1000"), 140, 30);
    let settings = untouched.settings();
    untouched.running().signal(Signal::KILL);
    untouched.wait();

    let mut screen = dashboard(&host, &stack);
    assert!(screen.is_alternate() && screen.hides_cursor());
    assert_ne!(screen.settings(), settings);
    let busy = screen.wait_until("the use of a fifth of a processor", |text| {
        number(text, "pair-busy-1", 4)
            .and_then(|cpu| cpu.parse::<f64>().ok())
            .is_some_and(|cpu| (5.0..40.0).contains(&cpu))
    });
    assert!(busy.contains("/ 64MiB"), "{busy}");
    screen.wait_until("its health", |text| {
        number(text, "pair-idle-1", 3).as_deref() == Some("healthy")
    });
    // The log of the first one; the other's follows when that is selected.
    screen.wait_for("busy began");
    screen.send("\x1b[B");
    screen.wait_for("log of pair-idle-1");
    let ticks = |text: &str| text.matches("│tick").count();
    let before_wait = ticks(&screen.wait_for("idle began"));
    screen.wait_until("more lines come", |text| ticks(text) > before_wait + 2);
    quit(screen, &settings, "q");
    stack.down();
    host.assert_nothing_left(&before);
}

#[test]
fn keys_stop_restart_pause_and_kill_the_selected_container() {
    let host = Host::new();
    let stack = host.stack(PAIR);
    let mut screen = dashboard(&host, &stack);
    let settings_there = |screen: &mut Screen<'_>, name: &'static str, wanted: &'static str| {
        screen.wait_until(&format!("{name} is {wanted}"), |text| {
            state(text, name).as_deref() == Some(wanted)
        });
    };
    let inside = |name: &str| host.inspect(name)["State"]["Status"].clone();
    screen.send("p");
    settings_there(&mut screen, "pair-busy-1", "paused");
    assert_eq!(inside("pair-busy-1"), "paused");
    screen.send("p");
    settings_there(&mut screen, "pair-busy-1", "running");
    screen.send("s");
    settings_there(&mut screen, "pair-busy-1", "exited");
    assert_eq!(inside("pair-busy-1"), "exited");
    assert_eq!(inside("pair-idle-1"), "running");
    screen.wait_for("stop pair-busy-1: done");

    screen.send("r");
    settings_there(&mut screen, "pair-busy-1", "running");
    let first = host.pid_of("pair-idle-1");
    screen.send("\x1b[Br");
    screen.wait_for("restart pair-idle-1: done");
    assert_ne!(host.pid_of("pair-idle-1"), first);

    screen.send("k");
    screen.wait_for("kill pair-idle-1? (y/n)");
    screen.send("n");
    screen.wait_for("q quit");
    assert_eq!(inside("pair-idle-1"), "running");
    screen.send("ky");
    settings_there(&mut screen, "pair-idle-1", "exited");
    assert_eq!(inside("pair-idle-1"), "exited");
    screen.send("q");
    screen.wait().success();
    stack.down();
}

#[test]
fn what_cannot_be_done_is_told() {
    let host = Host::new();
    let stack = host.stack(PAIR);
    let mut screen = dashboard(&host, &stack);
    screen.send("s");
    screen.wait_for("stop pair-busy-1: done");
    screen.send("p");
    screen.wait_until("why it cannot be paused", |text| {
        text.lines()
            .last()
            .is_some_and(|line| line.contains("pair-busy-1") && line.contains("not running"))
    });
    screen.send("\x03");
    screen.wait().success();
    stack.down();
}

#[test]
fn a_shell_gets_the_terminal_and_gives_it_back() {
    let host = Host::new();
    let stack = host.stack(PAIR);
    let mut screen = dashboard(&host, &stack);
    screen.send("e");
    screen.wait_until("the shell", |text| text.trim_end().ends_with(['#', '$']));
    assert!(!screen.is_alternate() && !screen.hides_cursor());
    screen.send("echo in $(cat /proc/1/comm) of $((6 * 7))\n");
    screen.wait_for("in sh of 42");
    screen.send("exit\n");
    screen.wait_until("the dashboard again", |text| {
        state(text, "pair-busy-1").as_deref() == Some("running")
    });
    assert!(screen.is_alternate() && screen.hides_cursor());
    // One that does not run has no shell: why is told, and the dashboard is back.
    screen.send("s");
    screen.wait_for("stop pair-busy-1: done");
    screen.send("e");
    screen.wait_for("container pair-busy-1 is not running");
    assert!(screen.is_alternate());
    screen.send("q");
    screen.wait().success();
    stack.down();
}

#[test]
fn details_logs_help_and_filter_take_the_screen_in_turn() {
    let host = Host::new();
    let stack = host.stack(PAIR);
    let mut screen = dashboard(&host, &stack);
    screen.send("\r");
    screen.wait_for("\"Id\":");
    screen.send("q");
    screen.wait_for("q quit");
    screen.send("?");
    screen.wait_for("a shell in it");
    screen.send(" ");
    screen.wait_for("q quit");
    screen.send("/idle\r");
    screen.wait_until("only idle", |text| {
        row(text, "pair-idle-1").is_some() && row(text, "pair-busy-1").is_none()
    });
    screen.send("l");
    screen.wait_until("the log on the whole screen", |text| {
        text.lines()
            .nth(1)
            .is_some_and(|line| line.contains("log of pair-idle-1"))
    });
    screen.resize(60, 12);
    screen.wait_until("the picture in its new size", |text| {
        text.lines()
            .nth(10)
            .is_some_and(|line| line.starts_with('└') && line.ends_with('┘'))
    });
    screen.send("qq");
    screen.wait().success();
    stack.down();
}

#[test]
fn a_signal_ends_it_with_the_terminal_as_it_was() {
    let host = Host::new();
    let stack = host.stack(PAIR);
    let mut untouched = Screen::of(host.tool("sleep").arg("1000"), 140, 30);
    let settings = untouched.settings();
    untouched.running().signal(Signal::KILL);
    untouched.wait();
    for (signal, code) in [(Signal::TERM, 143), (Signal::HUP, 129), (Signal::INT, 130)] {
        let mut screen = dashboard(&host, &stack);
        screen.running().signal(signal);
        screen.wait_until_ended();
        assert_eq!(screen.settings(), settings);
        assert!(!screen.is_alternate() && !screen.hides_cursor());
        screen.wait().code(code);
    }
    stack.down();
}

#[test]
fn without_a_terminal_it_says_what_to_use_instead() {
    let host = Host::new();
    let output = host.coop(["ui"]).run();
    output
        .code(1)
        .warns("the dashboard needs a terminal")
        .warns("coop stats --no-stream");
    assert_eq!(output.stdout, "");
}

#[test]
fn containers_come_and_go_while_it_is_open() {
    let host = Host::new();
    let stack = host.stack(PAIR);
    let mut screen = Screen::of(host.coop(["ui", "--interval", "0.2"]), 140, 30);
    screen.wait_for("no containers");
    stack.up();
    screen.wait_until("both are there", |text| {
        state(text, "pair-idle-1").as_deref() == Some("running")
    });
    stack.down();
    screen.wait_for("no containers");
    screen.send("q");
    screen.wait().success();
    wait_until("nothing runs", || host.pids().is_empty());
}
