//! Runs a command in fresh namespaces, a little `unshare(1)`:
//!
//! ```text
//! cargo run -p coop-ns --example sandbox -- sh -c 'id; hostname; ps'
//! ```
//!
//! As root the sandbox's root is a user that does not exist outside; as another user it is
//! that user, with its subordinate ids where `newuidmap` is installed. Prints what the
//! sandbox is from outside, runs the command and ends with its status.

use std::ffi::CString;
use std::io::Write as _;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use coop_ns::privileges::{
    Capabilities, CapabilitySet, Privileges, User, close_on_exec_from, set_not_dumpable,
};
use coop_ns::{
    Child, CloneArgs, Forked, Handle, IdMaps, Namespaces, clone3, exit_child, hostname, idmap,
    pidfd, subid,
};
use rustix::mount::{MountFlags, MountPropagationFlags, mount, mount_change};
use rustix::pipe::{PipeFlags, pipe_with};

fn main() -> Result<ExitCode> {
    let mut command: Vec<_> = std::env::args_os().skip(1).collect();
    if command.is_empty() {
        command.push("sh".into());
    }
    let command: Vec<_> = command
        .into_iter()
        .map(|arg| CString::new(arg.into_vec()).context("argument with a NUL byte"))
        .collect::<Result<_>>()?;

    let (ready, go) = pipe_with(PipeFlags::CLOEXEC)?;
    let args = CloneArgs {
        namespaces: Namespaces::all() - Namespaces::TIME,
        cgroup: None,
    };
    // SAFETY: this process has one thread.
    match unsafe { clone3(&args) }? {
        Forked::Child => {
            drop(go);
            let error = inside(&ready, &command).expect_err("returns only when it failed");
            let _ = writeln!(std::io::stderr(), "sandbox: {error:#}");
            exit_child(125)
        }
        Forked::Parent(child) => {
            describe(&child, args.namespaces)?;
            // The pipe closes unread when we fail before, and the child ends.
            rustix::io::write(&go, b"!")?;
            let status = pidfd::wait(child.pidfd.as_fd())?;
            eprintln!("sandbox: {status}");
            Ok(ExitCode::from(u8::try_from(status.code())?))
        }
    }
}

/// The outside: maps ids and tells what there is.
fn describe(child: &Child, namespaces: Namespaces) -> Result<()> {
    let maps = id_maps()?;
    let method = idmap::write(child.pid, &maps)?;
    let pid = child.pid.as_raw_nonzero();
    let uid = maps.host_uid(0).context("root is mapped")?;
    eprintln!("sandbox: process {pid}, its root is user {uid} ({method:?})");
    for kind in namespaces.kinds() {
        let inode = Handle::open(child.pid, kind)?.id().inode;
        eprintln!("sandbox: {kind}:[{inode}]");
    }
    Ok(())
}

fn id_maps() -> Result<IdMaps> {
    let (uid, gid) = (rustix::process::geteuid(), rustix::process::getegid());
    if uid.is_root() {
        let range = subid::container_range()?;
        return Ok(IdMaps::single_range(range.start, subid::IDS_PER_CONTAINER));
    }
    let user = std::env::var("USER").unwrap_or_default();
    let read = |path| subid::read(Path::new(path), &user, Some(uid.as_raw()));
    let (sub_uids, sub_gids) = (read("/etc/subuid")?, read("/etc/subgid")?);
    Ok(IdMaps::rootless(
        uid.as_raw(),
        gid.as_raw(),
        &sub_uids,
        &sub_gids,
    ))
}

/// The inside, up to the command.
fn inside(ready: &OwnedFd, command: &[CString]) -> Result<()> {
    if rustix::io::read(ready, &mut [0; 1])? != 1 {
        bail!("the parent gave up");
    }
    set_not_dumpable()?;
    hostname::set_hostname("sandbox")?;
    mount_change(
        "/",
        MountPropagationFlags::PRIVATE | MountPropagationFlags::REC,
    )
    .context("make mounts private")?;
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    mount("proc", "/proc", "proc", flags, None).context("mount /proc")?;
    let privileges = Privileges {
        user: User::default(),
        capabilities: Capabilities::for_root(CapabilitySet::DEFAULT),
        no_new_privs: true,
        rlimits: Vec::new(),
        umask: None,
    };
    privileges.apply()?;
    close_on_exec_from(3)?;

    let mut argv: Vec<_> = command.iter().map(|arg| arg.as_ptr()).collect();
    argv.push(std::ptr::null());
    // SAFETY: a null-terminated array of C strings that live until the call.
    unsafe { libc::execvp(argv[0], argv.as_ptr()) };
    Err(std::io::Error::last_os_error()).with_context(|| format!("execute {:?}", command[0]))
}
