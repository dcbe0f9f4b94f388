//! Attaching to containers: `attach`, `start -a`, `start -i`.

use coop_tests::{Host, Rootfs, wait_until};
use rustix::process::Signal;

const CTRL_P: &str = "\x10";
const CTRL_Q: &str = "\x11";
/// Says each line of its input, until there is none.
const ECHO: &str = "echo ready; while read line; do echo got $line; done; echo end; exit 5";

fn status(host: &Host, name: &str) -> String {
    let status = host.inspect(name)["State"]["Status"].clone();
    status.as_str().unwrap_or_default().to_owned()
}

fn wait_for_log(host: &Host, name: &str, text: &str) {
    wait_until(&format!("{name} writes {text:?}"), || {
        host.coop(["logs", name]).run().stdout.contains(text)
    });
}

fn lets_go(host: &Host, name: &str) {
    host.coop(["exec", name, "/bin/touch", "/go"])
        .run()
        .success();
}

#[test]
fn attach_shows_both_streams_and_ends_with_the_containers_status() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let before = host.snapshot();
    let script =
        "echo early; while ! test -e /go; do sleep 0.05; done; echo out; echo err >&2; exit 6";
    host.start("box", &root, &[], script);
    wait_for_log(&host, "box", "early");
    let one = host.coop(["attach", "box"]).spawn();
    let two = host.coop(["attach", "--no-stdin", "box"]).spawn();
    // Both are there when the supervisor has told both.
    let attached = || {
        let inodes = |pid: u32| {
            let fds = std::fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, Iterator::count);
            fds > 6
        };
        inodes(one.pid()) && inodes(two.pid())
    };
    wait_until("both are attached", attached);
    lets_go(&host, "box");
    for viewer in [one, two] {
        let output = viewer.wait();
        // What came before is in the log only.
        output.code(6).prints("out").warns("err");
    }
    host.coop(["rm", "box"]).run().success();
    host.assert_nothing_left(&before);
}

#[test]
fn input_reaches_a_container_that_keeps_its_input_open() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let create = host
        .coop(["create", "-i", "--name", "box", "--rootfs"])
        .arg(root.path());
    create.args(["--", "/bin/sh", "-c", ECHO]).run().success();
    let mut start = host.coop(["start", "-i", "box"]).open_stdin().spawn();
    start.send("one\n");
    start.wait_for("got one");
    // A second one sees and says as much.
    let mut second = host.coop(["attach", "box"]).open_stdin().spawn();
    second.send("two\n");
    start.wait_for("got two");
    second.wait_for("got two");
    host.coop(["kill", "box"]).run().success();
    start.wait().code(137);
    second.wait().code(137);
}

#[test]
fn the_detach_keys_leave_the_container_running() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let run = host
        .coop(["create", "-it", "--name", "box", "--rootfs"])
        .arg(root.path());
    run.args(["--", "/bin/sh", "-c", ECHO]).run().success();
    host.coop(["start", "box"]).run().success();
    let mut attach = host.coop(["attach", "box"]).pty(91, 33);
    attach.send("hello\n");
    attach.wait_for("got hello");
    // The first key alone is for the container.
    attach.send(CTRL_P);
    attach.send("x\n");
    attach.wait_for("got");
    attach.send(CTRL_P);
    attach.send(CTRL_Q);
    attach.wait().code(1).says("read escape sequence");
    assert_eq!(status(&host, "box"), "running");
    // Keys of one's own; and the window is the user's.
    let mut again = host
        .coop(["attach", "--detach-keys", "a,ctrl-b", "box"])
        .pty(70, 20);
    again.send("more\n");
    again.wait_for("got more");
    again.send("a\x02");
    again.wait().code(1).says("read escape sequence");
    assert_eq!(status(&host, "box"), "running");
    host.coop(["rm", "-f", "box"]).run().success();
}

#[test]
fn a_start_that_is_left_by_its_keys_succeeds() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let create = host.coop(["create", "-it", "--name", "box", "--rootfs"]);
    let create = create.arg(root.path());
    create.args(["--", "/bin/sh", "-c", ECHO]).run().success();
    let mut start = host.coop(["start", "-ai", "box"]).pty(91, 33);
    start.send("hello\n");
    start.wait_for("got hello");
    start.send(&format!("{CTRL_P}{CTRL_Q}"));
    start.wait().success();
    assert_eq!(status(&host, "box"), "running");
    host.coop(["rm", "-f", "box"]).run().success();
}

