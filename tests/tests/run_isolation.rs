//! What a container is kept from.

use std::fs;

use coop_tests::{Host, Ids, Rootfs, capabilities, id_map, namespace, status_field};

const SLEEP: &str = "exec sleep 1000";

/// What Docker gives a container's root; Coop must not give more.
const DOCKERS_CAPABILITIES: u64 = 0xa804_25fb;
const NET_ADMIN: u64 = 1 << 12;
const SYS_ADMIN: u64 = 1 << 21;

#[test]
fn every_namespace_is_its_own() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let pid = host.pid_of(host.start("box", &root, &[], SLEEP));
    for kind in ["cgroup", "ipc", "mnt", "net", "pid", "user", "uts"] {
        let outside = fs::read_link(format!("/proc/thread-self/ns/{kind}")).unwrap();
        assert_ne!(namespace(pid, kind), outside, "{kind}");
    }
}

#[test]
fn two_containers_share_no_namespace() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let one = host.pid_of(host.start("one", &root, &[], SLEEP));
    let two = host.pid_of(host.start("two", &root, &[], SLEEP));
    for kind in ["cgroup", "ipc", "mnt", "net", "pid", "user", "uts"] {
        assert_ne!(namespace(one, kind), namespace(two, kind), "{kind}");
    }
}

#[test]
fn the_ids_are_a_range_of_65536_that_no_other_container_has() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let one = host.pid_of(host.start("one", &root, &[], SLEEP));
    let two = host.pid_of(host.start("two", &root, &[], SLEEP));
    for map in ["uid_map", "gid_map"] {
        let [a] = id_map(one, map)[..] else {
            panic!("{map} of one has several lines")
        };
        let [b] = id_map(two, map)[..] else {
            panic!("{map} of two has several lines")
        };
        for ids in [a, b] {
            assert_eq!((ids.inside, ids.count), (0, 65_536), "{map}: {ids:?}");
            assert!(
                ids.outside >= 65_536,
                "{map}: {ids:?} are ids of the host's own users"
            );
        }
        assert!(!overlap(a, b), "{map}: {a:?} and {b:?}");
    }
}

fn overlap(a: Ids, b: Ids) -> bool {
    a.outside < b.outside + b.count && b.outside < a.outside + a.count
}

#[test]
fn root_inside_is_nobody_outside() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let pid = host.pid_of(host.start("box", &root, &[], SLEEP));
    let first = id_map(pid, "uid_map")[0].outside;
    let expected = [first; 4].map(|id| id.to_string()).join("\t");
    assert_eq!(status_field(pid, "Uid"), expected);
}

#[test]
fn no_program_can_gain_privileges() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let pid = host.pid_of(host.start("box", &root, &[], SLEEP));
    assert_eq!(status_field(pid, "NoNewPrivs"), "1");
}

#[test]
fn the_capabilities_are_the_short_set() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let pid = host.pid_of(host.start("box", &root, &[], SLEEP));
    for set in ["CapEff", "CapPrm", "CapBnd", "CapInh", "CapAmb"] {
        let excess = capabilities(pid, set) & !DOCKERS_CAPABILITIES;
        assert_eq!(excess, 0, "{set} has {excess:x} too many");
    }
    assert_ne!(
        capabilities(pid, "CapEff"),
        0,
        "root can still change owners, for example"
    );
}

#[test]
fn capabilities_are_added_and_dropped_by_name() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let flags = ["--cap-drop", "ALL", "--cap-add", "NET_ADMIN"];
    let pid = host.pid_of(host.start("box", &root, &flags, SLEEP));
    assert_eq!(capabilities(pid, "CapEff"), NET_ADMIN);
    assert_eq!(capabilities(pid, "CapBnd") & SYS_ADMIN, 0);
}

#[test]
fn only_the_three_standard_descriptors_are_open() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let pid = host.pid_of(host.start("box", &root, &[], SLEEP));
    let mut open: Vec<_> = fs::read_dir(format!("/proc/{pid}/fd"))
        .unwrap()
        .flatten()
        .map(|entry| entry.file_name())
        .collect();
    open.sort();
    assert_eq!(open, ["0", "1", "2"]);
}

