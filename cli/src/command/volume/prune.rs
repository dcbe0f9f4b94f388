//! `coop volume prune`: volumes that nobody uses go.

use anyhow::Result;

use super::{all, is_anonymous};
use crate::args::{Filter, VolumePruneArgs};
use crate::host::Host;
use crate::ui::{confirmed, decimal_size, lines, print};
use crate::users::VolumeUsers;
use crate::{usage_on_disk, volumes};

/// `coop volume prune`.
pub(super) fn prune(host: &Host, args: &VolumePruneArgs) -> Result<i32> {
    Filter::check(&args.filter, &["label"])?;
    let which = if args.all { "all" } else { "anonymous" };
    let warning = format!(
        "WARNING! This will remove {which} local volumes not used by at least one container."
    );
    if !args.force && !confirmed(&warning)? {
        return Ok(1);
    }
    let which = if args.all {
        Which::All
    } else {
        Which::Anonymous
    };
    let (names, bytes) = prune_volumes(host, which, &args.filter)?;
    print_removed("Deleted Volumes:", &names)?;
    print(&format!("Total reclaimed space: {}\n", decimal_size(bytes)))?;
    Ok(0)
}

/// Which unused volumes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Which {
    /// Also those that somebody named.
    All,
    /// Only those that were made for a container.
    Anonymous,
}

/// Removes unused volumes; gives their names and what they held.
pub(crate) fn prune_volumes(
    host: &Host,
    which: Which,
    filters: &[Filter],
) -> Result<(Vec<String>, u64)> {
    let _lock = volumes::lock(host)?;
    let users = VolumeUsers::find(host)?;
    let (mut names, mut bytes) = (Vec::new(), 0);
    for volume in all(host)? {
        let wanted = which == Which::All || is_anonymous(&volume);
        if !wanted || !users.is_free(&volume.name) || !Filter::labels(filters, &volume.labels) {
            continue;
        }
        let size = usage_on_disk::size(&volume.path);
        volumes::remove(host, &volume.name)?;
        bytes += size;
        names.push(volume.name);
    }
    Ok((names, bytes))
}

/// What went, under its heading; nothing when nothing went.
pub(crate) fn print_removed(heading: &str, names: &[String]) -> Result<()> {
    if !names.is_empty() {
        print(&format!("{heading}\n{}\n", lines(names)))?;
    }
    Ok(())
}
