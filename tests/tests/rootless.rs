//! Coop as an ordinary user, with and without subordinate ids.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::PathBuf;

use coop_tests::{Host, USER, User, cgroup, wait_until};

/// Runs until it is told to end, and then with status 3.
const WAITS: &str = "trap 'exit 3' TERM; echo ready; while :; do sleep 0.1; done";

fn has_helpers() -> bool {
    ["newuidmap", "newgidmap"]
        .iter()
        .all(|name| PathBuf::from("/usr/bin").join(name).exists())
}

#[test]
fn a_user_without_ranges_is_root_alone_and_is_told_once_what_would_help() {
    let host = Host::new();
    let user = User::new(&host);
    let first = user.sh(&[], "id -u; cat /proc/self/uid_map").run();
    first.success().warns("usermod --add-subuids");
    let map: Vec<_> = first.stdout.split_whitespace().collect();
    assert_eq!(map, ["0", "0", "0", "1"], "{first}");
    let second = user.sh(&[], "true").run();
    assert!(!second.success().stderr.contains("usermod"), "{second}");
    let other = user.sh(&["-u", "33"], "true").run();
    other.fails(125, &["33", "no such id", "newuidmap"]);
    let more = user.sh(&["--group-add", "44"], "true").run();
    more.fails(125, &["44", "no such groups", "newgidmap"]);
}

/// A directory of the user's in which everybody may make files, and the volume that it is.
fn shared(user: &User<'_>) -> (PathBuf, String) {
    let shared = user.home().join("shared");
    fs::create_dir(&shared).expect("a directory");
    chown(&shared, Some(USER), Some(USER)).expect("its owner");
    fs::set_permissions(&shared, fs::Permissions::from_mode(0o1777)).expect("its mode");
    let volume = format!("{}:/shared", shared.display());
    (shared, volume)
}

#[test]
fn subordinate_ids_are_the_containers_other_users() {
    if !has_helpers() {
        coop_tests::skip!("newuidmap is not installed");
    }
    let host = Host::new();
    let user = User::with_ranges(&host);
    let (shared, volume) = shared(&user);
    let of = |id: &str| {
        let script = format!("id -u; touch /shared/of-{id}");
        let run = user.sh(&["-u", id, "-v", &volume], &script).run();
        assert_eq!(run.success().stdout.trim(), id);
        fs::metadata(shared.join(format!("of-{id}"))).unwrap().uid()
    };
    assert_eq!(of("0"), USER);
    assert_eq!(of("1"), 700_000);
    assert_eq!(of("33"), 700_032);
}

#[test]
fn a_user_keeps_its_ids_where_it_asks_for_it() {
    if !has_helpers() {
        coop_tests::skip!("newuidmap is not installed");
    }
    let host = Host::new();
    let user = User::with_ranges(&host);
    let (shared, volume) = shared(&user);
    let keep = ["--userns", "keep-id", "-v", &volume];
    let script = "id -u; id -g; touch /shared/mine; stat -c %u /shared /etc/passwd; \
                  grep CapEff /proc/self/status";
    let output = user.sh(&keep, script).run();
    let id = USER.to_string();
    let none = "CapEff:\t0000000000000000";
    assert_eq!(
        output.success().lines(),
        [&id, &id, &id, "0", none],
        "{output}"
    );
    assert_eq!(fs::metadata(shared.join("mine")).unwrap().uid(), USER);
    // Root inside is one of its subordinate ids, and not the user.
    let root = [&keep[..], &["-u", "0"]].concat();
    user.sh(&root, "id -u; touch /shared/roots")
        .run()
        .success()
        .prints("0");
    assert_eq!(fs::metadata(shared.join("roots")).unwrap().uid(), 700_000);
    // Maps count the user's own ids, and have no others.
    let named = ["--uidmap", "0:5:100", "--uidmap", "100:0:1"];
    let output = user.sh(&named, "cat /proc/self/uid_map").run();
    let map: Vec<_> = output.success().text().split_whitespace().collect();
    assert_eq!(map, ["0", "5", "100", "100", "0", "1"]);
    for (map, why) in [
        ("0:1:65537", "not this user's"),
        ("0:0:2", "cannot have both"),
        ("1:1:5", "no id 0"),
    ] {
        user.sh(&["--uidmap", map], "true").run().fails(125, &[why]);
    }
}

#[test]
fn a_container_lives_and_ends_as_with_root_and_leaves_nothing() {
    let host = Host::new();
    let user = User::new(&host);
    user.sh(&[], "true").run().success();
    let before = host.snapshot();
    user.start("box", WAITS);
    let said = || user.coop(["logs", "box"]).run().stdout == "ready\n";
    wait_until("the container says that it is ready", said);
    user.coop(["exec", "box", "sh", "-c", "test $(id -u) = 0 && ps"])
        .run()
        .success()
        .says("sleep 0.1");
    user.coop(["top", "box"]).run().success().says("sleep 0.1");
    user.coop(["cp", "box:/etc/hostname", "name"])
        .run()
        .success();
    assert!(user.home().join("name").exists());
    fs::remove_file(user.home().join("name")).unwrap();
    user.coop(["stop", "box"]).run().success();
    let format = "{{.State.ExitCode}}";
    let code = user.coop(["inspect", "--format", format, "box"]).run();
    assert_eq!(code.stdout.trim(), "3", "{code}");
    user.coop(["start", "box"]).run().success();
    user.coop(["rm", "-f", "box"]).run().success();
    user.coop(["system", "check"]).run().success();
    host.assert_nothing_left(&before);
}

