//! The way to the name server.
//!
//! It does not listen at port 53: another name server of the host may have that at all addresses,
//! and a container may publish it. So the gateway's port 53 is, for its containers, another one.

use std::fmt::{self, Write};
use std::net::IpAddr;

use crate::spec::Network;

/// For what comes from the network's containers.
pub(super) fn write_prerouting(out: &mut String, network: &Network) -> fmt::Result {
    if network.name_port.is_none() {
        return Ok(());
    }
    writeln!(out, "\tchain questions {{")?;
    // Before those that publish ports, be they Coop's or others': who comes first decides.
    writeln!(
        out,
        "\t\ttype nat hook prerouting priority -101; policy accept;"
    )?;
    let from = format!("iifname \"{}\" ", network.bridge);
    write_rules(out, network, &from)?;
    writeln!(out, "\t}}")
}

/// For the host itself, whose user may want to know.
pub(super) fn write_for_host(out: &mut String, network: &Network) -> fmt::Result {
    write_rules(out, network, "")
}

fn write_rules(out: &mut String, network: &Network, from: &str) -> fmt::Result {
    let Some(port) = network.name_port else {
        return Ok(());
    };
    for gateway in network.gateways() {
        let (ip, place) = match gateway {
            IpAddr::V4(gateway) => ("ip", format!("{gateway}:{port}")),
            IpAddr::V6(gateway) => ("ip6", format!("[{gateway}]:{port}")),
        };
        writeln!(
            out,
            "\t\t{from}{ip} daddr {gateway} meta l4proto {{ tcp, udp }} th dport 53 dnat {ip} to {place}"
        )?;
    }
    Ok(())
}
