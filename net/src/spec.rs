//! What a network is asked to be, and what it and its leases are.

use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::ports::PortMapping;
use crate::subnet::Ipv4Net;

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
    /// Name of the bridge; `None`: one derived from state directory and network name.
    #[serde(default)]
    pub bridge: Option<String>,
    /// No way out and no published ports: containers reach one another and the gateway.
    #[serde(default)]
    pub internal: bool,
    /// The largest packet, in bytes.
    #[serde(default = "default_mtu")]
    pub mtu: u32,
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
            bridge: None,
            internal: false,
            mtu: DEFAULT_MTU,
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
    /// The address of its bridge, the first one of the subnet.
    pub gateway: Ipv4Addr,
    /// The name of its bridge.
    pub bridge: String,
    /// Whether it has no way out.
    pub internal: bool,
    /// The largest packet, in bytes.
    pub mtu: u32,
}

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
    /// The container's hardware address, derived from the IPv4 address: a successor at
    /// the same address needs no neighbour to forget the old one.
    pub mac: Mac,
    /// The largest packet, in bytes.
    pub mtu: u32,
    /// The bridge that the host's end is a port of.
    pub bridge: String,
    /// The host's end of the link.
    pub host_interface: String,
    /// The container's end of the link.
    pub interface: String,
    /// Published ports, each with a host port that is not 0.
    pub ports: Vec<PortMapping>,
}

impl Lease {
    /// The subnet that the address is in.
    pub fn subnet(&self) -> Ipv4Net {
        Ipv4Net::new(self.address, self.prefix_len.min(32))
            .unwrap_or_else(|| Ipv4Net::with_mask(self.address, Ipv4Addr::BROADCAST))
    }
}

/// An Ethernet hardware address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Mac(pub [u8; 6]);

/// Text that is not a hardware address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a hardware address: {0:?} (write it as 02:42:0a:00:00:02)")]
pub struct MacError(String);

impl Mac {
    /// `02:42:` and the four bytes of the address, as Docker does. The second-lowest bit
    /// of the first byte says that the address is administered locally.
    pub fn for_address(address: Ipv4Addr) -> Self {
        let [a, b, c, d] = address.octets();
        Self([0x02, 0x42, a, b, c, d])
    }
}

impl std::fmt::Display for Mac {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (index, byte) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { ":" };
            write!(f, "{separator}{byte:02x}")?;
        }
        Ok(())
    }
}

impl std::str::FromStr for Mac {
    type Err = MacError;

    fn from_str(text: &str) -> Result<Self, MacError> {
        let fail = || MacError(text.to_owned());
        let mut bytes = [0; 6];
        let mut parts = text.split(':');
        for byte in &mut bytes {
            let part = parts
                .next()
                .filter(|part| is_two_hex(part))
                .ok_or_else(fail)?;
            *byte = u8::from_str_radix(part, 16).map_err(|_| fail())?;
        }
        if parts.next().is_some() {
            return Err(fail());
        }
        Ok(Self(bytes))
    }
}

impl TryFrom<String> for Mac {
    type Error = MacError;

    fn try_from(text: String) -> Result<Self, MacError> {
        text.parse()
    }
}

impl From<Mac> for String {
    fn from(mac: Mac) -> Self {
        mac.to_string()
    }
}

/// `from_str_radix` alone would take a sign.
fn is_two_hex(text: &str) -> bool {
    text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
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

fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hardware_address_follows_the_address() {
        let mac = Mac::for_address(Ipv4Addr::new(172, 17, 0, 2));
        assert_eq!(mac.to_string(), "02:42:ac:11:00:02");
        assert_eq!("02:42:ac:11:00:02".parse(), Ok(mac));
        for text in [
            "",
            "02:42:ac:11:00",
            "02:42:ac:11:00:02:03",
            "2:42:ac:11:0:2",
            "02:42:ac:11:00:+2",
        ] {
            assert!(text.parse::<Mac>().is_err(), "{text}");
        }
    }

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
