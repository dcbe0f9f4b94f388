//! `cargo xtask check`: format and lints.

use anyhow::Result;

use crate::{cargo, packages};

/// Checks the format, then lints every target of every package.
///
/// Twice, because a cargo feature both adds and removes code (`#[cfg(not(feature))]`):
/// with all features, and with the default ones, which is what users build.
///
/// # Errors
/// When a check fails.
pub(crate) fn run() -> Result<()> {
    packages::ensure_components()?;
    cargo::run(
        "format check",
        &mut cargo::cargo(["fmt", "--all", "--check"]),
    )?;
    for features in [&["--all-features"][..], &[]] {
        let mut clippy = cargo::cargo(["clippy", "--workspace", "--all-targets"]);
        cargo::run(
            "lints",
            clippy.args(features).args(["--", "-D", "warnings"]),
        )?;
    }
    Ok(())
}
