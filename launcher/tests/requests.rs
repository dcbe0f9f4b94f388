//! What a client can ask of a container that runs: signals, pauses, names, attaching.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[macro_use]
mod support;

use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use coop_launcher::logs::Stream;
use coop_launcher::store::{Name, Status};
use coop_launcher::supervisor::{Attachment, Client, Request, RestartPolicy};
use rustix::io::write;
use support::stack::{Plan, SERVER, STUBBORN, Stack, all_in_words, in_words, status, wait_for};
use support::{pipe, read_all, until};

tests!(
    a_signal_reaches_the_program_and_changes_nothing_else,
    what_does_not_run_takes_no_signal,
    a_paused_container_is_frozen_once_and_thawed_once,
    a_paused_container_can_be_stopped,
    a_paused_container_is_not_checked,
    a_paused_container_stays_so_with_its_next_supervisor,
    another_name_is_known_everywhere,
    a_name_in_use_is_refused,
    a_policy_of_the_saved_plan_is_taken_over,
    each_viewer_sees_what_is_printed_and_the_end_of_it,
    a_slow_viewer_holds_up_nobody,
    input_stays_open_when_a_viewer_leaves_and_when_the_supervisor_dies,
    a_viewer_of_a_terminal_types_into_it,
    what_does_not_run_cannot_be_attached_to,
    only_a_pipe_is_written_to,
);

fn ids(plan: &Plan) -> Vec<coop_launcher::store::ContainerId> {
    vec![plan.id()]
}

fn a_signal_reaches_the_program_and_changes_nothing_else() {
    let script = "trap 'echo hup' HUP; echo up; while :; do sleep 0.01; done";
    let web = Plan::new("web", script);
    let stack = Stack::new(&[&web]);
    stack.start(&[&web]);
    stack.until_logged(&web, "up");
    let signal = Request::Signal {
        ids: ids(&web),
        signal: libc::SIGHUP,
    };
    assert_eq!(stack.ask(&signal), []);
    stack.until_logged(&web, "hup");
    assert!(!stack.state(&web).stop_requested);
    stack.stop(&[&web], Some(Duration::ZERO));
}

fn what_does_not_run_takes_no_signal() {
    let done = Plan::new("done", ":");
    let server = Plan::new("server", STUBBORN);
    let stack = Stack::new(&[&done, &server]);
    stack.start(&[&done, &server]);
    stack.until_stopped(&done);
    for request in [
        Request::Signal {
            ids: ids(&done),
            signal: libc::SIGKILL,
        },
        Request::Pause { ids: ids(&done) },
        Request::Unpause { ids: ids(&done) },
    ] {
        let words = all_in_words(&stack.ask(&request));
        assert_eq!(words, ["done refused: container done is not running"]);
    }
    stack.stop(&[&server], Some(Duration::ZERO));
}

fn pause(stack: &Stack, plan: &Plan) -> Vec<String> {
    all_in_words(&stack.ask(&Request::Pause { ids: ids(plan) }))
}

fn unpause(stack: &Stack, plan: &Plan) -> Vec<String> {
    all_in_words(&stack.ask(&Request::Unpause { ids: ids(plan) }))
}

fn frozen_and_thawed(stack: &Stack) -> Vec<String> {
    let mut events = stack.lines("events");
    events.retain(|event| event.starts_with("froze") || event.starts_with("thawed"));
    events
}

fn a_paused_container_is_frozen_once_and_thawed_once() {
    let web = Plan::new("web", STUBBORN);
    let stack = Stack::new(&[&web]);
    stack.start(&[&web]);
    assert_eq!(
        unpause(&stack, &web),
        ["web refused: container web is not paused"]
    );
    assert_eq!(pause(&stack, &web), ["web paused"]);
    assert_eq!(status(&stack, &web).0, Status::Paused);
    assert_eq!(
        pause(&stack, &web),
        ["web refused: container web is already paused"]
    );
    assert_eq!(unpause(&stack, &web), ["web unpaused"]);
    assert_eq!(status(&stack, &web).0, Status::Running);
    assert_eq!(frozen_and_thawed(&stack), ["froze web", "thawed web"]);
    stack.stop(&[&web], Some(Duration::ZERO));
}

fn a_paused_container_can_be_stopped() {
    let web = Plan::new("web", SERVER);
    let stack = Stack::new(&[&web]);
    stack.start(&[&web]);
    stack.until_logged(&web, "up");
    pause(&stack, &web);
    let words = all_in_words(&stack.stop(&[&web], None));
    assert_eq!(words, ["web unpaused", "web exited"]);
    assert_eq!(status(&stack, &web), (Status::Stopped, Some(0)));
    stack.wait_for_supervisor();
}

