//! Ways out that go through the kernel's own filesystems.

use std::fs;

use coop_tests::{Host, Rootfs, cgroup, id_map, is_kernel_before, status_field};

use crate::SLEEP;

/// CVE-2022-0492: `release_agent` of a cgroup is a program that the kernel runs on the host.
#[test]
fn no_release_agent_is_written() {
    let script = "for file in $(find /sys/fs/cgroup -name release_agent -o -name notify_on_release); \
                  do echo /evil > $file && echo wrote $file; done; mkdir /tmp/cg; \
                  for kind in rdma memory cpu none,name=evil; do \
                  mount -t cgroup -o $kind cgroup /tmp/cg && { mkdir /tmp/cg/x; \
                  echo /evil > /tmp/cg/release_agent && echo wrote agent of $kind; umount /tmp/cg; }; \
                  done; mount -t cgroup2 none /tmp/cg && echo mounted cgroup2; echo end";
    for flags in [&[][..], &["--cap-add", "SYS_ADMIN"], &["--userns", "host"]] {
        let host = Host::new();
        let root = Rootfs::new(&host);
        let applets = "ln -s /bin/busybox /tmp/find; PATH=/tmp:$PATH; ";
        let flags = [&["--network", "none"][..], flags].concat();
        let output = host.sh(&root, &flags, &format!("{applets}{script}")).run();
        output.success().says("end").does_not_say("wrote");
    }
}

/// CVE-2023-25809: the cgroups that a container sees are the host's, and it can write to them.
#[test]
fn no_cgroup_is_made_or_changed_from_inside() {
    let script = "cd /sys/fs/cgroup; for dir in . *; do mkdir $dir/evil && echo made in $dir; \
                  echo $$ > $dir/cgroup.procs && echo moved in $dir; \
                  echo max > $dir/pids.max && echo changed $dir; done; echo end";
    for flags in [
        &[][..],
        &["--cgroupns", "host"],
        &["--cgroupns", "host", "--userns", "host"],
    ] {
        let host = Host::new();
        let root = Rootfs::new(&host);
        let flags = [&["--network", "none"][..], flags].concat();
        let output = host.sh(&root, &flags, script).run();
        output.success().prints("end");
    }
    assert!(
        cgroup::hierarchies()
            .iter()
            .all(|dir| !dir.join("evil").exists())
    );
}

/// Root of a container is not root of the host, for `coop run` with no flag at all: CVE-2021-21284
/// and every other escape ends as this user.
#[test]
fn ps_on_the_host_shows_the_mapped_id() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let run = host
        .coop(["run", "-d", "--name", "box", "--rootfs"])
        .arg(root.path());
    run.args(["--", "/bin/sleep", "1000"]).run().success();
    let pid = host.pid_of("box");
    let seen = host
        .tool("ps")
        .args(["-o", "uid=,gid=", "-p", &pid.to_string()])
        .run();
    let ids: Vec<u32> = seen
        .text()
        .split_whitespace()
        .map(|id| id.parse().unwrap())
        .collect();
    let range = id_map(pid, "uid_map")[0];
    assert_eq!((range.inside, range.count), (0, 65_536));
    assert_eq!(ids, [range.outside; 2], "{seen}");
    assert!(range.outside >= 65_536, "{seen}");
    assert_eq!(
        host.coop(["exec", "box", "/bin/id", "-u"]).run().text(),
        "0"
    );
}

/// Ids that are asked for by name, and that nobody else is given.
#[test]
fn ids_are_mapped_by_name_and_kept_from_others() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let maps = [
        "--network",
        "none",
        "--uidmap",
        "0:300000:1000",
        "--gidmap",
        "0:400000:2000",
    ];
    let pid = host.pid_of(host.start("named", &root, &maps, SLEEP));
    let (uids, gids) = (id_map(pid, "uid_map"), id_map(pid, "gid_map"));
    assert_eq!((uids[0].outside, uids[0].count), (300_000, 1000));
    assert_eq!((gids[0].outside, gids[0].count), (400_000, 2000));
    // Files are the container's, whatever it is outside.
    let script = "touch /srv/new; stat -c '%u %g' /srv/new /bin /etc/passwd; \
                  cat /proc/sys/net/ipv4/ping_group_range";
    let output = host.coop(["exec", "named", "/bin/sh", "-c", script]).run();
    assert_eq!(output.success().lines(), ["0 0", "0 0", "0 0", "0\t1999"]);
    // Those of another container are its own.
    let pid = host.pid_of(host.start("given", &root, &["--network", "none"], SLEEP));
    let given = id_map(pid, "uid_map")[0];
    let thief = format!("0:{}:10", given.outside + 5);
    host.sh(&root, &["--network", "none", "--uidmap", &thief], "true")
        .run()
        .fails(125, &["are container given's"]);
    // Who names the same ids shares them, by name.
    let pid = host.pid_of(host.start("twin", &root, &maps, SLEEP));
    assert_eq!(id_map(pid, "uid_map"), uids);
    host.coop(["rm", "-f", "named", "given", "twin"])
        .run()
        .success();
    let left = fs::read_dir(host.coop_root().join("data/id-pool")).unwrap();
    assert_eq!(left.count(), 0);
}

