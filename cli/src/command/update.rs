//! `coop update`: other limits.

use anyhow::Result;

use crate::args::{StackArgs, UpdateArgs};
use crate::host::Host;

pub(super) fn update(_host: &Host, _stack: &StackArgs, _args: &UpdateArgs) -> Result<i32> {
    anyhow::bail!("not implemented yet")
}
