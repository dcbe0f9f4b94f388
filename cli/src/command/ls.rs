//! `coop ls`: all stacks.

use anyhow::Result;

use crate::args::LsArgs;
use crate::host::Host;

pub(super) fn ls(_host: &Host, _args: &LsArgs) -> Result<i32> {
    anyhow::bail!("not implemented yet")
}
