//! Published ports: `-p 8080:80` and the long form.

use super::ParseError;
use serde::ser::{Serialize, SerializeMap, Serializer};
use std::fmt;
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::str::FromStr;

/// A port, or a range of ports, of the container that the host publishes.
///
/// Parses and prints the short syntax, `[[HOST_IP:]PUBLISHED:]TARGET[/PROTOCOL]`;
/// serialises as compose's long syntax.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Port {
    /// Address of the host to listen on; `None` is all of them.
    pub host_ip: Option<IpAddr>,
    /// Ports of the host, as many as [`Port::target`] has; `None`: any free ones.
    pub published: Option<PortRange>,
    /// Ports of the container.
    pub target: PortRange,
    /// Which transport.
    pub protocol: Protocol,
}

/// One port or several in a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PortRange {
    first: u16,
    last: u16,
}

/// A transport protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[allow(missing_docs)]
pub(crate) enum Protocol {
    #[default]
    Tcp,
    Udp,
}

const FORM: &str = "write TARGET, PUBLISHED:TARGET or ADDRESS:PUBLISHED:TARGET, such as 8080:80 \
                    or 127.0.0.1:5353:53/udp";

impl PortRange {
    /// Its ports, in order.
    pub(crate) fn ports(self) -> RangeInclusive<u16> {
        self.first..=self.last
    }

    /// How many ports it has, at least one.
    pub(crate) fn len(self) -> usize {
        usize::from(self.last - self.first) + 1
    }
}

impl FromStr for PortRange {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let port = |text: &str| match text.parse::<u16>() {
            Ok(port) if port > 0 && text.bytes().all(|b| b.is_ascii_digit()) => Ok(port),
            _ => Err(ParseError::new(
                format!("{text:?} is not a port from 1 to 65535"),
                FORM,
            )),
        };
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        let (first, last) = (port(first)?, port(last)?);
        if first > last {
            return Err(ParseError::new(
                format!("{text:?} ends before it starts"),
                FORM,
            ));
        }
        Ok(Self { first, last })
    }
}

impl fmt::Display for PortRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.first == self.last {
            self.first.fmt(f)
        } else {
            write!(f, "{}-{}", self.first, self.last)
        }
    }
}

impl FromStr for Protocol {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        match text.to_ascii_lowercase().as_str() {
            "tcp" => Ok(Self::Tcp),
            "udp" => Ok(Self::Udp),
            _ => Err(ParseError::new(format!("{text:?} is not tcp or udp"), FORM)),
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        })
    }
}

impl FromStr for Port {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let (rest, protocol) = match text.rsplit_once('/') {
            Some((rest, protocol)) => (rest, protocol.parse()?),
            None => (text, Protocol::Tcp),
        };
        let (rest, target) = match rest.rsplit_once(':') {
            Some((before, target)) => (Some(before), target),
            None => (None, rest),
        };
        let target = target.parse()?;
        let (host_ip, published) = match rest {
            None => (None, None),
            // A bracket or a second colon: an address stands before the published port.
            Some(before) => match before.rsplit_once(':') {
                Some((address, published)) => (Some(address), Some(published)),
                None => (None, Some(before)),
            },
        };
        let published = match published {
            Some("") if host_ip.is_some() => None,
            Some(published) => Some(published.parse()?),
            None => None,
        };
        Self::checked(
            host_ip.map(address).transpose()?,
            published,
            target,
            protocol,
        )
    }
}

/// An address, an IPv6 one with or without brackets.
pub(crate) fn address(text: &str) -> Result<IpAddr, ParseError> {
    let bare = text
        .strip_prefix('[')
        .and_then(|t| t.strip_suffix(']'))
        .unwrap_or(text);
    bare.parse()
        .map_err(|_| ParseError::new(format!("{text:?} is not an IP address"), FORM))
}

impl Port {
    /// A port from its parts.
    ///
    /// # Errors
    /// When as many ports must be published as the container has, and are not.
    pub(crate) fn checked(
        host_ip: Option<IpAddr>,
        published: Option<PortRange>,
        target: PortRange,
        protocol: Protocol,
    ) -> Result<Self, ParseError> {
        if published.is_some_and(|published| published.len() != target.len()) {
            return Err(ParseError::new("the two ranges differ in length", FORM));
        }
        Ok(Self {
            host_ip,
            published,
            target,
            protocol,
        })
    }

