//! `coop info`: what Coop has and what this host can do.

use anyhow::Result;

use crate::args::InfoArgs;
use crate::host::Host;

pub(super) fn info(_host: &Host, _args: &InfoArgs) -> Result<i32> {
    anyhow::bail!("not implemented yet")
}
