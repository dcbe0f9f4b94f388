//! The root filesystem of every container that is measured: busybox and nothing else.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// Makes it in the new directory `root`.
///
/// # Errors
/// When the machine has no busybox.
pub(crate) fn build(root: &Path) -> Result<()> {
    for name in ["bin", "dev", "etc", "proc", "sys", "tmp", "work"] {
        fs::create_dir_all(root.join(name))?;
    }
    fs::copy(busybox()?, root.join("bin/busybox"))?;
    for applet in ["cat", "sh", "sleep", "true"] {
        symlink("busybox", root.join("bin").join(applet))?;
    }
    fs::write(root.join("etc/passwd"), "root:x:0:0:root:/:/bin/sh\n")?;
    fs::write(root.join("etc/group"), "root:x:0:\n")?;
    // What is mounted there needs a file below; a container engine would make one.
    for name in ["hosts", "hostname", "resolv.conf"] {
        fs::write(root.join("etc").join(name), "")?;
    }
    Ok(())
}

fn busybox() -> Result<PathBuf> {
    ["/bin/busybox", "/usr/bin/busybox", "/sbin/busybox"]
        .map(PathBuf::from)
        .into_iter()
        .find(|path| path.is_file())
        .context("no busybox: install the package busybox-static")
}
