//! `up` with its rarer flags, and when the user does not want it any more.

use coop_tests::{Host, Stack, wait_until};
use rustix::process::Signal;

/// Two that go on until they are killed.
const PAIR: &str = "
name: pair
services:
  a: {image: coop/host, command: [sh, -c, 'echo from a; exec sleep 1000'], stop_signal: SIGKILL}
  b: {image: coop/host, command: [sh, -c, 'echo from b; exec sleep 1000'], stop_signal: SIGKILL, depends_on: [a]}
";

/// `job` ends when there is `./gate/open`, with status 7; `db` goes on and ends well.
const JOB: &str = "
name: job
services:
  db:
    image: coop/host
    command: [sh, -c, 'trap \"exit 3\" TERM; echo up; while :; do sleep 0.05; done']
  job:
    image: coop/host
    command: [sh, -c, 'while [ ! -e /gate/open ]; do echo waits; sleep 0.05; done; exit 7']
    stop_signal: SIGKILL
    volumes: ['./gate:/gate']
";

fn status(host: &Host, container: &str) -> String {
    let status = &host.inspect(container)["State"]["Status"];
    status.as_str().unwrap_or_default().to_owned()
}

fn exit_code(host: &Host, container: &str) -> i64 {
    host.inspect(container)["State"]["ExitCode"]
        .as_i64()
        .unwrap_or(-1)
}

fn gated(host: &Host, open: bool) -> Stack<'_> {
    std::fs::create_dir(host.work().join("gate")).expect("a directory");
    if open {
        host.file("gate/open", "");
    }
    host.stack(JOB)
}

