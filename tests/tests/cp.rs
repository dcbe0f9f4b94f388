//! `coop cp`: files into and out of containers, friendly and hostile ones.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use coop_tests::{Host, Rootfs, wait_until};

const SLEEP: &str = "exec sleep 1000";
const FLAGS: [&str; 4] = ["--stop-signal", "KILL", "--network", "none"];

/// A directory with everything that a file can be, in the host's work directory.
fn make_tree(host: &Host) {
    let top = host.work().join("tree");
    fs::create_dir_all(top.join("sub")).expect("make the tree");
    fs::write(top.join("sub/file"), "content").expect("make the tree");
    fs::set_permissions(top.join("sub/file"), fs::Permissions::from_mode(0o4751))
        .expect("make the tree");
    fs::hard_link(top.join("sub/file"), top.join("twin")).expect("make the tree");
    symlink("/etc/passwd", top.join("link")).expect("make the tree");
    rustix::fs::chown(
        top.join("sub"),
        Some(rustix::process::Uid::from_raw(1000)),
        Some(rustix::process::Gid::from_raw(2000)),
    )
    .expect("make the tree");
}

/// Mode, owner, links and name of everything below a directory of the container.
fn listing(host: &Host, name: &str, dir: &str) -> String {
    let script = format!("cd {dir} && stat -c '%A %u:%g %h %N' . sub sub/file twin link");
    let output = host.coop(["exec", name, "/bin/sh", "-c", &script]).run();
    output.success().stdout.clone()
}

#[test]
fn a_directory_goes_in_and_comes_out_again() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    make_tree(&host);
    host.start("box", &root, &FLAGS, SLEEP);
    let copied = host.coop(["cp", "tree", "box:/srv"]).run();
    insta::assert_snapshot!(copied.success().stderr, @"Successfully copied 4.1kB to box:/srv");
    insta::assert_snapshot!(listing(&host, "box", "/srv/tree"), @r"
    drwxr-xr-x 0:0 3 .
    drwxr-xr-x 0:0 2 sub
    -rwsr-x--x 0:0 2 sub/file
    -rwsr-x--x 0:0 2 twin
    lrwxrwxrwx 0:0 1 'link' -> '/etc/passwd'
    ");
    host.coop(["cp", "-aq", "tree", "box:/new"])
        .run()
        .success()
        .prints("");
    insta::assert_snapshot!(listing(&host, "box", "/new"), @r"
    drwxr-xr-x 0:0 3 .
    drwxr-xr-x 1000:2000 2 sub
    -rwsr-x--x 0:0 2 sub/file
    -rwsr-x--x 0:0 2 twin
    lrwxrwxrwx 0:0 1 'link' -> '/etc/passwd'
    ");
    host.coop(["cp", "box:/new/.", "out"]).run().success();
    let out = host.work().join("out");
    assert_eq!(fs::read_to_string(out.join("twin")).unwrap(), "content");
    let mode = |file: &str| out.join(file).metadata().unwrap().permissions().mode() & 0o7777;
    // Root's, set-user-id and made by a container: not on this host.
    assert_eq!(mode("sub/file"), 0o751);
    host.coop(["cp", "-L", "box:/new/link", "followed"])
        .run()
        .success();
    let followed = fs::read_to_string(host.work().join("followed")).unwrap();
    assert!(followed.starts_with("root:x:0:0"), "{followed}");
}

#[test]
fn a_stopped_container_has_its_changes_its_volumes_and_not_what_it_deleted() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let mut flags = FLAGS.to_vec();
    flags.extend(["-v", "data:/data"]);
    let script = "echo in volume > /data/file; echo changed > /srv/file; rm /marker; echo done";
    host.start("box", &root, &flags, script);
    wait_until("it has ended", || {
        host.inspect("box")["State"]["Status"] == "exited"
    });
    wait_until("nobody looks after it", || host.processes().is_empty());
    let before = host.snapshot();
    let read = |path: &str| {
        let output = host.coop(["cp", "-q", path, "out"]).run();
        output.success();
        fs::read_to_string(host.work().join("out")).unwrap()
    };
    assert_eq!(read("box:/data/file"), "in volume\n");
    assert_eq!(read("box:/srv/file"), "changed\n");
    host.coop(["cp", "box:/marker", "out"])
        .run()
        .fails(1, &["box: no such file or directory: /marker"]);
    // Overlay itself clears away what was deleted in its scratch directory.
    let difference = before.difference(&host.snapshot());
    assert!(!difference.contains("  + "), "{difference}");
    host.file("new", "new");
    host.coop(["cp", "new", "box:/data/new"]).run().success();
    host.coop(["cp", "new", "box:/srv"]).run().success();
    assert_eq!(read("box:/data/new"), "new");
    assert_eq!(read("box:/srv/new"), "new");
}

