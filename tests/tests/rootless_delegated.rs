//! Limits without root: an ordinary user with a delegated part of cgroup v2.
//!
//! Runs as that user, in a group that it may write (`COOP_TEST_DELEGATED` names the part that is
//! delegated), as `cargo xtask vm-test` arranges it. Elsewhere the tests say that they have
//! nothing to look at.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use coop_tests::{skip, wait_until};
use tempfile::TempDir;

/// State of its own for each test.
struct User {
    root: TempDir,
    delegated: PathBuf,
}

impl User {
    fn new() -> Option<Self> {
        let delegated = PathBuf::from(std::env::var_os("COOP_TEST_DELEGATED")?);
        let home = std::env::var_os("HOME")?;
        Some(Self {
            root: TempDir::new_in(home).expect("a directory for the state"),
            delegated,
        })
    }

    fn coop(&self, args: &[&str]) -> Output {
        let binary = std::env::var_os("COOP_BIN").expect("COOP_BIN names the binary");
        let output = Command::new(binary)
            .args(args)
            .env("COOP_ROOT", self.root.path())
            .output()
            .expect("start coop");
        eprintln!(
            "$ coop {}\n{}{}",
            args.join(" "),
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        output
    }

    /// What the command printed; it has to succeed.
    #[track_caller]
    fn says(&self, args: &[&str]) -> String {
        let output = self.coop(args);
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).expect("text")
    }

    /// What is in the delegated part of the cgroups, beside the leaf of who works there.
    fn groups(&self) -> Vec<PathBuf> {
        let coop = self.delegated.join("coop");
        let mut found = Vec::new();
        let mut open = vec![coop];
        while let Some(group) = open.pop() {
            let Ok(entries) = fs::read_dir(&group) else {
                continue;
            };
            let below = entries.flatten().filter(|entry| entry.path().is_dir());
            open.extend(below.map(|entry| entry.path()));
            found.push(group);
        }
        found
    }

    /// The group of a running container.
    fn group_of(&self, name: &str) -> PathBuf {
        let id = self.says(&["inspect", "--format", "{{.Id}}", name]);
        let of_it = |group: &PathBuf| group.ends_with(id.trim());
        self.groups().into_iter().find(of_it).expect("its cgroup")
    }

    fn start(&self, name: &str, flags: &[&str], script: &str) {
        let mut args = vec!["run", "-d", "--init", "--network", "none", "--name", name];
        args.extend(flags);
        args.extend(["coop/host", "sh", "-c", script]);
        self.says(&args);
    }
}

impl Drop for User {
    fn drop(&mut self) {
        let names = self.coop(&["ps", "-aq"]).stdout;
        for name in String::from_utf8_lossy(&names).split_whitespace() {
            self.coop(&["rm", "-f", name]);
        }
    }
}

fn read(group: &Path, file: &str) -> String {
    let path = group.join(file);
    fs::read_to_string(&path)
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()))
        .trim()
        .to_owned()
}

/// One value of a flat keyed file.
fn value(group: &Path, file: &str, key: &str) -> u64 {
    let text = read(group, file);
    let line = text.lines().find_map(|line| line.strip_prefix(key));
    let number = line.and_then(|text| text.trim().parse().ok());
    number.expect("a number")
}

#[test]
fn a_memory_limit_kills_the_hog() {
    let Some(user) = User::new() else {
        skip!("no cgroup is delegated to this user")
    };
    let hog = ["dd", "if=/dev/zero", "of=/dev/null", "bs=100M", "count=1"];
    let run = [
        "run",
        "--name",
        "hog",
        "--network",
        "none",
        "-m",
        "32m",
        "coop/host",
    ];
    let output = user.coop(&[&run[..], &hog].concat());
    assert_eq!(output.status.code(), Some(137));
    let killed = user.says(&["inspect", "--format", "{{.State.OOMKilled}}", "hog"]);
    assert_eq!(killed.trim(), "true");
}

