//! Devices of the host in a container, and those that are kept from it.

use std::path::Path;

use coop_tests::{Host, Rootfs, Stack, skip};

const SLEEP: &str = "exec sleep 1000";
/// A device that nothing harms when it is opened, and that no container has by itself.
const DEVICE: &str = "/dev/fuse";

/// What an attempt prints: its words, or why not.
fn tried(stack: &Stack<'_>, script: &str) -> String {
    let script = format!("( {script} ) 2>&1 && echo done || true");
    stack.exec("web", &script)
}

#[test]
fn a_device_is_there_with_the_access_that_it_is_given() {
    if !Path::new(DEVICE).exists() {
        skip!("this kernel has no {DEVICE}");
    }
    let host = Host::new();
    let root = Rootfs::new(&host);
    let before = host.snapshot();
    let keys = format!("devices: ['{DEVICE}', '{DEVICE}:/dev/other']");
    let stack = host.web(&root, &keys, SLEEP);
    stack.up();
    for path in [DEVICE, "/dev/other"] {
        assert_eq!(
            tried(&stack, &format!(": <>{path}")).trim(),
            "done",
            "{path}"
        );
    }
    let devices = &host.inspect("shop-web-1")["HostConfig"]["Devices"];
    assert_eq!(
        devices[1],
        serde_json::json!({
            "PathOnHost": DEVICE,
            "PathInContainer": "/dev/other",
            "CgroupPermissions": "rwm",
        })
    );
    stack.down();
    host.assert_nothing_left(&before);
}

#[test]
fn a_device_to_read_cannot_be_written() {
    if !Path::new(DEVICE).exists() {
        skip!("this kernel has no {DEVICE}");
    }
    let host = Host::new();
    let root = Rootfs::new(&host);
    let stack = host.web(&root, &format!("devices: ['{DEVICE}:{DEVICE}:r']"), SLEEP);
    stack.up();
    assert_eq!(tried(&stack, &format!(": <{DEVICE}")).trim(), "done");
    let written = tried(&stack, &format!(": <>{DEVICE}"));
    assert!(written.contains("not permitted"), "{written}");
    stack.down();
}

/// The rule holds, not only the absence of the node: root of the host's ids can make that.
#[test]
fn a_device_that_is_not_listed_is_denied_though_its_node_is_there() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let made = "busybox mknod /dev/made c 10 229 && : </dev/made";
    let flags = ["--userns", "host", "--cap-add", "MKNOD"];
    let output = host.sh(&root, &flags, made).run();
    output.code(1).warns("not permitted");
    if !Path::new(DEVICE).exists() {
        skip!("this kernel has no {DEVICE}");
    }
    let with_rule = [&flags[..], &["--device-cgroup-rule", "c 10:229 rwm"]].concat();
    host.sh(&root, &with_rule, made).run().success();
}

#[test]
fn what_is_no_device_is_refused_with_its_path() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    for (device, words) in [
        ("/dev/no-such-device", "/dev/no-such-device"),
        ("/etc/passwd", "is not below /dev"),
        ("/etc/passwd:/dev/passwd", "not a device"),
    ] {
        host.sh(&root, &["--device", device], "true")
            .run()
            .fails(125, &[words]);
    }
}
