//! `coop network ls`.

use anyhow::Result;
use coop_net::Network;
use serde_json::{Value, json};

use crate::args::{Filter, NetworkLsArgs};
use crate::host::Host;
use crate::networks;
use crate::ui::{lines, listing, print};

/// Docker's width of an id.
const ID_WIDTH: usize = 12;

pub(super) fn list(host: &Host, args: &NetworkLsArgs) -> Result<i32> {
    let known = ["dangling", "driver", "id", "label", "name", "scope", "type"];
    Filter::check(&args.filter, &known)?;
    let mut found = networks::all(host)?;
    let mut failed = None;
    found.retain(|network| {
        let is_free = match host.networks.leases(&network.name) {
            Ok(leases) => leases.is_empty(),
            Err(error) => {
                failed.get_or_insert(error);
                false
            }
        };
        let any = |key: &str, fits: &dyn Fn(&str) -> bool| Filter::any(&args.filter, key, fits);
        Filter::labels(&args.filter, &network.labels)
            && any("name", &|part| network.name.contains(part))
            && any("id", &|part| network.bridge.starts_with(part))
            && any("driver", &|driver| driver == "bridge")
            && any("scope", &|scope| scope == "local")
            && any("type", &|kind| kind == "custom")
            && any("dangling", &|wanted| {
                crate::args::boolean(wanted).is_ok_and(|wanted| wanted == is_free)
            })
    });
    if let Some(error) = failed {
        return Err(error.into());
    }
    if args.quiet {
        let ids = found.iter().map(|network| id(network, args.no_trunc));
        print(&lines(ids))?;
        return Ok(0);
    }
    let rows: Vec<_> = { found.iter() }
        .map(|network| row(network, args.no_trunc))
        .collect();
    let columns = [
        ("NETWORK ID", "ID"),
        ("NAME", "Name"),
        ("DRIVER", "Driver"),
        ("SCOPE", "Scope"),
    ];
    print(&listing(&args.format, &columns, &rows)?)?;
    Ok(0)
}

/// The name of its bridge tells a network from all others. It is short enough never to be cut.
fn id(network: &Network, no_trunc: bool) -> &str {
    let id = network.bridge.as_str();
    let derived = id.strip_prefix("coop-").filter(|_| !no_trunc);
    derived
        .unwrap_or(id)
        .get(..ID_WIDTH)
        .unwrap_or(derived.unwrap_or(id))
}

/// A network in the words of Docker's list.
fn row(network: &Network, no_trunc: bool) -> Value {
    let labels: Vec<_> = { network.labels.iter() }
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    json!({
        "CreatedAt": "",
        "Driver": "bridge",
        "ID": id(network, no_trunc),
        "IPv4": "true",
        "IPv6": network.ipv6.is_some().to_string(),
        "Internal": network.internal.to_string(),
        "Label": network.labels,
        "Labels": labels.join(","),
        "Name": network.name,
        "Scope": "local",
    })
}
