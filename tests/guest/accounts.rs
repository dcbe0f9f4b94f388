//! Users, and what they own.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

/// The ordinary user of the tests.
pub(crate) const USER: u32 = 1000;

/// Its home.
pub(crate) const HOME: &str = "/home/user";

const FILES: [(&str, &str); 7] = [
    (
        "/etc/passwd",
        "root:x:0:0:root:/root:/bin/sh\n\
         user:x:1000:1000:user:/home/user:/bin/sh\n\
         nobody:x:65534:65534:nobody:/nonexistent:/bin/false\n",
    ),
    (
        "/etc/group",
        "root:x:0:\ntty:x:5:\nuser:x:1000:\nnogroup:x:65534:\n",
    ),
    ("/etc/subuid", "user:165536:65536\nroot:1000000:65536000\n"),
    ("/etc/subgid", "user:165536:65536\nroot:1000000:65536000\n"),
    ("/etc/hostname", "guest\n"),
    (
        "/etc/hosts",
        "127.0.0.1 localhost guest\n::1 localhost guest\n",
    ),
    ("/etc/resolv.conf", "nameserver 127.0.0.1\n"),
];

/// Makes root the owner of the disk's files, and writes the files about users.
pub(crate) fn prepare() -> Result<()> {
    own_the_disk()?;
    for (path, content) in FILES {
        fs::write(path, content).with_context(|| format!("write {path}"))?;
    }
    for (directory, mode) in [
        ("/root", 0o700),
        ("/home", 0o755),
        ("/tmp", 0o1777),
        ("/var/tmp", 0o1777),
        ("/var/lib", 0o755),
    ] {
        fs::create_dir_all(directory).with_context(|| format!("create {directory}"))?;
        fs::set_permissions(directory, fs::Permissions::from_mode(mode))
            .with_context(|| format!("the mode of {directory}"))?;
    }
    owned_by_user(HOME, 0o755)
}

/// A directory that belongs to the ordinary user.
pub(crate) fn owned_by_user(directory: &str, mode: u32) -> Result<()> {
    fs::create_dir_all(directory).with_context(|| format!("create {directory}"))?;
    fs::set_permissions(directory, fs::Permissions::from_mode(mode))
        .with_context(|| format!("the mode of {directory}"))?;
    chown(directory, Some(USER), Some(USER)).with_context(|| format!("the owner of {directory}"))
}

/// Who built the disk without being root is the owner of every file on it.
fn own_the_disk() -> Result<()> {
    if fs::metadata("/usr").context("the disk")?.uid() != 0 {
        let status = Command::new("/usr/bin/busybox")
            .args(["chown", "-hR", "0:0", "/etc", "/usr", "/var", "/tests"])
            .status()
            .context("start chown")?;
        if !status.success() {
            bail!("chown: {status}");
        }
    }
    // Changing the owner takes this bit away.
    for program in ["/usr/bin/newuidmap", "/usr/bin/newgidmap"] {
        if Path::new(program).exists() {
            fs::set_permissions(program, fs::Permissions::from_mode(0o4755))
                .with_context(|| format!("the mode of {program}"))?;
        }
    }
    Ok(())
}
