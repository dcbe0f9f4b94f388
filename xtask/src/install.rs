//! `cargo xtask install` and `uninstall`.

use anyhow::{Result, bail};

/// Installs the release binary, completions and man pages.
///
/// # Errors
/// When a file cannot be written.
pub(crate) fn install() -> Result<()> {
    bail!("not built yet")
}

/// Removes what [`install`] put in place.
///
/// # Errors
/// When a file cannot be removed.
pub(crate) fn uninstall() -> Result<()> {
    bail!("not built yet")
}
