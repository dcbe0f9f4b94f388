//! Published ports, and the way out.

use std::fmt::{self, Write};
use std::net::IpAddr;

use crate::lease::Lease;
use crate::ports::PortMapping;
use crate::spec::Network;

/// One entry of a map: what was asked for, and where it leads.
type Entry = (String, String);

/// The published ports of one family: on any address of the host, and on one.
#[derive(Default)]
struct Family {
    on_any: Vec<Entry>,
    on_one: Vec<Entry>,
}

/// The published ports of a network.
pub(super) struct Published {
    v4: Family,
    v6: Family,
}

impl Published {
    pub(super) fn of(leases: &[Lease]) -> Self {
        let (mut v4, mut v6) = (Family::default(), Family::default());
        for lease in leases {
            for port in &lease.ports {
                match (port.address(), lease.ipv6) {
                    (IpAddr::V4(_), _) => v4.add(port, lease.address.into()),
                    (IpAddr::V6(_), Some(ipv6)) => v6.add(port, ipv6.address.into()),
                    // No lease has it: see `PortWithoutIpv6`.
                    (IpAddr::V6(_), None) => {}
                }
            }
        }
        Self { v4, v6 }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.v4.is_empty() && self.v6.is_empty()
    }

    /// Where they lead to, and the chain for what comes from others.
    pub(super) fn write_maps(&self, out: &mut String) -> fmt::Result {
        if self.is_empty() {
            return Ok(());
        }
        self.v4.write_maps(out, "ipv4_addr", "")?;
        self.v6.write_maps(out, "ipv6_addr", "6")?;
        writeln!(out, "\tchain publish {{")?;
        self.v4.write_rules(out, "ip", "ipv4", "")?;
        if !self.v6.is_empty() {
            writeln!(out, "\t\tip6 daddr ::1 return")?;
        }
        self.v6.write_rules(out, "ip6", "ipv6", "6")?;
        writeln!(out, "\t}}")?;
        self.write_loopback(out)?;
        writeln!(out, "\tchain prerouting {{")?;
        writeln!(
            out,
            "\t\ttype nat hook prerouting priority -100; policy accept;"
        )?;
        // No packet from a wire has a loopback destination, unless someone wants to
        // reach a port that is published on 127.0.0.1 only.
        writeln!(out, "\t\tip daddr 127.0.0.0/8 accept")?;
        writeln!(out, "\t\tfib daddr type local jump publish\n\t}}")
    }
}

impl Published {
    /// IPv6 has no `route_localnet`: what is sent to `::1` stays there. Whoever tries it is told at
    /// once, and goes on with 127.0.0.1, instead of waiting at the socket that holds the port.
    fn write_loopback(&self, out: &mut String) -> fmt::Result {
        if self.v6.on_any.is_empty() {
            return Ok(());
        }
        let ports: Vec<_> = { self.v6.on_any.iter() }
            .map(|(port, _)| port.as_str())
            .collect();
        let ports = ports.join(", ");
        writeln!(out, "\tchain loopback {{")?;
        writeln!(
            out,
            "\t\ttype filter hook output priority 0; policy accept;"
        )?;
        writeln!(
            out,
            "\t\tip6 daddr ::1 meta l4proto . th dport {{ {ports} }} jump unreachable\n\t}}"
        )?;
        writeln!(out, "\tchain unreachable {{")?;
        writeln!(out, "\t\tmeta l4proto tcp reject with tcp reset")?;
        writeln!(out, "\t\treject\n\t}}")
    }
}

impl Family {
    fn is_empty(&self) -> bool {
        self.on_any.is_empty() && self.on_one.is_empty()
    }

    fn add(&mut self, port: &PortMapping, container: IpAddr) {
        let PortMapping {
            host_port,
            container_port,
            protocol,
            ..
        } = port;
        let target = format!("{container} . {container_port}");
        let host_ip = port.address();
        if host_ip.is_unspecified() {
            { &mut self.on_any }.push((format!("{protocol} . {host_port}"), target));
        } else {
            { &mut self.on_one }.push((format!("{host_ip} . {protocol} . {host_port}"), target));
        }
    }

    fn write_maps(&self, out: &mut String, address: &str, suffix: &str) -> fmt::Result {
        let target = format!("{address} . inet_service");
        if !self.on_one.is_empty() {
            write_map(
                out,
                &format!("published{suffix}_on"),
                &format!("{address} . inet_proto . inet_service : {target}"),
                &self.on_one,
            )?;
        }
        if !self.on_any.is_empty() {
            write_map(
                out,
                &format!("published{suffix}"),
                &format!("inet_proto . inet_service : {target}"),
                &self.on_any,
            )?;
        }
        Ok(())
    }

    fn write_rules(&self, out: &mut String, ip: &str, family: &str, suffix: &str) -> fmt::Result {
        if !self.on_one.is_empty() {
            writeln!(
                out,
                "\t\tdnat {ip} to {ip} daddr . meta l4proto . th dport map @published{suffix}_on"
            )?;
        }
        if !self.on_any.is_empty() {
            writeln!(
                out,
                "\t\tmeta nfproto {family} dnat {ip} to meta l4proto . th dport map @published{suffix}"
            )?;
        }
        Ok(())
    }
}

fn write_map(out: &mut String, name: &str, kind: &str, entries: &[Entry]) -> fmt::Result {
    writeln!(out, "\tmap {name} {{\n\t\ttype {kind}\n\t\telements = {{")?;
    for (from, to) in entries {
        writeln!(out, "\t\t\t{from} : {to},")?;
    }
    writeln!(out, "\t\t}}\n\t}}")
}

/// On their way out containers have the host's address, and so has whom a container could not
/// answer.
pub(super) fn write_postrouting(
    out: &mut String,
    network: &Network,
    published: &Published,
) -> fmt::Result {
    let Network { bridge, subnet, .. } = network;
    if network.internal {
        return Ok(());
    }
    writeln!(out, "\tchain postrouting {{")?;
    writeln!(
        out,
        "\t\ttype nat hook postrouting priority 100; policy accept;"
    )?;
    if !network.routed {
        // What the host sends to itself from the gateway's address goes by its loopback.
        let out_of_here = format!("oifname != {{ \"lo\", \"{bridge}\" }}");
        writeln!(out, "\t\t{out_of_here} ip saddr {subnet} masquerade")?;
        if let Some(ipv6) = network.ipv6 {
            let subnet = ipv6.subnet;
            writeln!(out, "\t\t{out_of_here} ip6 saddr {subnet} masquerade")?;
        }
    }
    // A container cannot answer to 127.0.0.1, and it would answer a neighbour directly, which
    // expects the answer from the host.
    if !published.v4.is_empty() {
        writeln!(
            out,
            "\t\toifname \"{bridge}\" ip saddr 127.0.0.0/8 masquerade"
        )?;
        writeln!(
            out,
            "\t\toifname \"{bridge}\" ip saddr {subnet} ct status dnat masquerade"
        )?;
    }
    if let Some(ipv6) = network.ipv6.filter(|_| !published.v6.is_empty()) {
        let subnet = ipv6.subnet;
        writeln!(
            out,
            "\t\toifname \"{bridge}\" ip6 saddr {subnet} ct status dnat masquerade"
        )?;
    }
    writeln!(out, "\t}}")
}
