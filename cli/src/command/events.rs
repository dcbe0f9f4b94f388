//! `coop events`: what happens.

use anyhow::Result;

use crate::args::EventsArgs;
use crate::host::Host;

pub(super) fn events(_host: &Host, _args: &EventsArgs) -> Result<i32> {
    anyhow::bail!("not implemented yet")
}
