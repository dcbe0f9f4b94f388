//! The launcher's process as the container sees it, and what the container's own may do.

use std::fs;

use coop_tests::{Host, Rootfs, capabilities, wait_until};

use crate::{QUIET, SLEEP, program, wait_until_it_says};

/// CVE-2019-5736: `/proc/self/exe` as an interpreter makes the runtime a program of the container.
#[test]
fn the_hosts_binary_is_no_interpreter_where_its_owner_is_inside() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    program(&root, "evil", "#!/proc/self/exe\n");
    let flags = ["--network", "none", "--userns", "host"];
    let run = host.coop(["run", "--rm"]).args(flags).arg("--rootfs");
    let run = run.arg(root.path()).args(["--", "/evil"]);
    run.run().fails(126, &["Permission denied"]);
    host.start(
        "box",
        &root,
        &["--userns", "host", "--network", "none"],
        SLEEP,
    );
    host.coop(["exec", "box", "/evil"])
        .run()
        .fails(126, &["Permission denied"]);
    // What is the container's own is executed as ever, moved and made anew.
    let script = "mkdir /tmp/a /tmp/b; cp=/tmp/a/echo; cat /bin/busybox > $cp; chmod 755 $cp; \
                  ln $cp /tmp/b/echo; /tmp/b/echo works";
    host.sh(&root, &flags, script)
        .run()
        .success()
        .prints("works");
}

/// CVE-2019-5736 once more: the launcher's processes in a container hide their binary, their
/// descriptors and their environment.
#[test]
fn processes_of_the_launcher_hide_their_files() {
    let look = "for file in exe root cwd; do readlink /proc/1/$file && echo leak; done; \
                for file in environ maps mem; do cat /proc/1/$file && echo leak; done; \
                test -z \"$(ls /proc/1/fd)\" || echo leak; readlink /proc/self/exe; cat /proc/1/comm";
    for flags in [&["--init"][..], &["--init", "--userns", "host"]] {
        let host = Host::new();
        let root = Rootfs::new(&host);
        let flags = [&QUIET, flags].concat();
        let output = host.sh(&root, &flags, look).run();
        assert_eq!(output.lines(), ["/bin/busybox", "coop-init"], "{output}");
    }
    // Those that live for a moment, on their way into a running container.
    for flags in [&[][..], &["--userns", "host"]] {
        let host = Host::new();
        let root = Rootfs::new(&host);
        let spy = "echo ready; while :; do for p in /proc/[0-9]*; do exe=$(readlink $p/exe) \
                   && case $exe in */busybox) ;; *) echo leak $exe;; esac; done; done 2>/dev/null";
        host.start("box", &root, &[&QUIET, flags].concat(), spy);
        wait_until_it_says(&host, "box", "ready");
        for _ in 0..20 {
            host.coop(["exec", "box", "true"]).run().success();
        }
        host.coop(["logs", "box"])
            .run()
            .success()
            .does_not_say("leak");
    }
}

/// CVE-2024-21626: a descriptor of the host that is open at `chdir(2)` is a way out.
#[test]
fn no_working_directory_leads_through_an_open_descriptor() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    crate::link(&root, "/proc/self/fd/7", "leak");
    host.start("box", &root, &QUIET, SLEEP);
    let mut paths: Vec<_> = (3..12).map(|fd| format!("/proc/self/fd/{fd}")).collect();
    paths.push("/leak".into());
    for path in &paths {
        let run = host
            .coop(["run", "--rm", "-w", path])
            .args(QUIET)
            .arg("--rootfs");
        let run = run.arg(root.path()).args(["--", "/bin/cat", "marker"]);
        run.run().code(125);
        let exec = host.coop(["exec", "-w", path, "box", "/bin/pwd"]);
        exec.run().code(125);
    }
    let fds = host.coop(["exec", "box", "/bin/sh", "-c", "echo /proc/$$/fd/*"]);
    let fds = fds.run();
    // The shell's own is above 9.
    for fd in 3..10 {
        fds.does_not_say(&format!("/fd/{fd} "));
    }
}