fn a_paused_container_is_not_checked() {
    let web = Plan::new("web", STUBBORN).checked("echo x >> checks");
    let stack = Stack::new(&[&web]);
    stack.start(&[&web]);
    until(|| (stack.lines("checks").len() > 2).then_some(()));
    pause(&stack, &web);
    stack.assert_idle();
    let checks = stack.lines("checks").len();
    std::thread::sleep(Duration::from_millis(50));
    assert_eq!(stack.lines("checks").len(), checks);
    unpause(&stack, &web);
    until(|| (stack.lines("checks").len() > checks).then_some(()));
    stack.stop(&[&web], Some(Duration::ZERO));
}

fn a_paused_container_stays_so_with_its_next_supervisor() {
    let web = Plan::new("web", STUBBORN);
    let stack = Stack::new(&[&web]);
    stack.start(&[&web]);
    pause(&stack, &web);
    stack.kill_supervisor();
    stack.adopt(&[&web]);
    assert_eq!(status(&stack, &web).0, Status::Paused);
    assert_eq!(unpause(&stack, &web), ["web unpaused"]);
    stack.stop(&[&web], Some(Duration::ZERO));
}

fn rename(stack: &Stack, plan: &Plan, name: &str) -> Vec<String> {
    all_in_words(&stack.ask(&Request::Rename {
        id: plan.id(),
        name: Name::parse(name).unwrap(),
    }))
}

fn another_name_is_known_everywhere() {
    let web = Plan::new("web", STUBBORN);
    let stack = Stack::new(&[&web]);
    stack.start(&[&web]);
    assert_eq!(rename(&stack, &web, "shop"), ["renamed to shop"]);
    assert_eq!(stack.store.resolve("shop").unwrap(), web.id());
    stack.store.resolve("web").unwrap_err();
    assert_eq!(stack.state(&web).name.as_str(), "shop");
    let plan: Plan = stack.store.load_config(&web.id()).unwrap();
    assert_eq!(plan.unit.name, "shop");
    // And in what the supervisor saves and says later.
    let words = all_in_words(&stack.stop(&[&web], Some(Duration::ZERO)));
    assert_eq!(words, ["shop exited"]);
    assert_eq!(stack.state(&web).name.as_str(), "shop");
}

fn a_name_in_use_is_refused() {
    let (web, db) = (Plan::new("web", STUBBORN), Plan::new("db", STUBBORN));
    let stack = Stack::new(&[&web, &db]);
    stack.start(&[&web]);
    let words = rename(&stack, &web, "db");
    assert!(words[0].starts_with("web refused: "), "{words:?}");
    assert!(words[0].contains("in use"), "{words:?}");
    assert_eq!(stack.store.resolve("web").unwrap(), web.id());
    assert_eq!(stack.store.resolve("db").unwrap(), db.id());
    stack.stop(&[&web], Some(Duration::ZERO));
}

fn a_policy_of_the_saved_plan_is_taken_over() {
    let web = Plan::new("web", &format!("{}; exit 1", wait_for("go")));
    let stack = Stack::new(&[&web]);
    stack.start(&[&web]);
    let mut plan: Plan = stack.store.load_config(&web.id()).unwrap();
    plan.unit.restart = RestartPolicy::Always;
    stack.rewrite(&plan);
    assert_eq!(stack.ask(&Request::Reload { ids: ids(&web) }), []);
    stack.touch("go");
    until(|| (stack.state(&web).restarts > 0).then_some(()));
    stack.stop(&[&web], Some(Duration::ZERO));
}

/// A viewer's connection, its output, its errors and the container's input.
fn attach(stack: &Stack, plan: &Plan) -> (Client, OwnedFd, OwnedFd, Option<OwnedFd>) {
    let client = stack.connect();
    let (stdout, stdout_end) = pipe();
    let (stderr, stderr_end) = pipe();
    let ends = [stdout_end.as_fd(), stderr_end.as_fd()];
    match client.attach(&plan.id(), &ends).unwrap() {
        Attachment::Attached { state, input } => {
            assert_eq!(state.id, plan.id());
            (client, stdout, stderr, input)
        }
        other => panic!("{other:?}"),
    }
}

