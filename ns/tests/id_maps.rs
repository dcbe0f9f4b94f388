//! Id maps written with and without privileges.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[macro_use]
mod support;

use std::fs;
use std::path::Path;

use coop_ns::idmap::{self, MapMethod};
use coop_ns::privileges::set_user;
use coop_ns::{Child, CloneArgs, Error, IdMaps, IdRange, Namespaces};
use rustix::io::Errno;
use rustix::mount::{MountPropagationFlags, mount_bind, mount_change};
use rustix::process::{DumpableBehavior, getgroups, getuid, set_dumpable_behavior};
use support::{HOST_BASE, in_child, in_namespaces, maps, root};

const USER: u32 = 12_345;

tests!(
    root_writes_maps_directly_and_groups_can_be_set_inside,
    a_map_is_written_once,
    a_user_gets_subordinate_ids_through_the_helpers,
    ids_that_were_not_granted_are_refused_with_the_helper_s_words,
    without_helpers_a_user_maps_itself_alone,
);

fn user_namespace() -> CloneArgs<'static> {
    CloneArgs {
        namespaces: Namespaces::USER,
        cgroup: None,
    }
}

fn proc_file(child: &Child, name: &str) -> String {
    let path = format!("/proc/{}/{name}", child.pid.as_raw_nonzero());
    let text = fs::read_to_string(path).unwrap();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn root_writes_maps_directly_and_groups_can_be_set_inside() {
    if !root() {
        return;
    }
    let attach = |child: &Child| {
        assert_eq!(idmap::write(child.pid, &maps()), Ok(MapMethod::Direct));
        assert_eq!(proc_file(child, "gid_map"), format!("0 {HOST_BASE} 65536"));
        assert_eq!(proc_file(child, "setgroups"), "allow");
    };
    let (text, _) = in_child(user_namespace(), attach, || {
        set_user(1000, 1000, &[4, 27]).unwrap();
        format!("{:?}", getgroups().unwrap())
    });
    assert_eq!(text, "[Gid(4), Gid(27), Gid(1000)]");
}

fn a_map_is_written_once() {
    if !root() {
        return;
    }
    let attach = |child: &Child| {
        idmap::write(child.pid, &maps()).unwrap();
        // Refused by the kernel, and by the helper, which cannot either.
        assert!(idmap::write(child.pid, &maps()).is_err());
        assert_eq!(proc_file(child, "uid_map"), format!("0 {HOST_BASE} 65536"));
    };
    in_child(user_namespace(), attach, String::new);
}

/// Runs the body as a user without rights that the system's files know of and grant ids
/// 700000 to 765535, all in a mount namespace of its own.
fn as_user(body: impl FnOnce() -> String) -> String {
    let directory = tempfile::tempdir().unwrap();
    let passwd = fs::read_to_string("/etc/passwd").unwrap();
    let passwd = format!("{passwd}cooptest:x:{USER}:{USER}::/:/bin/sh\n");
    let grant = "cooptest:700000:65536\n".to_owned();
    in_namespaces(Namespaces::MOUNT, || {
        mount_change(
            "/",
            MountPropagationFlags::PRIVATE | MountPropagationFlags::REC,
        )
        .unwrap();
        for (target, text) in [
            ("/etc/passwd", &passwd),
            ("/etc/subuid", &grant),
            ("/etc/subgid", &grant),
        ] {
            let file = directory
                .path()
                .join(Path::new(target).file_name().unwrap());
            fs::write(&file, text).unwrap();
            mount_bind(&file, target).unwrap();
        }
        set_user(USER, USER, &[]).unwrap();
        // A change of user makes a process not dumpable, and its files in /proc root's.
        set_dumpable_behavior(DumpableBehavior::Dumpable).unwrap();
        body()
    })
}

fn granted() -> [IdRange; 1] {
    [IdRange {
        start: 700_000,
        count: 65_536,
    }]
}

fn helpers_installed() -> bool {
    let installed = Path::new("/usr/bin/newuidmap").exists();
    if !installed {
        println!("  skipped: newuidmap is not installed");
    }
    installed
}

fn a_user_gets_subordinate_ids_through_the_helpers() {
    if !root() || !helpers_installed() {
        return;
    }
    let text = as_user(|| {
        let maps = IdMaps::rootless(USER, USER, &granted(), &granted());
        let attach = |child: &Child| {
            assert_eq!(idmap::write(child.pid, &maps), Ok(MapMethod::Helpers));
            let map = format!("0 {USER} 1 1 700000 65536");
            assert_eq!(proc_file(child, "uid_map"), map);
            assert_eq!(proc_file(child, "gid_map"), map);
            assert_eq!(proc_file(child, "setgroups"), "allow");
        };
        let (text, _) = in_child(user_namespace(), attach, || {
            set_user(1000, 1000, &[5]).unwrap();
            format!("uid {}", getuid().as_raw())
        });
        text
    });
    assert_eq!(text, "uid 1000");
}

fn ids_that_were_not_granted_are_refused_with_the_helper_s_words() {
    if !root() || !helpers_installed() {
        return;
    }
    as_user(|| {
        let stolen = [IdRange {
            start: 1,
            count: 10,
        }];
        let maps = IdMaps::rootless(USER, USER, &stolen, &stolen);
        let attach = |child: &Child| {
            let error = idmap::write(child.pid, &maps).unwrap_err();
            let Error::MapHelperRefused { program, message } = error else {
                panic!("{error:?}");
            };
            assert_eq!(program, "newuidmap");
            assert!(message.contains("not allowed"), "{message}");
            assert_eq!(proc_file(child, "uid_map"), "");
        };
        in_child(user_namespace(), attach, String::new).0
    });
}

fn without_helpers_a_user_maps_itself_alone() {
    if !root() {
        return;
    }
    let text = as_user(|| {
        // SAFETY: this program has one thread; it is the child's own environment.
        unsafe { std::env::set_var("PATH", "/nowhere") };
        let maps = IdMaps::rootless(USER, USER, &granted(), &granted());
        let attach = |child: &Child| {
            assert_eq!(idmap::write(child.pid, &maps), Ok(MapMethod::OwnIdsOnly));
            assert_eq!(proc_file(child, "uid_map"), format!("0 {USER} 1"));
            assert_eq!(proc_file(child, "setgroups"), "deny");
        };
        let (text, _) = in_child(user_namespace(), attach, || {
            // No groups asked for: nothing that a denied setgroups could spoil.
            set_user(0, 0, &[]).unwrap();
            let with_group = set_user(0, 0, &[5]).unwrap_err();
            assert_eq!(with_group.to_string(), "set supplementary groups [5]");
            let source = std::error::Error::source(&with_group).unwrap();
            assert_eq!(source.downcast_ref(), Some(&Errno::PERM));
            format!("uid {}", getuid().as_raw())
        });
        text
    });
    assert_eq!(text, "uid 0");
}
