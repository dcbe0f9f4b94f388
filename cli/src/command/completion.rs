//! `coop completion`.

use anyhow::Result;

use crate::args::CompletionArgs;

pub(super) fn completion(_args: &CompletionArgs) -> Result<i32> {
    anyhow::bail!("not implemented yet")
}
