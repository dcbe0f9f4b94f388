//! `coop rename`.

use anyhow::{Context, Result};
use coop_launcher::store::Name;

use crate::args::{RenameArgs, StackArgs};
use crate::host::Host;
use crate::{load, supervise};

/// `coop rename`. Prints nothing, as Docker.
pub(super) fn rename(host: &Host, stack: &StackArgs, args: &RenameArgs) -> Result<i32> {
    let name = Name::parse(&args.new_name)?;
    let state = load::resolve(host, stack, &args.name)?;
    if state.name == name {
        anyhow::bail!("container {name} has this name already\n  help: choose another");
    }
    supervise::rename(host, &state, &name).with_context(|| format!("rename {}", state.name))?;
    Ok(0)
}
