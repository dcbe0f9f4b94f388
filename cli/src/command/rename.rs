//! `coop rename`: another name.

use anyhow::Result;

use crate::args::{RenameArgs, StackArgs};
use crate::host::Host;

pub(super) fn rename(_host: &Host, _stack: &StackArgs, _args: &RenameArgs) -> Result<i32> {
    anyhow::bail!("not implemented yet")
}
