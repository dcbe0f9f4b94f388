//! `cargo xtask vm-test` and `vm-shell`: the tests on other kernels, in a virtual machine.

use anyhow::{Result, bail};
use clap::Args;

#[derive(Args)]
pub(crate) struct TestOptions {
    /// Run only the tests whose name contains this
    filter: Option<String>,
}

#[derive(Args)]
pub(crate) struct ShellOptions {}

/// Boots the virtual machine and runs the integration tests in it.
///
/// # Errors
/// When a test fails, or the guest hangs or panics.
pub(crate) fn test(_options: &TestOptions) -> Result<()> {
    bail!("not built yet")
}

/// Boots the virtual machine and gives its shell.
///
/// # Errors
/// When the guest cannot be started.
pub(crate) fn shell(_options: &ShellOptions) -> Result<()> {
    bail!("not built yet")
}
