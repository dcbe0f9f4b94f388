//! `coop diff`: what has changed in a container's files.

use anyhow::Result;

use crate::args::{DiffArgs, StackArgs};
use crate::host::Host;

pub(super) fn diff(_host: &Host, _stack: &StackArgs, _args: &DiffArgs) -> Result<i32> {
    anyhow::bail!("not implemented yet")
}
