//! The nft ruleset of a network: a pure function of the network and its leases.
//!
//! Every network has a table of its own. That works because a `drop` of any table is
//! final, while an `accept` only ends the walk through the table it is in: each table
//! defends its own bridge, and knows nothing of the others.

use std::fmt::{self, Write};
use std::net::{IpAddr, Ipv4Addr};

use crate::lease::Lease;
use crate::naming;
use crate::ports::PortMapping;
use crate::probe::Mark;
use crate::spec::Network;

/// A ruleset and the mark that tells it from every other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ruleset {
    table: String,
    rules: String,
    pub(crate) mark: Mark,
}

impl Ruleset {
    /// The transaction for a kernel without this table; the kernel refuses it when there is
    /// one.
    ///
    /// Three times as fast as [`replacement`](Self::replacement): `nft` does not end before
    /// the kernel has got rid of what a transaction deleted, an RCU grace period later, and
    /// keeps whoever makes an interface waiting meanwhile.
    pub(crate) fn creation(&self) -> String {
        format!("create table inet {}\n{}", self.table, self.rules)
    }

    /// The transaction that works whether there is such a table or not.
    pub(crate) fn replacement(&self) -> String {
        removal(&self.table) + &self.rules
    }
}

/// The transaction that removes `table`, whether it exists or not.
pub(crate) fn removal(table: &str) -> String {
    // The first line makes the table when there is none, so that the second one works.
    format!("table inet {table}\ndelete table inet {table}\n")
}

/// The table of `network`. `opened` are the interfaces that forward only because Coop made
/// them.
pub(crate) fn render(
    table: &str,
    network: &Network,
    leases: &[Lease],
    opened: &[String],
) -> Ruleset {
    let body = |mark: Mark| {
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = write_table(&mut text, table, network, leases, opened, mark);
        text
    };
    let mark = Mark::of(&[b"rules", body(Mark::default()).as_bytes()]);
    Ruleset {
        table: table.to_owned(),
        rules: body(mark),
        mark,
    }
}

/// The mark of a table, whatever is in it.
pub(crate) fn table_mark(table: &str) -> Mark {
    Mark::of(&[b"table", table.as_bytes()])
}

fn write_table(
    out: &mut String,
    table: &str,
    network: &Network,
    leases: &[Lease],
    opened: &[String],
    mark: Mark,
) -> fmt::Result {
    let Network {
        name,
        subnet,
        bridge,
        ..
    } = network;
    let (on_any, on_one) = published(leases);
    let publishes = !on_any.is_empty() || !on_one.is_empty();

    writeln!(out, "table inet {table} {{")?;
    if publishes {
        write_publish(out, &on_any, &on_one)?;
        writeln!(out, "\tchain prerouting {{")?;
        writeln!(
            out,
            "\t\ttype nat hook prerouting priority -100; policy accept;"
        )?;
        // No packet from a wire has a loopback destination, unless someone wants to
        // reach a port that is published on 127.0.0.1 only.
        writeln!(out, "\t\tip daddr 127.0.0.0/8 accept")?;
        writeln!(out, "\t\tfib daddr type local jump publish\n\t}}")?;
    }

    writeln!(out, "\tchain output {{")?;
    writeln!(
        out,
        "\t\ttype nat hook output priority -100; policy accept;"
    )?;
    writeln!(
        out,
        "\t\tip daddr {} udp dport {} @th,64,64 {{ {}, {mark} }} drop comment \"network {name}\"",
        crate::probe::ADDRESS,
        crate::probe::PORT,
        table_mark(table),
    )?;
    if publishes {
        writeln!(out, "\t\tfib daddr type local jump publish")?;
    }
    writeln!(out, "\t}}")?;

    if !network.internal {
        writeln!(out, "\tchain postrouting {{")?;
        writeln!(
            out,
            "\t\ttype nat hook postrouting priority 100; policy accept;"
        )?;
        writeln!(
            out,
            "\t\toifname != \"{bridge}\" ip saddr {subnet} masquerade"
        )?;
        if publishes {
            // A container cannot answer to 127.0.0.1, and it would answer a neighbour
            // directly, which expects the answer from the host.
            writeln!(
                out,
                "\t\toifname \"{bridge}\" ip saddr 127.0.0.0/8 masquerade"
            )?;
            writeln!(
                out,
                "\t\toifname \"{bridge}\" ip saddr {subnet} ct status dnat masquerade"
            )?;
        }
        writeln!(out, "\t}}")?;
    }
    write_input(out, network)?;
    write_forward(out, network, opened)?;
    writeln!(out, "}}")
}

/// One entry of a map: what was asked for, and where it leads.
type Entry = (String, String);

/// The published ports: on any address of the host, and on one.
fn published(leases: &[Lease]) -> (Vec<Entry>, Vec<Entry>) {
    let (mut on_any, mut on_one) = (Vec::new(), Vec::new());
    for lease in leases {
        for port in &lease.ports {
            let target = format!("{} . {}", lease.address, port.container_port);
            let IpAddr::V4(host_ip) = port.address() else {
                continue;
            };
            if host_ip == Ipv4Addr::UNSPECIFIED {
                on_any.push((format!("{} . {}", port.protocol, port.host_port), target));
            } else {
                on_one.push((
                    format!("{host_ip} . {} . {}", port.protocol, port.host_port),
                    target,
                ));
            }
        }
    }
    (on_any, on_one)
}

