//! System-call filters: the default one, others by name and by file, and recorded ones.

use std::fs;
use std::path::Path;

use coop_tests::{Host, Rootfs, status_field};
use serde_json::{Value, json};

const SLEEP: &str = "exec sleep 1000";
const EPERM: i32 = 1;
const EINVAL: i32 = 22;
const ENOSYS: i32 = 38;

/// The program that makes system calls by number, in the place where containers have it.
const CALLS: &str = "/srv/calls";

fn mount() -> String {
    let program = std::env::var("COOP_CALLS");
    let program = program.unwrap_or_else(|_| env!("CARGO_BIN_EXE_calls").to_owned());
    format!("{program}:{CALLS}:ro")
}

/// How calls end in a container with these flags.
fn calls(host: &Host, root: &Rootfs, flags: &[&str], calls: &[&str]) -> Vec<i32> {
    let run = host.coop(["run", "--rm", "--network", "none", "-v", &mount()]);
    let run = run.args(flags).arg("--rootfs").arg(root.path());
    let output = run.args(["--", CALLS]).args(calls).run();
    let lines = output.success().lines().into_iter();
    lines.map(|line| line.parse().expect("a number")).collect()
}

/// Calls that are refused by default: `mount`, `unshare(CLONE_NEWUSER)`, `bpf`, `io_uring_setup`,
/// `keyctl`, `add_key`, `perf_event_open`, `userfaultfd`, `pivot_root`, `open_by_handle_at`.
const REFUSED: [&str; 10] = [
    "165",
    "272:268435456",
    "321",
    "425",
    "250:99",
    "248",
    "298",
    "323",
    "155",
    "304",
];

const ALG: &str = "41:38:5:0";
const VSOCK: &str = "41:40:1:0";
const AUDIT: &str = "41:16:3:9";
/// The same for a kernel that looks at 32 bits of it.
const AUDIT_AND_MORE: &str = "41:16:3:4294967305";
const VSOCK_PAIR: &str = "53:40:1:0";
const CLONE3: &str = "435";
const X32_GETPID: &str = "1073741863";

#[test]
fn the_default_filter_is_in_force() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let before = host.snapshot();
    let pid = host.pid_of(host.start("box", &root, &[], SLEEP));
    assert_eq!(status_field(pid, "Seccomp"), "2");
    assert_eq!(status_field(pid, "NoNewPrivs"), "1");
    assert_eq!(calls(&host, &root, &[], &REFUSED), [EPERM; REFUSED.len()]);
    assert_eq!(
        calls(
            &host,
            &root,
            &[],
            &[
                ALG,
                VSOCK,
                VSOCK_PAIR,
                AUDIT,
                AUDIT_AND_MORE,
                CLONE3,
                X32_GETPID,
                "9999"
            ]
        ),
        [EPERM, EPERM, EPERM, EINVAL, EINVAL, ENOSYS, ENOSYS, ENOSYS]
    );
    // Every thread has it.
    assert_eq!(
        calls(&host, &root, &[], &["thread", "165", ALG]),
        [EPERM; 2]
    );
    host.coop(["rm", "-f", "box"]).run().success();
    host.assert_nothing_left(&before);
}

#[test]
fn without_the_filter_the_kernel_itself_answers() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    for off in [
        &["--security-opt", "seccomp=unconfined"][..],
        &["--privileged"],
    ] {
        // A user namespace of its own; no such command of keyctl; no such clone.
        let answers = calls(&host, &root, off, &["272:268435456", "250:99", CLONE3]);
        assert_eq!(answers, [0, 95, EINVAL], "{off:?}");
    }
    let flags = ["--security-opt", "seccomp=unconfined"];
    let open = host.pid_of(host.start("open", &root, &flags, SLEEP));
    assert_eq!(status_field(open, "Seccomp"), "0");
    let options = &host.inspect("open")["HostConfig"]["SecurityOpt"];
    assert_eq!(*options, json!(["no-new-privileges", "seccomp=unconfined"]));
}

