//! `coop create`: a container that is started later.

use anyhow::Result;

use crate::args::RunArgs;
use crate::host::Host;

pub(super) fn create(_host: &Host, _args: &RunArgs) -> Result<i32> {
    anyhow::bail!("not implemented yet")
}
