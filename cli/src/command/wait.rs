//! `coop wait`: until containers have ended.

use anyhow::Result;

use crate::args::{StackArgs, WaitArgs};
use crate::host::Host;

pub(super) fn wait(_host: &Host, _stack: &StackArgs, _args: &WaitArgs) -> Result<i32> {
    anyhow::bail!("not implemented yet")
}
