//! Containers of one network that are cut off from each other on purpose.
//!
//! A partition is between two names, of services or containers, and not between two addresses: it
//! is on record with the network, so it holds for whoever has the names later as well. It holds
//! for every frame between their links, and for what one sends to the other's published port.

use std::fmt::{self, Write};

use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::lease::Lease;
use crate::networks::Networks;
use crate::spec::Network;

/// Two names of a network whose containers do not reach each other.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Partition(String, String);

impl Partition {
    /// Between these two; the order is no matter.
    pub fn new(one: &str, other: &str) -> Self {
        let (first, second) = if one <= other {
            (one, other)
        } else {
            (other, one)
        };
        Self(first.to_owned(), second.to_owned())
    }

    /// The names.
    pub fn names(&self) -> [&str; 2] {
        [&self.0, &self.1]
    }

    /// The links that it is between, in both directions; a container that has both names is cut
    /// off from the others, and not from itself.
    fn links<'a>(&'a self, leases: &'a [Lease]) -> impl Iterator<Item = (&'a Lease, &'a Lease)> {
        let has = |lease: &Lease, name: &str| lease.names.iter().any(|own| own == name);
        let of = move |name: &'a str| leases.iter().filter(move |lease| has(lease, name));
        let pairs = move |from: &'a str, to: &'a str| {
            of(from).flat_map(move |from| of(to).map(move |to| (from, to)))
        };
        pairs(&self.0, &self.1)
            .chain(pairs(&self.1, &self.0))
            .filter(|(from, to)| from.container != to.container)
    }
}

impl fmt::Display for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} | {}", self.0, self.1)
    }
}

impl Networks {
    /// Cuts off those of a network that have the one name from those that have the other, once
    /// rules are [applied](Self::apply_rules). Says whether that is new.
    ///
    /// # Errors
    /// [`Error::NoNetwork`], errors of the state directory.
    pub fn partition(&self, network: &str, partition: &Partition) -> Result<bool, Error> {
        let (store, _lock) = self.locked(network)?;
        let mut known = self.known(network, &store)?;
        let is_new = !known.partitions.contains(partition);
        if is_new {
            known.partitions.push(partition.clone());
            known.partitions.sort();
            store.write_network(&known)?;
        }
        Ok(is_new)
    }

    /// Takes back the partitions of a network that `heals` says, once rules are
    /// [applied](Self::apply_rules), and gives them.
    ///
    /// # Errors
    /// [`Error::NoNetwork`], errors of the state directory.
    pub fn heal(
        &self,
        network: &str,
        heals: impl Fn(&Partition) -> bool,
    ) -> Result<Vec<Partition>, Error> {
        let (store, _lock) = self.locked(network)?;
        let mut known = self.known(network, &store)?;
        let (healed, stay): (Vec<_>, Vec<_>) = known.partitions.into_iter().partition(heals);
        known.partitions = stay;
        if !healed.is_empty() {
            store.write_network(&known)?;
        }
        Ok(healed)
    }
}

fn links<'a>(
    network: &'a Network,
    leases: &'a [Lease],
) -> impl Iterator<Item = (&'a Lease, &'a Lease)> {
    { network.partitions.iter() }.flat_map(|partition| partition.links(leases))
}

/// For the frames of the bridge: a table of its own name, in which there may be more.
pub(crate) fn write_frames(
    out: &mut String,
    table: &str,
    network: &Network,
    leases: &[Lease],
) -> fmt::Result {
    if network.partitions.is_empty() {
        return Ok(());
    }
    writeln!(out, "table bridge {table} {{\n\tchain partitions {{")?;
    writeln!(
        out,
        "\t\ttype filter hook forward priority -200; policy accept;"
    )?;
    for (from, to) in links(network, leases) {
        let (from, to) = (&from.host_interface, &to.host_interface);
        writeln!(out, "\t\tiifname \"{from}\" oifname \"{to}\" drop")?;
    }
    writeln!(out, "\t}}\n}}")
}

/// For packets that take the way over the gateway: to a published port.
pub(crate) fn write_packets(out: &mut String, network: &Network, leases: &[Lease]) -> fmt::Result {
    if network.partitions.is_empty() {
        return Ok(());
    }
    writeln!(out, "\tchain partitions {{")?;
    writeln!(
        out,
        "\t\ttype filter hook forward priority -1; policy accept;"
    )?;
    for (from, to) in links(network, leases) {
        let (source, target) = (from.address, to.address);
        writeln!(out, "\t\tip saddr {source} ip daddr {target} drop")?;
        if let (Some(source), Some(target)) = (from.ipv6, to.ipv6) {
            let (source, target) = (source.address, target.address);
            writeln!(out, "\t\tip6 saddr {source} ip6 daddr {target} drop")?;
        }
    }
    writeln!(out, "\t}}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lease(container: &str, names: &[&str], last: u8) -> Lease {
        serde_json::from_value(serde_json::json!({
            "network": "shop", "container": container, "names": names,
            "address": format!("10.208.1.{last}"),
            "prefix_len": 24, "gateway": "10.208.1.1", "internal": false,
            "mac": "02:42:0a:d0:01:02", "mtu": 1500, "bridge": "coop-1",
            "host_interface": format!("v{container}"), "interface": "eth0", "ports": [],
        }))
        .unwrap()
    }

    #[test]
    fn a_partition_is_between_all_that_have_the_names_and_no_others() {
        let leases = [
            lease("w1", &["web", "shop-web-1"], 2),
            lease("w2", &["web", "shop-web-2"], 3),
            lease("db", &["db", "shop-db-1"], 4),
            lease("both", &["web", "db"], 5),
        ];
        assert_eq!(Partition::new("web", "db"), Partition::new("db", "web"));
        let pairs = |one, other| {
            let partition = Partition::new(one, other);
            let pairs = partition.links(&leases);
            let mut pairs: Vec<_> = pairs
                .map(|(from, to)| format!("{}>{}", from.container, to.container))
                .collect();
            pairs.sort();
            pairs.dedup();
            pairs
        };
        assert_eq!(
            pairs("shop-web-1", "db")[..],
            ["both>w1", "db>w1", "w1>both", "w1>db"]
        );
        assert!(!pairs("web", "db").contains(&"both>both".to_owned()));
        assert!(pairs("web", "nobody").is_empty());
        assert!(!pairs("shop-web-1", "shop-db-1").contains(&"w2>db".to_owned()));
    }
}