fn write_publish(out: &mut String, on_any: &[Entry], on_one: &[Entry]) -> fmt::Result {
    let target = "ipv4_addr . inet_service";
    if !on_one.is_empty() {
        write_map(
            out,
            "published_on",
            &format!("ipv4_addr . inet_proto . inet_service : {target}"),
            on_one,
        )?;
    }
    if !on_any.is_empty() {
        write_map(
            out,
            "published",
            &format!("inet_proto . inet_service : {target}"),
            on_any,
        )?;
    }
    writeln!(out, "\tchain publish {{")?;
    if !on_one.is_empty() {
        writeln!(
            out,
            "\t\tdnat ip to ip daddr . meta l4proto . th dport map @published_on"
        )?;
    }
    if !on_any.is_empty() {
        writeln!(out, "\t\tdnat ip to meta l4proto . th dport map @published")?;
    }
    writeln!(out, "\t}}")
}

fn write_map(out: &mut String, name: &str, kind: &str, entries: &[Entry]) -> fmt::Result {
    writeln!(out, "\tmap {name} {{\n\t\ttype {kind}\n\t\telements = {{")?;
    for (from, to) in entries {
        writeln!(out, "\t\t\t{from} : {to},")?;
    }
    writeln!(out, "\t\t}}\n\t}}")
}

/// What containers may reach on the host itself.
fn write_input(out: &mut String, network: &Network) -> fmt::Result {
    let Network {
        bridge, gateway, ..
    } = network;
    writeln!(out, "\tchain input {{")?;
    writeln!(out, "\t\ttype filter hook input priority 0; policy accept;")?;
    writeln!(out, "\t\tiifname != \"{bridge}\" accept")?;
    writeln!(out, "\t\tct state established,related accept")?;
    // `route_localnet` on the bridge lets answers to 127.0.0.1 in: this keeps forged
    // packets from reaching what listens on the host's loopback (CVE-2020-8558 class).
    writeln!(out, "\t\tip daddr 127.0.0.0/8 drop")?;
    if network.internal {
        writeln!(out, "\t\tip daddr {gateway} icmp type echo-request accept")?;
        writeln!(
            out,
            "\t\tip daddr {gateway} meta l4proto {{ tcp, udp }} th dport 53 accept"
        )?;
        writeln!(out, "\t\tdrop")?;
    }
    writeln!(out, "\t}}")
}

/// What passes through the host, to and from the bridge.
fn write_forward(out: &mut String, network: &Network, opened: &[String]) -> fmt::Result {
    let Network { subnet, bridge, .. } = network;
    writeln!(out, "\tchain entering {{")?;
    if !network.internal {
        writeln!(out, "\t\tct state established,related accept")?;
        writeln!(out, "\t\tct status dnat accept")?;
    }
    writeln!(out, "\t\tdrop\n\t}}")?;

    writeln!(out, "\tchain leaving {{")?;
    if !network.internal {
        writeln!(out, "\t\tip saddr {subnet} accept")?;
    }
    writeln!(out, "\t\tdrop\n\t}}")?;

    writeln!(out, "\tchain forward {{")?;
    writeln!(
        out,
        "\t\ttype filter hook forward priority 0; policy accept;"
    )?;
    // Between two ports of the bridge: seen here where br_netfilter is loaded.
    writeln!(out, "\t\tiifname \"{bridge}\" oifname \"{bridge}\" accept")?;
    // Entering first: a packet from another network's bridge is for this table to judge
    // by where it goes.
    writeln!(out, "\t\toifname \"{bridge}\" jump entering")?;
    writeln!(out, "\t\tiifname \"{bridge}\" jump leaving")?;
    if !opened.is_empty() {
        let names: Vec<String> = opened.iter().map(|name| format!("\"{name}\"")).collect();
        // The host is no router for others just because it is one for its containers.
        writeln!(
            out,
            "\t\tiifname {{ {} }} ct state new ct status & dnat != dnat drop",
            names.join(", ")
        )?;
    }
    writeln!(out, "\t}}")
}

/// Whether a container publishes a port on the host's loopback.
pub(crate) fn uses_loopback(leases: &[Lease]) -> bool {
    leases
        .iter()
        .flat_map(|lease| &lease.ports)
        .map(PortMapping::address)
        .any(|address| address.is_ipv4() && (address.is_unspecified() || address.is_loopback()))
}

/// Whether an interface name can stand in a ruleset: no quote, and no `*`, which would
/// match other interfaces too.
pub(crate) fn can_name(interface: &str) -> bool {
    !interface.is_empty()
        && interface
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && !b"\"*\\".contains(&byte))
}

/// The name of the table of a network.
pub(crate) fn table(directory: &std::path::Path, network: &str) -> String {
    naming::table(directory, network)
}

#[cfg(test)]
mod tests;
