//! Runs a command in a copy-on-write view of a directory, with all the mounts of a
//! container, in namespaces of its own; the directory is never changed.
//!
//! As root: `cargo run -p coop-fs --example enter -- DIR -- CMD [ARG...]`

use std::ffi::OsString;
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};
use coop_fs::{Mount, OpenMount, Overlay, RootSettings};
use coop_ns::{CloneArgs, ExitStatus, Forked, Namespaces, clone3, exit_child, pidfd};

fn main() -> Result<ExitCode> {
    let mut args = std::env::args_os().skip(1);
    let (Some(dir), Some(_dashes), Some(program)) = (args.next(), args.next(), args.next()) else {
        bail!("usage: enter DIR -- CMD [ARG...]");
    };
    let dir = PathBuf::from(dir);
    let scratch = tempfile::tempdir()?;
    let overlay = Overlay {
        lowers: vec![dir],
        upper: scratch.path().join("upper"),
        work: scratch.path().join("work"),
        marks: coop_fs::Marks::Trusted,
        context: None,
    };
    coop_fs::prepare_upper(&overlay, 0, 0)?;
    let root = coop_fs::build_overlay(&overlay, None)?;
    let mounts = coop_fs::open_mounts(&Mount::standard(coop_fs::DEFAULT_SHM_SIZE))?;
    let args: Vec<OsString> = args.collect();

    let namespaces = Namespaces::all() - Namespaces::USER - Namespaces::TIME;
    // SAFETY: this program has one thread.
    match unsafe {
        clone3(&CloneArgs {
            namespaces,
            cgroup: None,
        })
    }? {
        Forked::Child => {
            let Err(error) = inside(root.as_fd(), &mounts, &program, &args);
            eprintln!("error: {error:#}");
            exit_child(125)
        }
        Forked::Parent(child) => {
            drop((root, mounts));
            let status = pidfd::wait(child.pidfd.as_fd())?;
            coop_fs::remove_tree(scratch.path())?;
            Ok(match status {
                ExitStatus::Exited(code) => ExitCode::from(u8::try_from(code).unwrap_or(125)),
                ExitStatus::Signaled(_) => ExitCode::from(125),
            })
        }
    }
}

fn inside(
    root: std::os::fd::BorrowedFd<'_>,
    mounts: &[OpenMount],
    program: &OsString,
    args: &[OsString],
) -> Result<std::convert::Infallible> {
    coop_fs::enter(root, mounts, &RootSettings::default())?;
    let user = coop_fs::lookup_user("0")?;
    Err(Command::new(program)
        .args(args)
        .env("HOME", &user.home)
        .exec())
    .with_context(|| format!("execute {}", program.display()))
}
