//! Keys of the stack file, and flags of `run`, that are about the process: how it runs, what
//! it may do, what it shares.

use std::fs;

use coop_tests::{Host, Rootfs, Stack, namespace, status_field};

const SLEEP: &str = "exec sleep 1000";

/// A stack of one service, `web`, with these keys and this script.
fn web<'h>(host: &'h Host, root: &Rootfs, keys: &str, script: &str) -> Stack<'h> {
    services(host, root, &[("web", keys, script)])
}

/// A stack of services with their keys and scripts.
fn services<'h>(host: &'h Host, root: &Rootfs, services: &[(&str, &str, &str)]) -> Stack<'h> {
    let root = root.path().display();
    let services = services.iter().map(|(name, keys, script)| {
        let keys = keys.replace('\n', "\n    ");
        format!(
            "  {name}:\n    rootfs: {root}\n    stop_grace_period: 0s\n    \
             command: [/bin/sh, -c, {script:?}]\n    {keys}\n"
        )
    });
    let services: Vec<String> = services.collect();
    host.stack(&format!("name: shop\nservices:\n{}", services.concat()))
}

#[test]
fn processes_of_another_service_are_seen_and_signalled() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let before = host.snapshot();
    // It comes first, though it is written last: the join implies it.
    let stack = services(
        &host,
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
    coop_tests::wait_until("web has ended", || {
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
    let stack = web(&host, &root, "init: true\nstop_signal: SIGTERM", SLEEP);
    stack.up();
    host.coop(["kill", "-s", "TERM", "shop-web-1"])
        .run()
        .success();
    coop_tests::wait_until("it has ended", || {
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
