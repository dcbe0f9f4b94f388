//! Commands about the life of containers: create, start, stop, restart, wait, pause, rename,
//! kill, rm, port, top.

use coop_tests::{Host, Output, Rootfs, wait_until};
use insta::assert_snapshot;

const SLEEP: &str = "exec sleep 1000";
/// Ends with 3 when it is asked to, once it is `ready`.
const POLITE: &str = "trap 'exit 3' TERM; echo ready; while :; do sleep 0.05; done";

/// The exit status and both streams, ids aside.
fn shown(output: &Output) -> String {
    let status = output.status.code().unwrap_or(-1);
    let text = format!("{}{}exit {status}", output.stdout, output.stderr);
    let is_id =
        |word: &str| [12, 64].contains(&word.len()) && word.bytes().all(|b| b.is_ascii_hexdigit());
    let line = |line: &str| {
        let words = line
            .split(' ')
            .map(|word| if is_id(word) { "ID" } else { word });
        words.collect::<Vec<_>>().join(" ")
    };
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}

fn coop(host: &Host, args: &[&str]) -> String {
    shown(&host.coop(args).run())
}

fn status(host: &Host, name: &str) -> String {
    let status = host.inspect(name)["State"]["Status"].clone();
    status.as_str().unwrap_or_default().to_owned()
}

fn polite(host: &Host, root: &Rootfs, name: &str, flags: &[&str]) {
    host.start(name, root, flags, POLITE);
    wait_for_log(host, name, "ready");
}

fn wait_for_log(host: &Host, name: &str, text: &str) {
    wait_until(&format!("{name} writes {text:?}"), || {
        host.coop(["logs", name]).run().stdout.contains(text)
    });
}

/// Whether a command has a socket: it waits for what a supervisor tells.
fn is_connected(pid: u32) -> bool {
    let Ok(fds) = std::fs::read_dir(format!("/proc/{pid}/fd")) else {
        return false;
    };
    let is_socket = |fd: std::io::Result<std::fs::DirEntry>| {
        let target = fd.and_then(|fd| std::fs::read_link(fd.path()));
        target.is_ok_and(|target| target.to_string_lossy().starts_with("socket:"))
    };
    fds.into_iter().any(is_socket)
}

/// `coop create` with a script on `root`.
fn create(host: &Host, root: &Rootfs, flags: &[&str], script: &str) -> Output {
    let create = host
        .coop(["create"])
        .args(flags)
        .arg("--rootfs")
        .arg(root.path());
    create.args(["--", "/bin/sh", "-c", script]).run()
}