#[test]
fn what_is_allowed_follows_the_capabilities() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    // unshare(CLONE_NEWUTS), and mount without arguments.
    let wanted = ["272:67108864", "165"];
    assert_eq!(calls(&host, &root, &[], &wanted), [EPERM; 2]);
    let granted = calls(&host, &root, &["--cap-add", "SYS_ADMIN"], &wanted);
    assert_eq!(granted, [0, 14]);
    let denied = ["--cap-add", "ALL", "--cap-drop", "SYS_ADMIN"];
    assert_eq!(calls(&host, &root, &denied, &wanted), [EPERM; 2]);
}

#[test]
fn strict_refuses_more() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    // ptrace(PTRACE_TRACEME), mknod, io_setup.
    let wanted = ["101:0", "133", "206"];
    let default = calls(&host, &root, &[], &wanted);
    assert!(!default.contains(&EPERM), "{default:?}");
    let strict = ["--security-opt", "seccomp=strict"];
    assert_eq!(calls(&host, &root, &strict, &wanted), [EPERM; 3]);
    host.sh(&root, &strict, "ls / | sort | head -1")
        .run()
        .success();
}

#[test]
fn without_no_new_privs_the_filter_is_there_all_the_same() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let flags = ["--security-opt", "no-new-privileges:false"];
    let pid = host.pid_of(host.start("box", &root, &flags, SLEEP));
    assert_eq!(status_field(pid, "NoNewPrivs"), "0");
    assert_eq!(status_field(pid, "Seccomp"), "2");
    let user = [&flags[..], &["-u", "app", "--init"]].concat();
    assert_eq!(
        calls(&host, &root, &user, &["165", CLONE3]),
        [EPERM, ENOSYS]
    );
}

#[test]
fn the_init_has_a_filter_of_its_own_and_does_its_work() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let script = "sleep 0.1 & exec sleep 1000";
    let pid = host.pid_of(host.start("box", &root, &["--init"], script));
    assert_eq!(status_field(pid, "Seccomp"), "2");
    assert_eq!(status_field(pid, "Name"), "coop-init");
    // It forwards: were the signal lost, the grace period would end it by SIGKILL.
    host.coop(["stop", "-t", "60", "box"]).run().success();
    assert_eq!(host.inspect("box")["State"]["ExitCode"], 143);
}

#[test]
fn commands_and_health_checks_in_a_container_have_its_filter() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let keys = format!(
        "volumes: ['{}']\nhealthcheck: {{test: [CMD, sh, -c, \
         'grep Seccomp: /proc/self/status; {CALLS} 165'], interval: 1s}}",
        mount()
    );
    let stack = host.web(&root, &keys, SLEEP);
    stack.up();
    assert_eq!(
        stack.exec("web", &format!("{CALLS} 165 {ALG}")).trim(),
        "1\n1"
    );
    coop_tests::wait_until("the check has run", || {
        let log = &host.inspect("shop-web-1")["State"]["Health"]["Log"];
        log[0]["Output"]
            .as_str()
            .is_some_and(|output| output.contains("Seccomp:\t2\n1"))
    });
    // Also where every capability is given.
    let exec = host.coop(["exec", "--privileged", "shop-web-1", CALLS, "425"]);
    assert_eq!(exec.run().success().lines(), ["1"]);
    stack.down();
}

fn write(host: &Host, name: &str, profile: &Value) -> String {
    let path = host.file(name, profile.to_string());
    path.display().to_string()
}

