//! `coop attach`: a container's standard streams.

use anyhow::Result;

use crate::args::{AttachArgs, StackArgs};
use crate::host::Host;

pub(super) fn attach(_host: &Host, _stack: &StackArgs, _args: &AttachArgs) -> Result<i32> {
    anyhow::bail!("not implemented yet")
}
