//! What may come in by a container's link: frames with its own addresses, and no others.
//!
//! Judged on the bridge, before it looks at a frame: so a container can neither take another
//! one's packets by answering for its address (ARP, neighbour discovery), nor send in its name,
//! nor play the router.

use std::fmt::{self, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::lease::Lease;
use crate::spec::Network;

/// What happens to a frame that is not what it says.
const DROP: &str = "counter name forged drop";

/// The table of the bridge's frames, without the links.
pub(super) fn write_table(out: &mut String, table: &str, network: &Network) -> fmt::Result {
    writeln!(out, "table bridge {table} {{")?;
    writeln!(out, "\tcounter forged {{\n\t}}")?;
    // One look-up, however many links there are.
    writeln!(out, "\tmap links {{\n\t\ttype ifname : verdict\n\t}}")?;
    writeln!(out, "\tchain genuine {{")?;
    if network.ipv6.is_some() {
        writeln!(
            out,
            "\t\ticmpv6 type {{ nd-router-advert, nd-redirect }} {DROP}"
        )?;
        writeln!(out, "\t\tether type {{ arp, ip6 }} accept")?;
    } else {
        writeln!(out, "\t\tether type arp accept")?;
    }
    writeln!(out, "\t\t{DROP}\n\t}}")?;
    writeln!(out, "\tchain prerouting {{")?;
    // Before br_netfilter shows the frame to the tables of packets.
    writeln!(
        out,
        "\t\ttype filter hook prerouting priority -300; policy accept;"
    )?;
    writeln!(out, "\t\tiifname vmap @links")?;
    writeln!(out, "\t}}\n}}")
}

/// Adds the link of one container, or replaces what a former lease of its said.
pub(super) fn write_link(
    out: &mut String,
    table: &str,
    network: &Network,
    lease: &Lease,
) -> fmt::Result {
    let Lease {
        host_interface: link,
        mac,
        address,
        ..
    } = lease;
    let mut own4 = vec![*address];
    let mut own6 = Vec::new();
    for address in &lease.link_local {
        match address {
            IpAddr::V4(address) => own4.push(*address),
            IpAddr::V6(address) => own6.push(*address),
        }
    }
    writeln!(out, "add chain bridge {table} {link}")?;
    writeln!(out, "flush chain bridge {table} {link}")?;
    let rule = format!("add rule bridge {table} {link}");
    writeln!(out, "{rule} ether saddr != {mac} {DROP}")?;
    // Nearly all that comes: it passes by the fewest rules. What else is IPv4 is dropped in
    // the end.
    for address in &own4 {
        writeln!(out, "{rule} ip saddr {address} accept")?;
    }
    writeln!(out, "{rule} arp saddr ether != {mac} {DROP}")?;
    // A probe for whether an address is free has no address of its own (RFC 5227).
    let probing = none_of("arp saddr ip", own4.iter().chain([&Ipv4Addr::UNSPECIFIED]));
    writeln!(out, "{rule} {probing} {DROP}")?;
    if let (Some(_), Some(ipv6)) = (network.ipv6, lease.ipv6) {
        let address = ipv6.address;
        // Neighbour discovery is neither of these.
        writeln!(
            out,
            "{rule} ip6 saddr {address} ip6 nexthdr {{ tcp, udp }} accept"
        )?;
        own6.extend([address, mac.link_local()]);
        let probing = none_of("ip6 saddr", own6.iter().chain([&Ipv6Addr::UNSPECIFIED]));
        writeln!(out, "{rule} {probing} {DROP}")?;
        // Whose address it says it has: 128 bits, 64 after the start of the ICMPv6 header.
        let targets: Vec<_> = { own6.iter() }
            .map(|address| format!("{:#034x}", address.to_bits()))
            .collect();
        let lying = none_of("@th,64,128", &targets);
        writeln!(out, "{rule} icmpv6 type nd-neighbor-advert {lying} {DROP}")?;
    }
    writeln!(out, "{rule} goto genuine")?;
    writeln!(
        out,
        "add element bridge {table} links {{ \"{link}\" : goto {link} }}"
    )
}

/// That what is in a field is none of these.
fn none_of<T: fmt::Display>(field: &str, values: impl IntoIterator<Item = T>) -> String {
    let each = { values.into_iter() }.map(|value| format!("{field} != {value}"));
    each.collect::<Vec<_>>().join(" ")
}
