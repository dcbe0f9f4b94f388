//! `coop network`: networks by name, and who is on them.

mod connect;
mod create;
mod list;
mod partition;
mod prune;

use anyhow::Result;
use coop_launcher::store::ContainerId;
use coop_net::Lease;

use crate::args::{NetworkCommand, NetworkInspectArgs, NetworkRmArgs};
use crate::command::inspect::network_object;
use crate::host::Host;
use crate::ui::{document, print};
use crate::{args, networks};
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

/// The name of the network that is meant: by its name, or its id.
fn named(host: &Host, text: &str) -> Result<String> {
    let all = networks::all(host)?;
    let by_id = || all.iter().find(|network| network.bridge == text);
    let found = { all.iter() }
        .find(|network| network.name == text)
        .or_else(by_id);
    match found {
        Some(network) => Ok(network.name.clone()),
        None => Ok(networks::known(host, text)?.name),
    }
}

fn inspect(host: &Host, args: &NetworkInspectArgs) -> Result<i32> {
    let (mut found, mut exit_code) = (Vec::new(), 0);
    for name in &args.names {
        match named(host, name).and_then(|name| network_object(host, &name)) {
            Ok(network) => found.extend(network),
            Err(error) => {
                crate::ui::error(&error);
                exit_code = 1;
            }
        }
    }
    match &args.format {
        Some(format @ (args::Format::Template(_) | args::Format::TableTemplate(_))) => {
            for network in &found {
                print(&document(format, network)?)?;
            }
        }
        format => {
            let format = format.clone().unwrap_or_default();
            print(&document(&format, &serde_json::Value::Array(found))?)?;
        }
    }
    Ok(exit_code)
}

fn remove(host: &Host, args: &NetworkRmArgs) -> Result<i32> {
    let mut exit_code = 0;
    for name in &args.names {
        let removed = match named(host, name) {
            Err(_) if args.force => Ok(()),
            Err(error) => Err(error),
            Ok(found) => give_back(host, &found)
                .and_then(|()| networks::remove(host, &found))
                .map_err(|error| explain(host, &found, error)),
        };
        match removed {
            Ok(()) => print(&format!("{name}\n"))?,
            Err(error) => {
                crate::ui::error(&error);
                exit_code = 1;
            }
        }
    }
    Ok(exit_code)
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
