//! `coop man`.

use anyhow::Result;

use crate::args::ManArgs;

pub(super) fn man(_args: &ManArgs) -> Result<i32> {
    anyhow::bail!("not implemented yet")
}
