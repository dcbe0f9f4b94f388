//! Keys of the stack file, and flags of `run`, that are about the process: how it runs, what
//! it may do, what it shares.

use std::fs;

use coop_tests::{Host, Rootfs, namespace, status_field, wait_until};

const SLEEP: &str = "exec sleep 1000";

#[test]
fn processes_of_another_service_are_seen_and_signalled() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let before = host.snapshot();
    // It comes first, though it is written last: the join implies it.
    let stack = host.services(
        &root,
        &[
            ("watch", "pid: service:web", SLEEP),
            ("web", "", "trap 'exit 7' TERM; while :; do sleep 0.1; done"),
        ],
    );
    stack.up();
    let (web, watch) = (host.pid_of("shop-web-1"), host.pid_of("shop-watch-1"));
    for kind in ["pid", "user"] {
        assert_eq!(namespace(web, kind), namespace(watch, kind), "{kind}");
    }
    for kind in ["net", "ipc", "uts", "mnt", "cgroup"] {
        assert_ne!(namespace(web, kind), namespace(watch, kind), "{kind}");
    }
    assert_eq!(status_field(web, "Uid"), status_field(watch, "Uid"));
    // Process 1 is the other one's, and it may be signalled.
    let seen = stack.exec("watch", "cat /proc/1/cmdline | tr '\\0' ' '");
    assert!(seen.contains("trap"), "{seen}");
    stack.exec("watch", "kill -TERM 1");
    wait_until("web has ended", || {
        host.inspect("shop-web-1")["State"]["ExitCode"] == 7
    });
    // With its namespace it has ended as well, and neither is in the other's way afterwards.
    stack.coop("up").arg("-d").run().success();
    let (web, watch) = (host.pid_of("shop-web-1"), host.pid_of("shop-watch-1"));
    assert_eq!(namespace(web, "pid"), namespace(watch, "pid"));
    stack.down();
    host.assert_nothing_left(&before);
}

#[test]
fn shared_memory_of_another_container_is_its_own_too() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let one = host.pid_of(host.start("one", &root, &[], SLEEP));
    let two = host.pid_of(host.start("two", &root, &["--ipc", "container:one"], SLEEP));
    assert_eq!(namespace(one, "ipc"), namespace(two, "ipc"));
    assert_eq!(namespace(one, "user"), namespace(two, "user"));
    assert_ne!(namespace(one, "pid"), namespace(two, "pid"));
    host.coop(["exec", "one", "sh", "-c", "echo hello >/dev/shm/x"])
        .run()
        .success();
    let read = host.coop(["exec", "two", "cat", "/dev/shm/x"]).run();
    read.success().prints("hello");
}

#[test]
fn one_that_is_not_running_or_not_shared_cannot_be_joined() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    host.start("one", &root, &["--ipc", "private"], SLEEP);
    let join = |flags: &[&str]| host.sh(&root, flags, "true").run();
    join(&["--ipc", "container:one"]).fails(
        125,
        &["one keeps its shared memory to itself", "ipc: shareable"],
    );
    join(&["--pid", "container:none"]).fails(125, &["none"]);
    join(&["--pid", "service:one"]).fails(125, &["write container:NAME"]);
    host.coop(["stop", "-t", "0", "one"]).run().success();
    join(&["--pid", "container:one"]).fails(125, &["it is not running", "coop start one"]);
}

#[test]
fn ids_stay_leased_while_one_of_two_that_share_them_is_left() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let before = host.snapshot();
    host.start("one", &root, &[], SLEEP);
    let two = host.pid_of(host.start("two", &root, &["--ipc", "container:one"], SLEEP));
    host.coop(["rm", "-f", "one"]).run().success();
    let three = host.pid_of(host.start("three", &root, &[], SLEEP));
    assert_ne!(
        coop_tests::id_map(two, "uid_map")[0].outside,
        coop_tests::id_map(three, "uid_map")[0].outside
    );
    host.coop(["rm", "-f", "two", "three"]).run().success();
    host.assert_nothing_left(&before);
}