#[test]
fn no_start_makes_containers_that_stay_until_they_are_started() {
    let host = Host::new();
    let before = host.snapshot();
    let stack = host.stack(PAIR);
    let made = stack.coop("up").arg("--no-start").run();
    insta::assert_snapshot!(made.success().stderr, @r"
     Network pair_default  Created
     Container pair-a-1  Created
     Container pair-b-1  Created
    ");
    let all_created = || {
        for name in ["pair-a-1", "pair-b-1"] {
            assert_eq!(status(&host, name), "created");
        }
    };
    all_created();
    // Whatever looks at the stack leaves them.
    host.coop(["ps", "-a"]).run().success().says("Created");
    host.coop(["system", "check"]).run().success();
    stack.coop("stop").run().success();
    stack.coop("up").arg("--no-start").run().success();
    all_created();
    assert_eq!(host.supervisors(), [0; 0]);

    stack.coop("start").arg("a").run().success();
    assert_eq!(status(&host, "pair-a-1"), "running");
    assert_eq!(status(&host, "pair-b-1"), "created");
    let a = host.pid_of("pair-a-1");
    stack.up();
    assert_eq!(status(&host, "pair-b-1"), "running");
    assert_eq!(host.pid_of("pair-a-1"), a, "it ran already");

    // Beside containers that run, and in the place of one that has changed.
    let more = PAIR.replace("from b", "from another b") + "  c: {image: coop/host}\n";
    host.file("stack.yaml", &more);
    let stack = Stack::at(&host, host.work().join("stack.yaml"));
    stack.coop("up").arg("--no-start").run().success();
    assert_eq!(host.pid_of("pair-a-1"), a);
    assert_eq!(status(&host, "pair-b-1"), "created");
    assert_eq!(status(&host, "pair-c-1"), "created");
    stack.down();
    host.assert_nothing_left(&before);
}

#[test]
fn abort_on_container_exit_stops_all_and_gives_the_status_of_the_first() {
    let host = Host::new();
    let stack = gated(&host, false);
    let mut up = stack.coop("up").arg("--abort-on-container-exit").spawn();
    up.wait_for("up");
    host.file("gate/open", "");
    let output = up.wait();
    output.code(7).warns("Aborting on container exit...");
    assert_eq!(exit_code(&host, "job-job-1"), 7);
    assert_eq!(exit_code(&host, "job-db-1"), 3, "it was asked to end");
    stack.down();
}

#[test]
fn exit_code_from_gives_the_status_of_that_service() {
    let host = Host::new();
    let stack = gated(&host, true);
    let from = |service| {
        let flags = ["--exit-code-from", service];
        stack.coop("up").args(flags).run()
    };
    from("db").code(3);
    from("job").code(7);
    from("web").stack_fails(&["no such service: web"]);
    stack.down();
}

#[test]
fn abort_on_container_failure_lets_others_end_well() {
    let host = Host::new();
    let stack = host.stack(
        "
name: duo
services:
  init: {image: coop/host, command: 'true'}
  main:
    image: coop/host
    command: [sh, -c, 'echo went on; exit 4']
    depends_on: {init: {condition: service_completed_successfully}}
",
    );
    let up = |flag| stack.coop("up").arg(flag).run();
    let output = up("--abort-on-container-failure");
    output.code(4).says("went on");
    stack.down();
}

#[test]
fn a_stack_that_runs_already_is_stopped_by_the_first_that_ends() {
    let host = Host::new();
    let stack = gated(&host, false);
    stack.up();
    let mut up = stack.coop("up").args(["--exit-code-from", "job"]).spawn();
    up.wait_for("job-1  | waits");
    host.file("gate/open", "");
    up.wait().code(7).warns("Aborting on container exit...");
    assert_eq!(status(&host, "job-db-1"), "exited");
    stack.down();
}

#[test]
fn ctrl_c_on_a_stack_that_runs_already_stops_it_and_twice_kills_it() {
    let host = Host::new();
    let before = host.snapshot();
    let stack = host.stack(
        "
name: mule
services:
  mule:
    image: coop/host
    command: [sh, -c, 'trap \"echo no\" TERM; i=0; while :; do echo line $$i; i=$$((i+1)); sleep 0.1; done']
    stop_grace_period: 1h
  calm: {image: coop/host, command: [sh, -c, 'while :; do echo calm; sleep 0.1; done'], stop_signal: SIGKILL}
",
    );
    stack.up();
    let mut up = stack.coop("up").args(["--no-attach", "calm"]).spawn();
    up.wait_for("mule-1  | line");
    up.signal(Signal::INT);
    up.wait_for("Gracefully stopping...");
    up.wait_for("mule-1  | no");
    // Its lines still come.
    up.wait_for("mule-1  | line");
    wait_until("the calm one has ended", || {
        status(&host, "mule-calm-1") == "exited"
    });
    assert_eq!(status(&host, "mule-mule-1"), "running");
    up.signal(Signal::INT);
    let output = up.wait();
    output.code(130).does_not_say("calm");
    assert_eq!(exit_code(&host, "mule-mule-1"), 137);
    // It was there before: it stays.
    assert_eq!(host.containers().len(), 2);
    stack.down();
    host.assert_nothing_left(&before);
}

#[test]
fn ctrl_c_in_up_in_the_background_takes_back_what_was_begun() {
    let host = Host::new();
    let before = host.snapshot();
    let stack = host.stack(
        "
name: half
services:
  db:
    image: coop/host
    command: sleep 1000
    stop_signal: SIGKILL
    healthcheck: {test: 'false', interval: 100ms, retries: 100000}
  web: {image: coop/host, command: sleep 1000, depends_on: {db: {condition: service_healthy}}}
",
    );
    let mut up = stack.coop("up").arg("-d").spawn();
    up.wait_for("half-db-1  Started");
    up.signal(Signal::INT);
    let output = up.wait();
    output.code(130).warns("interrupted");
    assert_eq!(host.containers(), [""; 0]);
    host.assert_nothing_left(&before);
}

#[test]
fn ctrl_c_while_up_waits_for_health_leaves_what_runs() {
    let host = Host::new();
    let stack = host.stack(
        "
name: ill
services:
  db:
    image: coop/host
    command: sleep 1000
    stop_signal: SIGKILL
    healthcheck: {test: 'false', interval: 100ms, retries: 100000}
",
    );
    let mut up = stack.coop("up").arg("--wait").spawn();
    up.wait_for("ill-db-1  Started");
    // By then the launch is over, too, which an interrupt would take back.
    wait_until("it is checked", || {
        let health = &host.inspect("ill-db-1")["State"]["Health"];
        health["Log"].as_array().is_some_and(|log| !log.is_empty())
    });
    up.signal(Signal::INT);
    up.wait().code(130);
    assert_eq!(status(&host, "ill-db-1"), "running");
    stack.down();
}

#[test]
fn a_container_is_stopped_by_another_signal_and_waited_for_without_end() {
    let host = Host::new();
    let stack = host.stack(
        "
name: sig
services:
  a:
    image: coop/host
    command: [sh, -c, 'trap \"exit 5\" USR1; trap \"echo no\" TERM; echo up; while :; do sleep 0.05; done']
    stop_grace_period: 1ms
",
    );
    stack.up();
    stack.wait_for_log("a", "up");
    let restart = ["-s", "SIGUSR1", "-t", "-1", "a"];
    let first = host.pid_of("sig-a-1");
    stack.coop("restart").args(restart).run().success();
    assert_ne!(host.pid_of("sig-a-1"), first);
    wait_until("it is up again", || {
        stack
            .logs("a")
            .lines()
            .filter(|line| line.ends_with("| up"))
            .count()
            == 2
    });
    stack
        .coop("stop")
        .args(["--signal", "USR1", "--timeout=-1"])
        .run()
        .success();
    assert_eq!(exit_code(&host, "sig-a-1"), 5);
    // Without a word about it the service's own way is taken.
    stack.coop("start").run().success();
    stack.coop("stop").run().success();
    assert_eq!(exit_code(&host, "sig-a-1"), 137);
    let wrong = stack.coop("stop").args(["-s", "SIGNONE"]).run();
    wrong.code(125);
    stack.down();
}

#[test]
fn down_removes_images_that_nobody_else_uses() {
    let host = Host::new();
    let stack = host.stack(PAIR);
    stack.up();
    let images = || host.coop(["images", "-q"]).run().success().lines().len();
    stack.coop("down").args(["--rmi", "local"]).run().success();
    assert_eq!(images(), 1, "it has a name");
    stack.up();
    host.coop(["run", "-d", "--name", "user", "coop/host", "sleep", "1000"])
        .run()
        .success();
    let down = stack.coop("down").args(["--rmi", "all"]).run();
    down.success().warns("still in use");
    host.coop(["rm", "-f", "user"]).run().success();
    stack.up();
    let down = stack.coop("down").args(["--rmi", "all"]).run();
    down.success().warns("Removed");
    assert_eq!(images(), 0);
}

#[test]
fn config_prints_a_hash_that_changes_with_its_service_only() {
    let host = Host::new();
    let hashes = |yaml: &str| {
        let output = host.stack(yaml).coop("config").args(["--hash", "*"]).run();
        let lines = output.success().lines().into_iter();
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    let first = hashes(PAIR);
    assert!(
        first[0].starts_with("a ") && first[0].len() == 66,
        "{first:?}"
    );
    let second = hashes(&PAIR.replace("from b", "from c"));
    assert_eq!(first[0], second[0]);
    assert_ne!(first[1], second[1]);
    let stack = host.stack(PAIR);
    let one = stack.coop("config").args(["--hash", "b"]).run();
    assert_eq!(one.success().lines(), [first[1].as_str()]);
    let none = stack.coop("config").args(["--hash", "z"]).run();
    none.stack_fails(&["no such service: z"]);
}

#[test]
fn a_container_that_is_started_again_and_again_is_never_told_to_have_ended() {
    let host = Host::new();
    host.coop(["run", "-d", "--name", "again", "--restart", "always"])
        .args(["coop/host", "true"])
        .run()
        .success();
    for _ in 0..150 {
        let status = status(&host, "again");
        assert!(
            ["running", "restarting"].contains(&status.as_str()),
            "{status}"
        );
    }
    assert!(host.inspect("again")["RestartCount"].as_i64() > Some(2));
    host.coop(["rm", "-f", "again"]).run().success();
}