/// CVE-2022-24769, CVE-2022-27649, CVE-2022-27650, CVE-2022-29162, CVE-2025-27612: inheritable
/// capabilities.
#[test]
fn no_capability_is_inheritable_that_was_not_added_by_name() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    host.start("box", &root, &QUIET, SLEEP);
    let sets = |flags: &[&str]| {
        let exec = host.coop(["exec"]).args(flags).arg("box");
        let output = exec.args(["/bin/grep", "Cap", "/proc/self/status"]).run();
        let value = |name: &str| {
            let line = output
                .lines()
                .into_iter()
                .find_map(|it| it.strip_prefix(name));
            u64::from_str_radix(line.unwrap_or_default().trim(), 16).unwrap()
        };
        ["CapInh:", "CapAmb:", "CapEff:"].map(value)
    };
    for (flags, effective) in [
        (&[][..], true),
        (&["--privileged"], true),
        (&["-u", "app"], false),
        (&["--privileged", "-u", "app"], false),
    ] {
        let [inheritable, ambient, found] = sets(flags);
        assert_eq!((inheritable, ambient), (0, 0), "{flags:?}");
        assert_eq!(found != 0, effective, "{flags:?}");
    }
    let pid = host.pid_of("box");
    assert_eq!(capabilities(pid, "CapInh"), 0);
    // By name, for another user than root: that one and no other, in all sets.
    let added = ["-u", "app", "--cap-add", "NET_RAW", "--network", "none"];
    let pid = host.pid_of(host.start("raw", &root, &added, SLEEP));
    for set in ["CapInh", "CapAmb", "CapEff", "CapPrm"] {
        assert_eq!(capabilities(pid, set), 1 << 13, "{set}");
    }
    let added = ["-u", "app", "--cap-add", "ALL", "--network", "none"];
    let pid = host.pid_of(host.start("all", &root, &added, SLEEP));
    assert_eq!(capabilities(pid, "CapEff"), 0);
}

/// CVE-2022-36109, CVE-2022-2989, CVE-2022-2990, CVE-2022-2995: who leaves its own group by a
/// set-group-id program gets past a file that shuts the group out.
#[test]
fn the_own_group_is_among_the_supplementary_groups() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    host.start("box", &root, &QUIET, SLEEP);
    for (user, groups) in [("1234:99", "99"), ("app", "1000 2000"), ("0", "0")] {
        let script = "/bin/grep Groups /proc/self/status";
        let run = host
            .sh(&root, &["-u", user, "--network", "none"], script)
            .run();
        let exec = host
            .coop(["exec", "-u", user, "box", "/bin/sh", "-c", script])
            .run();
        for output in [run, exec] {
            let found = output.success().text().trim_start_matches("Groups:").trim();
            assert_eq!(found, groups, "{user}");
        }
    }
}

/// CVE-2024-40635: a user id that does not fit becomes root.
#[test]
fn a_user_id_that_is_out_of_range_is_nobody_and_not_root() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let passwd = root.path().join("etc/passwd");
    let wrapped = "over:x:4294967296:4294967296::/:\nlast:x:4294967295:0::/:\n";
    fs::write(&passwd, fs::read_to_string(&passwd).unwrap() + wrapped).unwrap();
    for user in [
        "2147483648",
        "4294967295",
        "4294967296",
        "18446744073709551616",
        "-1",
        "1000:4294967296",
        "over",
        "last",
    ] {
        let user = format!("--user={user}");
        let output = host.sh(&root, &["--network", "none", &user], "id -u").run();
        assert_eq!(
            (output.status.code(), output.text()),
            (Some(125), ""),
            "{output}"
        );
    }
}

/// TIOCSTI (CVE-2017-5226 and its kin): input pushed into the terminal of who called.
#[test]
fn the_callers_terminal_is_not_the_containers() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let script = "tty; cat </dev/tty; echo >/dev/tty; ls -l /proc/self/fd; echo end";
    let mut running = host.sh(&root, &["--network", "none"], script).pty(80, 24);
    running.wait_for("end");
    let output = running.wait();
    output.success().says("not a tty").does_not_say("/dev/pts");
    assert_eq!(
        output.stdout.matches("can't open /dev/tty").count(),
        1,
        "{output}"
    );
    // With a terminal it is one of the container's own, which is not on the host.
    let mut running = host
        .sh(
            &root,
            &["-t", "--network", "none"],
            "tty; stat -c %d $(tty) /dev/pts; echo end",
        )
        .pty(80, 24);
    running.wait_for("/dev/pts/0");
    running.wait_for("end");
    running.wait().success();
}