#[test]
fn a_container_whose_supervisor_was_killed_is_reached_and_adopted() {
    let host = Host::new();
    let user = User::new(&host);
    user.start("box", WAITS);
    let pid = user.pid_of("box");
    let [supervisor] = host.supervisors()[..] else {
        panic!("{:?}", host.processes())
    };
    host.tool("kill")
        .args(["-9", &supervisor.to_string()])
        .run()
        .success();
    user.coop(["exec", "box", "true"]).run().success();
    assert_eq!(user.pid_of("box"), pid);
    user.coop(["stop", "box"]).run().success();
    let format = "{{.State.Status}}";
    let status = user.coop(["inspect", "--format", format, "box"]).run();
    assert_eq!(status.stdout.trim(), "exited", "{status}");
    user.coop(["rm", "box"]).run().success();
}

#[test]
fn commands_that_start_at_once_share_one_namespace() {
    let host = Host::new();
    let user = User::new(&host);
    let names = ["one", "two", "three", "four"];
    let runs = names.map(|name| {
        let run = [
            "run",
            "-d",
            "--network",
            "none",
            "--name",
            name,
            "coop/host",
        ];
        user.coop(run.into_iter().chain(["sleep", "1000"])).spawn()
    });
    for run in runs {
        run.wait().success();
    }
    for name in names {
        user.coop(["exec", name, "true"]).run().success();
    }
    let namespace = |pid: u32| fs::read_link(format!("/proc/{pid}/ns/user")).unwrap();
    let supervisors: Vec<_> = host.supervisors().into_iter().map(namespace).collect();
    assert_eq!(supervisors.len(), names.len());
    assert!(supervisors.windows(2).all(|pair| pair[0] == pair[1]));
    assert_ne!(supervisors[0], namespace(std::process::id()));
    // Its capabilities reach no further than the container.
    assert_ne!(namespace(user.pid_of("one")), supervisors[0]);
    assert_ne!(namespace(user.pid_of("one")), namespace(user.pid_of("two")));
    user.coop(["rm", "-f", "-t", "0"].into_iter().chain(names))
        .run();
    user.coop(["rm", "-f"].into_iter().chain(names)).run();
}

#[test]
fn what_takes_root_is_refused_by_name() {
    let host = Host::new();
    let user = User::new(&host);
    let run = |flags: &[&'static str]| {
        let args = ["run", "--rm", "--network", "none"].into_iter();
        let args = args.chain(flags.iter().copied());
        user.coop(args.chain(["coop/host", "true"])).run()
    };
    run(&["--device-cgroup-rule", "c 1:3 r"]).fails(125, &["device cgroup rules", "without root"]);
    run(&["--oom-score-adj", "-1000"]).fails(125, &["oom_score_adj"]);
    run(&["--ulimit", "rtprio=50"]).fails(125, &["rtprio", "only root", "ulimit -H"]);
    if cgroup::version() == cgroup::Version::V1 {
        run(&["--memory", "32m"]).fails(125, &["memory limit", "without root", "cgroup v1"]);
    }
}

#[test]
fn state_that_others_could_write_is_not_believed() {
    let host = Host::new();
    let user = User::new(&host);
    let other = user.home().join("other");
    fs::create_dir(&other).unwrap();
    let refused = user.coop(["ps"]).env("XDG_RUNTIME_DIR", &other).run();
    refused.fails(1, &["XDG_RUNTIME_DIR", "belongs to user 0"]);
    let open = user.runtime_dir().join("coop");
    fs::create_dir(&open).unwrap();
    chown(&open, Some(USER), Some(USER)).unwrap();
    fs::set_permissions(&open, fs::Permissions::from_mode(0o777)).unwrap();
    user.coop(["ps"])
        .run()
        .fails(1, &["can be written by others"]);
}

#[test]
fn root_does_not_take_a_users_word_for_who_it_is() {
    let host = Host::new();
    let user = User::new(&host);
    user.start("box", WAITS);
    // As `sudo -E` would have it.
    let listed = host
        .coop(["ps", "-q"])
        .env("HOME", user.home())
        .env("XDG_RUNTIME_DIR", user.runtime_dir())
        .env("COOP_ROOTLESS_UID", USER.to_string())
        .run();
    assert_eq!(listed.success().stdout, "", "{listed}");
    user.coop(["rm", "-f", "box"]).run().success();
}

#[test]
fn a_user_sees_its_own_containers_and_root_its_own() {
    let host = Host::new();
    let user = User::new(&host);
    user.start("box", WAITS);
    assert!(host.containers().is_empty());
    let info = user.coop(["info", "--format", "{{.Rootless}}"]).run();
    assert_eq!(info.success().stdout.trim(), "true");
    let info = host.coop(["info", "--format", "{{.Rootless}}"]).run();
    assert_eq!(info.success().stdout.trim(), "false");
    // What root alone may read stays so.
    let secret = host.file("secret", "root's");
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).unwrap();
    let volume = format!("{}:/secret", secret.display());
    user.sh(&["-v", &volume], "cat /secret").run().code(1);
    user.coop(["rm", "-f", "box"]).run().success();
}
