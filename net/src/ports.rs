//! Published ports, and Docker's way to write them.

use std::fmt;
use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};

/// A transport protocol that ports belong to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        })
    }
}

/// One port of the host that leads to one port of a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PortMapping {
    /// The host's address to publish on; 0.0.0.0 means all of them.
    pub host_ip: Ipv4Addr,
    /// The host's port; 0 means any free one, chosen when the lease is made.
    pub host_port: u16,
    /// The container's port.
    pub container_port: u16,
    /// The protocol.
    pub protocol: Protocol,
}

impl PortMapping {
    /// Reads Docker's and compose's short syntax:
    /// `[[HOST_IP:][HOST_PORT[-END]]:]CONTAINER_PORT[-END][/tcp|/udp]`.
    ///
    /// A range gives one mapping for each port. Without a host port the result has
    /// `host_port: 0`, which the lease turns into a free port.
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
            Some((rest, name)) if name.eq_ignore_ascii_case("tcp") => (rest, Protocol::Tcp),
            Some((rest, name)) if name.eq_ignore_ascii_case("udp") => (rest, Protocol::Udp),
            Some(_) => return Err(fail("the protocol must be tcp or udp")),
        };
        if rest.contains('[') {
            return Err(fail("IPv6 host addresses are not supported yet"));
        }
        let (host, container) = match rest.rsplit_once(':') {
            None => ("", rest),
            Some((host, container)) => (host, container),
        };
        let (host_ip, host_ports) = match host.rsplit_once(':') {
            None => ("", host),
            Some((ip, ports)) => (ip, ports),
        };
        let host_ip = match host_ip {
            "" => Ipv4Addr::UNSPECIFIED,
            ip => ip
                .parse()
                .map_err(|_| fail("the host address must be an IPv4 address"))?,
        };
        let (first, last) = range(container).map_err(fail)?;
        let hosts = match host_ports {
            "" => None,
            ports => Some(range(ports).map_err(fail)?),
        };
        if hosts.is_some_and(|(start, end)| end - start != last - first) {
            return Err(fail(
                "the ranges of host and container ports must have the same length",
            ));
        }
        Ok((first..=last)
            .map(|container_port| Self {
                host_ip,
                host_port: hosts.map_or(0, |(start, _)| start + (container_port - first)),
                container_port,
                protocol,
            })
            .collect())
    }

    /// Whether both ask for the same port of the same host address.
    pub fn conflicts(&self, other: &Self) -> bool {
        self.host_port != 0
            && self.host_port == other.host_port
            && self.protocol == other.protocol
            && (self.host_ip == other.host_ip
                || self.host_ip.is_unspecified()
                || other.host_ip.is_unspecified())
    }
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
        if !self.host_ip.is_unspecified() {
            write!(f, "{}:", self.host_ip)?;
        }
        match self.host_port {
            // Docker writes "any port" with a host address as `IP::PORT`.
            0 if self.host_ip.is_unspecified() => {}
            0 => f.write_str(":")?,
            port => write!(f, "{port}:")?,
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
    }

    #[test]
    fn a_range_maps_port_by_port() {
        let ports = PortMapping::parse("8000-8005:80-85").unwrap();
        assert_eq!(ports.len(), 6);
        assert_eq!(ports[5].to_string(), "8005:85/tcp");
        assert_eq!(PortMapping::parse("80-82").unwrap().len(), 3);
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
                "8000-8001:80",
                "the ranges of host and container ports must have the same length",
            ),
            ("80/sctp", "the protocol must be tcp or udp"),
            (
                "localhost:80:80",
                "the host address must be an IPv4 address",
            ),
            ("[::1]:80:80", "IPv6 host addresses are not supported yet"),
        ] {
            let error = PortMapping::parse(text).unwrap_err();
            assert_eq!(
                error.to_string(),
                format!("invalid port {text:?}: {reason}")
            );
        }
    }

    fn mapping() -> impl Strategy<Value = PortMapping> {
        (any::<[u8; 4]>(), any::<u16>(), 1_u16.., any::<bool>()).prop_map(
            |(ip, host_port, container_port, tcp)| PortMapping {
                host_ip: ip.into(),
                host_port,
                container_port,
                protocol: if tcp { Protocol::Tcp } else { Protocol::Udp },
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
