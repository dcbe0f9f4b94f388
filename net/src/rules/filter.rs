//! Who may reach whom.

use std::fmt::{self, Write};

use crate::forwarding::Opened;
use crate::spec::Network;

/// What containers may reach on the host itself.
pub(super) fn write_input(out: &mut String, network: &Network) -> fmt::Result {
    let Network {
        bridge, gateway, ..
    } = network;
    writeln!(out, "\tchain input {{")?;
    writeln!(out, "\t\ttype filter hook input priority 0; policy accept;")?;
    writeln!(out, "\t\tiifname != \"{bridge}\" accept")?;
    writeln!(out, "\t\tct state established,related accept")?;
    // `route_localnet` on the bridge lets answers to 127.0.0.1 in: this keeps forged
    // packets from reaching what listens on the host's loopback (CVE-2020-8558 class).
    writeln!(out, "\t\tip daddr 127.0.0.0/8 counter name kept_out drop")?;
    if network.internal {
        writeln!(out, "\t\tip daddr {gateway} icmp type echo-request accept")?;
        // As it is sent, or as it has become on its way to the name server.
        let name_port = network.name_port.unwrap_or(53);
        writeln!(
            out,
            "\t\tip daddr {gateway} meta l4proto {{ tcp, udp }} th dport {name_port} accept"
        )?;
        if let Some(ipv6) = network.ipv6 {
            let gateway = ipv6.gateway;
            // Without these nobody would find the gateway's hardware address.
            writeln!(
                out,
                "\t\ticmpv6 type {{ nd-neighbor-solicit, nd-neighbor-advert }} accept"
            )?;
            writeln!(
                out,
                "\t\tip6 daddr {gateway} icmpv6 type echo-request accept"
            )?;
            writeln!(
                out,
                "\t\tip6 daddr {gateway} meta l4proto {{ tcp, udp }} th dport {name_port} accept"
            )?;
        }
        writeln!(out, "\t\tcounter name kept_out drop")?;
    }
    writeln!(out, "\t}}")
}

/// What passes through the host, to and from the bridge.
pub(super) fn write_forward(out: &mut String, network: &Network, opened: &Opened) -> fmt::Result {
    let Network { subnet, bridge, .. } = network;
    writeln!(out, "\tchain entering {{")?;
    if !network.internal {
        writeln!(out, "\t\tct state established,related accept")?;
        writeln!(out, "\t\tct status dnat accept")?;
    }
    writeln!(out, "\t\tcounter name kept_out drop\n\t}}")?;

    writeln!(out, "\tchain leaving {{")?;
    if !network.internal {
        writeln!(out, "\t\tip saddr {subnet} accept")?;
        if let Some(ipv6) = network.ipv6 {
            writeln!(out, "\t\tip6 saddr {} accept", ipv6.subnet)?;
        }
    }
    writeln!(out, "\t\tcounter name kept_out drop\n\t}}")?;

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
    // The host is no router for others just because it is one for its containers.
    for (family, opened) in [("ipv4", &opened.v4), ("ipv6", &opened.v6)] {
        if !opened.is_empty() {
            let names: Vec<String> = opened.iter().map(|name| format!("\"{name}\"")).collect();
            writeln!(
                out,
                "\t\tmeta nfproto {family} iifname {{ {} }} ct state new ct status & dnat != dnat drop",
                names.join(", ")
            )?;
        }
    }
    writeln!(out, "\t}}")
}
