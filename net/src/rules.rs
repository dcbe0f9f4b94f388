//! The nft ruleset of a network: a pure function of the network and its leases.
//!
//! Every network has two tables of its own, one for packets (`inet`) and one for the frames of
//! its bridge (`bridge`). That works because a `drop` of any table is final, while an `accept`
//! only ends the walk through the table it is in: each table defends its own bridge, and knows
//! nothing of the others.

mod filter;
mod links;
mod names;
mod publish;

use std::fmt::{self, Write};

use crate::forwarding::Opened;
use crate::lease::Lease;
use crate::naming;
use crate::partition;
use crate::ports::PortMapping;
use crate::probe::{self, ADDRESS, Answer, EndMark, Mark, PORT};
use crate::spec::Network;
use crate::store::Departed;

/// The rules of a network, and the marks that tell what the kernel has of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ruleset {
    table: String,
    /// All about packets that does not depend on which containers there are, unless they
    /// publish ports.
    packets: String,
    /// The same about frames.
    frames: String,
    /// What is added for each link.
    links: Vec<LinkRules>,
    pub(crate) mark: Mark,
}

/// The rules of one container's link.
#[derive(Debug, Clone, PartialEq, Eq)]
struct LinkRules {
    frames: String,
    /// The element that says that they are there.
    note: String,
    mark: EndMark,
}

/// What has to be done for the kernel to have the rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Change {
    /// Nothing.
    None,
    /// There is nothing yet. Three times as fast as a replacement: `nft` does not end before
    /// the kernel has got rid of what a transaction deleted, an RCU grace period later, and
    /// keeps whoever makes an interface waiting meanwhile.
    Creation,
    /// Some links are new.
    Addition(String),
    /// It is other rules, or nobody knows.
    Replacement,
}

impl Ruleset {
    /// Asks the kernel what it has.
    pub(crate) fn change(&self) -> Change {
        match (self.mark.ask(), table_mark(&self.table).ask()) {
            (Answer::Present, _) if probe::is_answer_to_be_believed() => {
                let missing = |link: &&LinkRules| link.mark.ask() != Answer::Present;
                let text: String = { self.links.iter().filter(missing) }
                    .flat_map(|link| [link.frames.as_str(), &link.note])
                    .collect();
                if text.is_empty() {
                    Change::None
                } else {
                    Change::Addition(text)
                }
            }
            (_, Answer::Absent) => Change::Creation,
            _ => Change::Replacement,
        }
    }

    /// The transaction for a kernel without this table; the kernel refuses it when there is
    /// one.
    pub(crate) fn creation(&self) -> String {
        let table = &self.table;
        format!("create table inet {table}\ncreate table bridge {table}\n") + &self.content()
    }

    /// The transaction that works whether there is such a table or not.
    pub(crate) fn replacement(&self) -> String {
        removal(&self.table) + &self.content()
    }

    /// As [`replacement`](Self::replacement), for a kernel that cannot judge the frames of a
    /// bridge.
    pub(crate) fn without_frames(&self) -> String {
        let notes: String = self.links.iter().map(|link| link.note.as_str()).collect();
        removal_of("inet", &self.table) + &self.packets + &notes
    }

    fn content(&self) -> String {
        let links = { self.links.iter() }.flat_map(|link| [link.frames.as_str(), &link.note]);
        [self.packets.as_str(), &self.frames]
            .into_iter()
            .chain(links)
            .collect()
    }
}

/// The transaction that removes the tables of this name, whether they exist or not.
pub(crate) fn removal(table: &str) -> String {
    removal_of("inet", table) + &removal_of("bridge", table)
}

/// For a kernel that cannot judge the frames of a bridge.
pub(crate) fn removal_of_packets(table: &str) -> String {
    removal_of("inet", table)
}

fn removal_of(family: &str, table: &str) -> String {
    // The first line makes the table when there is none, so that the second one works.
    format!("table {family} {table}\ndelete table {family} {table}\n")
}

/// The tables of `network`. `opened` are the interfaces that forward only because Coop made
/// them, `departed` the links that have gone and whose rules are still in the kernel.
pub(crate) fn render(
    table: &str,
    network: &Network,
    leases: &[Lease],
    opened: &Opened,
    departed: &Departed,
) -> Ruleset {
    // Writing to a String cannot fail.
    let packets = |mark: Mark| {
        let mut text = String::new();
        let _ = write_packets(&mut text, table, network, leases, opened, mark);
        text
    };
    let mut frames = String::new();
    let _ = links::write_table(&mut frames, table, network);
    let _ = partition::write_frames(&mut frames, table, network, leases);
    let parts = [packets(Mark::default()), frames];
    let mark = Mark::of(&[b"rules", parts[0].as_bytes(), parts[1].as_bytes()]);
    let [_, frames] = parts;
    Ruleset {
        table: table.to_owned(),
        packets: packets(mark),
        frames,
        links: { leases.iter() }
            .map(|lease| link(table, network, lease, departed))
            .collect(),
        mark,
    }
}

fn link(table: &str, network: &Network, lease: &Lease, departed: &Departed) -> LinkRules {
    let mut frames = String::new();
    let _ = links::write_link(&mut frames, table, network, lease);
    // Each life of a link has a mark of its own: that of an earlier one is still in the set, and
    // a later one may have replaced its rules since.
    let life = departed.times(&lease.host_interface);
    let mark = EndMark::of(&[b"link", frames.as_bytes(), &life.to_le_bytes()]);
    LinkRules {
        frames,
        note: format!("add element inet {table} links {{ {mark} }}\n"),
        mark,
    }
}

/// The mark of a table, whatever is in it.
pub(crate) fn table_mark(table: &str) -> Mark {
    Mark::of(&[b"table", table.as_bytes()])
}

fn write_packets(
    out: &mut String,
    table: &str,
    network: &Network,
    leases: &[Lease],
    opened: &Opened,
    mark: Mark,
) -> fmt::Result {
    let name = &network.name;
    let published = publish::Published::of(leases);

    writeln!(out, "table inet {table} {{")?;
    // What the other networks' packets come to, and those that are sent out by others.
    writeln!(out, "\tcounter kept_out {{\n\t}}")?;
    writeln!(out, "\tset links {{\n\t\ttype ipv4_addr . ipv4_addr\n\t}}")?;
    published.write_maps(out)?;
    names::write_prerouting(out, network)?;

    writeln!(out, "\tchain output {{")?;
    writeln!(
        out,
        "\t\ttype nat hook output priority -100; policy accept;"
    )?;
    // A comment has at most 128 characters.
    writeln!(
        out,
        "\t\tip daddr {ADDRESS} udp dport {PORT} @th,64,64 {{ {}, {mark} }} drop comment \"network {name:.100}\"",
        table_mark(table),
    )?;
    writeln!(out, "\t\tudp dport {PORT} ip saddr . ip daddr @links drop")?;
    names::write_for_host(out, network)?;
    if !published.is_empty() {
        writeln!(out, "\t\tfib daddr type local jump publish")?;
    }
    writeln!(out, "\t}}")?;
    publish::write_postrouting(out, network, &published)?;
    filter::write_input(out, network)?;
    filter::write_forward(out, network, opened)?;
    partition::write_packets(out, network, leases)?;
    writeln!(out, "}}")
}

/// Whether a container publishes a port on the host's IPv4 loopback.
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

/// The name of the tables of a network.
pub(crate) fn table(directory: &std::path::Path, network: &str) -> String {
    naming::table(directory, network)
}

#[cfg(test)]
mod tests;
