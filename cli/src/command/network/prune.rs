//! `coop network prune`: networks that nobody uses go, and what killed commands left of them.

use anyhow::Result;

use super::{give_back, release};
use crate::args::{Filter, NetworkPruneArgs};
use crate::command::volume::print_removed;
use crate::host::Host;
use crate::networks;
use crate::ui::confirmed;

const WARNING: &str =
    "WARNING! This will remove all custom networks not used by at least one container.";

pub(super) fn prune(host: &Host, args: &NetworkPruneArgs) -> Result<i32> {
    Filter::check(&args.filter, &["label"])?;
    if !args.force && !confirmed(WARNING)? {
        return Ok(1);
    }
    // What a killed command began is finished first: it gives back what it had.
    crate::command::ps::mend_all(host)?;
    let names = prune_networks(host, &args.filter)?;
    print_removed("Deleted Networks:", &names)?;
    Ok(0)
}

/// Removes the networks that no container is on, running or not; gives their names.
pub(crate) fn prune_networks(host: &Host, filters: &[Filter]) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for network in networks::all(host)? {
        let name = network.name.as_str();
        if !Filter::labels(filters, &network.labels) {
            continue;
        }
        give_back(host, name)?;
        match networks::remove(host, name) {
            Ok(()) => names.push(network.name),
            Err(error) => match error.downcast_ref() {
                Some(coop_net::Error::InUse { .. }) => {}
                _ => return Err(error),
            },
        }
    }
    // Directories of which nothing but an empty record is left.
    let networks = &host.networks;
    let found = { host.place_of_networks_now()? }.run(|| networks.check(|_| true))??;
    for finding in found {
        if let coop_net::Finding::Empty { network } = finding {
            release(host, &network, &["none"])?;
            names.push(network);
        }
    }
    Ok(names)
}
