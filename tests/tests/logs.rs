//! `coop logs`, and that every byte which a container wrote is in its log exactly once.

use std::time::Duration;

use coop_tests::{Host, Output, Rootfs, wait_until};
use rustix::process::{Pid, Signal};

/// Numbers to both streams until there is a file /stop, and a last word to each.
const COUNTER: &str = "i=0
    while ! [ -e /stop ]; do
      n=0
      while [ $n -lt 10 ]; do echo $i; echo $i >&2; i=$((i+1)); n=$((n+1)); done
      sleep 0.003
    done
    printf out; printf err >&2";

fn kill_supervisor(host: &Host) {
    kill_all_but(host, &[]);
    wait_until("the supervisor is dead", || host.supervisors().is_empty());
}

/// Kills all processes that run `coop` but these: supervisors.
fn kill_all_but(host: &Host, commands: &[u32]) {
    let mut supervisors = host.supervisors();
    supervisors.retain(|pid| !commands.contains(pid));
    for pid in supervisors {
        let pid = Pid::from_raw(pid.cast_signed()).expect("a process id");
        // One that was just found may have ended by itself.
        let _ = rustix::process::kill_process(pid, Signal::KILL);
    }
}

fn stop_counter(host: &Host, name: &str) {
    let touch = ["exec", name, "/bin/touch", "/stop"];
    // It may be caught in the end that it brings about.
    host.coop(touch).run();
    wait_until("the counter ended", || {
        host.inspect(name)["State"]["Status"] == "exited"
    });
}

/// How many numbers there are: 0, 1, 2… and a last word.
#[track_caller]
fn count(text: &str, last: &str) -> usize {
    let lines: Vec<_> = text.lines().collect();
    let (word, numbers) = lines.split_last().expect("some lines");
    assert_eq!(*word, last, "the last word");
    for (expected, found) in numbers.iter().enumerate() {
        assert_eq!(
            found.parse(),
            Ok(expected),
            "line {expected} is missing, double or torn: {:?}",
            &numbers[expected.saturating_sub(3)..(expected + 3).min(numbers.len())]
        );
    }
    numbers.len()
}

#[track_caller]
fn assert_every_number_once(output: &Output) {
    output.success();
    let out = count(&output.stdout, "out");
    assert_eq!(count(&output.stderr, "err"), out);
    assert!(out > 100, "only {out} numbers");
}

/// Some milliseconds, other ones each time.
fn pause(round: u32) -> Duration {
    let nanos = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |since| since.subsec_nanos());
    Duration::from_micros(u64::from((nanos / 1000 + round * 7919) % 40_000))
}

fn kill_again_and_again(flags: &[&str], times: u32) {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let before = host.snapshot();
    host.start("box", &root, flags, COUNTER);
    for round in 0..times {
        std::thread::sleep(pause(round));
        kill_supervisor(&host);
        // Now and then the pipes get full.
        if round % 5 == 0 {
            std::thread::sleep(Duration::from_millis(100));
        }
        host.coop(["ps"]).run().success().says("box");
        assert_eq!(host.supervisors().len(), 1);
    }
    stop_counter(&host, "box");
    // The end of a container is seen before its supervisor has read its last words.
    wait_until("the supervisor ends", || host.supervisors().is_empty());
    assert_every_number_once(&host.coop(["logs", "box"]).run());
    host.coop(["rm", "box"]).run().success();
    host.assert_nothing_left(&before);
}

#[test]
fn every_number_is_logged_once_though_the_supervisor_is_killed_thirty_times() {
    kill_again_and_again(&[], 30);
}

#[test]
fn every_number_is_logged_once_though_it_is_killed_while_files_change() {
    let flags = ["--log-opt", "max-size=4k", "--log-opt", "max-file=10000"];
    kill_again_and_again(&flags, 12);
}

#[test]
fn who_follows_sees_every_number_once_over_kills_and_rotations() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let flags = ["--log-opt", "max-size=8k", "--log-opt", "max-file=10000"];
    host.start("box", &root, &flags, COUNTER);
    let follower = host.coop(["logs", "-f", "box"]).spawn();
    for round in 0..8 {
        std::thread::sleep(pause(round));
        // The follower is one as well who starts a new supervisor.
        kill_all_but(&host, &[follower.pid()]);
        host.coop(["ps"]).run().success();
    }
    stop_counter(&host, "box");
    assert_every_number_once(&follower.wait());
}

#[test]
fn what_a_killed_supervisor_had_of_an_ended_container_is_logged() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let script = "echo whole; printf beginning; exec sleep 1000";
    host.start("box", &root, &[], script);
    wait_until("it was read", || {
        host.coop(["logs", "box"]).run().stdout == "whole\n"
    });
    let init = host.pid_of("box");
    kill_supervisor(&host);
    let init = Pid::from_raw(init.cast_signed()).expect("a process id");
    rustix::process::kill_process(init, Signal::KILL).expect("kill the container");
    wait_until("it is dead", || host.pids().is_empty());
    host.coop(["ps", "-a"]).run().success().says("Exited");
    let output = host.coop(["logs", "box"]).run();
    assert_eq!(output.success().stdout, "whole\nbeginning");
}

