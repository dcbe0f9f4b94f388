//! `cargo xtask rootfs`: root filesystems of distributions, fetched, verified and imported.

use anyhow::{Result, bail};
use clap::Subcommand;

#[derive(Subcommand)]
pub(crate) enum Task {
    /// Fetches a distribution's root filesystem, verifies it and imports it as an image
    Fetch {
        /// alpine, ubuntu, arch, debian or busybox
        distribution: String,
    },
}

/// Carries out `task`.
///
/// # Errors
/// When a download, a check or the import fails.
pub(crate) fn run(_task: &Task) -> Result<()> {
    bail!("not built yet")
}
