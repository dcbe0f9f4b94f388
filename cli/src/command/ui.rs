//! `coop ui`: a dashboard.

use anyhow::Result;

use crate::args::UiArgs;
use crate::host::Host;

pub(super) fn ui(_host: &Host, _args: &UiArgs) -> Result<i32> {
    anyhow::bail!("not implemented yet")
}
