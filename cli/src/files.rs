//! The files that Coop writes for each container: its hosts, hostname and resolv.conf.

use std::net::Ipv4Addr;
use std::path::Path;

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
    if plan.network == Connection::Host {
        // The host's names are the container's.
        write("hosts", &std::fs::read_to_string("/etc/hosts").unwrap_or_default())?;
        return write("resolv.conf", &host_resolv_conf());
    }
    let own = crate::realize::address(plan).map(|address| (address, vec![hostname.clone()]));
    write("hosts", &coop_net::hosts_file(own.as_ref(), &entries(plan, stack)))?;
    write("resolv.conf", &coop_net::resolv_conf(&host_resolv_conf()))
}

/// The names of all containers on the same network.
fn entries(plan: &ContainerPlan, stack: &[&ContainerPlan]) -> Vec<(Ipv4Addr, Vec<String>)> {
    let Connection::Bridge { network: own, .. } = &plan.network else { return Vec::new() };
    let named = |other: &&ContainerPlan| match &other.network {
        Connection::Bridge { network, names, lease: Some(lease), .. } if network == own => {
            Some((lease.address, names.clone()))
        }
        _ => None,
    };
    stack.iter().filter_map(named).collect()
}

/// The host's name servers. With systemd-resolved, `/etc/resolv.conf` names only its stub on
/// the loopback interface, which no container reaches; the real ones are in its own file.
fn host_resolv_conf() -> String {
    let read = |path: &str| std::fs::read_to_string(Path::new(path)).unwrap_or_default();
    let text = read("/etc/resolv.conf");
    if text.contains("nameserver 127.0.0.53") {
        let upstream = read("/run/systemd/resolve/resolv.conf");
        if !upstream.is_empty() {
            return upstream;
        }
    }
    text
}