#[test]
fn namespaces_of_the_host_are_shared_by_name() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    for (kind, flags) in [
        ("pid", ["--pid", "host"]),
        ("ipc", ["--ipc", "host"]),
        ("uts", ["--uts", "host"]),
        ("cgroup", ["--cgroupns", "host"]),
    ] {
        let name = format!("with-{kind}");
        let pid = host.pid_of(host.start(&name, &root, &flags, SLEEP));
        let outside = fs::read_link(format!("/proc/thread-self/ns/{kind}")).unwrap();
        assert_eq!(namespace(pid, kind), outside, "{kind}");
        assert_ne!(
            namespace(pid, "user"),
            fs::read_link("/proc/thread-self/ns/user").unwrap()
        );
    }
    let pid = host.pid_of("with-pid").to_string();
    let read = host
        .coop(["exec", "with-pid", "cat"])
        .arg(format!("/proc/{pid}/comm"))
        .run();
    read.success().prints("sleep");
}

#[test]
fn an_init_forwards_signals_reaps_orphans_and_ends_with_the_programs_status() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let run = |script: &str| host.sh(&root, &["--init"], script).run();
    run("exit 7").code(7);
    run("kill -KILL $$").code(128 + 9);
    host.coop(["run", "--rm", "--init", "--rootfs"])
        .arg(root.path())
        .args(["--", "/no/such/program"])
        .run()
        .code(127);
    // An orphan goes to process 1, which must not leave it a zombie.
    let script = "(sleep 0.2 & ) ; sleep 1; grep -l Z /proc/[0-9]*/status | head -1; \
                  for p in /proc/[0-9]*; do grep -q 'State:.Z' $p/status && echo zombie; done; \
                  cat /proc/1/comm; exit 0";
    run(script)
        .success()
        .says("coop-init")
        .does_not_say("zombie");
    // `sleep` as process 1 would ignore SIGTERM: stopping would take the whole grace period.
    let stack = host.web(&root, "init: true\nstop_signal: SIGTERM", SLEEP);
    stack.up();
    host.coop(["kill", "-s", "TERM", "shop-web-1"])
        .run()
        .success();
    wait_until("it has ended", || {
        host.inspect("shop-web-1")["State"]["ExitCode"] == 128 + 15
    });
    stack.down();
}

#[test]
fn an_init_is_of_no_use_to_the_container() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    for flags in [&["--init"][..], &["--init", "--userns", "host"]] {
        let script = "cat /proc/1/exe >/dev/null || echo no exe; \
                      test -z \"$(ls /proc/1/fd)\" && echo no descriptors; \
                      cat /proc/1/environ >/dev/null || echo no environment; \
                      tr '\\0' ' ' </proc/1/cmdline";
        let output = host.sh(&root, flags, script).run();
        for words in ["no exe", "no descriptors", "no environment", "coop-init"] {
            output.says(words);
        }
        output.does_not_say("rootfs");
    }
    let pid = host.pid_of(host.start("box", &root, &["--init"], SLEEP));
    let open = fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count();
    assert_eq!(open, 0);
}

/// The init passes the key on to whoever reads the terminal, here a user who is not root.
#[test]
fn ctrl_c_reaches_the_program_behind_an_init() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    for user in ["root", "app"] {
        let run = host.coop(["run", "--rm", "-it", "--init", "-u", user, "--rootfs"]);
        let script = "trap 'echo interrupted; exit 7' INT; echo ready; while :; do sleep 0.1; done";
        let run = run.arg(root.path()).args(["--", "/bin/sh", "-c", script]);
        let mut run = run.pty(80, 24);
        run.wait_for("ready");
        run.send("\x03");
        run.wait_for("interrupted");
        run.wait().code(7);
    }
}

#[test]
fn an_init_is_there_again_after_a_restart() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let before = host.snapshot();
    let script = "echo started; test -e /srv/end || exec sleep 1000; exit 9";
    let stack = host.web(&root, "init: true\nrestart: on-failure:2", script);
    stack.up();
    stack.wait_for_log("web", "started");
    let comm = |pid: u32| fs::read_to_string(format!("/proc/{pid}/comm")).unwrap();
    let first = host.pid_of("shop-web-1");
    assert_eq!(comm(first).trim(), "coop-init");
    stack.coop("restart").run().success();
    let second = host.pid_of("shop-web-1");
    assert_ne!(first, second);
    assert_eq!(comm(second).trim(), "coop-init");
    // Its program ends by itself: the policy counts the program's status, not the init's.
    // The container's end may be quicker than that of this command, and is then its end.
    let end = "touch /srv/end; kill -KILL 2";
    let exec = stack.coop("exec").args(["web", "/bin/sh", "-c", end]).run();
    assert!(matches!(exec.status.code(), Some(0 | 137)), "{exec:?}");
    wait_until("it was started again and has given up", || {
        let container = host.inspect("shop-web-1");
        container["RestartCount"] == 2 && container["State"]["ExitCode"] == 9
    });
    stack.down();
    host.assert_nothing_left(&before);
}