/// A container's root has the same id as a process that enters its container, and may stop it.
/// The supervisor has others to look after.
#[test]
fn a_container_that_stops_its_health_checks_holds_up_nobody_else() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let script = "echo ready; while :; do for p in /proc/[0-9]*; do p=${p#/proc/}; \
                  test $p = 1 || test $p = $$ || kill -STOP $p; done; done 2>/dev/null";
    let yaml = format!(
        "services:\n  evil:\n    rootfs: {0}\n    command: [sh, -c, '{1}']\n    \
         network_mode: none\n    stop_signal: SIGKILL\n    \
         healthcheck: {{test: 'true', interval: 1s, timeout: 1s}}\n  \
         good:\n    rootfs: {0}\n    command: sleep 1000\n    network_mode: none\n    \
         stop_signal: SIGKILL\n",
        root.path().display(),
        script.replace('$', "$$"),
    );
    let stack = host.stack(&yaml);
    stack.up();
    let evil = host
        .containers()
        .into_iter()
        .find(|name| name.contains("evil"))
        .unwrap();
    wait_until_it_says(&host, &evil, "ready");
    wait_until("a check was tried", || {
        let log = &host.inspect(&evil)["State"]["Health"]["Log"];
        log.as_array().is_some_and(|log| !log.is_empty())
    });
    // The supervisor answers, and does what it is told.
    let good = host
        .containers()
        .into_iter()
        .find(|name| name.contains("good"))
        .unwrap();
    host.coop(["restart", "-t", "0", &good]).run().success();
    stack.down();
}

/// CVE-2022-31030: output of a probe that the runtime keeps in memory.
#[test]
fn a_health_check_that_floods_is_kept_short() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let flags = [
        &QUIET[..],
        &[
            "--health-cmd",
            "yes aaaaaaaaaaaaaaaa",
            "--health-timeout",
            "1s",
        ],
        &["--health-interval", "1s"],
    ]
    .concat();
    host.start("box", &root, &flags, SLEEP);
    let log = || host.inspect("box")["State"]["Health"]["Log"].clone();
    wait_until("a check has ended", || {
        log().as_array().is_some_and(|log| !log.is_empty())
    });
    let output = log()[0]["Output"].as_str().unwrap().to_owned();
    assert!(output.len() < 5000, "{} bytes", output.len());
}

/// More arguments and variables than the kernel takes.
#[test]
fn a_huge_environment_is_an_error_of_that_container() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let before = host.snapshot();
    let file = host.file("env", format!("HUGE={}\n", "x".repeat(200_000)));
    let line = |n| format!("V{n}={}\n", "x".repeat(100));
    let many: Vec<_> = (0..40_000).map(line).collect();
    let many = host.file("many", many.concat());
    for file in [file, many] {
        let flags = ["--network", "none", "--env-file", file.to_str().unwrap()];
        let output = host.sh(&root, &flags, "true").run();
        output.fails(126, &["Argument list too long"]);
    }
    host.assert_nothing_left(&before);
}

/// CVE-2020-15257: a control socket that has no path, and so is there for everyone on the network.
#[test]
fn no_control_socket_is_in_a_containers_reach() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    host.start("box", &root, &["--network", "host"], SLEEP);
    let output = host
        .coop(["exec", "box", "/bin/cat", "/proc/net/unix"])
        .run();
    let abstracts = output
        .success()
        .lines()
        .into_iter()
        .filter(|line| line.contains(" @"));
    assert_eq!(abstracts.count(), 0, "{output}");
    let pid = host.pid_of("box");
    let seen = format!("/proc/{pid}/root{}", host.coop_root().display());
    assert!(fs::metadata(&seen).is_err(), "{seen} is there");
}
