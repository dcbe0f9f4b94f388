//! What an image brings: devices, set-user-id programs, volumes, and where it is kept.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use coop_tests::{Host, Rootfs, wait_until};
use rustix::fs::{CWD, FileType, Mode, makedev, mknodat};

use crate::{Prey, SLEEP, link};

/// A device node in an image is no device.
#[test]
fn device_nodes_of_an_image_are_dead() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    // /dev/mem, /dev/kmsg, the first loop device, and for comparison /dev/zero.
    for (name, kind, device) in [
        ("mem", FileType::CharacterDevice, makedev(1, 1)),
        ("kmsg", FileType::CharacterDevice, makedev(1, 11)),
        ("loop", FileType::BlockDevice, makedev(7, 0)),
        ("zero", FileType::CharacterDevice, makedev(1, 5)),
    ] {
        let mode = Mode::from_raw_mode(0o666);
        mknodat(CWD, root.path().join("srv").join(name), kind, mode, device).unwrap();
    }
    let script = "for node in mem kmsg loop zero; do head -c 1 /srv/$node > /tmp/out && \
                  echo opened $node; done; echo end";
    for mode in ["overlay", "rw"] {
        let run = host.coop([
            "run",
            "--rm",
            "--network",
            "none",
            "--rootfs-mode",
            mode,
            "--rootfs",
        ]);
        let run = run.arg(root.path()).args(["--", "/bin/sh", "-c", script]);
        run.run().success().prints("end");
    }
    // With the host's ids it is the rules for devices that hold.
    let output = host
        .sh(&root, &["--network", "none", "--userns", "host"], script)
        .run();
    assert_eq!(output.success().lines(), ["opened zero", "end"], "{output}");
}

/// A set-user-id program of an image gives nobody root, until that is allowed by name.
#[test]
fn set_user_id_programs_give_nothing() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let suid = root.path().join("bin/suid");
    // This program itself: it is linked statically, and busybox drops what it is given.
    fs::copy(std::env::current_exe().unwrap(), &suid).unwrap();
    fs::set_permissions(&suid, fs::Permissions::from_mode(0o6755)).unwrap();
    let script = "/bin/suid --exact images::tells_its_user --ignored --nocapture";
    let flags = ["--network", "none", "-u", "app"];
    let output = host.sh(&root, &flags, script).run();
    output.success().says("I am 1000 of 1000");
    let open = [&flags[..], &["--security-opt", "no-new-privileges:false"]].concat();
    let output = host.sh(&root, &open, script).run();
    output.success().says("I am 0 of 0");
}

#[test]
#[ignore = "it is a program that another test runs in a container"]
fn tells_its_user() {
    let (user, group) = (rustix::process::geteuid(), rustix::process::getegid());
    println!("I am {} of {}", user.as_raw(), group.as_raw());
}

/// CVE-2021-41091, CVE-2021-41103, CVE-2024-25621: users of the host walk into containers' files.
#[test]
fn other_users_of_the_host_reach_no_container() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    host.start(
        "box",
        &root,
        &["-v", "data:/data", "--network", "none"],
        SLEEP,
    );
    let list = "find \"$COOP_ROOT\" 2>/dev/null | sort; \
                for dir in \"$COOP_ROOT\"/data/*/* \"$COOP_ROOT\"/run/*/*; do ls \"$dir\"; done";
    let own = host.tool("sh").args(["-c", list]).run();
    assert!(own.lines().len() > 20, "{own}");
    let other = host.tool("sh").args(["-c", list]).user(54_321).run();
    for line in other.stdout.lines() {
        let below = line.trim_start_matches(&host.coop_root().display().to_string());
        assert!(below.matches('/').count() <= 1, "{line} is seen by others");
    }
}

/// CVE-2022-23648, CVE-2024-1753, CVE-2018-15664: a volume is filled from the image, through a
/// link to the host.
#[test]
fn a_volume_is_filled_with_nothing_of_the_host() {
    let host = Host::new();
    let prey = Prey::new(&host);
    let root = Rootfs::new(&host);
    link(&root, prey.climb(), "climb");
    link(&root, prey.path(), "absolute");
    link(&root, "/proc/1/root", "magic");
    let archive = host.work().join("evil.tar");
    let pack = host
        .tool("tar")
        .arg("-cf")
        .arg(&archive)
        .arg("-C")
        .arg(root.path());
    pack.arg(".").run().success();
    let down = prey.path().display().to_string();
    let mut tried = 0;
    for (number, volume) in [
        "/climb".to_owned(),
        "/absolute".to_owned(),
        format!("/magic{down}"),
        format!("/../../../..{down}"),
        format!("/climb/../../../../../..{down}"),
    ]
    .iter()
    .enumerate()
    {
        let name = format!("evil:{number}");
        let change = format!("VOLUME {volume}");
        let import = host.coop(["image", "import", "--change", &change]);
        let import = import.arg(&archive).arg(&name).run();
        if import.status.code() != Some(0) {
            import.fails(1, &[]);
            continue;
        }
        let list = "busybox find / -xdev -name secret; \
                    for d in /climb /absolute; do ls $d/; echo x > $d/planted; done; echo end";
        let run = host.coop(["run", "--rm", "--network", "none", &name]);
        let output = run.args(["busybox", "sh", "-c", list]).run();
        assert!(matches!(output.status.code(), Some(0 | 125)), "{output}");
        output.does_not_say("secret");
        prey.assert_untouched();
        tried += 1;
    }
    assert!(tried > 1, "hardly any of the images can be imported");
    wait_until("nothing runs", || host.processes().is_empty());
}