#[test]
fn files_are_rotated_and_read_as_one() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let flags = ["--log-opt", "max-size=2k", "--log-opt", "max-file=3"];
    let script = "i=0; while [ $i -lt 500 ]; do echo $i; i=$((i+1)); done";
    host.start("box", &root, &flags, script);
    wait_until("it ended", || {
        host.inspect("box")["State"]["Status"] == "exited"
    });
    let path = host.inspect("box")["LogPath"].as_str().map(str::to_owned);
    let path = path.expect("where the log is");
    let size = |path: &str| std::fs::metadata(path).map(|file| file.len()).ok();
    for name in [format!("{path}.1"), format!("{path}.2")] {
        assert!(size(&name).is_some_and(|size| (2048..2300).contains(&size)));
    }
    assert!(size(&path).is_some() && size(&format!("{path}.3")).is_none());
    let all = host.coop(["logs", "box"]).run();
    let numbers: Vec<u32> = { all.success().lines().into_iter() }
        .map(|line| line.parse().expect("a number"))
        .collect();
    let first = 500 - numbers.len() as u32;
    assert!((400..490).contains(&first), "{first}");
    assert_eq!(numbers, (first..500).collect::<Vec<_>>());
    let tail = host.coop(["logs", "-n", "40", "box"]).run();
    assert_eq!(tail.success().lines().len(), 40);
    assert_eq!(tail.lines()[0], "460");
}

#[test]
fn a_container_whose_output_is_not_kept_says_so() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let flags = ["--log-driver", "none"];
    host.start("mute", &root, &flags, "echo text; exec sleep 1000");
    let output = host.coop(["logs", "mute"]).run();
    assert_eq!(
        output.code(1).stderr,
        "error: mute: configured logging driver does not support reading\n  \
         help: its output is not kept: logging driver \"none\"\n"
    );
    let path = host.inspect("mute")["LogPath"].as_str().map(str::to_owned);
    assert!(!path.is_some_and(|path| !path.is_empty() && std::fs::exists(path).expect("look")));
    // It is shown to who looks on.
    let run = host.sh(&root, &flags, "echo shown; echo too >&2").run();
    assert_eq!(run.success().stdout, "shown\n");
    assert_eq!(run.stderr, "too\n");
}

#[test]
fn since_and_until_cut_a_log_by_time() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    // Each line after the one before has been logged: its time is another.
    let script = "for line in a b c d; do
        echo $line
        while ! [ -e /gate/$line ]; do sleep 0.01; done
      done";
    std::fs::create_dir(host.work().join("gate")).expect("a directory for the container");
    let volume = format!("{}:/gate", host.work().join("gate").display());
    host.start("box", &root, &["-v", &volume], script);
    let logs = |args: &[&str]| {
        let output = host.coop(["logs"]).args(args).arg("box").run();
        output.success().lines().join(" ")
    };
    for (logged, line) in [("a", "a"), ("a b", "b"), ("a b c", "c")] {
        wait_until(logged, || logs(&[]) == logged);
        host.file(&format!("gate/{line}"), "");
    }
    wait_until("all is logged", || logs(&[]) == "a b c d");
    let dated = logs(&["-t"]);
    // `TIME a TIME b …`
    let b = dated.split(' ').nth(2).expect("a time").to_owned();
    let seconds = {
        // In a form that every `date` takes: not all know fractions.
        let (whole, fraction) = b.split_once('.').expect("a fraction of a second");
        let whole = whole.replace('T', " ");
        let output = host.tool("date").args(["-u", "-d", &whole, "+%s"]).run();
        let fraction = fraction.trim_end_matches('Z');
        format!("{}.{fraction}", output.success().text())
    };
    for (args, expected) in [
        (&["--since", &b][..], "b c d"),
        (&["--until", &b], "a b"),
        (&["--since", &seconds], "b c d"),
        (&["--since", &b, "--until", &b], "b"),
        (&["--since", &b, "-n", "1"], "d"),
        (&["--since", &b, "-n", "100"], "b c d"),
        (&["--until", &b, "-n", "1"], "b"),
        (&["--since", "1h"], "a b c d"),
        (&["--since", "1h30m", "--details"], "a b c d"),
        (&["--until", "1h"], ""),
        (&["--since", "-1h"], ""),
        (&["--since", "2001-02-03"], "a b c d"),
        (&["--until", "2001-02-03T04:05"], ""),
        (&["-f", "--until", &b], "a b"),
    ] {
        assert_eq!(logs(args), expected, "{args:?}");
    }
    // It goes on writing nothing: the time ends it.
    assert_eq!(logs(&["-f", "-n", "1", "--until", "-200ms"]), "d");
    let output = host.coop(["logs", "--since", "soon", "box"]).run();
    output.fails(125, &["--since", "how long ago"]);
}

#[test]
fn a_container_that_is_restarted_goes_on_in_its_log() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let flags = ["--restart", "on-failure:2"];
    host.start("box", &root, &flags, "echo run; printf part; exit 1");
    wait_until("it gave up", || {
        let output = host.coop(["logs", "box"]).run();
        output.success().stdout == "run\npartrun\npartrun\npart"
    });
}

#[test]
fn control_bytes_survive_and_what_is_no_text_is_marked() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let script = r"printf '\033[31mred\033[0m\r\n\000nul\n\377bad\n€\n\t\177\n'";
    host.start("box", &root, &[], script);
    wait_until("it ended", || {
        host.inspect("box")["State"]["Status"] == "exited"
    });
    let output = host.coop(["logs", "box"]).run();
    assert_eq!(
        output.success().stdout,
        "\u{1b}[31mred\u{1b}[0m\r\n\0nul\n\u{fffd}bad\n€\n\t\u{7f}\n"
    );
}
