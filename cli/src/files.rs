//! The files that Coop writes for each container: its hosts, hostname and resolv.conf.

use std::net::Ipv4Addr;

use anyhow::{Context, Result};

use crate::host::Host;
use crate::plan::{Connection, ContainerPlan};

/// Writes them beside the container's plan. `stack` is the whole stack: addresses are leased
/// before anything starts, so the list is complete.
pub(crate) fn write(host: &Host, plan: &ContainerPlan, stack: &[&ContainerPlan]) -> Result<()> {
    let dir = host.store.dirs().container(&plan.unit.id);
    let hostname = plan.hostname.clone().unwrap_or_else(crate::host::hostname);
    let write = |name: &str, text: &str| {
        let path = dir.join(name);
        std::fs::write(&path, text).with_context(|| format!("write {}", path.display()))
    };
    write("hostname", &format!("{hostname}\n"))?;
    let servers = coop_net::host_resolv_conf().unwrap_or_default();
    match crate::realize::address(plan) {
        // On the host's network, the host's names are the container's.
        None if plan.network == Connection::Host => {
            write(
                "hosts",
                &std::fs::read_to_string("/etc/hosts").unwrap_or_default(),
            )?;
            write("resolv.conf", &servers)
        }
        address => {
            let own = (address.unwrap_or(Ipv4Addr::LOCALHOST), vec![hostname]);
            write("hosts", &coop_net::hosts_file(&own, &entries(plan, stack)))?;
            write("resolv.conf", &coop_net::resolv_conf(&servers))
        }
    }
}

/// The names of all containers on the same network.
fn entries(plan: &ContainerPlan, stack: &[&ContainerPlan]) -> Vec<(Ipv4Addr, Vec<String>)> {
    let Connection::Bridge { network: own, .. } = &plan.network else {
        return Vec::new();
    };
    let named = |other: &&ContainerPlan| match &other.network {
        Connection::Bridge {
            network,
            names,
            lease: Some(lease),
            ..
        } if network == own => Some((lease.address, names.clone())),
        _ => None,
    };
    stack.iter().filter_map(named).collect()
}
