//! `coop down`: a stack goes, and leaves nothing.

use anyhow::Result;

use crate::args::{DownArgs, StackArgs};
use crate::host::{Host, require_root};
use crate::load::{Loaded, stack_name};
use crate::supervise;
use crate::ui::Progress;

/// `coop down`.
pub(crate) fn down(host: &Host, stack: &StackArgs, args: &DownArgs) -> Result<i32> {
    require_root("take a stack down")?;
    let name = stack_name(stack)?;
    drop(supervise::keeper(host, &name)?);
    let mut progress = Progress::new();
    let containers = supervise::containers(host, &name)?;
    let mut volumes = Vec::new();
    if args.volumes {
        // Without its file a stack is known by its name alone: its volumes are those that its
        // name begins.
        match Loaded::find(stack)? {
            Some(loaded) => volumes.extend(
                loaded
                    .stack
                    .volumes
                    .iter()
                    .filter(|(_, volume)| !volume.external)
                    .map(|(key, _)| loaded.stack.volume_name(key)),
            ),
            None => volumes.extend(
                host.volumes
                    .list()?
                    .into_iter()
                    .filter(|volume| volume.starts_with(&format!("{name}_"))),
            ),
        }
    }
    let ids: Vec<_> = containers.iter().map(|state| state.id.clone()).collect();
    super::rm::stop_and_remove(
        host,
        &name,
        &ids,
        args.timeout.map(Into::into),
        &mut progress,
    )?;
    for volume in volumes {
        if host.volumes.path(&volume)?.exists() {
            host.volumes.remove(&volume)?;
            progress.line("Volume", &volume, "Removed");
        }
    }
    if containers.is_empty() {
        log::warn!("no containers of stack {name}");
    }
    Ok(0)
}
