//! `coop diff`: what has changed in a container's files.

use anyhow::{Context, Result, bail};
use coop_fs::{ChangeKind, RootSource};

use crate::args::{DiffArgs, StackArgs};
use crate::host::Host;
use crate::load;
use crate::plan::ContainerPlan;
use crate::ui::{lines, print};

/// `coop diff`: a letter and a path for each file, as Docker prints them.
pub(super) fn diff(host: &Host, stack: &StackArgs, args: &DiffArgs) -> Result<i32> {
    let state = load::resolve(host, stack, &args.name)?;
    let plan: ContainerPlan = host.store.load_config(&state.id)?;
    let RootSource::Overlay(overlay) = &plan.root else {
        bail!(
            "container {} runs on a directory as it is: there is nothing to compare it with",
            state.name
        );
    };
    let mounted: Vec<_> = plan
        .mounts
        .iter()
        .map(|mount| mount.target().to_owned())
        .collect();
    let changes = coop_fs::changes(overlay, &mounted).with_context(|| state.name.to_string())?;
    print(&lines(changes.iter().map(|change| {
        let letter = match change.kind {
            ChangeKind::Added => 'A',
            ChangeKind::Changed => 'C',
            ChangeKind::Deleted => 'D',
        };
        // A name with a line feed in it is no line of its own.
        let path: String = change
            .path
            .to_string_lossy()
            .replace(char::is_control, "\u{fffd}");
        format!("{letter} {path}")
    })))?;
    Ok(0)
}
