//! Labels of `SELinux`, enforced, on a machine that was booted with it and has no policy of its
//! own: the variant `selinux` of `cargo xtask vm-test`.
//!
//! It is one test: a policy is for the whole machine.

use std::fs;
use std::path::Path;
use std::process::Command;

use coop_tests::{Host, Rootfs, selinux, skip};
use rustix::mount::{MountFlags, mount};

const SELINUX: &str = "/sys/fs/selinux";
const SLEEP: &str = "exec sleep 1000";

/// Loads the policy of the tests and has the kernel enforce it.
fn enforce(host: &Host) {
    let (source, binary) = (host.work().join("policy.cil"), host.work().join("policy"));
    fs::write(&source, selinux::policy()).expect("write the policy");
    let compiler = Command::new("secilc")
        .args(["--policyvers=33", "--filecontext=/dev/null", "--output"])
        .args([&binary, &source])
        .output()
        .expect("run secilc");
    assert!(compiler.status.success(), "{compiler:?}");
    mount("selinuxfs", SELINUX, "selinuxfs", MountFlags::empty(), None).expect("mount selinuxfs");
    let policy = fs::read(&binary).expect("read the policy");
    fs::write(Path::new(SELINUX).join("load"), policy).expect("load the policy");
    fs::write(Path::new(SELINUX).join("enforce"), "1").expect("enforce the policy");
}

/// The last part of a context: level and categories.
fn level(context: &str) -> &str {
    context
        .splitn(4, ':')
        .nth(3)
        .expect("a level")
        .trim_end_matches(['\0', '\n'])
}

#[test]
fn a_container_is_what_its_label_says_and_so_are_its_files() {
    if std::env::var("COOP_GUEST_VARIANT").as_deref() != Ok("selinux") {
        skip!("this machine has no SELinux, or a policy of its own");
    }
    let host = Host::new();
    enforce(&host);
    let root = Rootfs::new(&host);
    let before = host.snapshot();
    let context =
        |pid: u32| fs::read_to_string(format!("/proc/{pid}/attr/current")).expect("a label");

    let labelled = ["--security-opt", "label=type:container_t"];
    let pid = host.pid_of(host.start("one", &root, &labelled, SLEEP));
    let one = context(pid);
    assert!(
        one.starts_with("system_u:system_r:container_t:s0:c"),
        "{one}"
    );
    let other = context(host.pid_of(host.start("two", &root, &labelled, SLEEP)));
    assert_ne!(level(&one), level(&other), "categories of its own each");

    // What it has for itself alone bears its categories: its root, /dev, shared memory, tmpfs.
    let files = format!(
        "context=\"system_u:object_r:container_file_t:{}\"",
        level(&one)
    );
    let mounts = fs::read_to_string(format!("/proc/{pid}/mountinfo")).expect("its mounts");
    for place in ["/", "/dev", "/dev/shm"] {
        let mount = mounts
            .lines()
            .find(|line| line.split(' ').nth(4) == Some(place));
        let mount = mount.unwrap_or_else(|| panic!("no {place}: {mounts}"));
        assert!(mount.contains(&files), "{mount}");
    }

    // Commands in it are of it, and the policy holds.
    let secret = host.work().join("secret");
    fs::write(&secret, "gold\n").expect("write");
    rustix::fs::setxattr(
        &secret,
        "security.selinux",
        b"system_u:object_r:secret_t:s0",
        rustix::fs::XattrFlags::empty(),
    )
    .expect("label the secret");
    let script = "echo mine > /mine; cat /mine /proc/self/attr/current; echo x > /dev/null; \
                  cat /secret";
    let volume = format!("{}:/secret", secret.display());
    let free = host.sh(&root, &["-v", &volume], script).run();
    free.success().says("gold");
    let held = host
        .sh(&root, &["-v", &volume, labelled[0], labelled[1]], script)
        .run();
    held.code(1).says("mine").says("container_t");
    assert!(
        held.stderr.contains("/secret': Permission denied"),
        "{held:?}"
    );
    assert!(!held.stderr.contains("/dev/null"), "{held:?}");
    let exec = host
        .coop(["exec", "one", "cat", "/proc/self/attr/current"])
        .run();
    assert_eq!(
        exec.success().stdout.trim_end_matches(['\0', '\n']),
        one.trim_end_matches(['\0', '\n'])
    );

    let unknown = ["--security-opt", "label=type:no_such_t"];
    let run = host.sh(&root, &unknown, "true").run();
    run.fails(125, &["SELinux", "no_such_t", "help:"]);

    host.coop(["rm", "-f", "one", "two"]).run().success();
    host.assert_nothing_left(&before);
}
