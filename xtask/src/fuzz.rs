//! `cargo xtask fuzz`: the parsers of untrusted input, attacked by libFuzzer.

use anyhow::{Result, bail};
use clap::Args;

#[derive(Args)]
pub(crate) struct Options {
    /// Run only this target
    target: Option<String>,
}

/// Builds the fuzz targets and runs them.
///
/// # Errors
/// When a target does not build, or finds a fault.
pub(crate) fn run(_options: &Options) -> Result<()> {
    bail!("not built yet")
}
