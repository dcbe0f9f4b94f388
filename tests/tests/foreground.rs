//! `coop up` as the user sees it: on a terminal, on a poor one, and on none.

use coop_tests::{Host, Screen, wait_until};
use rustix::process::Signal;

/// `web` waits until `db` is healthy, which it is when the file is there.
const SHOP: &str = "
name: shop
services:
  web:
    image: coop/host
    command: [sh, -c, 'echo from web; exec sleep 1000']
    stop_signal: SIGKILL
    depends_on: {db: {condition: service_healthy}}
  db:
    image: coop/host
    command: [sh, -c, 'echo from db; exec sleep 1000']
    stop_signal: SIGKILL
    volumes: ['./gate:/gate']
    healthcheck: {test: test -e /gate/open, interval: 100ms, retries: 1000}
";

/// Ignores what asks it to end.
const STUBBORN: &str = "
name: mule
services:
  mule:
    image: coop/host
    command: [sh, -c, 'trap \"echo no\" TERM; echo up; while :; do sleep 0.1; done']
    stop_grace_period: 1h
";

/// One more service.
const SLEEPER: &str = "  sN: {image: coop/host, command: sleep 1000, stop_signal: SIGKILL}\n";

/// The lines with the containers' states, without the time taken.
fn states(screen: &str) -> Vec<String> {
    screen
        .lines()
        .filter(|line| line.contains(" Container "))
        .map(|line| {
            let words: Vec<_> = line.split_whitespace().collect();
            let is_time = |word: &&str| {
                word.strip_suffix('s')
                    .is_some_and(|time| time.parse::<f64>().is_ok())
            };
            let timed = words.last().is_some_and(is_time);
            words[..words.len() - usize::from(timed)].join(" ")
        })
        .collect()
}

/// Whether there is an escape sequence of the kind `ESC [ 3 2 m`.
fn sets_a_colour(written: &str) -> bool {
    written.split("\x1b[").skip(1).any(|rest| {
        rest.trim_start_matches(|c: char| c.is_ascii_digit() || c == ';')
            .starts_with('m')
    })
}

#[test]
fn on_a_terminal_each_container_has_one_line_that_changes_and_logs_follow() {
    let host = Host::new();
    let before = host.snapshot();
    std::fs::create_dir(host.work().join("gate")).unwrap();
    let stack = host.stack(SHOP);
    let mut screen = Screen::of(stack.coop("up"), 80, 24);
    screen.wait_until("web waits for db", |text| {
        states(text)
            == [
                "✔ Container shop-db-1 Started",
                "⠿ Container shop-web-1 Waiting for db",
            ]
    });
    // What is there to be read is not held back until all have started.
    screen.wait_for("db-1   | from db");
    host.file("gate/open", "");
    let up = screen.wait_for("web-1  | from web");
    assert_eq!(
        states(&up),
        [
            "✔ Container shop-db-1 Healthy",
            "✔ Container shop-web-1 Started"
        ],
        "{up}"
    );
    assert!(
        up.lines()
            .all(|line| !line.contains("Healthy") || line.trim_end().ends_with('s')),
        "{up}"
    );
    let lines: Vec<_> = up.lines().collect();
    let place = |text: &str| lines.iter().position(|line| line.contains(text));
    assert!(
        place("Started").is_some() && place("Started") < place("from web"),
        "{up}"
    );
    let raw = screen.raw();
    assert!(raw.contains("\x1b[32m✔"), "{raw}");

    screen.send("\x03");
    screen.wait_for("Gracefully stopping... (press Ctrl+C again to force)");
    let end = screen.wait_until("all is removed", |text| {
        text.matches("Removed").count() == 3
    });
    assert!(
        end.contains("✔ Container shop-web-1  Removed") && end.contains("✔ Network"),
        "{end}"
    );
    screen.wait().code(130);
    host.assert_nothing_left(&before);
}

#[test]
fn ctrl_c_once_asks_and_twice_kills() {
    let host = Host::new();
    let before = host.snapshot();
    let stack = host.stack(STUBBORN);
    let mut screen = Screen::of(stack.coop("up"), 80, 24);
    screen.wait_for("mule-1  | up");
    screen.send("\x03");
    let asked = screen.wait_until("it stops, and says no", |text| {
        text.contains("mule-1  | no") && text.contains("⠿ Container mule-mule-1  Stopping")
    });
    assert!(asked.contains("Gracefully stopping"), "{asked}");
    // What it still says comes above the line of what stops.
    let lines: Vec<_> = asked.lines().collect();
    let place = |text: &str| lines.iter().position(|line| line.contains(text));
    assert!(place("| no") < place("Stopping"), "{asked}");
    assert_eq!(states(&asked)[1..], ["⠿ Container mule-mule-1 Stopping"]);
    screen.send("\x03");
    screen.wait_for("mule-1 exited with code 137");
    screen.wait().code(130);
    host.assert_nothing_left(&before);
}

