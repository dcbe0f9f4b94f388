//! `coop top`: the processes of a container.

use anyhow::Result;

use crate::args::{StackArgs, TopArgs};
use crate::host::Host;

pub(super) fn top(_host: &Host, _stack: &StackArgs, _args: &TopArgs) -> Result<i32> {
    anyhow::bail!("not implemented yet")
}
