//! Trees of files on disk: written below a descriptor, hashed, measured, removed.
//!
//! Layers hold whatever an archive held, so nothing here follows a symbolic link.

mod at;
mod hash;
mod meta;
mod path;
mod writer;

use std::collections::HashSet;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;

pub(crate) use hash::digest;
pub(crate) use meta::{Meta, kept_xattr, read_xattrs};
pub(crate) use path::EntryPath;
pub(crate) use writer::{Content, Writer};

use crate::error::{At as _, Error};

/// Removes a directory with all that is in it; fine when it is not there, or when
/// another process removes it at the same time.
pub(crate) fn remove(dir: &Path) -> Result<(), Error> {
    match fs::remove_dir_all(dir) {
        // Only who is not root is stopped by a directory's mode.
        Err(e) if e.kind() == std::io::ErrorKind::PermissionDenied => {
            make_writable(dir);
            fs::remove_dir_all(dir)
        }
        other => other,
    }
    .or_else(|e| {
        if e.kind() == std::io::ErrorKind::NotFound {
            Ok(())
        } else {
            Err(e)
        }
    })
    .at("remove", dir)
}

/// As far as it goes: what stays in the way is reported by the removal.
fn make_writable(dir: &Path) {
    let _ = fs::set_permissions(dir, fs::Permissions::from_mode(0o700));
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            make_writable(&entry.path());
        }
    }
}

/// Bytes in the regular files of a tree, hard links counted once.
pub(crate) fn size(dir: &Path) -> Result<u64, Error> {
    let mut seen = HashSet::new();
    let mut total = 0;
    let mut pending = vec![dir.to_owned()];
    while let Some(dir) = pending.pop() {
        for entry in fs::read_dir(&dir).at("read", &dir)? {
            let entry = entry.at("read", &dir)?;
            let path = entry.path();
            let stat = entry.metadata().at("stat", &path)?;
            if stat.is_dir() {
                pending.push(path);
            } else if stat.is_file() && (stat.nlink() == 1 || seen.insert(stat.ino())) {
                total += stat.len();
            }
        }
    }
    Ok(total)
}
