//! The files that Coop writes for each container: its hosts, hostname and resolv.conf.

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

use anyhow::{Context, Result};
use coop_net::Lease;

use crate::host::Host;
use crate::plan::{Connection, ContainerPlan, Resolver};
use crate::stack::value::HostAddress;

/// Writes them beside the container's plan; after its networks have changed in place, since a
/// container that runs has these very files mounted.
pub(crate) fn write(host: &Host, plan: &ContainerPlan) -> Result<()> {
    if matches!(plan.network, Connection::Container(_)) {
        // It has those of the other one.
        return Ok(());
    }
    write_file(host, plan, "hostname", &format!("{}\n", hostname(plan)))?;
    let host_text = coop_net::host_resolv_conf().unwrap_or_default();
    let text = match &plan.network {
        Connection::Bridge(_) => by_name_server(&host_text, &gateways(plan), &plan.resolver),
        // On the host's network, the host's servers are in reach.
        Connection::Host => resolv_conf(&host_text, &plan.resolver),
        _ => resolv_conf(&coop_net::resolv_conf(&host_text), &plan.resolver),
    };
    write_file(host, plan, "resolv.conf", &text)?;
    write_file(host, plan, "hosts", &hosts(plan))
}

/// The names of the container itself, and those that it was given. Its neighbours' are the name
/// server's to know: they come and go.
fn hosts(plan: &ContainerPlan) -> String {
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
        coop_net::hosts_file(&entries)
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

/// Where the container's name servers are: in each of its networks, the one with its default
/// route first. More than three are not looked at.
fn gateways(plan: &ContainerPlan) -> Vec<IpAddr> {
    let first = plan.network.main_lease().into_iter();
    let mut gateways = Vec::new();
    for lease in first.chain(plan.network.leases()) {
        let gateway = lease.gateway.into();
        if !gateways.contains(&gateway) && gateways.len() < 3 {
            gateways.push(gateway);
        }
    }
    gateways
}

/// The text for a container whose name servers are Coop's. Servers that it was given are asked by
/// those: they know nothing of its neighbours.
fn by_name_server(host_text: &str, gateways: &[IpAddr], resolver: &Resolver) -> String {
    let is_kept = |line: &&str| {
        let word = line.split_whitespace().next();
        matches!(word, Some("search" | "domain" | "options"))
    };
    let kept: Vec<_> = host_text.lines().filter(is_kept).collect();
    let mut options = resolver.options.clone();
    if options.is_empty() {
        let inherited = { kept.iter() }.filter(|line| line.trim_start().starts_with("options"));
        let words = inherited.flat_map(|line| line.split_whitespace().skip(1));
        options.extend(words.map(str::to_owned));
    }
    if !options.iter().any(|option| option.starts_with("ndots:")) {
        // As Docker: `web` is a neighbour first of all, and not a name below the host's domain.
        options.push("ndots:0".to_owned());
    }
    let resolver = Resolver {
        servers: gateways.to_vec(),
        options,
        ..resolver.clone()
    };
    resolv_conf(&kept.join("\n"), &resolver)
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
    fn a_container_asks_its_gateways_and_keeps_the_hosts_domains() {
        let host =
            "# by a tool\nnameserver 127.0.0.53\noptions edns0 trust-ad\nsearch example.org\n";
        let gateways = [[10, 1, 2, 1].into(), [10, 1, 3, 1].into()];
        insta::assert_snapshot!(by_name_server(host, &gateways, &Resolver::default()), @r"
        search example.org
        nameserver 10.1.2.1
        nameserver 10.1.3.1
        options edns0 trust-ad ndots:0
        ");
        let resolver = Resolver {
            servers: vec![[192, 0, 2, 53].into()],
            search: vec!["test".into()],
            options: vec!["ndots:2".into()],
            ..Resolver::default()
        };
        insta::assert_snapshot!(by_name_server(host, &gateways[..1], &resolver), @r"
        nameserver 10.1.2.1
        search test
        options ndots:2
        ");
        insta::assert_snapshot!(by_name_server("", &gateways[..1], &Resolver::default()), @r"
        nameserver 10.1.2.1
        options ndots:0
        ");
    }

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
