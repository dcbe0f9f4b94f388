//! Published ports, and Docker's way to write them.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde::{Deserialize, Serialize};

/// A transport protocol that ports belong to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// SCTP.
    Sctp,
}

impl Protocol {
    /// Every protocol, with the name that it is written with.
    pub const ALL: [(&'static str, Self); 3] =
        [("tcp", Self::Tcp), ("udp", Self::Udp), ("sctp", Self::Sctp)];

    /// Its name, as in `80/tcp`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Sctp => "sctp",
        }
    }
}

impl std::str::FromStr for Protocol {
    type Err = ProtocolError;

    fn from_str(text: &str) -> Result<Self, ProtocolError> {
        let named = |(name, _): &&(&str, _)| name.eq_ignore_ascii_case(text);
        let found = Self::ALL.iter().find(named);
        found.map(|(_, protocol)| *protocol).ok_or(ProtocolError)
    }
}

/// Text that is no transport protocol.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the protocol must be tcp, udp or sctp")]
pub struct ProtocolError;

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One port of the host that leads to one port of a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PortMapping {
    /// The host's address to publish on: 0.0.0.0 and :: mean all of them, each of its own
    /// family; `None`: all of them of each family that the container has. A lease has no `None`.
    pub host_ip: Option<IpAddr>,
    /// The host's port; 0 means any free one, chosen when the lease is made.
    pub host_port: u16,
    /// With host port 0, the first and the last of the ports of which the first free one is
    /// chosen. A lease has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub among: Option<(u16, u16)>,
    /// The container's port.
    pub container_port: u16,
    /// The protocol.
    pub protocol: Protocol,
}

impl PortMapping {
    /// Reads Docker's and compose's short syntax:
    /// `[[HOST_IP:][HOST_PORT[-END]]:]CONTAINER_PORT[-END][/tcp|/udp|/sctp]`,
    /// with an IPv6 address in brackets.
    ///
    /// A range gives one mapping for each port; but a range of the host for one port of the
    /// container gives one, to the first port of it that is free. Without a host port the result
    /// has `host_port: 0`, which the lease turns into a free port.
    ///
    /// ```
    /// # use coop_net::PortMapping;
    /// let ports = PortMapping::parse("127.0.0.1:8000-8001:80-81/udp")?;
    /// assert_eq!(ports[1].to_string(), "127.0.0.1:8001:81/udp");
    /// # Ok::<(), coop_net::ParseError>(())
    /// ```
    ///
    /// # Errors
    /// [`ParseError`] names what is wrong with the text.
    pub fn parse(text: &str) -> Result<Vec<Self>, ParseError> {
        let fail = |reason| ParseError {
            text: text.to_owned(),
            reason,
        };
        let (rest, protocol) = match text.rsplit_once('/') {
            None => (text, Protocol::Tcp),
            Some((rest, name)) => {
                let protocol = name
                    .parse()
                    .map_err(|ProtocolError| fail("the protocol must be tcp, udp or sctp"))?;
                (rest, protocol)
            }
        };
        let (host_ip, rest) = bracketed(rest).map_err(fail)?;
        let (host, container) = match rest.rsplit_once(':') {
            None => ("", rest),
            Some((host, container)) => (host, container),
        };
        let (host_ip, host_ports) = match (host_ip, host.rsplit_once(':')) {
            (Some(ip), _) => (Some(ip), host),
            (None, None) => (None, host),
            (None, Some(("", ports))) => (None, ports),
            (None, Some((ip, ports))) => {
                let ip: Ipv4Addr = ip.parse().map_err(|_| {
                    fail("the host address must be an address, one of IPv6 in brackets")
                })?;
                (Some(ip.into()), ports)
            }
        };
        let (first, last) = range(container).map_err(fail)?;
        let hosts = match host_ports {
            "" => None,
            ports => Some(range(ports).map_err(fail)?),
        };
        if let Some((start, end)) = hosts
            && end - start != last - first
        {
            if first != last {
                return Err(fail(
                    "the ranges of host and container ports must have the same length",
                ));
            }
            return Ok(vec![Self {
                host_ip,
                host_port: 0,
                among: Some((start, end)),
                container_port: first,
                protocol,
            }]);
        }
        Ok((first..=last)
            .map(|container_port| Self {
                host_ip,
                host_port: hosts.map_or(0, |(start, _)| start + (container_port - first)),
                among: None,
                container_port,
                protocol,
            })
            .collect())
    }

    /// The same with this port of the host.
    pub fn at(self, host_port: u16) -> Self {
        Self {
            host_port,
            among: None,
            ..self
        }
    }

