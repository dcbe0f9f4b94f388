//! `coop system`: what is on disk and in the kernel.

use anyhow::Result;

use crate::args::SystemCommand;
use crate::host::Host;

pub(super) fn system(_host: &Host, _args: &SystemCommand) -> Result<i32> {
    anyhow::bail!("not implemented yet")
}