#[test]
fn a_descriptor_of_the_caller_does_not_leak_in() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let secret = host.file("secret", "secret");
    // The shell opens descriptor 9 and hands it down to coop.
    let script = r#"exec 9<"$SECRET"; exec "$@""#;
    let coop = host.sh(&root, &[], "cat <&9 || echo closed");
    let output = coop.through_shell(script).env("SECRET", &secret).run();
    output.success().prints("closed");
}

#[test]
fn dangerous_files_of_proc_are_masked() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let pid = host.pid_of(host.start("box", &root, &[], SLEEP));
    let mounts = fs::read_to_string(format!("/proc/{pid}/mountinfo")).unwrap();
    for path in [
        "/proc/kcore",
        "/proc/keys",
        "/proc/timer_list",
        "/proc/sysrq-trigger",
    ] {
        if fs::exists(path).unwrap() {
            assert!(
                mounts.contains(&format!(" {path} ")),
                "{path} is not covered:\n{mounts}"
            );
        }
    }
}

#[test]
fn kernel_settings_cannot_be_written() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let script = "echo 1 > /proc/sys/vm/drop_caches; touch /sys/new; echo done";
    let output = host.sh(&root, &[], script).run();
    output.success().prints("done");
    assert_eq!(
        output.stderr.matches("Read-only file system").count(),
        2,
        "{output}"
    );
}

#[test]
fn the_hosts_files_are_not_there() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let secret = host.file("secret", "secret");
    let script = format!(
        "test -e {} && echo visible; cat /marker; ls /",
        secret.display()
    );
    let output = host.sh(&root, &[], &script).run();
    output
        .success()
        .does_not_say("visible")
        .says(Rootfs::MARKER);
}

#[test]
fn the_containers_mounts_do_not_appear_on_the_host() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let mounts = || fs::read_to_string("/proc/thread-self/mountinfo").unwrap();
    let before = mounts();
    host.start("box", &root, &["--tmpfs", "/tmp"], SLEEP);
    assert_eq!(mounts(), before);
}

#[test]
fn the_containers_dev_has_the_standard_nodes_and_no_disk() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let script = "for node in null zero full random urandom tty; do \
                  test -c /dev/$node || echo no $node; done; \
                  for dir in pts shm mqueue; do test -d /dev/$dir || echo no $dir; done; \
                  for link in fd stdin stdout stderr ptmx; do \
                  test -e /dev/$link || echo no $link; done; \
                  for node in /dev/*; do test -b $node && echo disk $node; done; \
                  echo x > /dev/null && head -c 4 /dev/zero | wc -c";
    host.sh(&root, &[], script).run().success().prints("4");
}

#[test]
fn a_device_node_cannot_be_made() {
    let host = Host::new();
    let script = "mknod /tmp/disk b 8 0 && head -c 1 /tmp/disk && echo opened || echo refused";
    let output = host
        .coop(["run", "--rm", "coop/host", "sh", "-c", script])
        .run();
    output.success().prints("refused");
}

#[test]
fn host_network_shares_the_network_and_nothing_else() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let pid = host.pid_of(host.start("box", &root, &["--network", "host"], SLEEP));
    let outside = |kind| fs::read_link(format!("/proc/thread-self/ns/{kind}")).unwrap();
    assert_eq!(namespace(pid, "net"), outside("net"));
    for kind in ["cgroup", "ipc", "mnt", "pid", "user", "uts"] {
        assert_ne!(namespace(pid, kind), outside(kind), "{kind}");
    }
}

#[test]
fn no_network_is_a_loopback_that_is_up() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let output = host.sh(&root, &["--network", "none"], "ip -o link").run();
    assert_eq!(output.success().lines().len(), 1, "{output}");
    output.says("lo: <LOOPBACK,UP");
}

#[test]
fn a_bridge_network_has_an_address_and_a_way_out() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let output = host
        .sh(&root, &["--network", "bridge"], "ip -4 -o addr; ip route")
        .run();
    output.success().says("eth0").says("default via");
}

#[test]
fn the_container_knows_itself_by_its_hostname() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let script = "cat /etc/hostname; grep -w sandbox /etc/hosts; ls /etc/resolv.conf";
    let output = host.sh(&root, &["--hostname", "sandbox"], script).run();
    let lines = output.success().lines();
    assert_eq!(lines[0], "sandbox", "{output}");
    assert!(
        lines[1].contains("sandbox") && lines[2] == "/etc/resolv.conf",
        "{output}"
    );
}
