//! A supervisor that is killed again and again: what it looks after does not notice.

use std::time::Duration;

use coop_tests::{Chance, Host, rounds, wait_longer_until, wait_until};
use rustix::process::{Pid, Signal};

/// `counter` prints numbers to both streams, without a pause between some of them; `phoenix`
/// ends again and again; `checked` has a health check; `asleep` is paused.
const STACK: &str = r"
name: soak
services:
  counter:
    image: coop/host
    stop_signal: SIGKILL
    command:
      - sh
      - -c
      - |
        i=0
        while :; do
          echo $$i; echo $$i >&2
          i=$$((i+1))
          [ $$((i % 50)) = 0 ] && sleep 0.01
        done
  phoenix:
    image: coop/host
    restart: always
    stop_signal: SIGKILL
    command: sh -c 'echo born; sleep 0.2; exit 3'
  checked:
    image: coop/host
    stop_signal: SIGKILL
    command: sleep 1000
    healthcheck: {test: exit 0, interval: 200ms}
  asleep:
    image: coop/host
    stop_signal: SIGKILL
    command: sleep 1000
";

fn kill(pid: u32) {
    if let Some(pid) = Pid::from_raw(pid.cast_signed()) {
        let _ = rustix::process::kill_process(pid, Signal::KILL);
    }
}

/// Every number exactly once, in order.
fn check_numbers(log: &str, what: &str) -> usize {
    let mut count = 0;
    for (line, expected) in log.lines().zip(0..) {
        assert_eq!(line.trim(), expected.to_string(), "{what}");
        count = expected + 1;
    }
    count
}

#[test]
fn a_supervisor_killed_at_random_loses_nothing() {
    let rounds = rounds(20, 100);
    let host = Host::new();
    let chance = Chance::new();
    let before = host.snapshot();
    let stack = host.stack(STACK);
    stack.up();
    stack.coop("pause").arg("asleep").run().success();
    for round in 0..rounds {
        chance.pause(60_000);
        let killed = host.supervisors();
        killed.iter().copied().for_each(kill);
        // A signal takes its time: as long as it lives, it is asked.
        wait_until("it is dead", || {
            !host.supervisors().iter().any(|pid| killed.contains(pid))
        });
        // Any command that looks at the stack brings a new one.
        stack.coop("ps").run().success();
        wait_until("there is one supervisor", || host.supervisors().len() == 1);
        assert!(
            host.inspect("soak-counter-1")["State"]["Running"] == true,
            "round {round}"
        );
    }
    wait_until("the health is known", || {
        host.inspect("soak-checked-1")["State"]["Health"]["Status"] == "healthy"
    });
    assert_eq!(host.inspect("soak-asleep-1")["State"]["Status"], "paused");
    let restarts = || {
        host.inspect("soak-phoenix-1")["RestartCount"]
            .as_u64()
            .unwrap_or(0)
    };
    let so_far = restarts();
    assert!(so_far > 0, "phoenix never came back");
    // The pause before a restart doubles each time, up to a minute.
    wait_longer_until(
        "phoenix comes back once more",
        Duration::from_secs(60),
        || restarts() > so_far,
    );
    let ps = stack.coop("ps").run();
    ps.success().says("soak-counter-1").says("(healthy)");
    stack
        .coop("stop")
        .args(["-t", "0", "counter"])
        .run()
        .success();
    let logs = stack
        .coop("logs")
        .args(["--no-log-prefix", "counter"])
        .run();
    let (out, err) = (&logs.success().stdout, &logs.stderr);
    let (lines, errors) = (check_numbers(out, "stdout"), check_numbers(err, "stderr"));
    eprintln!("{rounds} supervisors killed; {lines} and {errors} lines; {so_far} restarts");
    assert!(lines > 100 && lines.abs_diff(errors) <= 1);
    stack.down();
    host.assert_nothing_left(&before);
}
