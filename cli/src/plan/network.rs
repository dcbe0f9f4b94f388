//! How a container is connected: its network, its names and its ports.

use std::net::{IpAddr, Ipv4Addr};

use anyhow::{Result, bail};
use coop_net::{PortMapping, Protocol};

use crate::stack::value::{Port, Protocol as Written};

/// One mapping for each port of a line such as `8000-8001:80-81`.
pub(super) fn port_mappings(ports: &[Port]) -> Result<Vec<PortMapping>> {
    let mut mappings = Vec::new();
    for port in ports {
        let host_ip = match port.host_ip {
            None => Ipv4Addr::UNSPECIFIED,
            Some(IpAddr::V4(address)) => address,
            Some(IpAddr::V6(address)) => {
                bail!("port {port}: publishing on IPv6 address {address} is not supported yet")
            }
        };
        let published = port.published.into_iter().flat_map(|range| range.ports());
        // No published port is any free one: 0 until the lease chooses it.
        let mut published = published.chain(std::iter::repeat(0));
        for container_port in port.target.ports() {
            mappings.push(PortMapping {
                host_ip,
                host_port: published.next().unwrap_or(0),
                container_port,
                protocol: match port.protocol {
                    Written::Tcp => Protocol::Tcp,
                    Written::Udp => Protocol::Udp,
                },
            });
        }
    }
    Ok(mappings)
}
