//! What a network is asked to be, and what it is.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::partition::Partition;
use crate::subnet::Ipv4Net;
use crate::subnet6::Ipv6Net;

/// The MTU of a network that does not ask for one, in bytes: Ethernet's.
pub const DEFAULT_MTU: u32 = 1500;

/// A network as asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NetworkSpec {
    /// Name of the network: letters, digits, `_`, `.` and `-`; unique in a state directory.
    pub name: String,
    /// The subnet; `None`: one that is free on this host.
    #[serde(default)]
    pub subnet: Option<Ipv4Net>,
    /// The address of the bridge; `None`: the first one of the subnet.
    #[serde(default)]
    pub gateway: Option<Ipv4Addr>,
    /// Where the addresses come from that no container asks for by name; `None`: anywhere in
    /// the subnet.
    #[serde(default)]
    pub range: Option<Ipv4Net>,
    /// Its IPv6 side; `None`: it has none.
    #[serde(default)]
    pub ipv6: Option<Ipv6Spec>,
    /// Addresses that no container gets, by a name for what has them.
    #[serde(default)]
    pub reserved: BTreeMap<String, IpAddr>,
    /// Name of the bridge; `None`: one derived from state directory and network name.
    #[serde(default)]
    pub bridge: Option<String>,
    /// No way out and no published ports: containers reach one another and the gateway.
    #[serde(default)]
    pub internal: bool,
    /// Its containers do not reach one another: Docker's `enable_icc: false`.
    #[serde(default)]
    pub apart: bool,
    /// Its containers keep their addresses on their way out, for a network with routes of its
    /// own: Docker's `enable_ip_masquerade: false`.
    #[serde(default)]
    pub routed: bool,
    /// The largest packet, in bytes.
    #[serde(default = "default_mtu")]
    pub mtu: u32,
    /// It is there without a container, too, until [`Networks::remove`](crate::Networks::remove).
    #[serde(default)]
    pub kept: bool,
    /// For the user.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
}

/// The IPv6 side of a network as asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Ipv6Spec {
    /// The subnet; `None`: a unique local /64 that is free on this host (RFC 4193).
    pub subnet: Option<Ipv6Net>,
    /// The address of the bridge; `None`: the first one of the subnet.
    pub gateway: Option<Ipv6Addr>,
    /// Where the addresses come from that no container asks for by name.
    pub range: Option<Ipv6Net>,
}

fn default_mtu() -> u32 {
    DEFAULT_MTU
}

impl NetworkSpec {
    /// A network with every setting at its default.
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            subnet: None,
            gateway: None,
            range: None,
            ipv6: None,
            reserved: BTreeMap::new(),
            bridge: None,
            internal: false,
            apart: false,
            routed: false,
            mtu: DEFAULT_MTU,
            kept: false,
            labels: BTreeMap::new(),
        }
    }
}

/// A network as it is: the content of `network.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Network {
    /// Its name.
    pub name: String,
    /// Its subnet.
    pub subnet: Ipv4Net,
    /// The address of its bridge.
    pub gateway: Ipv4Addr,
    /// Where the addresses come from that no container asks for by name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub range: Option<Ipv4Net>,
    /// Its IPv6 side.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ipv6: Option<Ipv6Subnet>,
    /// Addresses that no container gets.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub reserved: BTreeMap<String, IpAddr>,
    /// The name of its bridge.
    pub bridge: String,
    /// Whether it has no way out.
    pub internal: bool,
    /// Whether its containers do not reach one another.
    #[serde(default)]
    pub apart: bool,
    /// Whether its containers keep their addresses on their way out.
    #[serde(default)]
    pub routed: bool,
    /// The largest packet, in bytes.
    pub mtu: u32,
    /// Whether it is there without a container, too.
    #[serde(default)]
    pub kept: bool,
    /// Where at the gateway its name server listens, once it has one: what containers send to
    /// the gateway's port 53 goes there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name_port: Option<u16>,
    /// Who of its containers is cut off from whom.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub partitions: Vec<Partition>,
    /// For the user.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
}

/// The IPv6 side of a network as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ipv6Subnet {
    /// The subnet.
    pub subnet: Ipv6Net,
    /// The address of the bridge.
    pub gateway: Ipv6Addr,
    /// Where the addresses come from that no container asks for by name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub range: Option<Ipv6Net>,
}

impl Network {
    /// The addresses of its bridge.
    pub fn gateways(&self) -> impl Iterator<Item = IpAddr> + use<> {
        let ipv6 = self.ipv6.map(|ipv6| ipv6.gateway.into());
        [IpAddr::from(self.gateway)].into_iter().chain(ipv6)
    }
}

impl From<&Network> for NetworkSpec {
    /// What gives this very network.
    fn from(network: &Network) -> Self {
        let Network {
            name,
            subnet,
            gateway,
            range,
            ipv6,
            reserved,
            bridge,
            internal,
            apart,
            routed,
            mtu,
            kept,
            name_port: _,
            partitions: _,
            labels,
        } = network.clone();
        Self {
            name,
            subnet: Some(subnet),
            gateway: Some(gateway),
            range,
            ipv6: ipv6.map(|ipv6| Ipv6Spec {
                subnet: Some(ipv6.subnet),
                gateway: Some(ipv6.gateway),
                range: ipv6.range,
            }),
            reserved,
            bridge: Some(bridge),
            internal,
            apart,
            routed,
            mtu,
            kept,
            labels,
        }
    }
}

/// Checks a name that becomes a directory, a file and part of a ruleset.
pub(crate) fn check_name(what: &'static str, name: &str) -> Result<(), Error> {
    let first_fine = name.starts_with(|c: char| c.is_ascii_alphanumeric());
    if first_fine && name.len() <= 200 && name.bytes().all(is_name_byte) {
        return Ok(());
    }
    Err(Error::InvalidName {
        what,
        name: name.to_owned(),
        reason: "use up to 200 letters, digits, '_', '.' and '-', and start with a letter or digit",
    })
}

/// Checks a name for a bridge: an interface name of at most 15 bytes.
pub(crate) fn check_bridge(name: &str) -> Result<(), Error> {
    let first_fine = name.starts_with(|c: char| c.is_ascii_alphanumeric());
    // `all` and `default` are directories of their own below /proc/sys/net/ipv4/conf.
    let reserved = matches!(name, "all" | "default" | "lo");
    if first_fine && name.len() <= 15 && name.bytes().all(is_name_byte) && !reserved {
        return Ok(());
    }
    Err(Error::InvalidName {
        what: "bridge",
        name: name.to_owned(),
        reason: "use up to 15 letters, digits, '_', '.' and '-', and start with a letter or digit",
    })
}

/// Checks a name for the container's end of a link.
pub(crate) fn check_interface(container: &str, name: &str) -> Result<(), Error> {
    check_bridge(name).map_err(|_| Error::InvalidInterface {
        container: container.to_owned(),
        name: name.to_owned(),
    })
}

fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_leave_the_directory_or_the_ruleset() {
        for name in [
            "", ".", "..", ".lock", "a/b", "a b", "a\"b", "a*", "-rf", "é",
        ] {
            assert!(check_name("network", name).is_err(), "{name}");
        }
        assert!(check_name("network", "shop_default.v2-1").is_ok());
        assert!(check_bridge("a-bridge-of-16-b").is_err());
        assert!(check_bridge("all").is_err());
    }
}
