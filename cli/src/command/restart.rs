//! `coop restart`: stop and start.

use anyhow::Result;

use crate::args::{RestartArgs, StackArgs};
use crate::host::Host;

pub(super) fn restart(_host: &Host, _stack: &StackArgs, _args: &RestartArgs) -> Result<i32> {
    anyhow::bail!("not implemented yet")
}