/// All but `mkdir` and its like, with an error of its own.
fn no_directories() -> Value {
    json!({
        "defaultAction": "SCMP_ACT_ALLOW",
        "archMap": [{"architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["SCMP_ARCH_X86"]}],
        "syscalls": [
            {"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 28,
             "comment": "no space", "includes": {}, "excludes": {}}
        ]
    })
}

#[test]
fn a_profile_is_read_from_a_file_beside_the_stack() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    write(&host, "profiles/none.json", &no_directories());
    let keys = "security_opt: ['seccomp=./profiles/none.json']";
    let stack = host.web(&root, keys, SLEEP);
    stack.up();
    let told = stack.exec("web", "mkdir /tmp/x 2>&1 || true");
    assert!(told.contains("No space left"), "{told}");
    let pid = host.pid_of("shop-web-1");
    let options = host.inspect("shop-web-1")["HostConfig"]["SecurityOpt"].to_string();
    assert!(options.contains("/profiles/none.json"), "{options}");
    // Another text of the file is another container.
    let mut other = no_directories();
    other["syscalls"][0]["errnoRet"] = json!(13);
    write(&host, "profiles/none.json", &other);
    stack.up();
    assert_ne!(host.pid_of("shop-web-1"), pid);
    let told = stack.exec("web", "mkdir /tmp/x 2>&1 || true");
    assert!(told.contains("Permission denied"), "{told}");
    stack.down();
}

#[test]
fn podmans_own_profile_runs_a_container() {
    const PROFILE: &str = "/usr/share/containers/seccomp.json";
    if !Path::new(PROFILE).exists() {
        coop_tests::skip!("no {PROFILE}");
    }
    let host = Host::new();
    let root = Rootfs::new(&host);
    let option = format!("seccomp={PROFILE}");
    let flags = ["--security-opt", &option];
    assert_eq!(
        calls(&host, &root, &flags, &["323", "321", AUDIT]),
        [EPERM, EPERM, EINVAL]
    );
}

#[test]
fn x_seccomp_changes_a_profile_by_name() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let keys = format!(
        "volumes: ['{}']\nx-seccomp: {{base: strict, allow: [mknod, keyctl], deny: [mkdir, mkdirat]}}",
        mount()
    );
    let stack = host.web(&root, &keys, SLEEP);
    stack.up();
    let answers = stack.exec("web", &format!("{CALLS} 133 250:99 83 101:0"));
    assert_eq!(
        answers.split_whitespace().collect::<Vec<_>>(),
        ["14", "95", "1", "1"]
    );
    let config = stack.coop("config").run();
    config.success().says("base: strict").says("keyctl");
    stack.down();
}

#[test]
fn a_profile_that_is_wrong_is_refused_before_anything_is_made() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let before = host.snapshot();
    let refused = |name: &str, profile: &Value, words: &[&str]| {
        let option = format!("seccomp={}", write(&host, name, profile));
        let flags = ["--security-opt", &option];
        host.sh(&root, &flags, "true").run().fails(125, words);
    };
    let entry = |action: &str, name: &str| {
        json!({"defaultAction": "SCMP_ACT_ERRNO",
               "syscalls": [{"names": ["execve", name], "action": action}]})
    };
    refused(
        "a",
        &json!({"defaultAction": "SCMP_ACT_ERROR"}),
        &["/a", "defaultAction", "SCMP_ACT_ERROR"],
    );
    refused(
        "b",
        &json!({"default": 1}),
        &["/b", "unknown field `default`", "line 1"],
    );
    refused(
        "c",
        &entry("SCMP_ACT_NOTIFY", "mount"),
        &["SCMP_ACT_NOTIFY"],
    );
    refused(
        "d",
        &entry("SCMP_ACT_KILL", "mount"),
        &["refuses execve", "allow execve"],
    );
    let missing = ["--security-opt", "seccomp=./missing.json"];
    let told = host.sh(&root, &missing, "true").run();
    told.fails(125, &["missing.json", "No such file", "help: "]);
    host.assert_nothing_left(&before);
}

#[test]
fn a_program_that_is_not_there_is_told_of_whatever_the_filter_allows() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let profile = json!({"defaultAction": "SCMP_ACT_ERRNO",
        "syscalls": [{"names": ["execve", "exit_group"], "action": "SCMP_ACT_ALLOW"}]});
    let option = format!("seccomp={}", write(&host, "few.json", &profile));
    let run = host.coop(["run", "--rm", "--security-opt", &option, "--rootfs"]);
    let output = run.arg(root.path()).args(["--", "/bin/nothing"]).run();
    output.code(127);
}

