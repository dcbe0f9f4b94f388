//! Privileges set in a child and read back from the kernel, also after an `execve`.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[macro_use]
mod support;

use std::ffi::CString;
use std::fs;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

use coop_ns::privileges::{
    Capabilities, Capability, CapabilitySet, Error, LANDLOCK_VERSION, Landlock, LandlockAccess,
    Privileges, Rlimit, SessionKeyring, User, close_all_except, close_on_exec_all_except,
    close_on_exec_from, new_session_keyring, set_not_dumpable, set_oom_score_adj,
    set_parent_death_signal, set_user,
};
use coop_ns::{CloneArgs, ExitStatus, Namespaces, Signal};
use rustix::io::{Errno, FdFlags, fcntl_getfd};
use rustix::pipe::{PipeFlags, pipe, pipe_with};
use rustix::process::getpid;
use support::{Held, in_child, in_namespaces, proc_status, root, status_field};

tests!(
    root_of_a_container_has_the_default_set_and_nothing_else,
    another_user_has_none_after_exec,
    ambient_capabilities_reach_the_program_of_another_user,
    a_capability_that_is_not_held_is_named,
    limits_and_mask_are_those_of_the_program,
    a_user_that_is_not_mapped_is_named,
    a_process_that_is_not_dumpable_hides_its_files_until_exec,
    no_descriptor_but_the_standard_ones_survives_exec,
    descriptors_are_closed_or_marked_but_for_the_kept,
    its_own_group_is_among_the_supplementary_ones,
    keys_of_the_session_are_left_behind,
    landlock_holds_root_as_well,
    a_child_dies_with_its_parent,
    the_oom_score_is_adjusted_from_outside,
);

fn privileges(user: User, capabilities: Capabilities) -> Privileges {
    Privileges {
        user,
        capabilities,
        no_new_privs: true,
        rlimits: Vec::new(),
        umask: None,
    }
}

fn user(uid: u32) -> User {
    User {
        uid,
        gid: uid,
        groups: vec![uid, 100],
    }
}

/// `/proc/self/status` as the program sees it that is started with these privileges in a
/// user namespace of its own.
fn status_after_exec(privileges: &Privileges) -> String {
    in_namespaces(Namespaces::USER, || {
        privileges.apply().unwrap();
        let before = proc_status("self");
        let after = run(&["/bin/cat", "/proc/self/status"]);
        // What the kernel makes of it at exec is what it was before, but for the ambient set.
        let field = |name| status_field(&before, name) == status_field(&after, name);
        assert!(field("CapBnd") && field("CapInh") && field("Uid") && field("Groups"));
        after
    })
}

/// Executes a program in a child and returns what it printed.
fn run(argv: &[&str]) -> String {
    let (output, input) = pipe_with(PipeFlags::CLOEXEC).unwrap();
    let (_, status) = in_child(
        CloneArgs::default(),
        |_| {},
        || {
            rustix::stdio::dup2_stdout(&input).unwrap();
            exec(argv)
        },
    );
    drop(input);
    assert_eq!(status, ExitStatus::Exited(0));
    support::read_all(&output)
}

fn exec(argv: &[&str]) -> ! {
    let argv: Vec<_> = argv.iter().map(|arg| CString::new(*arg).unwrap()).collect();
    let mut pointers: Vec<_> = argv.iter().map(|arg| arg.as_ptr()).collect();
    pointers.push(std::ptr::null());
    // SAFETY: both are null-terminated arrays of C strings that live until the call.
    unsafe { libc::execv(pointers[0], pointers.as_ptr()) };
    panic!("execute {argv:?}: {}", std::io::Error::last_os_error());
}

fn sets(status: &str) -> [u64; 5] {
    ["CapBnd", "CapEff", "CapPrm", "CapInh", "CapAmb"]
        .map(|field| u64::from_str_radix(&status_field(status, field), 16).unwrap())
}

fn root_of_a_container_has_the_default_set_and_nothing_else() {
    if !root() {
        return;
    }
    let set = CapabilitySet::DEFAULT;
    let status = status_after_exec(&privileges(user(0), Capabilities::for_root(set)));
    assert_eq!(sets(&status), [set.bits(), set.bits(), set.bits(), 0, 0]);
    assert_eq!(status_field(&status, "NoNewPrivs"), "1");
}

fn another_user_has_none_after_exec() {
    if !root() {
        return;
    }
    let set = CapabilitySet::DEFAULT;
    let status = status_after_exec(&privileges(user(1000), Capabilities::for_user(set)));
    assert_eq!(sets(&status), [set.bits(), 0, 0, 0, 0]);

    // Exactly what is given, as OCI has it: permitted but not ambient is lost at exec.
    let permitted = Capabilities::for_root(set);
    let status = status_after_exec(&privileges(user(1000), permitted));
    assert_eq!(sets(&status), [set.bits(), 0, 0, 0, 0]);
    assert_eq!(status_field(&status, "Groups"), "100 1000");
}

