//! The place of one container in one network.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde::{Deserialize, Serialize};

use crate::mac::Mac;
use crate::ports::PortMapping;
use crate::subnet::Ipv4Net;

/// The container's end of its only link.
pub(crate) const INTERFACE: &str = "eth0";

/// A container that needs an address.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LeaseRequest {
    /// Id of the container, unique in the state directory; same characters as a network name.
    pub container: String,
    /// The names it answers to in this network: service, aliases, container name.
    #[serde(default)]
    pub names: Vec<String>,
    /// Ports to publish on the host.
    #[serde(default)]
    pub ports: Vec<PortMapping>,
    /// A fixed address; `None`: the lowest free one.
    #[serde(default)]
    pub address: Option<Ipv4Addr>,
    /// A fixed IPv6 address, in a network that has IPv6; `None`: one that goes with the IPv4
    /// address.
    #[serde(default)]
    pub address6: Option<Ipv6Addr>,
    /// The hardware address; `None`: one derived from the IPv4 address.
    #[serde(default)]
    pub mac: Option<Mac>,
    /// The container's end of the link; `None`: `eth0`. A container in several networks has
    /// another name for each.
    #[serde(default)]
    pub interface: Option<String>,
    /// Among the networks of a container, the one with the highest number has its default
    /// route.
    #[serde(default)]
    pub gw_priority: i32,
    /// Further addresses of the interface, link-local ones: of the link alone.
    #[serde(default)]
    pub link_local: Vec<IpAddr>,
}

/// The place of one container in one network. Plain values: it goes into saved plans,
/// and with nothing but it a later process can wire the container or take it down.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lease {
    /// Name of the network.
    pub network: String,
    /// Id of the container.
    pub container: String,
    /// The names it answers to in this network.
    pub names: Vec<String>,
    /// Its address.
    pub address: Ipv4Addr,
    /// The network bits of the address.
    pub prefix_len: u8,
    /// The bridge's address.
    pub gateway: Ipv4Addr,
    /// Whether the network has no way out, so that there is no default route.
    pub internal: bool,
    /// The container's hardware address. Unless one was asked for, it is derived from the
    /// IPv4 address: a successor at the same address needs no neighbour to forget the old one.
    pub mac: Mac,
    /// The largest packet, in bytes.
    pub mtu: u32,
    /// The bridge that the host's end is a port of.
    pub bridge: String,
    /// The host's end of the link.
    pub host_interface: String,
    /// The container's end of the link.
    pub interface: String,
    /// Published ports, each with a host port that is not 0, and an address of the host.
    pub ports: Vec<PortMapping>,
    /// Its IPv6 address, in a network that has IPv6.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ipv6: Option<Ipv6Lease>,
    /// Among the networks of a container, the one with the highest number has its default
    /// route; of several, the first one.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub gw_priority: i32,
    /// Further addresses of the interface, for the link alone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub link_local: Vec<IpAddr>,
    /// Whether it does not reach the network's other containers.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub apart: bool,
}

/// The IPv6 part of a lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ipv6Lease {
    /// The address.
    pub address: Ipv6Addr,
    /// The network bits of the address.
    pub prefix_len: u8,
    /// The bridge's address.
    pub gateway: Ipv6Addr,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // as serde calls it
fn is_zero(number: &i32) -> bool {
    *number == 0
}

impl Lease {
    /// The subnet that the address is in.
    pub fn subnet(&self) -> Ipv4Net {
        Ipv4Net::new(self.address, self.prefix_len.min(32))
            .unwrap_or_else(|| Ipv4Net::with_mask(self.address, Ipv4Addr::BROADCAST))
    }

    /// Its addresses in the network, that of IPv4 first.
    pub fn addresses(&self) -> impl Iterator<Item = IpAddr> + use<> {
        let ipv6 = self.ipv6.map(|ipv6| ipv6.address.into());
        [self.address.into()].into_iter().chain(ipv6)
    }

    /// Whether what may come in by the link is the same in both.
    pub(crate) fn is_placed_as(&self, other: &Self) -> bool {
        let place = |it: &Self| (it.address, it.ipv6, it.mac);
        place(self) == place(other) && self.link_local == other.link_local
    }

    /// A request that gives this very lease again.
    pub fn request(&self) -> LeaseRequest {
        LeaseRequest {
            container: self.container.clone(),
            names: self.names.clone(),
            ports: self.ports.clone(),
            address: Some(self.address),
            address6: self.ipv6.map(|ipv6| ipv6.address),
            mac: Some(self.mac),
            interface: Some(self.interface.clone()),
            gw_priority: self.gw_priority,
            link_local: self.link_local.clone(),
        }
    }
}

/// Which of a container's leases has its default route for IPv4, and which for IPv6: of those
/// with a way out, the first one with the highest priority.
pub fn default_routes<'a>(
    leases: impl Iterator<Item = &'a Lease> + Clone,
) -> (Option<&'a Lease>, Option<&'a Lease>) {
    let best = |leases: &mut dyn Iterator<Item = &'a Lease>| {
        // Of equals, `max_by_key` gives the last one.
        leases.fold(None, |best: Option<&Lease>, lease| match best {
            Some(best) if best.gw_priority >= lease.gw_priority => Some(best),
            _ => Some(lease),
        })
    };
    let out = leases.filter(|lease| !lease.internal);
    let v4 = best(&mut out.clone());
    let v6 = best(&mut out.filter(|lease| lease.ipv6.is_some()));
    (v4, v6)
}
