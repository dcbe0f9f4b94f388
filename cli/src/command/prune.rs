//! `coop prune`: containers that do not run go.

use anyhow::Result;

use super::system::prune_containers;
use super::volume::print_removed;
use crate::args::{Filter, PruneArgs};
use crate::host::Host;
use crate::ui::{confirmed, decimal_size, print};

const WARNING: &str =
    "WARNING! This will remove all stopped containers, and the networks that only they used.";

/// `coop prune`, as Docker's `container prune`.
pub(super) fn prune(host: &Host, args: &PruneArgs) -> Result<i32> {
    Filter::check(&args.filter, &["label", "until"])?;
    if !args.force && !confirmed(WARNING)? {
        return Ok(1);
    }
    let (ids, bytes) = prune_containers(host, &args.filter)?;
    print_removed("Deleted Containers:", &ids)?;
    print(&format!("Total reclaimed space: {}\n", decimal_size(bytes)))?;
    Ok(0)
}
