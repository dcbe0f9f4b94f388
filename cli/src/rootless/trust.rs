//! Whose the directories are that state is read from.
//!
//! A plan says what is mounted and executed, and a lock file whose namespace is joined: both are
//! believed. So nobody else may be able to write them.

use std::path::Path;

use anyhow::{Context, Result, bail};
use coop_launcher::store::{Dirs, make_private_dir};
use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, fstat, openat, statat};
use rustix::process::Uid;

/// Makes the two roots of all state where they are missing, and refuses those that somebody else
/// can write to.
pub(super) fn check(root: Option<&Path>, dirs: &Dirs, uid: Uid) -> Result<()> {
    if root.is_none() {
        runtime_dir(&dirs.run, uid)?;
    }
    for dir in [&dirs.run, &dirs.data] {
        make_private_dir(dir)?;
        own_directory(dir, uid)?;
    }
    Ok(())
}

/// `XDG_RUNTIME_DIR` may be another user's, left over by `su`. Who owns it could replace
/// everything in it.
fn runtime_dir(run: &Path, uid: Uid) -> Result<()> {
    let Some(dir) = run.parent() else {
        return Ok(());
    };
    let stat = statat(CWD, dir, AtFlags::empty())
        .with_context(|| format!("XDG_RUNTIME_DIR: look at {}", dir.display()))?;
    if stat.st_uid != uid.as_raw() {
        bail!(
            "XDG_RUNTIME_DIR is {}, which belongs to user {}, not to user {}\n  \
             help: unset it, or log in as this user instead of using su or sudo",
            dir.display(),
            stat.st_uid,
            uid.as_raw()
        );
    }
    Ok(())
}

fn own_directory(dir: &Path, uid: Uid) -> Result<()> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let stat = openat(CWD, dir, flags, Mode::empty())
        .and_then(fstat)
        .with_context(|| format!("look at {}", dir.display()))?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::Directory {
        bail!("{} is not a directory", dir.display());
    }
    if stat.st_uid != uid.as_raw() {
        bail!(
            "{} belongs to user {}, not to user {}\n  help: name another directory: --root DIR",
            dir.display(),
            stat.st_uid,
            uid.as_raw()
        );
    }
    if stat.st_mode & 0o022 != 0 {
        bail!(
            "{} can be written by others, who could run anything as this user\n  \
             help: chmod go-w {}",
            dir.display(),
            dir.display()
        );
    }
    Ok(())
}