    /// Whether both ask for the same port of the same host address.
    pub fn conflicts(&self, other: &Self) -> bool {
        self.host_port != 0
            && self.host_port == other.host_port
            && self.protocol == other.protocol
            && match (self.host_ip, other.host_ip) {
                (None, _) | (_, None) => true,
                (Some(a), Some(b)) => {
                    let any = a.is_unspecified() || b.is_unspecified();
                    a == b || (any && a.is_ipv4() == b.is_ipv4())
                }
            }
    }

    /// The address to publish on, 0.0.0.0 when it is not decided.
    pub fn address(&self) -> IpAddr {
        self.host_ip.unwrap_or(Ipv4Addr::UNSPECIFIED.into())
    }

    /// What it comes to for a container that has IPv4, and IPv6 or not: on all addresses means
    /// on those of each family that it has.
    pub fn decided(self, has_ipv6: bool) -> impl Iterator<Item = Self> {
        let on = move |host_ip: IpAddr| Self {
            host_ip: Some(host_ip),
            ..self
        };
        let (v4, v6) = match self.host_ip {
            Some(address) => (Some(on(address)), None),
            None => (
                Some(on(Ipv4Addr::UNSPECIFIED.into())),
                has_ipv6.then(|| on(Ipv6Addr::UNSPECIFIED.into())),
            ),
        };
        v4.into_iter().chain(v6)
    }
}

/// An address in brackets, and what follows its colon.
fn bracketed(text: &str) -> Result<(Option<IpAddr>, &str), &'static str> {
    let Some(rest) = text.strip_prefix('[') else {
        return Ok((None, text));
    };
    let (address, rest) = rest
        .split_once("]:")
        .ok_or("an address in brackets ends with ]:")?;
    let address: Ipv6Addr = address
        .parse()
        .map_err(|_| "what is in brackets must be an IPv6 address")?;
    Ok((Some(address.into()), rest))
}

/// A port or a range of ports, first and last.
fn range(text: &str) -> Result<(u16, u16), &'static str> {
    let port = |text: &str| match text.parse::<u16>() {
        // `parse` takes a sign, which no port has.
        Ok(port) if port > 0 && !text.starts_with('+') => Ok(port),
        _ => Err("a port must be a number from 1 to 65535"),
    };
    let (first, last) = match text.split_once('-') {
        None => (port(text)?, port(text)?),
        Some((first, last)) => (port(first)?, port(last)?),
    };
    if first > last {
        return Err("a range of ports must go upwards");
    }
    Ok((first, last))
}

impl fmt::Display for PortMapping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host_ip {
            Some(IpAddr::V4(ip)) => write!(f, "{ip}:")?,
            Some(IpAddr::V6(ip)) => write!(f, "[{ip}]:")?,
            None => {}
        }
        match (self.host_port, self.among) {
            (0, Some((first, last))) => write!(f, "{first}-{last}:")?,
            // Docker writes "any port" with a host address as `IP::PORT`.
            (0, None) if self.host_ip.is_none() => {}
            (0, None) => f.write_str(":")?,
            (port, _) => write!(f, "{port}:")?,
        }
        write!(f, "{}/{}", self.container_port, self.protocol)
    }
}