/// Podman's `keep-id`, for the user of `sudo`.
#[test]
fn the_user_of_sudo_keeps_its_ids() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let run = |name: &str, flags: &[&str]| {
        let run = host
            .coop(["run", "-d", "--network", "none", "--name", name])
            .args(flags);
        let run = run.arg("--rootfs").arg(root.path());
        let run = run.args(["--", "/bin/sh", "-c", SLEEP]);
        run.env("SUDO_UID", "54321")
            .env("SUDO_GID", "54320")
            .run()
            .success();
        host.pid_of(name)
    };
    let pid = run("kept", &["--userns", "keep-id"]);
    assert_eq!(status_field(pid, "Uid"), ["54321"; 4].join("\t"));
    assert_eq!(status_field(pid, "Gid"), ["54320"; 4].join("\t"));
    assert_eq!(status_field(pid, "CapEff"), "0000000000000000");
    let inside = host
        .coop(["exec", "kept", "/bin/sh", "-c", "id -u; id -g"])
        .run();
    assert_eq!(inside.lines(), ["54321", "54320"]);
    // Its root is nobody's, as ever.
    let root_inside = host
        .coop(["exec", "-u", "0", "kept", "/bin/id", "-u"])
        .run();
    assert_eq!(root_inside.text(), "0");
    let outside = id_map(pid, "uid_map")[0].outside;
    assert!(outside >= 65_536);
    let pid = run("other", &["--userns", "keep-id:uid=7,gid=8"]);
    assert_eq!(status_field(pid, "Uid"), ["54321"; 4].join("\t"));
    let inside = host
        .coop(["exec", "other", "/bin/sh", "-c", "id -u; id -g"])
        .run();
    assert_eq!(inside.lines(), ["7", "8"]);
    assert_ne!(id_map(pid, "uid_map")[0].outside, outside);
    // Root's own would make root of the container root of the host.
    host.sh(&root, &["--userns", "keep-id"], "true")
        .run()
        .fails(125, &["keep-id", "sudo"]);
}

/// `x-landlock`: what is not named is not there, whoever asks.
#[test]
fn landlock_holds_roots_hands() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    if is_kernel_before(6, 2) {
        // Less than all of it would be worse than nothing: it is refused.
        let run = host.sh(
            &root,
            &["--network", "none", "--landlock", "read=/"],
            "true",
        );
        run.run()
            .fails(125, &["landlock: version 3 is needed (Linux 6.2)"]);
        return;
    }
    let script = "cat /marker; echo new > /srv/file && cat /srv/file; echo x > /tmp/x; \
                  cat /etc/passwd; ls /home; echo > /marker; cat /proc/self/comm; \
                  echo to-null > /dev/null; echo end";
    let flags = [
        "--network",
        "none",
        "--landlock",
        "execute=/bin",
        "--landlock",
        "read=/marker",
        "--landlock",
        "write=/srv",
    ];
    let output = host.sh(&root, &flags, script).run();
    let expected = [Rootfs::MARKER, "new", "cat", "end"];
    assert_eq!(output.success().lines(), expected, "{output}");
    assert_eq!(
        output.stderr.matches("ermission denied").count(),
        4,
        "{output}"
    );
    // A process that enters it has the same rules; so has one of a stack file.
    let yaml = "x-landlock: {execute: [/bin], read: [/marker]}";
    let stack = host.web(&root, yaml, SLEEP);
    stack.up();
    let output = host
        .coop(["exec", "shop-web-1", "/bin/cat", "/etc/passwd"])
        .run();
    output.code(1).warns("ermission denied");
    let output = host
        .coop(["exec", "shop-web-1", "/bin/cat", "/marker"])
        .run();
    output.success().prints(Rootfs::MARKER);
    stack.down();
    // Without it, all of that is there.
    let output = host.sh(&root, &["--network", "none"], script).run();
    assert!(output.success().stderr.is_empty(), "{output}");
    host.sh(
        &root,
        &["--network", "none", "--landlock", "read=/nowhere"],
        "true",
    )
    .run()
    .fails(125, &["landlock", "/nowhere", "No such file"]);
}