#[test]
fn a_pids_limit_refuses_the_fork() {
    let Some(user) = User::new() else {
        skip!("no cgroup is delegated to this user")
    };
    let script = "for i in 1 2 3 4 5 6 7 8; do sleep 1000 & done; wait";
    let run = ["run", "--rm", "--network", "none", "--pids-limit", "5"];
    let output = user.coop(&[&run[..], &["coop/host", "sh", "-c", script]].concat());
    assert!(!output.status.success());
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(words.contains("fork"), "{words}");
}

#[test]
fn a_cpu_limit_is_set_and_throttles() {
    let Some(user) = User::new() else {
        skip!("no cgroup is delegated to this user")
    };
    user.start("busy", &["--cpus", "0.2"], "while :; do :; done");
    let group = user.group_of("busy");
    assert_eq!(read(&group, "cpu.max"), "20000 100000");
    let throttled = || value(&group, "cpu.stat", "nr_throttled ") > 2;
    wait_until("the container is throttled", throttled);
}

#[test]
fn the_default_limit_of_processes_applies() {
    let Some(user) = User::new() else {
        skip!("no cgroup is delegated to this user")
    };
    user.start("box", &[], "sleep 1000");
    assert_eq!(read(&user.group_of("box"), "pids.max"), "2048");
}

#[test]
fn a_container_is_entered_frozen_changed_and_removed_with_its_group() {
    let Some(user) = User::new() else {
        skip!("no cgroup is delegated to this user")
    };
    user.start("box", &["-m", "64m"], "sleep 1000");
    let group = user.group_of("box");
    assert_eq!(
        user.says(&["exec", "box", "cat", "/sys/fs/cgroup/memory.max"]),
        "67108864\n"
    );
    user.says(&["pause", "box"]);
    assert_eq!(read(&group, "cgroup.freeze"), "1");
    user.says(&["unpause", "box"]);
    user.says(&["update", "--memory", "48m", "box"]);
    assert_eq!(read(&group, "memory.max"), "50331648");
    user.says(&["stop", "box"]);
    assert!(!group.exists());
    user.says(&["start", "box"]);
    assert_eq!(read(&user.group_of("box"), "memory.max"), "50331648");
    user.says(&["rm", "-f", "box"]);
    assert!(!group.exists());
}

#[test]
fn a_stack_goes_down_with_all_of_its_groups() {
    let Some(user) = User::new() else {
        skip!("no cgroup is delegated to this user")
    };
    let yaml = "
name: limited
services:
  first: {image: coop/host, command: sleep 1000, init: true, mem_limit: 32m}
  second: {image: coop/host, command: sleep 1000, init: true, cpus: 0.5, depends_on: [first]}
";
    let file = user.root.path().join("stack.yaml");
    fs::write(&file, yaml).unwrap();
    let file = file.to_str().unwrap();
    user.says(&["up", "-d", "-f", file]);
    let stack = user.delegated.join("coop/limited");
    assert_eq!(
        read(&user.group_of("limited-first-1"), "memory.max"),
        "33554432"
    );
    user.says(&["down", "-f", file]);
    assert!(!stack.exists());
    assert_eq!(user.says(&["ps", "-aq"]), "");
}

#[test]
fn a_controller_that_is_not_delegated_is_named_with_who_could() {
    let Some(user) = User::new() else {
        skip!("no cgroup is delegated to this user")
    };
    let controllers = read(&user.delegated, "cgroup.controllers");
    let asked = [
        ("cpuset", ["--cpuset-cpus", "0"]),
        ("memory", ["--memory", "32m"]),
        ("cpu", ["--cpus", "0.5"]),
    ];
    for (controller, flags) in asked {
        if controllers.split_whitespace().any(|it| it == controller) {
            continue;
        }
        let run = ["run", "--rm", "--network", "none", flags[0], flags[1]];
        let output = user.coop(&[&run[..], &["coop/host", "true"]].concat());
        assert_eq!(output.status.code(), Some(125));
        let words = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(
            words.contains(&format!("the {controller} controller is not delegated"))
                && words.contains("Delegate="),
            "{words}"
        );
    }
}
