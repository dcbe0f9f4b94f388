//! `coop prune`: what is not in use goes.

use anyhow::Result;

use crate::args::PruneArgs;
use crate::host::Host;

pub(super) fn prune(_host: &Host, _args: &PruneArgs) -> Result<i32> {
    anyhow::bail!("not implemented yet")
}