#[test]
fn without_a_terminal_each_event_is_a_plain_line() {
    let host = Host::new();
    std::fs::create_dir(host.work().join("gate")).unwrap();
    host.file("gate/open", "");
    let stack = host.stack(SHOP);
    let mut up = stack.coop("up").spawn();
    up.wait_for("from web");
    up.signal_group(Signal::INT);
    let output = up.wait();
    output.code(130);
    assert!(
        !output.stdout.contains('\x1b') && !output.stderr.contains('\x1b'),
        "{output}"
    );
    let lines: Vec<_> = output.stderr.lines().map(str::trim_end).collect();
    let up_to = lines
        .iter()
        .position(|line| line.starts_with("Gracefully"))
        .unwrap();
    assert_eq!(
        lines[..up_to],
        [
            " Network shop_default  Created",
            " Container shop-db-1  Created",
            " Container shop-web-1  Created",
            " Container shop-db-1  Started",
            " Container shop-db-1  Healthy",
            " Container shop-web-1  Started",
        ]
    );
    assert!(
        lines.contains(&" Container shop-web-1  Stopped")
            && lines.contains(&" Container shop-web-1  Removed"),
        "{output}"
    );
    assert!(output.stdout.contains("db-1   | from db"), "{output}");
}

#[test]
fn no_color_means_none_but_the_lines_stay_in_their_places() {
    let host = Host::new();
    std::fs::create_dir(host.work().join("gate")).unwrap();
    host.file("gate/open", "");
    let stack = host.stack(SHOP);
    let by_flag = stack.coop("up").arg("--no-color");
    let by_environment = stack.coop("up").env("NO_COLOR", "1");
    for command in [by_flag, by_environment] {
        let mut screen = Screen::of(command, 80, 24);
        let up = screen.wait_for("web-1  | from web");
        assert_eq!(states(&up).len(), 2, "{up}");
        screen.send("\x03");
        screen.wait_for("Removed");
        let raw = screen.raw();
        assert!(!sets_a_colour(&raw), "{raw:?}");
        screen.wait();
    }
}

#[test]
fn a_dumb_terminal_gets_no_escape_sequence() {
    let host = Host::new();
    std::fs::create_dir(host.work().join("gate")).unwrap();
    host.file("gate/open", "");
    let stack = host.stack(SHOP);
    let mut screen = Screen::of(stack.coop("up").env("TERM", "dumb"), 80, 24);
    screen.wait_for("from web");
    let raw = screen.raw();
    assert!(!raw.contains('\x1b'), "{raw:?}");
    screen.send("\x03");
    screen.wait();
}

#[test]
fn lines_without_their_prefix() {
    let host = Host::new();
    let stack = host.stack(
        "
name: bare
services: {a: {image: coop/host, command: [echo, words]}}
",
    );
    let output = stack.coop("up").arg("--no-log-prefix").run();
    assert_eq!(
        output.success().stdout.lines().next(),
        Some("words"),
        "{output}"
    );
}

#[test]
fn a_container_cannot_take_hold_of_the_terminal() {
    let host = Host::new();
    let stack = host.stack(
        r#"
name: wild
services:
  wild:
    image: coop/host
    command:
      - sh
      - -c
      - 'printf "\033[2J\033[H\033[?1049h\033[?25l\033]0;mine\007\033(0"; printf "50%%\r100%%\r\n"; printf "\033[31mred\n"; printf "no end"'
  calm:
    image: coop/host
    command: [sh, -c, 'exec sleep 1000']
    stop_signal: SIGKILL
    depends_on: {wild: {condition: service_completed_successfully}}
"#,
    );
    let mut screen = Screen::of(stack.coop("up"), 80, 24);
    let text = screen.wait_until("all lines", |text| {
        text.contains("wild-1 exited with code 0") && text.contains("wild-calm-1  Started")
    });
    assert!(!screen.is_alternate() && !screen.hides_cursor(), "{text}");
    for line in ["wild-1  | 100%", "wild-1  | red", "wild-1  | no end"] {
        assert!(
            text.lines().any(|shown| shown.trim_end() == line),
            "no {line:?} in\n{text}"
        );
    }
    assert_eq!(
        states(&text),
        [
            "✔ Container wild-wild-1 Exited",
            "✔ Container wild-calm-1 Started"
        ],
        "{text}"
    );
    screen.send("\x03");
    screen.wait();
}

