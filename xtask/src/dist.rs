//! `cargo xtask dist`: what a release is made of.

use anyhow::{Result, bail};

/// Builds the static binary, completions, man pages, checksums and the Debian package.
///
/// # Errors
/// When a step fails.
pub(crate) fn run() -> Result<()> {
    bail!("not built yet")
}