fn each_viewer_sees_what_is_printed_and_the_end_of_it() {
    let script = format!(
        "echo up; {}; echo out; echo err >&2; exit 4",
        wait_for("go")
    );
    let web = Plan::new("web", &script);
    let stack = Stack::new(&[&web]);
    stack.start(&[&web]);
    stack.until_logged(&web, "up");
    let viewers = [(); 3].map(|()| attach(&stack, &web));
    let gone = attach(&stack, &web);
    drop(gone);
    stack.touch("go");
    for (client, stdout, stderr, input) in viewers {
        assert!(input.is_none());
        assert_eq!(read_all(stdout), "out\n");
        assert_eq!(read_all(stderr), "err\n");
        assert_eq!(in_words(&client.next().unwrap().unwrap()), "web exited");
        assert_eq!(in_words(&client.next().unwrap().unwrap()), "done");
    }
    stack.wait_for_supervisor();
    assert_eq!(stack.log(&web, Stream::Stdout), "up\nout\n");
}

fn a_slow_viewer_holds_up_nobody() {
    // Three times what is kept for it.
    let script = format!(
        "echo up; {}; i=0; while [ $i -lt 48 ]; do head -c 65535 /dev/zero; echo; i=$((i+1)); done",
        wait_for("go")
    );
    let web = Plan::new("web", &script);
    let stack = Stack::new(&[&web]);
    stack.start(&[&web]);
    stack.until_logged(&web, "up");
    let (_, stdout, stderr, _) = attach(&stack, &web);
    stack.touch("go");
    stack.until_stopped(&web);
    assert!(read_all(stderr).contains("too slowly"));
    assert!(read_all(stdout).len() < 2 * 1024 * 1024);
    stack.wait_for_supervisor();
    assert_eq!(stack.log(&web, Stream::Stdout).len(), 3 + 48 * 65536);
}

fn input_stays_open_when_a_viewer_leaves_and_when_the_supervisor_dies() {
    let script = "echo up; while read line; do echo got $line; done; echo over";
    let web = Plan::new("web", script).with(|plan| plan.unit.stdin_open = true);
    let stack = Stack::new(&[&web]);
    stack.start(&[&web]);
    for word in ["one", "two"] {
        let (client, stdout, _, input) = attach(&stack, &web);
        write(input.as_ref().unwrap(), format!("{word}\n").as_bytes()).unwrap();
        stack.until_logged(&web, &format!("got {word}"));
        drop((client, stdout, input));
    }
    stack.kill_supervisor();
    stack.adopt(&[&web]);
    let (_client, _stdout, _stderr, input) = attach(&stack, &web);
    write(input.unwrap(), b"three\n").unwrap();
    stack.until_logged(&web, "got three");
    assert!(!stack.log(&web, Stream::Stdout).contains("over"));
    stack.stop(&[&web], Some(Duration::ZERO));
}

fn a_viewer_of_a_terminal_types_into_it() {
    let web = Plan::new("web", "echo up; read line; echo got $line").with(|plan| {
        (plan.unit.stdin_open, plan.unit.terminal) = (true, true);
    });
    let stack = Stack::new(&[&web]);
    stack.start(&[&web]);
    stack.until_logged(&web, "up");
    let (_client, stdout, _stderr, input) = attach(&stack, &web);
    write(input.unwrap(), b"hello\r").unwrap();
    let seen = read_all(stdout);
    assert!(seen.contains("got hello"), "{seen:?}");
    stack.wait_for_supervisor();
}

fn what_does_not_run_cannot_be_attached_to() {
    let done = Plan::new("done", ":");
    let server = Plan::new("server", STUBBORN);
    let stack = Stack::new(&[&done, &server]);
    stack.start(&[&done, &server]);
    stack.until_stopped(&done);
    let refused = |plan: &Plan| {
        let (_reader, end) = pipe();
        match stack.connect().attach(&plan.id(), &[end.as_fd()]).unwrap() {
            Attachment::Refused(why) => why,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(
        refused(&done),
        "You cannot attach to a stopped container, start it first"
    );
    pause(&stack, &server);
    assert_eq!(
        refused(&server),
        "You cannot attach to a paused container, unpause it first"
    );
    stack.stop(&[&server], Some(Duration::ZERO));
}

fn only_a_pipe_is_written_to() {
    let server = Plan::new("server", STUBBORN);
    let stack = Stack::new(&[&server]);
    stack.start(&[&server]);
    let file = std::fs::File::create(stack.path("file")).unwrap();
    let answer = stack.connect().attach(&server.id(), &[file.as_fd()]);
    assert!(matches!(answer.unwrap(), Attachment::Refused(why) if why.contains("pipes")));
    stack.stop(&[&server], Some(Duration::ZERO));
}