#[test]
fn a_detached_service_with_a_terminal_is_attached_to() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let before = host.snapshot();
    let script = "tty; while read line; do echo got $line; done; exit 5";
    let stack = host.web(&root, "tty: true\nstdin_open: true", script);
    stack.up();
    stack.wait_for_log("web", "/dev/");
    let config = host.inspect("shop-web-1")["Config"].clone();
    assert_eq!(config["Tty"], true);
    assert_eq!(config["OpenStdin"], true);
    let mut attach = host.coop(["attach", "shop-web-1"]).pty(70, 20);
    attach.send("hello\n");
    attach.wait_for("got hello");
    // The window is that of who looks.
    wait_until("the window has its size", || {
        let size = stack.exec("web", "stty size </dev/console");
        size.trim() == "20 70"
    });
    attach.send("\x04");
    attach.wait().code(5);
    stack.down();
    host.assert_nothing_left(&before);
}

#[test]
fn a_service_without_stdin_open_reads_nothing() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let stack = host.web(&root, "", "cat; echo end of input; exec sleep 1000");
    stack.up();
    stack.wait_for_log("web", "end of input");
    stack.down();
}

#[test]
fn names_are_those_of_the_file() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let stack = host.web(&root, "hostname: store\ndomainname: example.org", SLEEP);
    stack.up();
    let names = "hostname; cat /proc/sys/kernel/domainname";
    assert_eq!(stack.exec("web", names).trim(), "store\nexample.org");
    assert_eq!(
        host.inspect("shop-web-1")["Config"]["Domainname"],
        "example.org"
    );
    stack.down();
    let output = host.sh(
        &root,
        &["--domainname", "other"],
        "cat /proc/sys/kernel/domainname",
    );
    output.run().success().prints("other");
}

#[test]
fn shared_memory_is_its_own_or_that_of_others_or_none() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let mounted = "grep -c ' /dev/shm ' /proc/mounts || true";
    for (mode, expected) in [("none", "0"), ("private", "1"), ("shareable", "1")] {
        let output = host.sh(&root, &["--ipc", mode], mounted).run();
        output.success().prints(expected);
    }
    // The host's: another process of the host sees what is written there.
    let path = "/dev/shm/coop-test-of-the-host";
    fs::write(path, "of the host\n").unwrap();
    let script = "cat /dev/shm/coop-test-of-the-host";
    let output = host.sh(&root, &["--ipc", "host"], script).run();
    fs::remove_file(path).unwrap();
    output.success().prints("of the host");
    // What one has for itself no other one joins; the words say what to write.
    let stack = host.services(
        &root,
        &[
            ("web", "ipc: private", SLEEP),
            ("side", "ipc: service:web", SLEEP),
        ],
    );
    stack
        .coop("up")
        .arg("-d")
        .run()
        .stack_fails(&["web-1 keeps its shared memory to itself", "ipc: shareable"]);
}

#[test]
fn annotations_and_labels_are_kept_and_shown() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    host.file(
        "web.labels",
        "# of the shop\ntier=front\nowner=file\nempty\n",
    );
    let keys =
        "annotations: {org.example.note: 'a b'}\nlabel_file: ./web.labels\nlabels: {owner: own}";
    let stack = host.web(&root, keys, SLEEP);
    stack.up();
    let container = host.inspect("shop-web-1");
    let labels = &container["Config"]["Labels"];
    assert_eq!(labels["tier"], "front");
    assert_eq!(labels["owner"], "own");
    assert_eq!(labels["empty"], "");
    assert_eq!(
        container["HostConfig"]["Annotations"],
        serde_json::json!({"org.example.note": "a b"})
    );
    let found = host
        .coop(["ps", "-q", "--filter", "label=tier=front"])
        .run();
    assert_eq!(found.success().lines().len(), 1, "{found}");
    stack.down();
    let keys = "label_file: ./no.labels";
    host.web(&root, keys, SLEEP)
        .coop("up")
        .arg("-d")
        .run()
        .stack_fails(&["no.labels", "No such file"]);
}
