//! `coop diff`: what a container has changed.

use coop_tests::{Host, Rootfs, wait_until};

const FLAGS: [&str; 4] = ["--stop-signal", "KILL", "--network", "none"];

#[test]
fn a_fresh_container_has_changed_nothing() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let mut flags = FLAGS.to_vec();
    flags.extend(["-v", "data:/new/deep/volume", "--tmpfs", "/run"]);
    host.start("box", &root, &flags, "exec sleep 1000");
    host.coop(["diff", "box"]).run().success().prints("");
}

#[test]
fn added_changed_and_deleted_files_are_told_running_and_stopped() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let script = "echo new > /etc/new; echo more >> /marker; rm /etc/group; \
                  rm -rf /home; mkdir /home; mkdir -p /opt/a/b; ln -s x /tmp/link; \
                  echo a > /data/in-volume; echo ready; exec sleep 1000";
    let mut flags = FLAGS.to_vec();
    flags.extend(["-v", "data:/data"]);
    host.start("box", &root, &flags, script);
    wait_until("it is ready", || {
        host.coop(["logs", "box"]).run().stdout.contains("ready")
    });
    let diff = || host.coop(["diff", "box"]).run().success().stdout.clone();
    let running = diff();
    insta::assert_snapshot!(running, @r"
    C /etc
    D /etc/group
    A /etc/new
    C /home
    C /marker
    A /opt
    A /opt/a
    A /opt/a/b
    C /tmp
    A /tmp/link
    ");
    host.coop(["stop", "box"]).run().success();
    assert_eq!(diff(), running);
    host.coop(["diff", "ghost"]).run().fails(1, &["ghost"]);
}

#[test]
fn a_directory_made_anew_lacks_what_the_image_has_in_it() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let script = "rm -rf /etc && mkdir /etc && echo x > /etc/passwd; echo ready; exec sleep 1000";
    let mut flags = FLAGS.to_vec();
    // Its own files are mounted there, so it goes by a name of its own.
    let script = script.replace("/etc", "/srv/etc");
    std::fs::create_dir(root.path().join("srv/etc")).unwrap();
    std::fs::write(root.path().join("srv/etc/passwd"), "old").unwrap();
    std::fs::write(root.path().join("srv/etc/shadow"), "old").unwrap();
    flags.extend(["--hostname", "box"]);
    host.start("box", &root, &flags, &script);
    wait_until("it is ready", || {
        host.coop(["logs", "box"]).run().stdout.contains("ready")
    });
    let diff = host.coop(["diff", "box"]).run();
    insta::assert_snapshot!(diff.success().stdout, @r"
    C /srv
    C /srv/etc
    C /srv/etc/passwd
    D /srv/etc/shadow
    ");
}

#[test]
fn directories_deeper_than_there_are_descriptors_are_no_obstacle() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let script = "i=0; while [ $i -lt 600 ]; do mkdir d && cd d; i=$((i + 1)); done; \
                  echo ready; exec sleep 1000";
    host.start("box", &root, &FLAGS, script);
    wait_until("it is ready", || {
        host.coop(["logs", "box"]).run().stdout.contains("ready")
    });
    let limited = r#"ulimit -n 256; exec "$@""#;
    let diff = host.coop(["diff", "box"]).through_shell(limited).run();
    assert_eq!(diff.success().lines().len(), 600);
}
