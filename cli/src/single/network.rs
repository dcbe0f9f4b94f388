//! `--network` and what goes with it.

use anyhow::{Result, bail};
use indexmap::IndexMap;

use crate::args::RunArgs;
use crate::plan::SHARED_NETWORK;
use crate::stack::Attachment;
use crate::stack::value::{NetworkFlag, NetworkMode};

/// The mode that `--network` says, when it is no network by name.
pub(super) fn network_mode(args: &RunArgs) -> Result<Option<NetworkMode>> {
    let modes: Vec<_> = { args.network.iter() }
        .filter_map(|flag| match flag {
            NetworkFlag::Mode(mode) if *mode != NetworkMode::Bridge => Some(mode),
            _ => None,
        })
        .collect();
    match (modes.as_slice(), args.network.len()) {
        ([mode], 1) => Ok(Some((*mode).clone())),
        ([mode, ..], _) => bail!(
            "conflicting options: --network {mode} and another network\n  help: remove one of the two"
        ),
        // It says what is the case anyway, and is refused where there is none.
        ([], _) if args.network == [NetworkFlag::Mode(NetworkMode::Bridge)] => {
            Ok(Some(NetworkMode::Bridge))
        }
        ([], _) => Ok(None),
    }
}

/// The networks by name, with what the container is in each.
pub(super) fn networks(args: &RunArgs) -> Result<IndexMap<String, Attachment>> {
    let mut networks = IndexMap::new();
    for flag in &args.network {
        let (name, attachment) = match flag {
            NetworkFlag::Named(network) => (
                network.name.clone(),
                Attachment {
                    aliases: network.aliases.clone(),
                    ipv4_address: network.ipv4,
                    ipv6_address: network.ipv6,
                    mac_address: network.mac,
                    gw_priority: network.gw_priority,
                    ..Attachment::default()
                },
            ),
            NetworkFlag::Mode(NetworkMode::Bridge) if args.network.len() > 1 => {
                (SHARED_NETWORK.to_owned(), Attachment::default())
            }
            NetworkFlag::Mode(_) => continue,
        };
        if networks.insert(name.clone(), attachment).is_some() {
            bail!("network {name:?} is specified multiple times\n  help: name it once");
        }
    }
    let given = [
        ("--network-alias", !args.network_alias.is_empty()),
        ("--ip", args.ip.is_some()),
        ("--ip6", args.ip6.is_some()),
        ("--mac-address", args.mac_address.is_some()),
    ];
    let Some((option, _)) = given.into_iter().find(|(_, given)| *given) else {
        return Ok(networks);
    };
    if networks.is_empty() {
        // Those of the usual one are nobody's to choose, but its hardware address is.
        if option != "--mac-address" {
            bail!(
                "{option} is for a network by name\n  help: coop network create NAME, and --network NAME"
            );
        }
        networks.insert(SHARED_NETWORK.to_owned(), Attachment::default());
    }
    if networks.len() > 1 {
        bail!(
            "{option} with several networks does not say which\n  \
             help: --network name=NAME,alias=NAME,ip=ADDRESS"
        );
    }
    for attachment in networks.values_mut() {
        attachment.aliases.extend(args.network_alias.clone());
        attachment.ipv4_address = args.ip.or(attachment.ipv4_address);
        attachment.ipv6_address = args.ip6.or(attachment.ipv6_address);
        attachment.mac_address = args.mac_address.or(attachment.mac_address);
    }
    Ok(networks)
}