    /// The first port of the host that both publish, if they are on one address.
    pub(crate) fn clash(&self, other: &Self) -> Option<u16> {
        let any = |ip: Option<IpAddr>| ip.is_none_or(|ip| ip.is_unspecified());
        let same = match (self.host_ip, other.host_ip) {
            (Some(a), Some(b)) if !any(Some(a)) && !any(Some(b)) => a == b,
            // An unspecified address is all those of its own family.
            (Some(a), Some(b)) => a.is_ipv4() == b.is_ipv4(),
            _ => true,
        };
        let (a, b) = (self.published?, other.published?);
        let first = a.first.max(b.first);
        (same && self.protocol == other.protocol && first <= a.last.min(b.last)).then_some(first)
    }
}

impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host_ip {
            Some(IpAddr::V6(ip)) => write!(f, "[{ip}]:")?,
            Some(ip) => write!(f, "{ip}:")?,
            None => {}
        }
        match self.published {
            Some(published) => write!(f, "{published}:")?,
            None if self.host_ip.is_some() => f.write_str(":")?,
            None => {}
        }
        self.target.fmt(f)?;
        match self.protocol {
            Protocol::Tcp => Ok(()),
            Protocol::Udp => f.write_str("/udp"),
        }
    }
}

impl Serialize for Port {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        let mut map = s.serialize_map(None)?;
        if let Some(ip) = self.host_ip {
            map.serialize_entry("host_ip", &ip)?;
        }
        if self.target.len() == 1 {
            map.serialize_entry("target", &self.target.first)?;
        } else {
            map.serialize_entry("target", &self.target.to_string())?;
        }
        if let Some(published) = self.published {
            map.serialize_entry("published", &published.to_string())?;
        }
        map.serialize_entry("protocol", &self.protocol.to_string())?;
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(text: &str) -> Port {
        text.parse().unwrap()
    }

    #[test]
    fn every_short_form_parses_and_prints_itself() {
        for text in [
            "80",
            "8080:80",
            "8080:80/udp",
            "127.0.0.1:8080:80",
            "127.0.0.1::80",
            "[::1]:8080:80",
            "3000-3005",
            "9090-9091:8080-8081",
            "127.0.0.1:5000-5010:5000-5010/udp",
        ] {
            assert_eq!(parse(text).to_string(), text);
        }
        assert_eq!(parse("8080:80/TCP"), parse("8080:80"));
        assert_eq!(parse("::1:8080:80"), parse("[::1]:8080:80"));
    }

    #[test]
    fn what_is_no_port_is_refused() {
        for bad in [
            "",
            ":",
            ":80",
            "0",
            "65536",
            "80:",
            "a:80",
            "80/sctp",
            "1-2:3",
            "5-4",
            "+80",
            "1.2.3:1:2",
            "host:1:2",
            "1:2:3:4",
            "80/",
            "-",
        ] {
            assert!(bad.parse::<Port>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_clash_needs_port_address_and_protocol_in_common() {
        let clash = |a: &str, b: &str| parse(a).clash(&parse(b));
        assert_eq!(clash("8080:80", "8080:81"), Some(8080));
        assert_eq!(clash("8000-8010:1-11", "8010-8020:1-11"), Some(8010));
        assert_eq!(clash("8080:80", "127.0.0.1:8080:81"), Some(8080));
        assert_eq!(clash("0.0.0.0:8080:80", "127.0.0.1:8080:81"), Some(8080));
        assert_eq!(clash("127.0.0.2:8080:80", "127.0.0.1:8080:81"), None);
        assert_eq!(clash("0.0.0.0:8080:80", "[::1]:8080:81"), None);
        assert_eq!(clash("8080:80", "8080:80/udp"), None);
        assert_eq!(clash("80", "80"), None);
    }

    proptest! {
        #[test]
        fn never_panics(text in "[0-9:./a-z\\[\\]-]{0,30}") {
            let _ = text.parse::<Port>();
        }
    }
}