/// Text that is not a published port.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid port {text:?}: {reason}")]
pub struct ParseError {
    text: String,
    reason: &'static str,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn one(text: &str) -> PortMapping {
        let ports = PortMapping::parse(text).unwrap();
        assert_eq!(ports.len(), 1);
        ports[0]
    }

    #[test]
    fn short_forms_of_compose() {
        assert_eq!(one("8080:80").to_string(), "8080:80/tcp");
        assert_eq!(
            one("127.0.0.1:8080:80/udp").to_string(),
            "127.0.0.1:8080:80/udp"
        );
        assert_eq!(one("80").host_port, 0);
        assert_eq!(one("127.0.0.1::80").to_string(), "127.0.0.1::80/tcp");
        assert_eq!(one("53:53/UDP").protocol, Protocol::Udp);
        assert_eq!(one("36412:36412/sctp").protocol, Protocol::Sctp);
        assert_eq!(one("[::1]:8080:80").to_string(), "[::1]:8080:80/tcp");
        assert_eq!(one("[::]::80").host_ip, Some(Ipv6Addr::UNSPECIFIED.into()));
        assert_eq!(one("0.0.0.0:80:80").to_string(), "0.0.0.0:80:80/tcp");
    }

    #[test]
    fn all_addresses_are_those_of_each_family() {
        let decided = |text: &str, has_ipv6| {
            let ports: Vec<_> = one(text).decided(has_ipv6).collect();
            let shown: Vec<_> = ports.iter().map(ToString::to_string).collect();
            shown.join(" ")
        };
        assert_eq!(decided("80:80", false), "0.0.0.0:80:80/tcp");
        assert_eq!(decided("80:80", true), "0.0.0.0:80:80/tcp [::]:80:80/tcp");
        assert_eq!(decided("127.0.0.1:80:80", true), "127.0.0.1:80:80/tcp");
    }

    #[test]
    fn a_port_is_taken_on_an_address_and_on_all_of_its_family() {
        let conflict = |a: &str, b: &str| {
            let both = one(a).conflicts(&one(b));
            assert_eq!(both, one(b).conflicts(&one(a)), "{a} {b}");
            both
        };
        assert!(conflict("80:80", "[::1]:80:81"));
        assert!(conflict("0.0.0.0:80:80", "127.0.0.1:80:80"));
        assert!(!conflict("0.0.0.0:80:80", "[::]:80:80"));
        assert!(!conflict("127.0.0.1:80:80", "127.0.0.2:80:80"));
        assert!(!conflict("80:80", "80:80/sctp"));
    }

    #[test]
    fn a_range_maps_port_by_port() {
        let ports = PortMapping::parse("8000-8005:80-85").unwrap();
        assert_eq!(ports.len(), 6);
        assert_eq!(ports[5].to_string(), "8005:85/tcp");
        assert_eq!(PortMapping::parse("80-82").unwrap().len(), 3);
        // Of the host alone: any of them will do.
        let any = one("127.0.0.1:8000-8010:80/udp");
        assert_eq!((any.host_port, any.among), (0, Some((8000, 8010))));
        assert_eq!(any.to_string(), "127.0.0.1:8000-8010:80/udp");
        assert_eq!(any.at(8003).to_string(), "127.0.0.1:8003:80/udp");
        assert_eq!(PortMapping::parse("1-65535:1-65535").unwrap().len(), 65535);
    }

    #[test]
    fn mistakes_are_named() {
        for (text, reason) in [
            ("", "a port must be a number from 1 to 65535"),
            ("0:80", "a port must be a number from 1 to 65535"),
            ("8080:+80", "a port must be a number from 1 to 65535"),
            ("8080:65536", "a port must be a number from 1 to 65535"),
            ("90-80", "a range of ports must go upwards"),
            (
                "8000-8001:80-82",
                "the ranges of host and container ports must have the same length",
            ),
            ("80/icmp", "the protocol must be tcp, udp or sctp"),
            (
                "localhost:80:80",
                "the host address must be an address, one of IPv6 in brackets",
            ),
            (
                "::1:80:80",
                "the host address must be an address, one of IPv6 in brackets",
            ),
            (
                "[10.0.0.1]:80:80",
                "what is in brackets must be an IPv6 address",
            ),
            ("[::1]", "an address in brackets ends with ]:"),
        ] {
            let error = PortMapping::parse(text).unwrap_err();
            assert_eq!(
                error.to_string(),
                format!("invalid port {text:?}: {reason}")
            );
        }
    }

    fn mapping() -> impl Strategy<Value = PortMapping> {
        let ip = proptest::option::of(prop_oneof![
            any::<[u8; 4]>().prop_map(IpAddr::from),
            any::<[u8; 16]>().prop_map(IpAddr::from),
        ]);
        let among = proptest::option::of((1_u16..60000, 1_u16..5000));
        (ip, any::<u16>(), among, 1_u16.., 0_usize..3).prop_map(
            |(host_ip, host_port, among, container_port, protocol)| PortMapping {
                host_ip,
                host_port: if among.is_some() { 0 } else { host_port },
                among: among.map(|(first, more)| (first, first + more)),
                container_port,
                protocol: Protocol::ALL[protocol].1,
            },
        )
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read_back(mapping in mapping()) {
            prop_assert_eq!(PortMapping::parse(&mapping.to_string()).unwrap(), vec![mapping]);
        }

        #[test]
        fn no_text_panics(text in "[0-9.:/\\-a-z\\[\\]]{0,24}") {
            if let Ok(ports) = PortMapping::parse(&text) {
                prop_assert!(ports.iter().all(|port| port.container_port > 0));
            }
        }

        #[test]
        fn a_range_keeps_its_distance(host in 1_u16..60000, container in 1_u16..60000, len in 0_u16..5000) {
            let text = format!("{host}-{}:{container}-{}", host + len, container + len);
            let ports = PortMapping::parse(&text).unwrap();
            prop_assert_eq!(ports.len(), usize::from(len) + 1);
            for port in ports {
                prop_assert_eq!(port.host_port - host, port.container_port - container);
            }
        }
    }
}
