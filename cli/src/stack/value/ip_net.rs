//! A subnet of either family.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use coop_net::{Ipv4Net, Ipv6Net};

use super::{ParseError, serde_as_text};

/// A subnet such as `10.9.0.0/24` or `fd00:9::/64`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum IpNet {
    V4(Ipv4Net),
    V6(Ipv6Net),
}

impl IpNet {
    /// Whether the address is in it.
    pub(crate) fn contains(self, address: IpAddr) -> bool {
        match (self, address) {
            (Self::V4(net), IpAddr::V4(address)) => net.contains(address),
            (Self::V6(net), IpAddr::V6(address)) => net.contains(address),
            _ => false,
        }
    }
}

impl FromStr for IpNet {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let v4 = text.parse().ok().map(Self::V4);
        v4.or_else(|| text.parse().ok().map(Self::V6))
            .ok_or_else(|| {
                ParseError::new(
                    "not a subnet",
                    "write addresses such as 10.9.0.0/24 or fd00:9::/64",
                )
            })
    }
}

impl fmt::Display for IpNet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::V4(net) => net.fmt(f),
            Self::V6(net) => net.fmt(f),
        }
    }
}

serde_as_text!(IpNet);