#[test]
fn a_created_container_is_there_and_runs_only_when_it_is_started() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let before = host.snapshot();
    let flags = ["--name", "box", "-e", "WORD=kept", "-m", "32m"];
    assert_snapshot!(shown(&create(&host, &root, &flags, "echo $WORD; exit 4")), @r"
    ID
    exit 0
    ");
    assert_eq!(status(&host, "box"), "created");
    assert!(host.processes().is_empty(), "{:?}", host.processes());
    // Whatever looks at its stack leaves it alone.
    assert_snapshot!(coop(&host, &["stop", "box"]), @r"
    box
    exit 0
    ");
    assert_snapshot!(coop(&host, &["wait", "box"]), @r"
    0
    exit 0
    ");
    assert_eq!(status(&host, "box"), "created");
    assert_snapshot!(coop(&host, &["start", "box"]), @r"
    box
    exit 0
    ");
    assert_snapshot!(coop(&host, &["wait", "box"]), @r"
    4
    exit 0
    ");
    assert_eq!(host.coop(["logs", "box"]).run().lines(), ["kept"]);
    host.coop(["rm", "box"]).run().success();
    host.assert_nothing_left(&before);
}

#[test]
fn a_container_that_cannot_be_created_leaves_nothing() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    create(&host, &root, &["--name", "box"], SLEEP).success();
    let before = host.snapshot();
    assert_snapshot!(shown(&create(&host, &root, &["--name", "box"], SLEEP)), @r#"
    error: the name "box" is in use by container ID
      help: remove or rename that one, or choose another with --name
    exit 125
    "#);
    assert_snapshot!(shown(&create(&host, &root, &["-d"], SLEEP)), @r"
    error: --detach is not for create: nothing runs yet
      help: remove it; `coop start` starts the container in the background
    exit 125
    ");
    let missing = host.coop(["create", "no/such:image"]).run();
    missing.fails(125, &["no/such:image"]);
    host.assert_nothing_left(&before);
    host.coop(["rm", "box"]).run().success();
}

#[test]
fn a_start_that_fails_is_told_and_the_created_container_stays() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let create = host
        .coop(["create", "--name", "box", "--rootfs"])
        .arg(root.path());
    create.args(["--", "/bin/nothing"]).run().success();
    host.coop(["start", "box"])
        .run()
        .fails(1, &["box", "/bin/nothing"]);
    assert_eq!(host.inspect("box")["State"]["ExitCode"], 127);
    host.coop(["rm", "box"]).run().success();
}

#[test]
fn restart_stops_politely_and_starts_again() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    polite(&host, &root, "box", &[]);
    let before = host.inspect("box");
    assert_snapshot!(coop(&host, &["restart", "box"]), @r"
    box
    exit 0
    ");
    let after = host.inspect("box");
    assert_eq!(after["Id"], before["Id"]);
    assert_ne!(after["State"]["Pid"], before["State"]["Pid"]);
    assert_eq!(after["State"]["Running"], true);
    wait_until("it ran twice", || {
        host.coop(["logs", "box"]).run().lines() == ["ready", "ready"]
    });
}

#[test]
fn restart_kills_what_does_not_listen_and_starts_what_does_not_run() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    host.start(
        "deaf",
        &root,
        &[],
        "trap '' TERM; while :; do sleep 0.1; done",
    );
    host.start(
        "ended",
        &root,
        &[],
        "test -e /again && exec sleep 1000; touch /again",
    );
    wait_until("it ends", || status(&host, "ended") == "exited");
    assert_snapshot!(coop(&host, &["restart", "-t", "0", "deaf", "ghost", "ended"]), @r#"
    deaf
    ended
    error: no such container: "ghost"
    exit 1
    "#);
    assert_eq!(status(&host, "deaf"), "running");
    assert_eq!(status(&host, "ended"), "running");
}

#[test]
fn wait_prints_the_exit_status_of_each_in_order() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let script = "while ! test -e /go; do sleep 0.05; done; exit 7";
    host.start("later", &root, &[], script);
    host.start("ended", &root, &[], "exit 5");
    wait_until("it ends", || status(&host, "ended") == "exited");
    let waiting = host.coop(["wait", "later", "ended", "ghost"]).spawn();
    host.coop(["exec", "later", "/bin/touch", "/go"])
        .run()
        .success();
    assert_snapshot!(shown(&waiting.wait()), @r#"
    7
    5
    error: no such container: "ghost"
    exit 1
    "#);
}

#[test]
fn wait_tells_the_end_of_a_container_that_is_removed_and_of_one_that_comes_back() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    host.start("box", &root, &[], SLEEP);
    let waiting = host.coop(["wait", "box"]).spawn();
    wait_until("it asks the supervisor", || is_connected(waiting.pid()));
    host.coop(["rm", "-f", "box"]).run().success();
    waiting.wait().success().prints("137");
    host.start("again", &root, &["--restart", "always"], "sleep 1; exit 9");
    let output = host.coop(["wait", "again"]).run();
    output.success().prints("9");
    host.coop(["rm", "-f", "again"]).run().success();
}

#[test]
fn a_paused_container_stands_still_and_goes_on() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    host.start(
        "box",
        &root,
        &[],
        "i=0; while :; do echo $((i=i+1)); sleep 0.02; done",
    );
    wait_for_log(&host, "box", "3");
    assert_snapshot!(coop(&host, &["pause", "box"]), @r"
    box
    exit 0
    ");
    assert_eq!(status(&host, "box"), "paused");
    assert_eq!(host.inspect("box")["State"]["Paused"], true);
    host.coop(["ps"]).run().success().says("(Paused)");
    // The log is complete when it has come to rest: the count of lines says that it stands.
    let count = || host.coop(["logs", "box"]).run().lines().len();
    let stopped = {
        let mut last = count();
        wait_until("what it wrote is logged", || {
            std::mem::replace(&mut last, count()) == last
        });
        count()
    };
    assert_eq!(count(), stopped);
    assert_snapshot!(coop(&host, &["pause", "box"]), @r"
    error: container box is already paused
    exit 1
    ");
    assert_snapshot!(coop(&host, &["exec", "box", "/bin/true"]), @r"
    error: container box is paused
      help: let it go on with `coop unpause box`
    exit 1
    ");
    assert_snapshot!(coop(&host, &["start", "box"]), @r"
    error: container box is paused: it cannot be started
      help: let it go on with `coop unpause box`
    exit 1
    ");
    assert_snapshot!(coop(&host, &["rm", "box"]), @r"
    error: container box is paused
      help: stop it first, or remove it with --force
    exit 1
    ");
    assert_snapshot!(coop(&host, &["unpause", "box"]), @r"
    box
    exit 0
    ");
    wait_until("it goes on", || count() > stopped);
    assert_snapshot!(coop(&host, &["unpause", "box"]), @r"
    error: container box is not paused
    exit 1
    ");
    host.coop(["kill", "box"]).run().success();
    assert_snapshot!(coop(&host, &["pause", "box"]), @r"
    error: container box is not running
    exit 1
    ");
}

#[test]
fn a_paused_container_is_stopped_killed_and_removed_like_any_other() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let before = host.snapshot();
    for (name, last) in [("one", ["stop", "one"]), ("two", ["kill", "two"])] {
        polite(&host, &root, name, &[]);
        host.coop(["pause", name]).run().success();
        host.coop(last).run().success();
        assert_eq!(status(&host, name), "exited");
        host.coop(["rm", name]).run().success();
    }
    polite(&host, &root, "three", &[]);
    host.coop(["pause", "three"]).run().success();
    host.coop(["rm", "-f", "three"]).run().success();
    host.assert_nothing_left(&before);
}

#[test]
fn a_stack_is_paused_and_goes_on_as_a_whole() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let service = |name: &str| {
        let path = root.path().display();
        format!(
            "  {name}: {{rootfs: {path}, command: [/bin/sleep, '1000'], stop_signal: SIGKILL}}\n"
        )
    };
    let stack = host.stack(&format!(
        "name: shop\nservices:\n{}{}",
        service("a"),
        service("b")
    ));
    stack.up();
    stack.coop("pause").args(["a"]).run().success().prints("a");
    stack.coop("pause").run().success().prints("");
    assert_eq!(status(&host, "shop-a-1"), "paused");
    assert_eq!(status(&host, "shop-b-1"), "paused");
    stack.coop("unpause").run().success();
    assert_eq!(status(&host, "shop-a-1"), "running");
    stack.coop("restart").run().success();
    stack.coop("kill").run().success();
    assert_eq!(status(&host, "shop-b-1"), "exited");
    stack.down();
}

#[test]
fn a_new_name_is_the_containers_name_everywhere() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    host.start("old", &root, &["--stop-signal", "KILL"], SLEEP);
    host.start("other", &root, &[], "exit 0");
    wait_until("it ends", || status(&host, "other") == "exited");
    assert_snapshot!(coop(&host, &["rename", "old", "new"]), @"exit 0");
    assert_eq!(host.inspect("new")["Name"], "/new");
    host.coop(["inspect", "old"]).run().fails(1, &["old"]);
    // The supervisor and the saved plan know it, too.
    host.coop(["restart", "new"]).run().success().prints("new");
    assert_eq!(host.inspect("new")["Name"], "/new");
    assert_snapshot!(coop(&host, &["rename", "other", "new"]), @r#"
    error: rename other: the name "new" is in use by container ID
    exit 1
    "#);
    assert_snapshot!(coop(&host, &["rename", "other", "other"]), @r"
    error: container other has this name already
      help: choose another
    exit 1
    ");
    let wrong = host.coop(["rename", "other", "../x"]).run();
    wrong.fails(1, &["invalid container name", "../x"]);
    // Nobody looks after this one.
    assert_snapshot!(coop(&host, &["rename", "other", "third"]), @"exit 0");
    host.coop(["start", "third"]).run().success();
    // The old name is free.
    host.start("old", &root, &[], SLEEP);
}

#[test]
fn kill_goes_on_after_an_error_and_names_what_it_reached() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    host.start("one", &root, &[], SLEEP);
    host.start("two", &root, &[], SLEEP);
    host.coop(["kill", "two"]).run().success();
    assert_snapshot!(coop(&host, &["kill", "ghost", "two", "one"]), @r#"
    one
    error: no such container: "ghost"
    error: cannot kill container two: it is not running
    exit 1
    "#);
    assert_eq!(host.inspect("one")["State"]["ExitCode"], 137);
}

#[test]
fn a_misspelt_name_is_met_with_the_right_one() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    host.start("webserver", &root, &[], SLEEP);
    for command in [
        "pause", "restart", "wait", "port", "top", "rename", "attach", "stop",
    ] {
        let rest: &[&str] = if command == "rename" { &["x1"] } else { &[] };
        let output = host.coop([command, "webservr"]).args(rest).run();
        output.fails(1, &["no such container", "webserver"]);
    }
}

#[test]
fn several_are_stopped_side_by_side() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    // Each ends only when it sees that the other was asked, too.
    let script = |own: &str, other: &str| {
        format!(
            "trap 'touch /srv/{own}; while ! test -e /srv/{other}; do sleep 0.05; done; exit 0' TERM; \
                 echo ready; while :; do sleep 0.05; done"
        )
    };
    let shared = host.work().join("shared");
    std::fs::create_dir(&shared).unwrap();
    let flags = [
        "--userns",
        "host",
        "-v",
        &format!("{}:/srv", shared.display()),
    ];
    host.start("one", &root, &flags, &script("one", "two"));
    host.start("two", &root, &flags, &script("two", "one"));
    wait_for_log(&host, "one", "ready");
    wait_for_log(&host, "two", "ready");
    host.coop(["stop", "-t", "50", "one", "two"])
        .run()
        .success()
        .prints("one\ntwo");
    assert_eq!(host.inspect("one")["State"]["ExitCode"], 0);
    assert_eq!(host.inspect("two")["State"]["ExitCode"], 0);
}

#[test]
fn rm_keeps_anonymous_volumes_unless_told_otherwise() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let volumes =
        || std::fs::read_dir(host.coop_root().join("data/volumes")).map_or(0, Iterator::count);
    create(&host, &root, &["--name", "box", "-v", "/data"], SLEEP).success();
    host.coop(["rm", "box"]).run().success();
    assert_eq!(volumes(), 1);
    create(&host, &root, &["--name", "box", "-v", "/data"], SLEEP).success();
    host.coop(["rm", "-v", "box"]).run().success();
    assert_eq!(volumes(), 1);
}

#[test]
fn port_tells_where_each_port_is_published() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let flags = [
        "-p",
        "8080:80",
        "-p",
        "127.0.0.1:5353:53/udp",
        "-p",
        "8443:443",
    ];
    host.start("box", &root, &flags, SLEEP);
    assert_snapshot!(coop(&host, &["port", "box"]), @r"
    53/udp -> 127.0.0.1:5353
    80/tcp -> 0.0.0.0:8080
    443/tcp -> 0.0.0.0:8443
    exit 0
    ");
    assert_snapshot!(coop(&host, &["port", "box", "80"]), @r"
    0.0.0.0:8080
    exit 0
    ");
    assert_snapshot!(coop(&host, &["port", "box", "53/udp"]), @r"
    127.0.0.1:5353
    exit 0
    ");
    assert_snapshot!(coop(&host, &["port", "box", "53"]), @r"
    error: no public port '53/tcp' published for box
    exit 1
    ");
    assert_snapshot!(coop(&host, &["port", "box", "http"]), @r"
    error: invalid port http
      help: write a port of the container such as 80/tcp
    exit 1
    ");
    host.coop(["kill", "box"]).run().success();
    assert_snapshot!(coop(&host, &["port", "box"]), @"exit 0");
}

#[test]
fn top_lists_the_containers_processes_and_no_others() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    host.start(
        "box",
        &root,
        &["--userns", "host"],
        "sleep 999 & echo ready; wait",
    );
    host.start("neighbour", &root, &[], "sleep 998 & wait");
    wait_for_log(&host, "box", "ready");
    let pid = host.pid_of("box").to_string();
    let top = host.coop(["top", "box"]).run();
    let rows: Vec<Vec<&str>> = { top.success().stdout.lines() }
        .map(|line| line.split_whitespace().collect())
        .collect();
    assert_eq!(
        rows[0],
        ["UID", "PID", "PPID", "C", "STIME", "TTY", "TIME", "CMD"]
    );
    assert_eq!(rows.len(), 3, "{top}");
    assert_eq!((rows[1][0], rows[1][1]), ("root", pid.as_str()), "{top}");
    assert_eq!(
        (rows[2][2], &rows[2][7..]),
        (pid.as_str(), &["sleep", "999"][..]),
        "{top}"
    );
    let own = host.coop(["top", "box", "-o", "comm,args=WHAT"]).run();
    assert_snapshot!(own.success().stdout.replace("sleep 999 & echo ready; wait", "SCRIPT"), @r"
    COMMAND             WHAT
    sh                  /bin/sh -c SCRIPT
    sleep               sleep 999
    ");
    host.coop(["top", "box", "aux"])
        .run()
        .success()
        .says("%CPU");
    let wrong = host.coop(["top", "box", "-o", "pid,colour"]).run();
    wrong.fails(1, &["no such column: colour", "user"]);
    host.coop(["kill", "box"]).run().success();
    assert_snapshot!(coop(&host, &["top", "box"]), @r"
    error: container box is not running
      help: start it with `coop start box`
    exit 1
    ");
}
