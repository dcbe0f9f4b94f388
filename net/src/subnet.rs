//! An IPv4 network in prefix notation.

use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// An IPv4 network such as `10.208.3.0/24`; the host bits are always zero.
///
/// ```
/// # use coop_net::Ipv4Net;
/// let net: Ipv4Net = "10.0.3.7/24".parse()?;
/// assert_eq!(net.to_string(), "10.0.3.0/24");
/// assert!(net.contains([10, 0, 3, 200].into()));
/// # Ok::<(), coop_net::SubnetError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Ipv4Net {
    network: u32,
    prefix_len: u8,
}

/// Text that is not a network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not an {family} subnet: {text:?} (write it as {example})")]
pub struct SubnetError {
    text: String,
    family: &'static str,
    example: &'static str,
}

impl SubnetError {
    fn of_v4(text: &str) -> Self {
        Self {
            text: text.to_owned(),
            family: "IPv4",
            example: "10.0.3.0/24",
        }
    }

    pub(crate) fn of_v6(text: &str) -> Self {
        Self {
            text: text.to_owned(),
            family: "IPv6",
            example: "fd00:0:0:3::/64",
        }
    }
}

impl Ipv4Net {
    /// The network of `prefix_len` bits that `address` is in; `None` above 32 bits.
    pub fn new(address: Ipv4Addr, prefix_len: u8) -> Option<Self> {
        (prefix_len <= 32).then(|| Self {
            network: address.to_bits() & mask(prefix_len),
            prefix_len,
        })
    }

    /// The network of `address` with a netmask such as 255.255.255.0.
    pub(crate) fn with_mask(address: Ipv4Addr, netmask: Ipv4Addr) -> Self {
        let prefix_len = netmask.to_bits().leading_ones() as u8;
        Self {
            network: address.to_bits() & mask(prefix_len),
            prefix_len,
        }
    }

    /// The address of the network itself, the lowest one.
    pub fn network(self) -> Ipv4Addr {
        Ipv4Addr::from_bits(self.network)
    }

    /// The highest address, which means all hosts of the network.
    pub fn broadcast(self) -> Ipv4Addr {
        Ipv4Addr::from_bits(self.network | !mask(self.prefix_len))
    }

    /// The number of network bits.
    pub fn prefix_len(self) -> u8 {
        self.prefix_len
    }

    /// The network bits as an address, such as 255.255.255.0.
    pub fn netmask(self) -> Ipv4Addr {
        Ipv4Addr::from_bits(mask(self.prefix_len))
    }

    /// The first host address: the gateway of a Coop network.
    pub fn first_host(self) -> Ipv4Addr {
        Ipv4Addr::from_bits(self.network.saturating_add(1))
    }

    /// Whether `address` is in this network.
    pub fn contains(self, address: Ipv4Addr) -> bool {
        address.to_bits() & mask(self.prefix_len) == self.network
    }

    /// Whether the two networks share an address.
    pub fn overlaps(self, other: Self) -> bool {
        self.contains(other.network()) || other.contains(self.network())
    }
}

fn mask(prefix_len: u8) -> u32 {
    u32::MAX
        .checked_shl(32 - u32::from(prefix_len))
        .unwrap_or(0)
}

/// A number of network bits; `parse` alone would take a sign.
pub(crate) fn length(text: &str) -> Option<u8> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| plain)
}

impl fmt::Display for Ipv4Net {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.network(), self.prefix_len)
    }
}

impl FromStr for Ipv4Net {
    type Err = SubnetError;

    fn from_str(text: &str) -> Result<Self, SubnetError> {
        text.split_once('/')
            .and_then(|(address, len)| Self::new(address.parse().ok()?, length(len)?))
            .ok_or_else(|| SubnetError::of_v4(text))
    }
}

impl TryFrom<String> for Ipv4Net {
    type Error = SubnetError;

    fn try_from(text: String) -> Result<Self, SubnetError> {
        text.parse()
    }
}

impl From<Ipv4Net> for String {
    fn from(net: Ipv4Net) -> Self {
        net.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn net(text: &str) -> Ipv4Net {
        text.parse().unwrap()
    }

    #[test]
    fn host_bits_are_cut() {
        assert_eq!(net("10.1.2.3/8"), net("10.0.0.0/8"));
        assert_eq!(net("10.1.2.3/0").to_string(), "0.0.0.0/0");
        assert_eq!(net("10.1.2.3/32").broadcast(), Ipv4Addr::new(10, 1, 2, 3));
    }

    #[test]
    fn overlap_is_symmetric_and_exact() {
        assert!(net("10.0.0.0/8").overlaps(net("10.9.0.0/24")));
        assert!(net("10.9.0.0/24").overlaps(net("10.0.0.0/8")));
        assert!(!net("10.9.0.0/24").overlaps(net("10.9.1.0/24")));
    }

    #[test]
    fn nonsense_is_refused() {
        for text in [
            "",
            "10.0.0.0",
            "10.0.0.0/33",
            "10.0.0/8",
            "x/8",
            "10.0.0.0/-1",
            "10.0.0.0/+8",
        ] {
            assert!(text.parse::<Ipv4Net>().is_err(), "{text}");
        }
    }
}