fn ambient_capabilities_reach_the_program_of_another_user() {
    if !root() {
        return;
    }
    let set = CapabilitySet::of(&[Capability::NET_BIND_SERVICE]);
    let capabilities = Capabilities {
        inheritable: set,
        ambient: set,
        ..Capabilities::for_root(set)
    };
    let status = status_after_exec(&privileges(user(1000), capabilities));
    assert_eq!(sets(&status), [set.bits(); 5]);
}

fn a_capability_that_is_not_held_is_named() {
    if !root() {
        return;
    }
    let set = CapabilitySet::of(&[Capability::KILL]);
    in_namespaces(Namespaces::USER, || {
        let few = privileges(user(0), Capabilities::for_root(set));
        few.apply().unwrap();
        let more = CapabilitySet::of(&[Capability::KILL, Capability::SYS_ADMIN]);
        let error = Capabilities::for_root(more).set().unwrap_err();
        let missing = CapabilitySet::of(&[Capability::SYS_ADMIN]);
        assert_eq!(error, Error::NotHeld(missing));
        let error = Capabilities::for_root(more).limit_bounding().unwrap_err();
        assert_eq!(error, Error::NotHeld(missing));

        // "All" is all that there is.
        let current = Capabilities::current().unwrap();
        let all = Capabilities::for_root(CapabilitySet::ALL).within(current.permitted);
        all.set().unwrap();
        assert_eq!(Capabilities::current().unwrap(), current);
        String::new()
    });
}

fn limits_and_mask_are_those_of_the_program() {
    if !root() {
        return;
    }
    let text = in_namespaces(Namespaces::USER, || {
        let privileges = Privileges {
            rlimits: vec!["nofile=77:99".parse().unwrap(), "core=0".parse().unwrap()],
            umask: Some(0o027),
            ..privileges(user(0), Capabilities::for_root(CapabilitySet::EMPTY))
        };
        privileges.apply().unwrap();
        let raised: Rlimit = "nofile=100:100".parse().unwrap();
        let error = raised.set().unwrap_err();
        assert_eq!(error.to_string(), "set resource limit nofile=100:100");
        run(&["/bin/sh", "-c", "ulimit -Sn; ulimit -Hn; ulimit -c; umask"])
    });
    assert_eq!(text, "77\n99\n0\n0027\n");
}

fn a_user_that_is_not_mapped_is_named() {
    if !root() {
        return;
    }
    in_namespaces(Namespaces::USER, || {
        for uid in [70_000, u32::MAX] {
            let error = set_user(uid, 0, &[]).unwrap_err();
            let source = Errno::INVAL;
            assert_eq!(error, Error::SetUid { uid, source });
        }
        assert!(matches!(
            set_user(0, 0, &[70_000]),
            Err(Error::SetGroups { .. })
        ));
        String::new()
    });
}

fn its_own_group_is_among_the_supplementary_ones() {
    if !root() {
        return;
    }
    let text = in_namespaces(Namespaces::USER, || {
        set_user(1000, 1000, &[]).unwrap();
        run(&["/bin/cat", "/proc/self/status"])
    });
    assert_eq!(status_field(&text, "Groups"), "1000");
}

/// `KEYCTL_GET_KEYRING_ID`: the serial number of the session keyring.
fn session_keyring() -> i64 {
    let (get_id, session) = (0, libc::KEY_SPEC_SESSION_KEYRING);
    // SAFETY: no memory is passed.
    unsafe { libc::syscall(libc::SYS_keyctl, get_id, session, 0) }
}

fn keys_of_the_session_are_left_behind() {
    if !root() {
        return;
    }
    in_namespaces(Namespaces::USER, || {
        let inherited = session_keyring();
        match new_session_keyring().unwrap() {
            SessionKeyring::Own => assert_ne!(session_keyring(), inherited),
            SessionKeyring::Inherited => eprintln!("no keyrings here"),
        }
        String::new()
    });
}

fn landlock_holds_root_as_well() {
    if !root() {
        return;
    }
    let rules = match Landlock::new() {
        Ok(rules) => rules,
        Err(Error::LandlockUnsupported { found, .. }) => {
            assert!(found < LANDLOCK_VERSION);
            return;
        }
        Err(error) => panic!("{error}"),
    };
    let dir = tempfile::tempdir().unwrap();
    let (read, write) = (dir.path().join("read"), dir.path().join("write"));
    for dir in [&read, &write] {
        fs::create_dir(dir).unwrap();
        fs::write(dir.join("file"), "content").unwrap();
    }
    for (path, access) in [
        (&read, LandlockAccess::Read),
        (&write, LandlockAccess::Write),
        // A file alone, not what is beside it.
        (&read.join("file"), LandlockAccess::Execute),
    ] {
        let path = fs::File::open(path).unwrap();
        rules.allow(path.as_fd(), access).unwrap();
    }
    in_namespaces(Namespaces::empty(), || {
        rules.restrict().unwrap();
        let denied = |result: std::io::Result<()>, what: &str| {
            let kind = result.map_err(|error| error.kind());
            assert_eq!(kind, Err(std::io::ErrorKind::PermissionDenied), "{what}");
        };
        assert_eq!(fs::read_to_string(read.join("file")).unwrap(), "content");
        denied(fs::write(read.join("file"), ""), "cut to nothing");
        denied(fs::write(read.join("new"), ""), "made");
        denied(fs::remove_file(read.join("file")), "removed");
        denied(fs::read("/etc/passwd").map(drop), "read elsewhere");
        fs::write(write.join("new"), "").unwrap();
        fs::rename(write.join("new"), write.join("newer")).unwrap();
        fs::remove_file(write.join("newer")).unwrap();
        String::new()
    });
}

