//! Which address a container gets: pure planning over the leases there are.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::path::Path;

use crate::error::Error;
use crate::naming;
use crate::ports::PortMapping;
use crate::spec::{Lease, LeaseRequest, Mac, Network};

/// The container's end of its link.
const INTERFACE: &str = "eth0";

/// `BR_MAX_PORTS` of the kernel's `net/bridge/br_private.h` is 1,024, and no port has number 0.
const MOST_PORTS: usize = 1023;

/// Leases for `requests`, in their order. A container with a lease keeps its address,
/// unless it asks for another one; the others get the lowest free ones, after the fixed
/// addresses of the same call are served. A host port of 0 is kept for the caller to
/// choose, unless the container has a lease that chose one.
pub(crate) fn allocate(
    directory: &Path,
    network: &Network,
    existing: &[Lease],
    requests: &[LeaseRequest],
) -> Result<Vec<Lease>, Error> {
    let held: BTreeMap<&str, &Lease> = existing
        .iter()
        .map(|lease| (lease.container.as_str(), lease))
        .collect();
    let asking: BTreeSet<&str> = requests
        .iter()
        .map(|request| request.container.as_str())
        .collect();

    let stay = { existing.iter() }.filter(|lease| !asking.contains(lease.container.as_str()));
    let containers = stay.count() + asking.len();
    if containers > MOST_PORTS {
        return Err(Error::BridgeFull {
            network: network.name.clone(),
            containers,
            most: MOST_PORTS,
        });
    }

    // Who has which address: the leases that stay, then the fixed, then the kept ones.
    let mut taken: BTreeMap<Ipv4Addr, &str> = BTreeMap::new();
    for lease in existing
        .iter()
        .filter(|lease| !asking.contains(lease.container.as_str()))
    {
        taken.insert(lease.address, &lease.container);
    }
    for request in requests {
        let Some(address) = request.address else {
            continue;
        };
        check_host_address(network, &request.container, address)?;
        if let Some(holder) = taken.insert(address, &request.container)
            && holder != request.container
        {
            return Err(Error::AddressTaken {
                network: network.name.clone(),
                container: request.container.clone(),
                address,
                holder: holder.to_owned(),
            });
        }
    }
    let mut chosen: BTreeMap<&str, Ipv4Addr> = BTreeMap::new();
    for request in requests {
        let kept = held
            .get(request.container.as_str())
            .map(|lease| lease.address);
        let address = request
            .address
            .or_else(|| kept.filter(|address| !taken.contains_key(address)));
        if let Some(address) = address {
            taken.insert(address, &request.container);
            chosen.insert(&request.container, address);
        }
    }
    let mut free = host_addresses(network);
    for request in requests {
        if chosen.contains_key(request.container.as_str()) {
            continue;
        }
        let address = free
            .find(|address| !taken.contains_key(address))
            .ok_or_else(|| Error::SubnetFull {
                network: network.name.clone(),
                subnet: network.subnet,
            })?;
        taken.insert(address, &request.container);
        chosen.insert(&request.container, address);
    }

    let leases: Vec<Lease> = requests
        .iter()
        .filter_map(|request| {
            chosen
                .get(request.container.as_str())
                .map(|address| (request, *address))
        })
        .map(|(request, address)| {
            let before = held
                .get(request.container.as_str())
                .map_or(&[][..], |lease| &lease.ports);
            Lease {
                network: network.name.clone(),
                container: request.container.clone(),
                names: request.names.clone(),
                address,
                prefix_len: network.subnet.prefix_len(),
                gateway: network.gateway,
                internal: network.internal,
                mac: Mac::for_address(address),
                mtu: network.mtu,
                bridge: network.bridge.clone(),
                host_interface: naming::host_interface(
                    directory,
                    &network.name,
                    &request.container,
                ),
                interface: INTERFACE.to_owned(),
                ports: keep_ports(&request.ports, before),
            }
        })
        .collect();
    check_ports(network, existing, &asking, &leases)?;
    Ok(leases)
}

/// The host addresses of the network after the gateway.
fn host_addresses(network: &Network) -> impl Iterator<Item = Ipv4Addr> {
    let (gateway, last) = (network.gateway, network.subnet.broadcast().to_bits());
    (network.subnet.first_host().to_bits()..last)
        .map(Ipv4Addr::from_bits)
        .filter(move |address| *address != gateway)
}

fn check_host_address(network: &Network, container: &str, address: Ipv4Addr) -> Result<(), Error> {
    let subnet = network.subnet;
    let reserved = [subnet.network(), subnet.broadcast(), network.gateway];
    if subnet.contains(address) && !reserved.contains(&address) {
        return Ok(());
    }
    Err(Error::AddressOutside {
        network: network.name.clone(),
        container: container.to_owned(),
        address,
        subnet,
    })
}

/// Fills in the host ports that an earlier lease chose for the same container ports.
fn keep_ports(ports: &[PortMapping], before: &[PortMapping]) -> Vec<PortMapping> {
    let mut kept = ports.to_vec();
    for port in kept.iter_mut().filter(|port| port.host_port == 0) {
        let same = |old: &&PortMapping| {
            PortMapping {
                host_port: 0,
                ..**old
            } == *port
        };
        if let Some(old) = before.iter().find(same) {
            port.host_port = old.host_port;
        }
    }
    kept
}

fn check_ports(
    network: &Network,
    existing: &[Lease],
    asking: &BTreeSet<&str>,
    leases: &[Lease],
) -> Result<(), Error> {
    let mut seen: Vec<(&PortMapping, &str)> = existing
        .iter()
        .filter(|lease| !asking.contains(lease.container.as_str()))
        .flat_map(|lease| {
            lease
                .ports
                .iter()
                .map(|port| (port, lease.container.as_str()))
        })
        .collect();
    for lease in leases {
        for port in &lease.ports {
            if network.internal {
                return Err(Error::InternalPort {
                    network: network.name.clone(),
                    container: lease.container.clone(),
                    mapping: *port,
                });
            }
            if let Some((_, holder)) = seen.iter().find(|(other, _)| other.conflicts(port)) {
                return Err(Error::PublishedTwice {
                    container: lease.container.clone(),
                    mapping: *port,
                    holder: (*holder).to_owned(),
                });
            }
            seen.push((port, &lease.container));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
