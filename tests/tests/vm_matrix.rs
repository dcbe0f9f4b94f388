//! Machines that lack something: what Coop does instead, and what it refuses.
//!
//! `COOP_GUEST_VARIANT` says what the virtual machine of `cargo xtask vm-test` lacks. What can
//! be taken away from a single test's host is tested on every machine.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use coop_tests::{
    Host, Rootfs, capabilities, id_map, is_kernel_before, namespace, skip, status_field, wait_until,
};
use rustix::mount::{MountFlags, mount, mount_bind};

const SLEEP: &str = "exec sleep 1000";

/// Whether the machine is of this variant.
fn is_variant(variant: &str) -> bool {
    std::env::var("COOP_GUEST_VARIANT").is_ok_and(|it| it == variant)
}

/// How often `text` was said.
fn times(text: &str, said: &str) -> usize {
    said.matches(text).count()
}

/// A host whose working directory, and so its images, lie where no kernel can id-map them.
fn without_id_maps() -> Host {
    let host = Host::new();
    if !is_variant("no-idmap") {
        mount("ramfs", host.work(), "ramfs", MountFlags::empty(), None).expect("mount a ramfs");
        fs::set_permissions(host.work(), fs::Permissions::from_mode(0o755)).expect("open it");
    }
    host
}

#[test]
fn an_image_that_cannot_be_id_mapped_is_copied_and_the_ids_stay_the_containers_own() {
    if is_variant("no-idmap") && !is_kernel_before(6, 3) {
        skip!("this kernel can id-map a tmpfs: Linux 6.3 and newer");
    }
    if is_variant("userns=forbidden") {
        skip!("containers have the host's ids on this machine: there is nothing to copy");
    }
    let host = without_id_maps();
    let root = Rootfs::new(&host);
    let hidden = root.path().join("root");
    fs::set_permissions(&hidden, fs::Permissions::from_mode(0o700)).unwrap();
    let program = root.path().join("bin/special");
    fs::hard_link(root.path().join("bin/busybox"), &program).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o6755)).unwrap();
    std::os::unix::fs::chown(root.path().join("srv"), Some(1000), Some(2000)).unwrap();
    let image = root.listing();
    let before = host.snapshot();

    let create = host.coop([
        "run",
        "-d",
        "--name",
        "box",
        "--network",
        "none",
        "--rootfs",
    ]);
    let create = create.arg(root.path());
    let started = create.args(["--", "/bin/sh", "-c", SLEEP]).run();
    started.success();
    let pid = host.pid_of("box");
    let ids = id_map(pid, "uid_map");
    assert!(
        ids[0].outside >= 65_536 && ids[0].count == 65_536,
        "{ids:?}"
    );
    let script = "stat -c '%n %u:%g %a' / /root /srv /bin/special; echo new > /root/file; \
                  cat /root/file /marker";
    let seen = || {
        let exec = host.coop(["exec", "box", "/bin/sh", "-c", script]).run();
        exec.success().lines().join("\n")
    };
    let expected = format!(
        "/ 0:0 755\n/root 0:0 700\n/srv 1000:2000 755\n/bin/special 0:0 6755\nnew\n{}",
        Rootfs::MARKER
    );
    assert_eq!(seen(), expected);
    assert_eq!(root.listing(), image, "the image itself is not touched");

    // The copy is made once.
    let id = host.inspect("box")["Id"].as_str().unwrap().to_owned();
    let copy = host
        .coop_root()
        .join("data/containers")
        .join(&id)
        .join("image");
    let inode = |path: &Path| fs::metadata(path).unwrap().ino();
    let marker = inode(&copy.join("marker"));
    assert_eq!(
        inode(&copy.join("bin/special")),
        inode(&copy.join("bin/busybox")),
        "one file with two names"
    );
    assert_eq!(fs::metadata(&copy).unwrap().uid(), ids[0].outside);
    host.coop(["restart", "-t", "0", "box"]).run().success();
    assert_eq!(seen(), expected);
    assert_eq!(inode(&copy.join("marker")), marker);
    host.coop(["rm", "-f", "box"]).run().success();
    host.assert_nothing_left(&before);
}

#[test]
fn a_copy_is_announced_once() {
    if is_variant("no-idmap") && !is_kernel_before(6, 3) {
        skip!("this kernel can id-map a tmpfs: Linux 6.3 and newer");
    }
    if is_variant("userns=forbidden") {
        skip!("containers have the host's ids on this machine: there is nothing to copy");
    }
    let host = without_id_maps();
    let root = Rootfs::new(&host);
    let run = host.sh(&root, &["--network", "none"], "cat /marker").run();
    run.success().prints(Rootfs::MARKER);
    assert_eq!(times("its image is copied", &run.stderr), 1, "{run}");
    assert_eq!(times("warning:", &run.stderr), 1, "{run}");
    // With the host's ids there is nothing to copy.
    let ids_of_the_host = ["--network", "none", "--userns", "host"];
    let run = host.sh(&root, &ids_of_the_host, "cat /marker").run();
    run.success().prints(Rootfs::MARKER);
    assert_eq!(run.stderr, "", "{run}");
}

