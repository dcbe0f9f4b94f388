//! The userland of the host's own programs.

use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};

use super::builder::{Builder, image_path};
use crate::error::{At as _, Error};

const DIRECTORIES: &[&str] = &["/usr/bin", "/usr/sbin", "/bin", "/sbin"];

/// Either is a shell.
const SHELLS: &[&str] = &["sh", "bash"];

/// Taken when the host has them: files, text, processes, time, the network. What would
/// bring dozens of libraries (curl, editors, interpreters) stays out.
const TOOLS: &[&str] = &[
    "[",
    "awk",
    "base64",
    "basename",
    "cat",
    "chgrp",
    "chmod",
    "chown",
    "cmp",
    "comm",
    "cp",
    "cut",
    "date",
    "dd",
    "df",
    "diff",
    "dirname",
    "du",
    "echo",
    "egrep",
    "env",
    "expand",
    "expr",
    "false",
    "fgrep",
    "find",
    "fold",
    "free",
    "getent",
    "getopt",
    "grep",
    "groups",
    "gunzip",
    "gzip",
    "head",
    "hostname",
    "id",
    "install",
    "ip",
    "kill",
    "less",
    "link",
    "ln",
    "ls",
    "md5sum",
    "mkdir",
    "mkfifo",
    "mknod",
    "mktemp",
    "more",
    "mount",
    "mv",
    "nc",
    "nice",
    "nl",
    "nohup",
    "nproc",
    "numfmt",
    "od",
    "paste",
    "pgrep",
    "pidof",
    "ping",
    "pkill",
    "printenv",
    "printf",
    "ps",
    "pwd",
    "readlink",
    "realpath",
    "rm",
    "rmdir",
    "sed",
    "seq",
    "setpriv",
    "sha1sum",
    "sha256sum",
    "shred",
    "shuf",
    "sleep",
    "sort",
    "split",
    "ss",
    "stat",
    "stdbuf",
    "stty",
    "sync",
    "tac",
    "tail",
    "tar",
    "tee",
    "test",
    "timeout",
    "top",
    "touch",
    "tr",
    "true",
    "truncate",
    "tty",
    "umount",
    "uname",
    "uniq",
    "unlink",
    "unshare",
    "uptime",
    "users",
    "vmstat",
    "wc",
    "which",
    "whoami",
    "xargs",
    "yes",
    "zcat",
];

/// Copies a shell and the tools with their libraries.
pub(super) fn install(builder: &mut Builder<'_>) -> Result<(), Error> {
    let directories = directories();
    let mut shell = false;
    for name in SHELLS {
        if let Some(path) = find(builder, &directories, name)? {
            place(builder, &path, name)?;
            if !shell && *name != "sh" {
                builder.symlink("usr/bin/sh", name)?;
            }
            shell = true;
        }
    }
    if !shell {
        return Err(Error::NoShell);
    }
    for name in TOOLS {
        let Some(path) = find(builder, &directories, name)? else {
            log::debug!("the host has no {name} for the host image");
            continue;
        };
        match place(builder, &path, name) {
            // Broken on the host as well: no reason to go without the others.
            Err(error @ Error::Program { .. }) => log::warn!("{error}; left out"),
            placed => placed?,
        }
    }
    Ok(())
}

fn place(builder: &mut Builder<'_>, path: &Path, name: &str) -> Result<(), Error> {
    let target = image_path(&Path::new("/usr/bin").join(name));
    builder.program(path, &target.map_err(|source| Error::HostImage { source })?)
}

/// Each real directory once: `/bin` is `/usr/bin` on most hosts.
fn directories() -> Vec<PathBuf> {
    let mut real: Vec<PathBuf> = Vec::new();
    for dir in DIRECTORIES
        .iter()
        .filter_map(|dir| fs::canonicalize(dir).ok())
    {
        if !real.contains(&dir) {
            real.push(dir);
        }
    }
    real
}

fn find(
    builder: &mut Builder<'_>,
    directories: &[PathBuf],
    name: &str,
) -> Result<Option<PathBuf>, Error> {
    for dir in directories {
        let path = dir.join(name);
        if builder.is_file(&path) && is_runnable(&path)? {
            return Ok(Some(path));
        }
    }
    Ok(None)
}

/// A program, or a script for a shell: any other interpreter is not in the image, and
/// what only root may read is not copied by anyone else.
fn is_runnable(path: &Path) -> Result<bool, Error> {
    let mut head = Vec::new();
    match File::open(path).and_then(|file| file.take(64).read_to_end(&mut head)) {
        Err(e) if e.kind() == std::io::ErrorKind::PermissionDenied => return Ok(false),
        read => read.at("read", path)?,
    };
    if head.starts_with(b"\x7fELF") {
        return Ok(true);
    }
    let line = head.split(|&byte| byte == b'\n').next().unwrap_or_default();
    let line = String::from_utf8_lossy(line.strip_prefix(b"#!").unwrap_or_default()).into_owned();
    let interpreter = line.split_whitespace().next().unwrap_or_default();
    Ok(matches!(
        interpreter,
        "/bin/sh" | "/usr/bin/sh" | "/bin/bash" | "/usr/bin/bash"
    ))
}
