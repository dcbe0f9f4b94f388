//! `coop pause` and `coop unpause`: the freezer.

use anyhow::Result;

use crate::args::{PauseArgs, StackArgs, UnpauseArgs};
use crate::host::Host;

pub(super) fn pause(_host: &Host, _stack: &StackArgs, _args: &PauseArgs) -> Result<i32> {
    anyhow::bail!("not implemented yet")
}

pub(super) fn unpause(_host: &Host, _stack: &StackArgs, _args: &UnpauseArgs) -> Result<i32> {
    anyhow::bail!("not implemented yet")
}