#[test]
fn streams_are_tar_archives() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    make_tree(&host);
    host.start("box", &root, &FLAGS, SLEEP);
    // By its path: a shell of busybox has a `tar` of its own, with fewer options.
    let pipe = "/bin/tar c --owner=5 --group=6 tree | \"$@\"";
    let into = host.coop(["cp", "-", "box:/srv"]).through_shell(pipe);
    into.run().success();
    assert!(listing(&host, "box", "/srv/tree").contains("5:6"));
    let out = host.coop(["cp", "box:/srv/tree", "-"]);
    let names = out.through_shell("\"$@\" | tar t | sort").run();
    insta::assert_snapshot!(names.success().stdout, @r"
    tree/
    tree/link
    tree/sub/
    tree/sub/file
    tree/twin
    ");
    let gzip = host.coop(["cp", "-", "box:/srv"]);
    gzip.through_shell("/bin/tar cz tree | \"$@\"")
        .run()
        .fails(1, &["compressed with gzip", "help:"]);
}

#[test]
fn what_cannot_be_copied_is_told() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    make_tree(&host);
    host.start("box", &root, &FLAGS, SLEEP);
    let told = |args: &[&str]| {
        let output = host.coop(["cp"]).args(args).run();
        output.fails(1, &[]).stderr.clone()
    };
    insta::assert_snapshot!(told(&["tree", "box:/marker"]), @"error: box: cannot copy a directory to /marker, which is a file");
    insta::assert_snapshot!(told(&["tree/twin", "box:/no/such"]), @"error: box: the destination directory /no does not exist");
    insta::assert_snapshot!(told(&["tree/twin", "box:/new/"]), @"error: box: the destination directory /new does not exist");
    insta::assert_snapshot!(told(&["box:/none", "x"]), @"error: box: no such file or directory: /none");
    let none = told(&["none", "box:/"]);
    assert!(none.contains("no such file or directory"), "{none}");
    assert!(told(&["ghost:/x", "x"]).contains("no such container"));
    assert!(told(&["box:/etc", "box:/srv"]).contains("between containers"));
}

#[test]
fn a_link_of_the_container_leads_nowhere_on_the_host() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    host.file("secret/file", "secret");
    let secret = host.work().join("secret");
    let script = format!(
        "ln -s {0} /srv/absolute; ln -s ../../../../../../../..{0} /srv/relative; \
         ln -s /proc/1/root{0} /srv/magic; echo ready; {SLEEP}",
        secret.display()
    );
    host.start("box", &root, &FLAGS, &script);
    wait_until("it is ready", || {
        host.coop(["logs", "box"]).run().stdout.contains("ready")
    });
    host.file("evil", "evil");
    for stopped in [false, true] {
        if stopped {
            host.coop(["stop", "-t", "0", "box"]).run().success();
        }
        for link in ["absolute", "relative", "magic"] {
            let from = format!("box:/srv/{link}/file");
            host.coop(["cp", &from, "out"]).run().code(1);
            let to = format!("box:/srv/{link}/file");
            host.coop(["cp", "evil", &to]).run().code(1);
        }
    }
    assert!(!host.work().join("out").exists());
    assert_eq!(fs::read_to_string(secret.join("file")).unwrap(), "secret");
    assert_eq!(fs::read_dir(&secret).unwrap().count(), 1);
}

#[test]
fn a_directory_that_becomes_a_link_meanwhile_is_no_way_out() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    host.file("secret/file", "secret");
    let secret = host.work().join("secret");
    let script = format!(
        "mkdir -p /srv/a/x /srv/real; echo mine > /srv/real/file; cd /srv/a; echo ready; \
         while :; do rm -rf x; ln -s {} x; rm -f x; cp -r ../real x 2>/dev/null || mkdir x; done",
        secret.display()
    );
    host.start("box", &root, &FLAGS, &script);
    wait_until("it is ready", || {
        host.coop(["logs", "box"]).run().stdout.contains("ready")
    });
    host.file("evil/x/file", "evil");
    for _ in 0..30 {
        // Each may fail, for what it copies goes away under it.
        host.coop(["cp", "evil/.", "box:/srv/a"]).run();
        host.coop(["cp", "evil/x/file", "box:/srv/a/x/new"]).run();
        host.coop(["cp", "-L", "box:/srv/a/x/.", "out"]).run();
        host.coop(["cp", "box:/srv/a/x/file", "file"]).run();
    }
    assert_eq!(fs::read_to_string(secret.join("file")).unwrap(), "secret");
    assert_eq!(fs::read_dir(&secret).unwrap().count(), 1);
    for copy in ["file", "out/file"] {
        let text = fs::read_to_string(host.work().join(copy)).unwrap_or_default();
        assert_ne!(text, "secret", "{copy}");
    }
}

#[test]
fn a_copy_that_is_killed_leaves_nothing_but_what_it_copied() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    host.start("box", &root, &FLAGS, "exit 0");
    wait_until("it has ended", || {
        host.inspect("box")["State"]["Status"] == "exited" && host.processes().is_empty()
    });
    let before = host.snapshot();
    let mut copy = host.coop(["cp", "-", "box:/srv"]).open_stdin().spawn();
    // It waits for more.
    copy.send("half a header");
    wait_until("both sides run", || host.processes().len() >= 2);
    copy.signal(rustix::process::Signal::KILL);
    wait_until("both are gone", || host.processes().is_empty());
    host.assert_nothing_left(&before);
    host.coop(["start", "box"]).run().success();
}
