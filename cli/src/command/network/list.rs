//! `coop network ls`.

use std::collections::BTreeMap;

use anyhow::Result;
use coop_net::Network;
use serde_json::{Value, json};

use super::{Predefined, short_id};
use crate::args::{Filter, NetworkLsArgs};
use crate::host::Host;
use crate::networks;
use crate::plan::SHARED_NETWORK;
use crate::ui::{lines, listing, print};

/// A line of the list.
struct Listed {
    id: String,
    name: String,
    driver: &'static str,
    /// Nobody has made it by name.
    is_builtin: bool,
    is_free: bool,
    has_ipv6: bool,
    internal: bool,
    labels: BTreeMap<String, String>,
}

pub(super) fn list(host: &Host, args: &NetworkLsArgs) -> Result<i32> {
    let known = ["dangling", "driver", "id", "label", "name", "scope", "type"];
    Filter::check(&args.filter, &known)?;
    let mut found: Vec<_> = Predefined::ALL.into_iter().map(Listed::from).collect();
    for network in networks::all(host)? {
        let is_free = host.networks.leases(&network.name)?.is_empty();
        found.push(Listed::new(network, is_free));
    }
    found.retain(|network| network.passes(&args.filter));
    found.sort_by(|one, other| one.name.cmp(&other.name));
    if args.quiet {
        let ids = found.iter().map(|network| network.id(args.no_trunc));
        print(&lines(ids))?;
        return Ok(0);
    }
    let rows: Vec<_> = { found.iter() }
        .map(|network| network.row(args.no_trunc))
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

impl From<Predefined> for Listed {
    fn from(predefined: Predefined) -> Self {
        Self {
            id: predefined.name().to_owned(),
            name: predefined.name().to_owned(),
            driver: predefined.driver(),
            is_builtin: true,
            // There is nothing to prune.
            is_free: false,
            has_ipv6: false,
            internal: false,
            labels: BTreeMap::new(),
        }
    }
}

impl Listed {
    fn new(network: Network, is_free: bool) -> Self {
        Self {
            is_builtin: network.name == SHARED_NETWORK,
            id: network.bridge,
            name: network.name,
            driver: "bridge",
            is_free,
            has_ipv6: network.ipv6.is_some(),
            internal: network.internal,
            labels: network.labels,
        }
    }

    fn passes(&self, filters: &[Filter]) -> bool {
        let any = |key: &str, fits: &dyn Fn(&str) -> bool| Filter::any(filters, key, fits);
        let kind = if self.is_builtin { "builtin" } else { "custom" };
        Filter::labels(filters, &self.labels)
            && any("name", &|part| self.name.contains(part))
            && any("id", &|part| {
                self.id.starts_with(part) || short_id(&self.id).starts_with(part)
            })
            && any("driver", &|driver| self.driver == driver)
            && any("scope", &|scope| scope == "local")
            && any("type", &|wanted| wanted == kind)
            && any("dangling", &|wanted| {
                crate::args::boolean(wanted).is_ok_and(|wanted| wanted == self.is_free)
            })
    }

    /// As long as it is, the name of an interface is not cut.
    fn id(&self, no_trunc: bool) -> &str {
        if no_trunc {
            &self.id
        } else {
            short_id(&self.id)
        }
    }

    /// In the words of Docker's list.
    fn row(&self, no_trunc: bool) -> Value {
        let labels: Vec<_> = { self.labels.iter() }
            .map(|(key, value)| format!("{key}={value}"))
            .collect();
        json!({
            "CreatedAt": "",
            "Driver": self.driver,
            "ID": self.id(no_trunc),
            "IPv4": "true",
            "IPv6": self.has_ipv6.to_string(),
            "Internal": self.internal.to_string(),
            "Label": self.labels,
            "Labels": labels.join(","),
            "Name": self.name,
            "Scope": "local",
        })
    }
}