#[test]
fn a_narrow_and_low_window_is_not_garbled_nor_is_one_that_changes() {
    let host = Host::new();
    std::fs::create_dir(host.work().join("gate")).unwrap();
    let mut services = String::new();
    for number in 0..6 {
        services += SLEEPER.replace('N', &number.to_string()).as_str();
    }
    let stack = host.stack(&(SHOP.to_owned() + &services));
    let mut screen = Screen::of(stack.coop("up"), 24, 5);
    let text = screen.wait_until("the end of the start", |text| text.contains("more"));
    assert!(text.lines().all(|line| line.chars().count() < 24), "{text}");
    screen.resize(60, 20);
    host.file("gate/open", "");
    let text = screen.wait_for("from web");
    let block = states(&text);
    let last = &block[block.len() - 8..];
    assert!(last.iter().all(|line| line.starts_with('✔')), "{text}");
    screen.send("\x03");
    screen.wait();
}

#[test]
fn up_in_the_background_stop_and_down_show_the_same_lines() {
    let host = Host::new();
    let before = host.snapshot();
    std::fs::create_dir(host.work().join("gate")).unwrap();
    host.file("gate/open", "");
    let stack = host.stack(SHOP);
    let shows = |verb: &str, flags: &[&str], lines: &[&str]| {
        let mut screen = Screen::of(stack.coop(verb).args(flags), 80, 24);
        screen.wait_until(&lines.join(", "), |text| states(text) == lines);
        screen.wait().success();
    };
    shows(
        "up",
        &["-d"],
        &[
            "✔ Container shop-db-1 Healthy",
            "✔ Container shop-web-1 Started",
        ],
    );
    shows(
        "stop",
        &[],
        &[
            "✔ Container shop-db-1 Stopped",
            "✔ Container shop-web-1 Stopped",
        ],
    );
    shows(
        "down",
        &[],
        &[
            "✔ Container shop-db-1 Removed",
            "✔ Container shop-web-1 Removed",
        ],
    );
    host.assert_nothing_left(&before);
}

#[test]
fn up_on_a_stack_that_runs_takes_the_same_options() {
    let host = Host::new();
    let stack = host.stack(
        "
name: ticks
services:
  ticks:
    image: coop/host
    command: [sh, -c, 'while :; do sleep 0.1; echo tick; done']
    stop_signal: SIGKILL
",
    );
    stack.up();
    for (flags, line) in [(&["--no-log-prefix"][..], "tick"), (&[], "ticks-1  | tick")] {
        let mut up = stack.coop("up").args(flags).spawn();
        assert_eq!(up.wait_for("tick\n"), line);
        up.signal(Signal::INT);
        up.wait();
    }
    stack.down();
}

#[test]
fn restart_shows_each_container_until_it_runs_again() {
    let host = Host::new();
    let stack = host.stack(STUBBORN);
    stack.up();
    let first = host.pid_of("mule-mule-1");
    let restart = stack.coop("restart").args(["-t", "0"]);
    let mut screen = Screen::of(restart, 80, 24);
    let text = screen.wait_for("Started");
    assert_eq!(states(&text), ["✔ Container mule-mule-1 Started"]);
    screen.wait().success();
    assert_ne!(host.pid_of("mule-mule-1"), first);
    stack.coop("down").args(["-t", "0"]).run().success();
}

#[test]
fn one_that_cannot_be_started_is_shown_and_explained() {
    let host = Host::new();
    let before = host.snapshot();
    let stack = host.stack(
        "
name: bad
services:
  bad: {image: coop/host, command: /no/such/program}
  good: {image: coop/host, command: sleep 1000, stop_signal: SIGKILL}
",
    );
    let screen = Screen::of(stack.coop("up").arg("-d"), 100, 24);
    let output = screen.wait();
    output.code(1);
    assert!(
        output.stdout.contains("error:") && output.stdout.contains("/no/such/program"),
        "{output}"
    );
    wait_until("nothing runs", || host.pids().is_empty());
    stack.down();
    host.assert_nothing_left(&before);
}
