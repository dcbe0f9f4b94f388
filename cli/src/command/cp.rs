//! `coop cp`: files into and out of a container.

use anyhow::Result;

use crate::args::{CpArgs, StackArgs};
use crate::host::Host;

pub(super) fn cp(_host: &Host, _stack: &StackArgs, _args: &CpArgs) -> Result<i32> {
    anyhow::bail!("not implemented yet")
}