#[test]
fn what_a_container_calls_is_recorded_and_enough_for_the_next() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let before = host.snapshot();
    let script = "for i in 1 2 3; do (ls / | wc -l) & done; wait; exit 7";
    let record = ["--seccomp-record", "p.json"];
    host.sh(&root, &record, script).run().code(7);

    let text = fs::read_to_string(host.work().join("p.json")).unwrap();
    let profile: Value = serde_json::from_str(&text).unwrap();
    let names: Vec<_> = { profile["syscalls"][0]["names"].as_array().unwrap().iter() }
        .filter_map(Value::as_str)
        .collect();
    assert!(
        names.contains(&"execve") && names.contains(&"wait4"),
        "{names:?}"
    );
    // What only Coop itself calls, before the program.
    for others in [
        "mount",
        "pivot_root",
        "setresuid",
        "capset",
        "socket",
        "seccomp",
    ] {
        assert!(!names.contains(&others), "{others}: {names:?}");
    }

    let replay = ["--security-opt", "seccomp=p.json"];
    host.sh(&root, &replay, script).run().code(7);
    let outside = host.sh(&root, &replay, "mkdir /tmp/x").run();
    assert_ne!(outside.status.code(), Some(0));
    outside.warns("seccomp: p.json: mkdir refused to mkdir: errno EPERM");
    host.assert_nothing_left(&before);
}

#[test]
fn threads_are_recorded_and_a_workload_that_is_killed_ends_the_record() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let record = |output: &str, words: &[&str]| {
        let run = host.coop(["run", "--rm", "-v", &mount(), "--seccomp-record", output]);
        let run = run.arg("--rootfs").arg(root.path());
        run.arg("--").args(words).run()
    };
    record("thread.json", &[CALLS, "thread", "146:1"]).success();
    let script = "sh -c 'kill -9 $$'; sleep 1000 & echo up; exec sleep 1000";
    let run = host.coop([
        "run",
        "--rm",
        "--name",
        "box",
        "--seccomp-record",
        "killed.json",
    ]);
    let run = run.arg("--rootfs").arg(root.path());
    let mut running = run.args(["--", "/bin/sh", "-c", script]).spawn();
    running.wait_for("up");
    host.coop(["kill", "box"]).run().success();
    running.wait().code(137);
    for name in ["thread.json", "killed.json"] {
        let text = fs::read_to_string(host.work().join(name)).unwrap();
        assert!(text.contains("execve"), "{name}: {text}");
        assert_eq!(
            text.contains("sched_get_priority_max"),
            name == "thread.json",
            "{name}: {text}"
        );
    }
}

#[test]
fn a_command_of_the_host_is_recorded_too() {
    let host = Host::new();
    let output = host
        .coop([
            "seccomp",
            "record",
            "-o",
            "p.json",
            "--",
            "sh",
            "-c",
            "echo hello; exit 3",
        ])
        .run();
    output.code(3).says("hello");
    let text = fs::read_to_string(host.work().join("p.json")).unwrap();
    assert!(text.contains("\"write\""), "{text}");
}

#[test]
fn what_was_never_started_is_not_recorded() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let missing = "/no/such/program";
    let output = host.coop(["seccomp", "record", "--", missing]).run();
    output.fails(127, &[missing]);
    assert_eq!(output.stdout, "");
    let kept = host.work().join("kept.json");
    fs::write(&kept, "as it was").unwrap();
    for file in ["new.json", "kept.json"] {
        let record = ["seccomp", "record", "-o", file, "--", missing];
        host.coop(record).run().fails(127, &[missing]);
        let run = host.coop(["run", "--rm", "--network", "none", "--seccomp-record", file]);
        let run = run.arg("--rootfs").arg(root.path());
        run.args(["--", missing]).run().fails(127, &[missing]);
        let unknown = ["run", "--rm", "--seccomp-record", file, "no/such/image"];
        host.coop(unknown).run().fails(125, &["no/such/image"]);
    }
    assert!(!host.work().join("new.json").exists());
    assert_eq!(fs::read_to_string(&kept).unwrap(), "as it was");
}

#[test]
fn profiles_are_explained_dumped_and_compared() {
    let host = Host::new();
    let told = |words: &[&str], code: i32, what: &str| {
        let output = host.coop(["seccomp"]).args(words).run();
        output.code(code).says(what);
    };
    told(&["explain", "default", "mount"], 0, "EPERM");
    told(
        &["explain", "default", "mount", "--cap-add", "SYS_ADMIN"],
        0,
        "allow",
    );
    told(&["dump", "strict"], 0, "ret");
    told(&["diff", "default", "default"], 0, "");
    told(&["diff", "default", "strict"], 1, "ptrace");
}
