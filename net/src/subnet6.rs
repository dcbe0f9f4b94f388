//! An IPv6 network in prefix notation.

use std::fmt;
use std::net::Ipv6Addr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::subnet::{SubnetError, length};

/// An IPv6 network such as `fd00:1:2:3::/64`; the host bits are always zero.
///
/// ```
/// # use coop_net::Ipv6Net;
/// let net: Ipv6Net = "fd00:1::7/64".parse()?;
/// assert_eq!(net.to_string(), "fd00:1::/64");
/// assert!(net.contains("fd00:1::200".parse().unwrap()));
/// # Ok::<(), coop_net::SubnetError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Ipv6Net {
    network: u128,
    prefix_len: u8,
}

impl Ipv6Net {
    /// The network of `prefix_len` bits that `address` is in; `None` above 128 bits.
    pub fn new(address: Ipv6Addr, prefix_len: u8) -> Option<Self> {
        (prefix_len <= 128).then(|| Self {
            network: address.to_bits() & mask(prefix_len),
            prefix_len,
        })
    }

    /// The address of the network itself, the lowest one: that of all routers of the subnet.
    pub fn network(self) -> Ipv6Addr {
        Ipv6Addr::from_bits(self.network)
    }

    /// The highest address.
    pub fn last(self) -> Ipv6Addr {
        Ipv6Addr::from_bits(self.network | !mask(self.prefix_len))
    }

    /// The number of network bits.
    pub fn prefix_len(self) -> u8 {
        self.prefix_len
    }

    /// The first host address: the gateway of a Coop network.
    pub fn first_host(self) -> Ipv6Addr {
        Ipv6Addr::from_bits(self.network.saturating_add(1))
    }

    /// Whether `address` is in this network.
    pub fn contains(self, address: Ipv6Addr) -> bool {
        address.to_bits() & mask(self.prefix_len) == self.network
    }

    /// Whether the two networks share an address.
    pub fn overlaps(self, other: Self) -> bool {
        self.contains(other.network()) || other.contains(self.network())
    }
}

fn mask(prefix_len: u8) -> u128 {
    u128::MAX
        .checked_shl(128 - u32::from(prefix_len))
        .unwrap_or(0)
}

impl fmt::Display for Ipv6Net {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.network(), self.prefix_len)
    }
}

impl FromStr for Ipv6Net {
    type Err = SubnetError;

    fn from_str(text: &str) -> Result<Self, SubnetError> {
        text.split_once('/')
            .and_then(|(address, len)| Self::new(address.parse().ok()?, length(len)?))
            .ok_or_else(|| SubnetError::of_v6(text))
    }
}

impl TryFrom<String> for Ipv6Net {
    type Error = SubnetError;

    fn try_from(text: String) -> Result<Self, SubnetError> {
        text.parse()
    }
}

impl From<Ipv6Net> for String {
    fn from(net: Ipv6Net) -> Self {
        net.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn net(text: &str) -> Ipv6Net {
        text.parse().unwrap()
    }

    #[test]
    fn host_bits_are_cut() {
        assert_eq!(net("fd00:1:2:3::9/64"), net("fd00:1:2:3::/64"));
        assert_eq!(net("fd00::1/0").to_string(), "::/0");
        assert_eq!(net("fd00::1/128").last(), net("fd00::1/128").network());
        assert_eq!(net("fd00::/126").last().to_string(), "fd00::3");
    }

    #[test]
    fn overlap_is_symmetric_and_exact() {
        assert!(net("fd00::/8").overlaps(net("fd12::/64")));
        assert!(net("fd12::/64").overlaps(net("fd00::/8")));
        assert!(!net("fd12::/64").overlaps(net("fd12:0:0:1::/64")));
    }

    #[test]
    fn nonsense_is_refused() {
        for text in ["", "fd00::", "fd00::/129", "10.0.0.0/8", "x/8", "fd00::/+8"] {
            assert!(text.parse::<Ipv6Net>().is_err(), "{text}");
        }
    }
}
