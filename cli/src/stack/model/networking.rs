//! What a service says about its network, beside `network_mode` and `ports`.

use super::super::value::{ExtraHost, IpNet, as_written as shape_as_written};
use coop_net::{Mac, Shape};
use indexmap::IndexMap;
use serde::Serialize;
use std::cmp::Reverse;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Keys of a service.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(crate) struct Networking {
    /// Name servers, instead of the host's.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub dns: Vec<IpAddr>,
    /// Options of the resolver, instead of the host's.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub dns_opt: Vec<String>,
    /// Domains to look names up in, instead of the host's.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub dns_search: Vec<String>,
    /// Ports that other services use: for the reader, as every port can be reached.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub expose: Vec<String>,
    /// Entries of `/etc/hosts`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub extra_hosts: Vec<ExtraHost>,
    /// The hardware address in its first network.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mac_address: Option<Mac>,
    /// The networks that it is on, when it is not the stack's own.
    #[serde(skip_serializing_if = "IndexMap::is_empty")]
    pub networks: IndexMap<String, Attachment>,
    /// How bad its links are, in networks that do not say it themselves.
    #[serde(
        rename = "x-net",
        skip_serializing_if = "Option::is_none",
        serialize_with = "shape_as_written"
    )]
    pub shape: Option<Shape>,
}

impl Networking {
    /// The networks in the order in which it is connected to them: those of a higher priority
    /// first, the others as they are written.
    pub(crate) fn networks_in_order(&self) -> Vec<(&String, &Attachment)> {
        let mut networks: Vec<_> = self.networks.iter().collect();
        networks.sort_by_key(|(_, attachment)| Reverse(attachment.priority));
        networks
    }

    /// The first of them.
    pub(crate) fn first_network(&self) -> Option<(&String, &Attachment)> {
        self.networks_in_order().into_iter().next()
    }
}

/// A service's place in a network.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(crate) struct Attachment {
    /// Further names of the service in this network.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<String>,
    /// Among its networks, the one with the highest number has the default route.
    #[serde(skip_serializing_if = "is_zero")]
    pub gw_priority: i32,
    /// The name of its interface; `None`: the next free one of `eth0`, `eth1`, ...
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interface_name: Option<String>,
    /// A fixed address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ipv4_address: Option<Ipv4Addr>,
    /// A fixed IPv6 address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ipv6_address: Option<Ipv6Addr>,
    /// Further addresses, of the link alone.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub link_local_ips: Vec<IpAddr>,
    /// The hardware address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mac_address: Option<Mac>,
    /// The networks with the highest numbers are connected first.
    #[serde(skip_serializing_if = "is_zero")]
    pub priority: i32,
    /// How bad its link is, instead of what the service says.
    #[serde(
        rename = "x-net",
        skip_serializing_if = "Option::is_none",
        serialize_with = "shape_as_written"
    )]
    pub shape: Option<Shape>,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // as serde calls it
fn is_zero(number: &i32) -> bool {
    *number == 0
}

/// An entry of the top-level `networks`.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(crate) struct Network {
    /// The network's name on the host; `None`: the stack's name, `_`, the key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// It belongs to somebody else and has to be there.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub external: bool,
    /// It has no way out.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub internal: bool,
    /// Settings of its bridge, by Docker's names.
    #[serde(skip_serializing_if = "IndexMap::is_empty")]
    pub driver_opts: IndexMap<String, String>,
    /// Whether it has IPv6, too.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub enable_ipv6: bool,
    /// Its addresses; `None`: some that are free.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ipam: Option<Ipam>,
    /// For the user.
    #[serde(skip_serializing_if = "IndexMap::is_empty")]
    pub labels: IndexMap<String, String>,
}

/// `networks.*.ipam`.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(crate) struct Ipam {
    /// At most one of each family.
    pub config: Vec<IpamConfig>,
}

/// An entry of `networks.*.ipam.config`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct IpamConfig {
    /// The addresses of the network.
    pub subnet: IpNet,
    /// The bridge's address; `None`: the first one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gateway: Option<IpAddr>,
    /// Where the addresses come from that nobody asks for by name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ip_range: Option<IpNet>,
    /// Addresses that no container gets.
    #[serde(skip_serializing_if = "IndexMap::is_empty")]
    pub aux_addresses: IndexMap<String, IpAddr>,
}
