//! `coop port`: published ports.

use anyhow::Result;

use crate::args::{PortArgs, StackArgs};
use crate::host::Host;

pub(super) fn port(_host: &Host, _stack: &StackArgs, _args: &PortArgs) -> Result<i32> {
    anyhow::bail!("not implemented yet")
}
