//! The container's root filesystem and volumes.

use std::fs;
use std::os::unix::fs::symlink;

use coop_tests::{Host, Rootfs};

#[test]
fn what_the_container_writes_does_not_change_the_image() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let before = root.listing();
    let script = "echo x > /new && rm /marker && chmod 700 /srv && echo changed > /etc/passwd";
    host.sh(&root, &[], script).run().success();
    assert_eq!(root.listing(), before);
}

#[test]
fn what_one_container_writes_another_one_does_not_see() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    host.sh(&root, &[], "echo x > /new").run().success();
    host.sh(&root, &[], "test -e /new").run().code(1);
}

#[test]
fn files_of_the_image_belong_to_the_containers_root() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let output = host
        .sh(&root, &[], "stat -c '%u %g' / /marker /bin/busybox /etc")
        .run();
    assert!(
        output.success().lines().iter().all(|line| *line == "0 0"),
        "{output}"
    );
}

#[test]
fn rootfs_mode_ro_takes_the_directory_as_it_is_and_read_only() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let before = root.listing();
    let output = host
        .sh(
            &root,
            &["--rootfs-mode", "ro"],
            "cat /marker; echo x > /new",
        )
        .run();
    output
        .code(1)
        .prints(Rootfs::MARKER)
        .warns("Read-only file system");
    assert_eq!(root.listing(), before);
}

#[test]
fn rootfs_mode_rw_writes_to_the_directory() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    host.sh(&root, &["--rootfs-mode", "rw"], "echo kept > /srv/new")
        .run()
        .success();
    assert_eq!(
        fs::read_to_string(root.path().join("srv/new")).unwrap(),
        "kept\n"
    );
}

#[test]
fn a_read_only_root_refuses_writes_but_not_to_its_tmpfs() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let flags = ["--read-only", "--tmpfs", "/tmp"];
    let output = host
        .sh(
            &root,
            &flags,
            "echo x > /tmp/new && cat /tmp/new; echo x > /new",
        )
        .run();
    output.code(1).prints("x").warns("Read-only file system");
}

#[test]
fn a_tmpfs_is_no_larger_than_asked_for() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let script = "dd if=/dev/zero of=/tmp/big bs=64k count=32";
    let output = host.sh(&root, &["--tmpfs", "/tmp:size=1m"], script).run();
    output.code(1).warns("No space left on device");
}

#[test]
fn a_bind_volume_is_the_hosts_directory() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let shared = host
        .file("shared/from-host", "hello")
        .parent()
        .unwrap()
        .to_path_buf();
    let volume = format!("{}:/data", shared.display());
    let script = "cat /data/from-host && echo answer > /data/from-container";
    host.sh(&root, &["--volume", &volume], script)
        .run()
        .success()
        .prints("hello");
    assert_eq!(
        fs::read_to_string(shared.join("from-container")).unwrap(),
        "answer\n"
    );
}

#[test]
fn a_bind_volume_can_be_read_only() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let shared = host
        .file("shared/from-host", "hello")
        .parent()
        .unwrap()
        .to_path_buf();
    let volume = format!("{}:/data:ro", shared.display());
    let output = host
        .sh(
            &root,
            &["-v", &volume],
            "cat /data/from-host; touch /data/new",
        )
        .run();
    output
        .code(1)
        .prints("hello")
        .warns("Read-only file system");
    assert!(!shared.join("new").exists());
}

#[test]
fn a_single_file_can_be_a_volume() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let file = host.file("settings", "from the host");
    let volume = format!("{}:/etc/settings:ro", file.display());
    let output = host.sh(&root, &["-v", &volume], "cat /etc/settings").run();
    output.success().prints("from the host");
}

#[test]
fn a_relative_volume_starts_at_the_working_directory() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    host.file("shared/from-host", "hello");
    let output = host
        .sh(&root, &["-v", "./shared:/data"], "cat /data/from-host")
        .run();
    output.success().prints("hello");
}

#[test]
fn a_named_volume_outlives_its_containers() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    host.sh(&root, &["-v", "cache:/data"], "echo kept > /data/file")
        .run()
        .success();
    let output = host
        .sh(&root, &["-v", "cache:/data"], "cat /data/file")
        .run();
    output.success().prints("kept");
}

#[test]
fn a_link_in_the_image_leads_no_volume_out_of_it() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let outside = host
        .file("outside/file", "x")
        .parent()
        .unwrap()
        .to_path_buf();
    symlink(&outside, root.path().join("absolute")).unwrap();
    symlink("../../../../../../../..", root.path().join("climbing")).unwrap();
    // Inside, the link climbs to the container's own root.
    let script = "grep -c ' /inner ' /proc/self/mountinfo";
    let climbing = host
        .sh(&root, &["-v", "cache:/climbing/inner"], script)
        .run();
    climbing.success().prints("1");
    // This one leads to a place that the image does not have: made there, or refused.
    let absolute = host
        .sh(&root, &["-v", "cache:/absolute/inner"], "exit 0")
        .run();
    if !absolute.status.success() {
        absolute.fails(125, &["/absolute/inner"]);
    }
    let names: Vec<_> = fs::read_dir(&outside)
        .unwrap()
        .flatten()
        .map(|e| e.file_name())
        .collect();
    assert_eq!(names, ["file"]);
    assert!(!fs::exists("/inner").unwrap());
}

#[test]
fn a_link_in_the_image_in_place_of_proc_does_not_cover_what_it_points_to() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    fs::remove_dir(root.path().join("proc")).unwrap();
    symlink("/etc", root.path().join("proc")).unwrap();
    let output = host
        .sh(&root, &[], "cat /etc/group; cat /proc/1/comm")
        .run();
    if output.status.success() {
        output.says("root:x:0:").says("sh");
    } else {
        output.fails(125, &["/proc"]);
    }
}

#[test]
fn a_stopped_container_keeps_what_it_wrote() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let script = "cat /kept; echo written >> /kept; exec sleep 1000";
    host.start("box", &root, &["--stop-signal", "KILL"], script);
    coop_tests::wait_until("the file is written", || {
        host.coop(["exec", "box", "/bin/test", "-s", "/kept"])
            .run()
            .status
            .success()
    });
    host.coop(["stop", "box"]).run().success();
    host.coop(["start", "box"]).run().success();
    coop_tests::wait_until("the file is read again", || {
        host.coop(["logs", "box"]).run().stdout.contains("written")
    });
}
