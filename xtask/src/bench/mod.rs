//! `cargo xtask bench`: Coop beside its peers and beside the floor, measured in one run.

use anyhow::{Result, bail};
use clap::Args;

#[derive(Args)]
pub(crate) struct Options {
    /// Run only this scenario
    scenario: Option<String>,
}

/// Measures and reports.
///
/// # Errors
/// When a scenario cannot be run.
pub(crate) fn run(_options: &Options) -> Result<()> {
    bail!("not built yet")
}