fn a_process_that_is_not_dumpable_hides_its_files_until_exec() {
    if !root() {
        return;
    }
    // Two processes of the same user: normally one can look into the other.
    in_namespaces(Namespaces::empty(), || {
        set_user(12_345, 12_345, &[]).unwrap();
        set_not_dumpable().unwrap();
        let hidden = getpid().as_raw_nonzero();
        let looked = in_namespaces(Namespaces::empty(), || {
            let error = fs::read_link(format!("/proc/{hidden}/exe")).unwrap_err();
            format!("{:?}", error.kind())
        });
        assert_eq!(looked, "PermissionDenied");
        let program = fs::canonicalize("/bin/readlink").unwrap();
        let seen = run(&["/bin/readlink", "/proc/self/exe"]);
        assert_eq!(seen.trim_end(), program.to_str().unwrap());
        String::new()
    });
}

fn no_descriptor_but_the_standard_ones_survives_exec() {
    in_namespaces(Namespaces::empty(), || {
        // Inheritable, as by a careless library.
        let (leaked, _other) = pipe().unwrap();
        let number = leaked.as_raw_fd();
        let listed = || run(&["/bin/ls", "/proc/self/fd"]);
        let open_before = listed().lines().any(|line| line == number.to_string());
        assert!(open_before);
        close_on_exec_from(3).unwrap();
        // Still of use to us, but not to the program; 3 is the directory that ls reads.
        assert!(fcntl_getfd(&leaked).is_ok());
        assert_eq!(listed(), "0\n1\n2\n3\n");
        String::new()
    });
}

fn descriptors_are_closed_or_marked_but_for_the_kept() {
    in_namespaces(Namespaces::empty(), || {
        let (a, b) = pipe().unwrap();
        let (c, d) = pipe().unwrap();
        close_on_exec_all_except(&[b.as_fd(), d.as_fd()]).unwrap();
        let marked = |fd: &OwnedFd| fcntl_getfd(fd).unwrap().contains(FdFlags::CLOEXEC);
        assert_eq!([&a, &b, &c, &d].map(marked), [true, false, true, false]);
        String::new()
    });
    let (output, input) = pipe().unwrap();
    let (_, status) = in_child(
        CloneArgs::default(),
        |_| {},
        || {
            // SAFETY: only the kept ones are used from here on.
            unsafe { close_all_except(&[input.as_fd()]) }.unwrap();
            let listing = fs::read_dir("/proc/self/fd").unwrap();
            let mut numbers: Vec<_> = listing.map(|entry| entry.unwrap().file_name()).collect();
            numbers.sort();
            let kept = numbers.iter().map(|name| name.as_bytes());
            rustix::io::write(&input, &kept.collect::<Vec<_>>().join(&b' ')).unwrap();
            coop_ns::exit_child(0)
        },
    );
    assert_eq!(status, ExitStatus::Exited(0));
    let number = input.as_raw_fd().to_string();
    drop(input);
    // The listing itself took the lowest free number.
    assert_eq!(support::read_all(&output), format!("0 {number}"));
}

fn a_child_dies_with_its_parent() {
    if !root() {
        return;
    }
    // The parent is the first of a pid namespace that we look into from outside.
    let (output, input) = pipe().unwrap();
    let parent = Held::start(
        CloneArgs::default(),
        |_| {},
        || {
            let child = Held::start(
                CloneArgs::default(),
                |_| {},
                || {
                    set_parent_death_signal(Signal::TERM).unwrap();
                    rustix::io::write(&input, b"ready").unwrap();
                    Held::wait_to_be_killed()
                },
            );
            let _ = child;
            Held::wait_to_be_killed()
        },
    );
    drop(input);
    let mut buffer = [0; 5];
    rustix::io::read(&output, &mut buffer).unwrap();
    parent.kill();
    // The child holds the other end until it dies.
    assert_eq!(support::read_all(&output), "");
}

fn the_oom_score_is_adjusted_from_outside() {
    let held = Held::container(Namespaces::empty());
    set_oom_score_adj(held.child.pid, 500).unwrap();
    let path = format!("/proc/{}/oom_score_adj", held.child.pid.as_raw_nonzero());
    assert_eq!(fs::read_to_string(path).unwrap(), "500\n");
    let error = set_oom_score_adj(held.child.pid, 2000).unwrap_err();
    assert!(matches!(
        error,
        Error::OomScoreAdj {
            source: Errno::INVAL,
            ..
        }
    ));
    held.kill();
}
