//! Labels of `AppArmor`, on a machine that has it, as the virtual machine of
//! `cargo xtask vm-test` does.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use coop_tests::{Host, Rootfs, skip};
use rustix::mount::{MountFlags, mount};

const PARSER: &str = "apparmor_parser";
const SLEEP: &str = "exec sleep 1000";

/// A profile in the kernel, until it is dropped.
struct Profile {
    name: String,
    file: PathBuf,
}

impl Profile {
    /// Everything is allowed but to look into /srv.
    fn load(host: &Host, name: &str) -> Self {
        let text = format!(
            "profile {name} flags=(attach_disconnected, mediate_deleted) {{\n\
             \x20 file, capability, network, signal, unix, mount, umount, pivot_root, ptrace,\n\
             \x20 deny /srv/** rwklx,\n\
             }}\n"
        );
        let file = host.work().join(format!("{name}.profile"));
        fs::write(&file, text).expect("write the profile");
        let profile = Self {
            name: name.to_owned(),
            file,
        };
        profile.parse("--add");
        profile
    }

    fn parse(&self, action: &str) {
        let parser = Command::new(PARSER)
            .args(["--skip-cache", action])
            .arg(&self.file)
            .output()
            .expect("run apparmor_parser");
        assert!(
            parser.status.success(),
            "{action} {}: {parser:?}",
            self.name
        );
    }
}

impl Drop for Profile {
    fn drop(&mut self) {
        self.parse("--remove");
    }
}

/// Why nothing can be labelled here.
fn lacks() -> Option<&'static str> {
    let enabled = fs::read_to_string("/sys/module/apparmor/parameters/enabled");
    if enabled.is_ok_and(|enabled| enabled.trim() != "Y")
        || !Path::new("/sys/module/apparmor").exists()
    {
        return Some("this machine's kernel has no AppArmor");
    }
    if Command::new(PARSER).arg("--version").output().is_err() {
        return Some("there is no apparmor_parser to load a profile with");
    }
    None
}

/// Where profiles are loaded; in this test's mount namespace.
fn show_security() {
    if !Path::new("/sys/kernel/security/apparmor").exists() {
        let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
        mount(
            "securityfs",
            "/sys/kernel/security",
            "securityfs",
            flags,
            None,
        )
        .expect("securityfs");
    }
}

#[test]
fn a_profile_of_apparmor_holds_the_container_and_every_command_in_it() {
    let host = Host::new();
    if let Some(reason) = lacks() {
        skip!("{reason}");
    }
    show_security();
    let root = Rootfs::new(&host);
    fs::write(root.path().join("srv/secret"), "gold\n").unwrap();
    let profile = Profile::load(&host, "coop-test-hold");
    let option = format!("apparmor={}", profile.name);
    let script = "cat /proc/self/attr/current; cat /srv/secret";
    host.sh(&root, &[], script).run().success().says("gold");

    let labelled = ["--security-opt", &option];
    let held = host.sh(&root, &labelled, script).run();
    held.code(1).says("coop-test-hold (enforce)");
    assert!(held.stderr.contains("Permission denied"), "{held:?}");
    assert!(!held.stdout.contains("gold"), "{held:?}");

    let pid = host.pid_of(host.start("box", &root, &labelled, SLEEP));
    let label = fs::read_to_string(format!("/proc/{pid}/attr/current")).unwrap();
    assert_eq!(label.trim_end(), "coop-test-hold (enforce)");
    let exec = host.coop(["exec", "box", "/bin/sh", "-c", script]).run();
    exec.code(1).says("coop-test-hold (enforce)");
    assert!(!exec.stdout.contains("gold"), "{exec:?}");
    host.coop(["rm", "-f", "box"]).run().success();

    // With an init, and for a user who is not root.
    let init = ["--security-opt", &option, "--init", "--user", "1000"];
    let held = host.sh(&root, &init, script).run();
    held.code(1).says("coop-test-hold (enforce)");
}

#[test]
fn a_profile_that_is_not_loaded_is_refused_by_name_and_leaves_nothing() {
    let host = Host::new();
    if let Some(reason) = lacks() {
        skip!("{reason}");
    }
    let root = Rootfs::new(&host);
    let before = host.snapshot();
    let option = ["--security-opt", "apparmor=coop-test-nowhere"];
    let run = host.sh(&root, &option, "true").run();
    run.fails(125, &["AppArmor", "coop-test-nowhere", "help:"]);
    host.assert_nothing_left(&before);
}

#[test]
fn in_a_stack_the_profile_is_that_of_its_service_alone() {
    let host = Host::new();
    if let Some(reason) = lacks() {
        skip!("{reason}");
    }
    show_security();
    let root = Rootfs::new(&host);
    let profile = Profile::load(&host, "coop-test-stack");
    let held = format!("security_opt: [apparmor={}]", profile.name);
    let stack = host.services(&root, &[("held", &held, SLEEP), ("free", "", SLEEP)]);
    stack.up();
    let label = |container| {
        let pid = host.pid_of(container);
        fs::read_to_string(format!("/proc/{pid}/attr/current")).unwrap()
    };
    assert_eq!(label("shop-held-1").trim_end(), "coop-test-stack (enforce)");
    assert_eq!(label("shop-free-1").trim_end(), "unconfined");
    stack.coop("down").args(["-t", "0"]).run().success();
}
