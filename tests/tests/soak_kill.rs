//! `kill -9` of anything, at any time: the host can always be brought in order.
//!
//! A round is a command and the death of something while it runs. Who dies is chosen by what
//! has died least often, so that commands, supervisors, half-made containers, helpers and the
//! programs in containers all get their turn; half of the time the round waits until one of
//! that kind is there, the other half the moment is any between the beginning and the usual
//! end of the command.

#[path = "soak_kill/acts.rs"]
mod acts;
#[path = "soak_kill/prey.rs"]
mod prey;

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::{Duration, Instant};

use coop_tests::{Chance, Host, Stack, rounds, wait_until};

use acts::{ACTS, Act};
use prey::{KINDS, Kind, Prey};

const STACK: &str = "
name: soak
services:
  web:
    image: coop/host
    command: sleep 1000
    stop_signal: SIGKILL
    ports: ['8080:80']
    volumes: ['data:/data', /anonymous]
    secrets: [token]
  client: {image: coop/host, command: sleep 1000, stop_signal: SIGKILL, depends_on: [web], restart: always}
  worker: {image: coop/host, command: sleep 1000, stop_signal: SIGKILL, init: true, tmpfs: [/tmp]}
  job: {image: coop/host, command: sh -c 'echo done', restart: 'on-failure:3'}
volumes: {data: {}}
secrets: {token: {environment: TOKEN}}
";

/// However it ends: so long nothing may take.
const PATIENCE: Duration = Duration::from_secs(60);

struct Soak<'h> {
    host: &'h Host,
    stack: Stack<'h>,
    chance: Chance,
    /// How long each act usually takes.
    durations: BTreeMap<&'static str, Duration>,
    killed: BTreeMap<Kind, usize>,
}

impl Soak<'_> {
    /// Every act once and undisturbed, to know that it works and how long it takes.
    fn rehearse(&mut self) {
        for act in ACTS {
            self.prepare(act);
            let begun = Instant::now();
            act.start(self.host, &self.stack).wait().success();
            self.durations.insert(act.name, begun.elapsed());
        }
    }

    /// What the act is about to be done to is there: nothing runs after many a round.
    fn prepare(&self, act: &Act) {
        if act.needs_stack {
            let up = || acts::command(self.host, &self.stack, &["stack", "up", "-d"]).run();
            // The first one may meet what a supervisor is about to fail in, because something
            // of the last round was killed.
            if !up().status.success() {
                up().success();
            }
        }
        for words in act.before {
            // What there is to prepare may be so already.
            let _ = acts::command(self.host, &self.stack, words).run();
        }
    }

    /// One act and one death, or two. Tells what died.
    fn round(&mut self, act: &Act) -> String {
        // Now and then an act finds what the last round has left.
        if self.chance.below(6) != 0 {
            self.prepare(act);
        }
        let wanted = self.rarest();
        let usual = self.durations[act.name];
        let running = act.start(self.host, &self.stack);
        let mut prey = Prey::new(self.host, running.pid());
        let mut text = String::new();
        if self.chance.below(2) == 0 {
            prey.wait_for(wanted, usual * 2);
            self.chance.pause(2_000);
        } else {
            self.chance.pause(usual.as_micros() as u64 + 1);
        }
        for _ in 0..=self.chance.below(2) {
            let killed = prey.kill(wanted, &self.chance, &self.killed);
            if let Some((kind, process)) = killed {
                *self.killed.entry(kind).or_default() += 1;
                let _ = write!(text, " {kind:?} ({process})");
            }
        }
        let output = running.wait();
        let status = output.status;
        let _ = write!(text, "; {status}");
        for line in output.stderr.lines() {
            let _ = write!(text, "\n    {line}");
        }
        text
    }

    /// The kind that has died least often.
    fn rarest(&self) -> Kind {
        let deaths = |kind: &Kind| self.killed.get(kind).copied().unwrap_or_default();
        let fewest = KINDS.iter().map(deaths).min().unwrap_or_default();
        let rare: Vec<_> = KINDS
            .iter()
            .filter(|kind| deaths(kind) <= fewest + 1)
            .copied()
            .collect();
        *self.chance.one_of(&rare).expect("there are kinds")
    }
}

#[test]
fn anything_may_be_killed_at_any_time() {
    let rounds = rounds(40, 200);
    let host = Host::new();
    // Images stay; the first use of one makes it.
    host.coop(["run", "--rm", "coop/host", "true"])
        .run()
        .success();
    let before = host.snapshot();
    let mut soak = Soak {
        host: &host,
        stack: host.stack(STACK),
        chance: Chance::new(),
        durations: BTreeMap::new(),
        killed: BTreeMap::new(),
    };
    soak.rehearse();
    for round in 0..rounds {
        let act = soak.chance.one_of(ACTS).expect("there are acts");
        let told = soak.round(act);
        eprintln!("round {round}: {}: killed{told}", act.name);
        let listed = host.coop(["ps", "-a"]).timeout(PATIENCE).run();
        listed.success();
        assert!(!listed.stderr.contains("cannot"), "{listed}");
    }
    eprintln!("killed: {:?}", soak.killed);
    let killed: usize = soak.killed.values().sum();
    assert!(killed > rounds / 2, "only {killed} in {rounds} rounds");
    if rounds >= 200 {
        for kind in KINDS {
            assert!(soak.killed.contains_key(kind), "no {kind:?} was killed");
        }
    }

    let mended = host.coop(["system", "check"]).run();
    eprintln!("{}", mended.success());
    host.coop(["system", "check", "--dry-run"])
        .run()
        .success()
        .says("nothing to mend");
    clean_up(&soak);
    host.assert_nothing_left(&before);
    host.coop(["system", "check", "--dry-run"]).run().success();
}

/// What a user does to have nothing left.
fn clean_up(soak: &Soak<'_>) {
    let (host, stack) = (soak.host, &soak.stack);
    let down = stack.coop("down").args(["-v", "--timeout", "0"]);
    down.run().success();
    let single = host.coop(["ps", "-aq"]).run();
    for id in single.success().lines() {
        // One that is removed at its end may be gone by now.
        let _ = host.coop(["rm", "-fv", id]).run();
    }
    host.coop(["prune", "-f"]).run().success();
    wait_until("nothing runs", || host.pids().is_empty());
    host.coop(["volume", "rm", "-f", "extra"]).run().success();
    host.coop(["system", "prune", "-f", "--volumes"])
        .run()
        .success();
}
