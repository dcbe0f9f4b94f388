//! `coop volume`: named volumes.

use anyhow::Result;

use crate::args::VolumeCommand;
use crate::host::Host;

pub(super) fn volume(_host: &Host, _args: &VolumeCommand) -> Result<i32> {
    anyhow::bail!("not implemented yet")
}
