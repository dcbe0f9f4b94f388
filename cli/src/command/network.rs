//! `coop network`: networks by name, and who is on them.

mod connect;
mod create;
mod list;
mod partition;
mod predefined;
mod prune;

use anyhow::{Context, Result, bail};
use coop_launcher::store::ContainerId;
use coop_net::{Lease, Network};

use self::predefined::Predefined;
use crate::args::{NetworkCommand, NetworkInspectArgs, NetworkRmArgs};
use crate::command::by_name::{find_each, remove_each};
use crate::command::inspect::{network_object, print_documents};
use crate::host::Host;
use crate::networks;
pub(super) use prune::prune_networks;

/// `coop network`.
pub(super) fn network(host: &Host, command: &NetworkCommand) -> Result<i32> {
    match command {
        NetworkCommand::Create(args) => create::create(host, args),
        NetworkCommand::Ls(args) => list::list(host, args),
        NetworkCommand::Inspect(args) => inspect(host, args),
        NetworkCommand::Rm(args) => remove(host, args),
        NetworkCommand::Prune(args) => prune::prune(host, args),
        NetworkCommand::Connect(args) => connect::connect(host, args),
        NetworkCommand::Disconnect(args) => connect::disconnect(host, args),
        NetworkCommand::Partition(args) => partition::partition(host, args),
        NetworkCommand::Heal(args) => partition::heal(host, args),
    }
}

/// The name of the network that is meant: by its name, its id, or the beginning of its id.
fn named(host: &Host, text: &str) -> Result<String> {
    let all = networks::all(host)?;
    if all.iter().any(|network| network.name == text) {
        return Ok(text.to_owned());
    }
    // As `ls` shows it, and as `ls --no-trunc` does.
    let begins = |network: &&Network| {
        let bridge = network.bridge.as_str();
        !text.is_empty() && (short_id(bridge).starts_with(text) || bridge.starts_with(text))
    };
    let mut found = all.iter().filter(begins);
    match (found.next(), found.next()) {
        (Some(network), None) => Ok(network.name.clone()),
        (Some(_), Some(_)) => bail!(
            "network {text} is ambiguous: several ids begin like that\n  help: write more of it"
        ),
        (None, _) => Ok(networks::known(host, text)?.name),
    }
}

/// The name of its bridge tells a network from all others; this is the part of it that is not the
/// same in all.
fn short_id(bridge: &str) -> &str {
    bridge.strip_prefix("coop-").unwrap_or(bridge)
}

fn inspect(host: &Host, args: &NetworkInspectArgs) -> Result<i32> {
    let (found, exit_code) = find_each(&args.names, |name| {
        if let Some(predefined) = Predefined::find(name) {
            return Ok(predefined.object());
        }
        let name = named(host, name)?;
        network_object(host, &name)?.with_context(|| format!("network {name} not found"))
    });
    print_documents(&args.format.clone().unwrap_or_default(), &found)?;
    Ok(exit_code)
}

fn remove(host: &Host, args: &NetworkRmArgs) -> Result<i32> {
    remove_each(&args.names, |name| {
        if Predefined::find(name).is_some() {
            bail!("{name} is a pre-defined network and cannot be removed");
        }
        match named(host, name) {
            Err(_) if args.force => Ok(()),
            Err(error) => Err(error),
            Ok(found) => give_back(host, &found)
                .and_then(|()| networks::remove(host, &found))
                .map_err(|error| explain(host, &found, error)),
        }
    })
}

/// Gives back the places of containers that are no more.
fn give_back(host: &Host, network: &str) -> Result<()> {
    let leases = host.networks.leases(network)?;
    let stale: Vec<&str> = { leases.iter() }
        .filter(|lease| is_stale(host, lease))
        .map(|lease| lease.container.as_str())
        .collect();
    if stale.is_empty() {
        return Ok(());
    }
    release(host, network, &stale)
}

/// Gives places in a network back.
fn release(host: &Host, network: &str, containers: &[&str]) -> Result<()> {
    let networks = &host.networks;
    let release = || networks.release_several(network, containers);
    Ok(host.place_of_networks_now()?.run(release)??)
}

/// Whether the container of a lease neither exists nor is being made.
fn is_stale(host: &Host, lease: &Lease) -> bool {
    let exists = || {
        let id = ContainerId::parse(&lease.container);
        id.is_ok_and(|id| host.store.load_state(&id).is_ok())
    };
    let is_planned = || {
        let planned = crate::command::system::planned(host);
        // When nobody can tell, it is.
        planned.is_ok_and(|planned| planned.contains(&lease.container))
    };
    // Who is planned is a container before it is planned no more.
    !exists() && !is_planned() && !exists()
}

/// Names the containers that are in the way.
fn explain(host: &Host, network: &str, error: anyhow::Error) -> anyhow::Error {
    let Some(coop_net::Error::InUse { containers, .. }) = error.downcast_ref() else {
        return error;
    };
    let names: Vec<String> = { containers.iter() }
        .map(|id| {
            let state = ContainerId::parse(id).and_then(|id| host.store.load_state(&id));
            let name = state.map_or_else(|_| id.clone(), |state| state.name.to_string());
            format!("name:\"{name}\" id:\"{}\"", id.get(..12).unwrap_or(id))
        })
        .collect();
    anyhow::anyhow!(
        "error while removing network: network {network} has active endpoints ({})\n  \
         help: remove the containers, or `coop network disconnect {network} CONTAINER`",
        names.join(", ")
    )
}