#[test]
fn the_window_follows_the_users_and_the_terminal_is_restored() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let script = "while :; do stty size; sleep 0.1; done";
    let run = host
        .coop(["create", "-it", "--name", "box", "--rootfs"])
        .arg(root.path());
    run.args(["--", "/bin/sh", "-c", script]).run().success();
    host.coop(["start", "box"]).run().success();
    let attach = host.coop(["attach", "box"]);
    let attach = attach.through_shell(
        "stty -g > before; \"$@\"; stty -g > after; cmp before after && echo restored",
    );
    let mut attach = attach.pty(91, 33);
    attach.wait_for("33 91");
    attach.resize(100, 40);
    attach.wait_for("40 100");
    attach.send(CTRL_P);
    attach.send(CTRL_Q);
    attach.wait().success().says("restored");
    host.coop(["rm", "-f", "box"]).run().success();
}

#[test]
fn signals_go_to_the_container_unless_told_otherwise() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let script = "trap 'echo asked; exit 3' TERM; echo ready; while :; do sleep 0.05; done";
    host.start("box", &root, &[], script);
    wait_for_log(&host, "box", "ready");
    let own = host.coop(["attach", "--sig-proxy=false", "box"]).spawn();
    wait_until("it takes signals", || takes_signals(own.pid()));
    own.signal(Signal::TERM);
    own.wait().code(143);
    assert_eq!(status(&host, "box"), "running");
    let passed = host.coop(["attach", "box"]).spawn();
    wait_until("it takes signals", || takes_signals(passed.pid()));
    passed.signal(Signal::TERM);
    passed.wait().code(3).says("asked");
}

/// Whether SIGTERM is blocked, to be read: a session has begun.
fn takes_signals(pid: u32) -> bool {
    let blocked = coop_tests::status_field(pid, "SigBlk");
    u64::from_str_radix(&blocked, 16).is_ok_and(|mask| mask & (1 << 14) != 0)
}

#[test]
fn start_attached_shows_everything_from_the_first_byte() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let before = host.snapshot();
    let create = host
        .coop(["create", "--name", "box", "--rootfs"])
        .arg(root.path());
    create
        .args(["--", "/bin/sh", "-c", "echo first; echo second >&2; exit 8"])
        .run()
        .success();
    for _ in 0..2 {
        let output = host.coop(["start", "-a", "box"]).run();
        output.code(8).prints("first").warns("second");
    }
    host.coop(["rm", "box"]).run().success();
    host.assert_nothing_left(&before);
}

#[test]
fn what_cannot_be_attached_to_says_why() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    host.start("ended", &root, &[], "exit 0");
    host.start("paused", &root, &[], "exec sleep 1000");
    wait_until("it ends", || status(&host, "ended") == "exited");
    host.coop(["pause", "paused"]).run().success();
    host.coop(["attach", "ended"])
        .run()
        .fails(1, &["stopped container"]);
    host.coop(["attach", "paused"])
        .run()
        .fails(1, &["paused container"]);
    host.coop(["attach", "ghost"])
        .run()
        .fails(1, &["no such container"]);
    host.coop(["attach", "--detach-keys", "ctrl-?", "paused"])
        .run()
        .fails(125, &["no such key"]);
    host.coop(["start", "-a", "paused", "ended"])
        .run()
        .fails(1, &["multiple containers"]);
}

#[test]
fn exec_is_left_by_its_detach_keys_and_the_command_goes_on() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    host.start("box", &root, &[], "exec sleep 1000");
    let script = "echo ready; read x; while ! test -e /go; do echo waiting; sleep 0.05; done; touch /srv/done";
    let exec = host.coop(["exec", "-it", "box", "/bin/sh", "-c", script]);
    let mut exec = exec.pty(80, 24);
    exec.wait_for("ready");
    exec.send("x\n");
    exec.wait_for("waiting");
    exec.send(CTRL_P);
    exec.send(CTRL_Q);
    exec.wait().code(1).says("read escape sequence");
    lets_go(&host, "box");
    wait_until("it goes on to its end", || {
        host.coop(["exec", "box", "/bin/test", "-e", "/srv/done"])
            .run()
            .status
            .success()
    });
}

#[test]
fn exec_privileged_has_every_capability() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    host.start("box", &root, &[], "exec sleep 1000");
    let caps = |flags: &[&str]| {
        let exec = host.coop(["exec"]).args(flags).args([
            "box",
            "/bin/grep",
            "CapEff",
            "/proc/self/status",
        ]);
        let output = exec.run();
        let mask = output
            .success()
            .text()
            .rsplit('\t')
            .next()
            .unwrap()
            .to_owned();
        u64::from_str_radix(&mask, 16).unwrap().count_ones()
    };
    assert!(caps(&["--privileged"]) > 30);
    assert!(caps(&[]) < 20);
}
