//! Published ports, as lists show them.

use std::net::IpAddr;

use coop_net::PortMapping;

/// Docker's list, consecutive ports as a range: `0.0.0.0:8000-8002->80-82/tcp`.
pub(super) fn ports(mappings: &[PortMapping]) -> String {
    let mut sorted = mappings.to_vec();
    sorted.sort_by_key(|port| {
        (
            port.protocol,
            port.host_ip,
            port.container_port,
            port.host_port,
        )
    });
    let mut ranges: Vec<(PortMapping, u16)> = Vec::new();
    for port in sorted {
        match ranges.last_mut() {
            Some((first, length)) if continues(first, *length, &port) => *length += 1,
            _ => ranges.push((port, 0)),
        }
    }
    let shown: Vec<_> = ranges
        .iter()
        .map(|(first, length)| port_range(first, *length))
        .collect();
    shown.join(", ")
}

fn continues(first: &PortMapping, length: u16, next: &PortMapping) -> bool {
    let follows = |first: u16, next: u16| first.checked_add(length + 1) == Some(next);
    (first.protocol, first.host_ip) == (next.protocol, next.host_ip)
        && follows(first.container_port, next.container_port)
        && follows(first.host_port, next.host_port)
}

fn port_range(first: &PortMapping, length: u16) -> String {
    let range = |from: u16| match length {
        0 => from.to_string(),
        length => format!("{from}-{}", from.saturating_add(length)),
    };
    let address = match first.address() {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => format!("[{address}]"),
    };
    format!(
        "{address}:{}->{}/{}",
        range(first.host_port),
        range(first.container_port),
        first.protocol
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn consecutive_ports_are_a_range() {
        let parse = |text: &str| PortMapping::parse(text).unwrap();
        let all = [
            parse("8000-8002:80-82"),
            parse("9000:83"),
            parse("127.0.0.1:53:53/udp"),
        ]
        .concat();
        assert_eq!(
            ports(&all),
            "0.0.0.0:8000-8002->80-82/tcp, 0.0.0.0:9000->83/tcp, 127.0.0.1:53->53/udp"
        );
        assert_eq!(
            ports(&parse("65534-65535:65534-65535")),
            "0.0.0.0:65534-65535->65534-65535/tcp"
        );
    }
}