#[test]
fn what_coop_gives_to_a_container_belongs_to_its_root_on_every_filesystem() {
    let host = without_id_maps();
    let root = Rootfs::new(&host);
    let secret = host.file("secret", "hush");
    let stack = host.stack(&format!(
        "name: shop\nservices:\n  web:\n    rootfs: {}\n    network_mode: none\n    \
         stop_grace_period: 0s\n    \
         command: [/bin/sh, -c, {SLEEP:?}]\n    secrets: [key]\nsecrets:\n  key:\n    file: {}\n",
        root.path().display(),
        secret.display()
    ));
    stack.up();
    let script = "stat -c '%n %u:%g' /run/secrets/key /etc/hosts /etc/resolv.conf /dev/null; \
                  cat /run/secrets/key";
    let seen = stack.exec("web", script);
    let files = [
        "/run/secrets/key",
        "/etc/hosts",
        "/etc/resolv.conf",
        "/dev/null",
    ];
    for file in files {
        assert!(seen.contains(&format!("{file} 0:0")), "{seen}");
    }
    assert!(seen.contains("hush"), "{seen}");
    stack.down();
}

#[test]
fn without_nft_no_network_is_made_and_containers_without_one_run() {
    let host = Host::new();
    for directory in ["/usr/sbin", "/usr/bin", "/sbin", "/bin"] {
        let nft = Path::new(directory).join("nft");
        if nft.exists() {
            mount_bind("/dev/null", &nft).expect("hide nft");
        }
    }
    let root = Rootfs::new(&host);
    let before = host.snapshot();
    let message = ["nft", "nftables", "network_mode: none or host"];
    host.sh(&root, &[], "true").run().fails(125, &message);
    let detached = host.coop(["run", "-d", "--name", "box", "--rootfs"]);
    let detached = detached
        .arg(root.path())
        .args(["--", "/bin/sh", "-c", SLEEP]);
    detached.run().fails(125, &message);
    let stack = host.web(&root, "", SLEEP);
    stack.coop("up").arg("-d").run().fails(1, &message);
    host.assert_nothing_left(&before);

    for mode in ["none", "host"] {
        let run = host.sh(&root, &["--network", mode], "cat /marker").run();
        run.success().prints(Rootfs::MARKER);
    }
    host.coop(["info"])
        .run()
        .success()
        .says("nft is not installed");
    host.assert_nothing_left(&before);
}

#[test]
fn where_user_namespaces_are_forbidden_containers_have_the_hosts_ids_and_all_else() {
    if !is_variant("userns=forbidden") {
        skip!("this machine allows user namespaces");
    }
    let host = Host::new();
    let root = Rootfs::new(&host);
    let before = host.snapshot();
    let run = host.sh(&root, &[], "id -u; cat /proc/self/uid_map").run();
    let words: Vec<_> = run.success().stdout.split_whitespace().collect();
    assert_eq!(words, ["0", "0", "0", "4294967295"], "{run}");
    assert_eq!(times("warning:", &run.stderr), 1, "{run}");
    run.warns("allows no user namespaces");

    let stack = host.services(&root, &[("one", "", SLEEP), ("two", "", SLEEP)]);
    let up = stack.up();
    assert_eq!(times("allows no user namespaces", &up.stderr), 1, "{up}");
    let pid = host.pid_of("shop-one-1");
    for kind in ["cgroup", "ipc", "mnt", "net", "pid", "uts"] {
        let outside = fs::read_link(format!("/proc/thread-self/ns/{kind}")).unwrap();
        assert_ne!(namespace(pid, kind), outside, "{kind}");
    }
    // What is left between root in the container and the host.
    let dockers = 0xa804_25fb;
    assert_eq!(capabilities(pid, "CapEff") & !dockers, 0);
    assert_eq!(capabilities(pid, "CapBnd") & !dockers, 0);
    assert_eq!(status_field(pid, "NoNewPrivs"), "1");
    let attack = "echo 1 > /proc/sys/kernel/sysrq && echo set a kernel parameter; \
                  mount -t tmpfs x /srv && echo mounted; \
                  cat /proc/kcore | head -c 1 | grep -q . && echo read memory; exit 0";
    let attacked = stack.exec("one", attack);
    assert_eq!(attacked.trim(), "");
    stack.down();
    host.assert_nothing_left(&before);
}

#[test]
fn a_container_that_finds_no_user_namespace_left_is_refused_and_the_others_stay() {
    if !is_variant("userns=limited") {
        skip!("this machine allows as many user namespaces as one likes");
    }
    let most = fs::read_to_string("/proc/sys/user/max_user_namespaces").unwrap();
    let most: usize = most.trim().parse().unwrap();
    let host = Host::new();
    let root = Rootfs::new(&host);
    let before = host.snapshot();
    let names: Vec<_> = (0..most).map(|number| format!("box{number}")).collect();
    for name in &names {
        host.start(name, &root, &["--network", "none"], SLEEP);
    }
    // Not with the host's ids, which these containers would have had by chance.
    let one_more = host.sh(&root, &["--network", "none"], "true").run();
    one_more.fails(125, &["max_user_namespaces"]);
    for name in &names {
        assert_eq!(host.inspect(name)["State"]["Running"], true, "{name}");
    }
    let ids_of_the_host = ["--network", "none", "--userns", "host"];
    let by_name = host.sh(&root, &ids_of_the_host, "cat /marker").run();
    by_name.success().prints(Rootfs::MARKER);
    // One goes, and there is room for another.
    host.coop(["rm", "-f", &names[0]]).run().success();
    // The kernel takes a moment to count it.
    wait_until("a user namespace is free", || {
        let again = host.sh(&root, &["--network", "none"], "cat /marker").run();
        again.status.success() && again.stdout.contains(Rootfs::MARKER)
    });
    for name in &names[1..] {
        host.coop(["rm", "-f", name]).run().success();
    }
    host.assert_nothing_left(&before);
}
