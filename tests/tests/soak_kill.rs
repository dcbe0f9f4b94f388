//! `kill -9` of anything, at any time: the host can always be brought in order.

use std::time::Duration;

use coop_tests::{Chance, Host, Running, Stack, rounds, wait_until};
use rustix::process::{Pid, Signal};

const STACK: &str = "
name: soak
services:
  web: {image: coop/host, command: sleep 1000, stop_signal: SIGKILL, ports: ['8080:80'], volumes: ['data:/data', /anonymous]}
  client: {image: coop/host, command: sleep 1000, stop_signal: SIGKILL, depends_on: [web], restart: always}
  job: {image: coop/host, command: sh -c 'echo done', restart: 'on-failure:3'}
volumes: {data: {}}
";

/// Something that a user may be doing when the kill comes.
fn act<'h>(host: &'h Host, stack: &Stack<'h>, number: u64) -> Running<'h> {
    let file = host.work().join("copied");
    let command = match number {
        0 => stack.coop("up").arg("-d"),
        1 => stack.coop("down"),
        2 => stack.coop("stop").args(["-t", "0"]),
        3 => stack.coop("restart").args(["-t", "0"]),
        4 => stack.coop("exec").args(["web", "sh", "-c", "sleep 0.02"]),
        5 => stack.coop("cp").arg("client:/bin").arg(file),
        6 => stack.coop("cp").arg("/etc/passwd").arg("web:/tmp/x"),
        7 => stack.coop("rm").args(["-f", "web"]),
        8 => stack.coop("pause").arg("web"),
        9 => stack.coop("unpause").arg("web"),
        10 => stack.coop("kill").arg("client"),
        11 => host.coop(["run", "--rm", "coop/host", "sleep", "0.02"]),
        12 => stack.coop("start"),
        13 => host.coop([
            "run",
            "-d",
            "--rm",
            "-p",
            "9090:80",
            "coop/host",
            "sleep",
            "0.05",
        ]),
        _ => stack.coop("up").arg("-d").arg("--force-recreate"),
    };
    command.timeout(Duration::from_secs(60)).spawn()
}

const ACTS: u64 = 15;

fn kill_one(host: &Host, chance: &Chance) -> Option<String> {
    let running = host.processes();
    let victim = chance.one_of(&running)?;
    let pid: i32 = victim.split(' ').next()?.parse().ok()?;
    rustix::process::kill_process(Pid::from_raw(pid)?, Signal::KILL).ok()?;
    Some(victim.clone())
}

#[test]
fn anything_may_be_killed_at_any_time() {
    let rounds = rounds(40, 200);
    let host = Host::new();
    let chance = Chance::new();
    let before = host.snapshot();
    let stack = host.stack(STACK);
    stack.up();
    let mut killed = 0;
    for round in 0..rounds {
        let number = chance.below(ACTS);
        let running = act(&host, &stack, number);
        chance.pause(40_000);
        let victim = kill_one(&host, &chance);
        killed += usize::from(victim.is_some());
        // However it ends: it ends.
        let output = running.wait();
        eprintln!(
            "round {round}: act {number}: {}, killed {}",
            output.status,
            victim.as_deref().unwrap_or("nothing"),
        );
    }
    assert!(killed > rounds / 2, "only {killed} of {rounds} were killed");
    let mended = host.coop(["system", "check"]).run();
    eprintln!("{}", mended.success());
    host.coop(["system", "check", "--dry-run"]).run().success();
    stack
        .coop("down")
        .args(["-v", "--timeout", "0"])
        .run()
        .success();
    host.coop(["prune", "-f"]).run().success();
    wait_until("the single containers have ended", || {
        host.pids().is_empty()
    });
    host.coop(["system", "prune", "-f", "--volumes"])
        .run()
        .success();
    host.assert_nothing_left(&before);
    host.coop(["system", "check", "--dry-run"]).run().success();
}
