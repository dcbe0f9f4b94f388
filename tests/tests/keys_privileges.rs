//! Keys of the stack file, and flags of `run`, that are about what a process may do.

use std::fs;

use coop_tests::{Host, Rootfs, capabilities, namespace, status_field};

const SLEEP: &str = "exec sleep 1000";

#[test]
fn groups_are_added_by_number_and_by_the_containers_name() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let stack = host.web(&root, "user: app\ngroup_add: [5, logs]", SLEEP);
    stack.up();
    let groups = stack.exec("web", "id -G");
    let mut groups: Vec<_> = groups.split_whitespace().collect();
    groups.sort_unstable();
    assert_eq!(groups, ["1000", "2000", "5"]);
    stack.down();
    host.sh(&root, &["--group-add", "nobodys"], "true")
        .run()
        .fails(125, &["nobodys"]);
}

#[test]
fn limits_of_each_process_are_those_of_the_file() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let keys = "ulimits: {nofile: {soft: 64, hard: 128}, core: 0, nproc: 77}";
    let stack = host.web(&root, keys, SLEEP);
    stack.up();
    let seen = stack.exec("web", "ulimit -Sn; ulimit -Hn; ulimit -c");
    assert_eq!(
        seen.split_whitespace().collect::<Vec<_>>(),
        ["64", "128", "0"]
    );
    let pid = host.pid_of("shop-web-1");
    let limits = fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
    let of = |name: &str| {
        let line = limits.lines().find_map(|line| line.strip_prefix(name));
        let words = line.unwrap().split_whitespace().take(2);
        words.map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(of("Max open files"), ["64", "128"]);
    assert_eq!(of("Max processes"), ["77", "77"]);
    assert_eq!(
        host.inspect("shop-web-1")["HostConfig"]["Ulimits"][0],
        serde_json::json!({"Name": "nofile", "Soft": 64, "Hard": 128})
    );
    stack.down();
}

#[test]
fn who_is_killed_first_can_be_said() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let stack = host.web(&root, "oom_score_adj: 500", SLEEP);
    stack.up();
    let pid = host.pid_of("shop-web-1");
    let score = |pid: u32| fs::read_to_string(format!("/proc/{pid}/oom_score_adj")).unwrap();
    assert_eq!(score(pid).trim(), "500");
    assert_eq!(host.inspect("shop-web-1")["HostConfig"]["OomScoreAdj"], 500);
    // The supervisor, which is not the container, keeps its own.
    for supervisor in host.supervisors() {
        assert_ne!(score(supervisor).trim(), "500");
    }
    stack.down();
}

#[test]
fn kernel_parameters_of_its_own_namespaces_are_set_and_no_others() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let outside = |name: &str| fs::read_to_string(format!("/proc/sys/{name}")).unwrap();
    let before = outside("kernel/shmmax");
    let keys =
        "sysctls: {net.ipv4.tcp_keepalive_time: 77, kernel.shmmax: 12345678, fs.mqueue.msg_max: 7}";
    let stack = host.web(&root, keys, SLEEP);
    stack.up();
    let read = "cat /proc/sys/net/ipv4/tcp_keepalive_time /proc/sys/kernel/shmmax /proc/sys/fs/mqueue/msg_max";
    assert_eq!(
        stack
            .exec("web", read)
            .split_whitespace()
            .collect::<Vec<_>>(),
        ["77", "12345678", "7"]
    );
    assert_eq!(outside("kernel/shmmax"), before);
    stack.down();
    host.web(&root, "sysctls: {kernel.panic: 1}", SLEEP)
        .coop("up")
        .arg("-d")
        .run()
        .stack_fails(&["it is of the whole host"]);
    host.sh(&root, &["--sysctl", "net.core.nothing=1"], "true")
        .run()
        .fails(125, &["net.core.nothing"]);
    host.sh(
        &root,
        &["--network", "host", "--sysctl", "net.core.somaxconn=7"],
        "true",
    )
    .run()
    .fails(125, &["would be set for the whole host"]);
}

#[test]
fn a_security_option_loosens_what_it_names() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let start = |name: &'static str, options: &[&str]| {
        let flags: Vec<_> = options
            .iter()
            .flat_map(|it| ["--security-opt", it])
            .collect();
        host.pid_of(host.start(name, &root, &flags, SLEEP))
    };
    let plain = start("plain", &[]);
    assert_eq!(status_field(plain, "NoNewPrivs"), "1");
    let gains = start("gains", &["no-new-privileges:false"]);
    assert_eq!(status_field(gains, "NoNewPrivs"), "0");
    let tight = start("tight", &["no-new-privileges"]);
    assert_eq!(status_field(tight, "NoNewPrivs"), "1");
    let open = start(
        "open",
        &[
            "systempaths=unconfined",
            "seccomp=unconfined",
            "apparmor=unconfined",
            "label=disable",
        ],
    );
    let masked = |pid: u32| {
        let mounts = fs::read_to_string(format!("/proc/{pid}/mountinfo")).unwrap();
        let below_proc = |line: &&str| line.split(' ').nth(4).unwrap().starts_with("/proc/");
        mounts.lines().filter(below_proc).count()
    };
    assert!(masked(plain) > 3);
    assert_eq!(masked(open), 0);
    assert_eq!(status_field(open, "NoNewPrivs"), "1");
}

#[test]
fn a_privileged_container_is_hardly_kept_from_the_host() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let before = host.snapshot();
    let stack = host.web(&root, "privileged: true", SLEEP);
    stack.up();
    let pid = host.pid_of("shop-web-1");
    let own = status_field(std::process::id(), "CapBnd");
    assert_eq!(
        capabilities(pid, "CapEff"),
        u64::from_str_radix(&own, 16).unwrap()
    );
    assert_eq!(status_field(pid, "NoNewPrivs"), "0");
    assert_eq!(
        namespace(pid, "user"),
        fs::read_link("/proc/thread-self/ns/user").unwrap()
    );
    assert_ne!(
        namespace(pid, "mnt"),
        fs::read_link("/proc/thread-self/ns/mnt").unwrap()
    );
    for path in ["/dev/null", "/dev/kmsg"] {
        stack.exec("web", &format!("test -c {path} && : <{path}"));
    }
    // Mounting, and writing below /proc/sys and /sys.
    stack.exec("web", "mount -t tmpfs none /srv && umount /srv");
    stack.exec("web", "echo 1 >/proc/sys/net/ipv4/ip_forward");
    assert_eq!(host.inspect("shop-web-1")["HostConfig"]["Privileged"], true);
    stack.down();
    host.assert_nothing_left(&before);
}
