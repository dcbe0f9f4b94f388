//! The files that Coop writes for each container: its hosts, hostname and resolv.conf.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

use anyhow::{Context, Result};
use coop_net::Lease;

use crate::host::Host;
use crate::plan::{Connection, ContainerPlan, Resolver};
use crate::stack::value::HostAddress;

/// The names of a whole stack: addresses are leased before anything starts, so they are complete.
pub(crate) struct Names<'a> {
    stack: Vec<&'a ContainerPlan>,
    /// For each network the lines that all of its containers have in their hosts file: made once,
    /// not once for each of them.
    lines: HashMap<&'a str, String>,
}

impl<'a> Names<'a> {
    pub(crate) fn of(stack: impl Iterator<Item = &'a ContainerPlan>) -> Self {
        let stack: Vec<_> = stack.collect();
        let mut lines = HashMap::new();
        for plan in &stack {
            for network in plan.network.networks() {
                lines
                    .entry(network)
                    .or_insert_with(|| coop_net::hosts_lines(&entries(network, &[], &stack)));
            }
        }
        Self { stack, lines }
    }

    /// The names of all containers on the same networks, as this one knows them.
    fn of_neighbours(&self, plan: &ContainerPlan) -> String {
        let mut text = String::new();
        for network in plan.network.networks() {
            match self.lines.get(network) {
                Some(lines) if plan.resolver.links.is_empty() => text += lines,
                _ => {
                    let entries = entries(network, &plan.resolver.links, &self.stack);
                    text += &coop_net::hosts_lines(&entries);
                }
            }
        }
        text
    }
}

/// Writes them beside the container's plan.
pub(crate) fn write(host: &Host, plan: &ContainerPlan, names: &Names<'_>) -> Result<()> {
    if matches!(plan.network, Connection::Container(_)) {
        // It has those of the other one.
        return Ok(());
    }
    write_file(host, plan, "hostname", &format!("{}\n", hostname(plan)))?;
    let servers = coop_net::host_resolv_conf().unwrap_or_default();
    let inherited = match plan.network {
        // On the host's network, the host's servers are in reach.
        Connection::Host => servers,
        _ => coop_net::resolv_conf(&servers),
    };
    write_file(
        host,
        plan,
        "resolv.conf",
        &resolv_conf(&inherited, &plan.resolver),
    )?;
    write_file(host, plan, "hosts", &hosts(plan, names))
}

/// Writes the file of names alone, after the stack has changed: in place, since a container that
/// runs has this very file mounted.
pub(crate) fn write_hosts(host: &Host, plan: &ContainerPlan, names: &Names<'_>) -> Result<()> {
    if matches!(plan.network, Connection::Container(_)) {
        return Ok(());
    }
    let text = hosts(plan, names);
    if std::fs::read_to_string(path(host, plan, "hosts")).is_ok_and(|before| before == text) {
        return Ok(());
    }
    write_file(host, plan, "hosts", &text)
}

fn hosts(plan: &ContainerPlan, names: &Names<'_>) -> String {
    let own = |address: IpAddr| (address, vec![hostname(plan)]);
    let mut text = if plan.network == Connection::Host {
        // On the host's network, the host's names are the container's.
        std::fs::read_to_string("/etc/hosts").unwrap_or_default()
    } else {
        let mut entries: Vec<_> = { plan.network.leases() }
            .flat_map(Lease::addresses)
            .map(own)
            .collect();
        if entries.is_empty() {
            entries.push(own(Ipv4Addr::LOCALHOST.into()));
        }
        coop_net::hosts_file(&entries) + &names.of_neighbours(plan)
    };
    for (name, address) in &plan.resolver.hosts {
        let address = match address {
            HostAddress::At(address) => *address,
            HostAddress::Gateway => gateway(plan),
        };
        text.extend([address.to_string().as_str(), "\t", name, "\n"]);
    }
    text
}

fn path(host: &Host, plan: &ContainerPlan, name: &str) -> PathBuf {
    host.store.dirs().container(&plan.unit.id).join(name)
}

fn write_file(host: &Host, plan: &ContainerPlan, name: &str, text: &str) -> Result<()> {
    let path = path(host, plan, name);
    std::fs::write(&path, text).with_context(|| format!("write {}", path.display()))
}

fn hostname(plan: &ContainerPlan) -> String {
    plan.hostname.clone().unwrap_or_else(crate::host::hostname)
}

/// Where a container reaches the machine that it runs on.
fn gateway(plan: &ContainerPlan) -> IpAddr {
    match plan.network.main_lease() {
        Some(lease) => lease.gateway.into(),
        None => Ipv4Addr::LOCALHOST.into(),
    }
}

/// The containers of a network with their names, and those that links give them.
fn entries(
    own: &str,
    links: &[(String, String)],
    stack: &[&ContainerPlan],
) -> Vec<(IpAddr, Vec<String>)> {
    let mut entries = Vec::new();
    for other in stack {
        let Some(attached) = other.network.attached_to(own) else {
            continue;
        };
        let linked = { links.iter() }.filter(|(to, _)| other.service.as_ref() == Some(to));
        let aliases = linked.map(|(_, alias)| alias);
        let names: Vec<_> = attached.names.iter().chain(aliases).cloned().collect();
        for address in { attached.lease.iter() }.flat_map(Lease::addresses) {
            entries.push((address, names.clone()));
        }
    }
    entries
}

/// The text with what the container is given instead: as Docker, each of name servers, domains
/// and options as a whole. See resolv.conf(5).
fn resolv_conf(inherited: &str, resolver: &Resolver) -> String {
    let replaced = |line: &&str| match line.split_whitespace().next() {
        Some("nameserver") => !resolver.servers.is_empty(),
        Some("search" | "domain") => !resolver.search.is_empty(),
        Some("options") => !resolver.options.is_empty(),
        _ => false,
    };
    let mut text = String::new();
    for line in inherited.lines().filter(|line| !replaced(line)) {
        text.extend([line, "\n"]);
    }
    for server in &resolver.servers {
        text.extend(["nameserver ", &server.to_string(), "\n"]);
    }
    // As Docker: a dot is none at all.
    if !resolver.search.is_empty() && resolver.search != ["."] {
        text.extend(["search ", &resolver.search.join(" "), "\n"]);
    }
    if !resolver.options.is_empty() {
        text.extend(["options ", &resolver.options.join(" "), "\n"]);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_given_replaces_what_is_inherited() {
        let inherited = "# host\nnameserver 192.0.2.1\nsearch example.org\noptions edns0\n";
        assert_eq!(resolv_conf(inherited, &Resolver::default()), inherited);
        let resolver = Resolver {
            servers: vec![[192, 0, 2, 53].into(), [192, 0, 2, 54].into()],
            search: vec![".".into()],
            options: vec!["ndots:2".into(), "rotate".into()],
            ..Resolver::default()
        };
        insta::assert_snapshot!(resolv_conf(inherited, &resolver), @r"
        # host
        nameserver 192.0.2.53
        nameserver 192.0.2.54
        options ndots:2 rotate
        ");
    }
}
