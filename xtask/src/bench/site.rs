//! Where measurements are made: mounts and network of this process's own, and a directory.
//!
//! Nothing is set that the machine would notice. The mounts differ from the machine's in two
//! things: on a hybrid host the cgroup v2 hierarchy beside those of version 1 is not there,
//! since crun (1.8 at least) refuses a host that has both; and what a program keeps in `/run`
//! by default is kept on a tmpfs, as on every system whose `/run` is one. All that is measured
//! is measured so.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use rustix::mount::{MountFlags, MountPropagationFlags, mount, mount_change};
use rustix::thread::{UnshareFlags, unshare_unsafe};
use tempfile::TempDir;

use super::hierarchies::{self, Hierarchy};
use super::rootfs;

/// The `--runroot` of Podman, as a short path.
pub(crate) const PODMANS_RUN: &str = "run";

/// The place; its directory goes with it.
pub(crate) struct Site {
    directory: TempDir,
    /// One with a short path: Podman takes no more than 50 characters.
    short: TempDir,
    hierarchies: Vec<Hierarchy>,
}

impl Site {
    /// Moves this process there. What is made on disk is below `parent`.
    ///
    /// # Errors
    /// When not root, or the kernel refuses.
    pub(crate) fn enter(parent: &Path) -> Result<Self> {
        if !rustix::process::geteuid().is_root() {
            bail!("benchmarks need root: sudo env PATH=\"$PATH\" cargo xtask bench");
        }
        fs::create_dir_all(parent).with_context(|| format!("make {}", parent.display()))?;
        let directory = tempfile::Builder::new()
            .prefix("bench-")
            .tempdir_in(parent)?;
        // Containers with ids of their own have to get through.
        fs::set_permissions(directory.path(), Permissions::from_mode(0o755))?;
        // SAFETY: this process has one thread, and descriptors stay as they are.
        unsafe { unshare_unsafe(UnshareFlags::NEWNS | UnshareFlags::NEWNET) }
            .context("unshare mounts and network")?;
        let all = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
        mount_change("/", all).context("make mounts private")?;
        let site = Self {
            hierarchies: hierarchies::mount_usable().context("mount /sys")?,
            directory,
            short: tempfile::Builder::new().prefix("b").tempdir()?,
        };
        let lo = Command::new("ip")
            .args(["link", "set", "lo", "up"])
            .status();
        if !lo.context("start ip")?.success() {
            bail!("cannot bring lo up");
        }
        rootfs::build(&site.rootfs()).context("make a root filesystem")?;
        for directory in [
            site.coop().join("run"),
            site.run(),
            site.short_path(PODMANS_RUN),
        ] {
            fs::create_dir_all(&directory)?;
            let flags = MountFlags::NOSUID | MountFlags::NODEV;
            mount("tmpfs", &directory, "tmpfs", flags, Some(c"mode=755"))
                .with_context(|| format!("mount a tmpfs on {}", directory.display()))?;
        }
        Ok(site)
    }

    /// The `--root` of Coop.
    pub(crate) fn coop(&self) -> PathBuf {
        self.path("coop")
    }

    /// Where OCI runtimes have their state: a tmpfs.
    pub(crate) fn run(&self) -> PathBuf {
        self.path("run")
    }

    /// A path in the site's directory.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// A path that is as short as can be.
    pub(crate) fn short_path(&self, name: &str) -> PathBuf {
        self.short.path().join(name)
    }

    /// The root filesystem of every container.
    pub(crate) fn rootfs(&self) -> PathBuf {
        self.path("rootfs")
    }

    /// The cgroup hierarchies that are mounted.
    pub(crate) fn hierarchies(&self) -> &[Hierarchy] {
        &self.hierarchies
    }
}
