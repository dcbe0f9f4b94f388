//! Which address a container gets: pure planning over the leases there are.

mod ipv6;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;

use crate::error::Error;
use crate::lease::{INTERFACE, Ipv6Lease, Lease, LeaseRequest};
use crate::mac::Mac;
use crate::naming;
use crate::ports::PortMapping;
use crate::spec::{Network, check_interface};

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

    // Who has which address: nobody, the leases that stay, then the fixed, then the kept ones.
    let mut taken: BTreeMap<Ipv4Addr, &str> = BTreeMap::new();
    for (name, address) in &network.reserved {
        if let IpAddr::V4(address) = address {
            taken.insert(*address, name);
        }
    }
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
                address: address.into(),
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
                subnet: network.range.unwrap_or(network.subnet),
            })?;
        taken.insert(address, &request.container);
        chosen.insert(&request.container, address);
    }

    let mut addresses6 = ipv6::Addresses::new(network, existing, &asking, requests)?;
    let mut leases = Vec::with_capacity(requests.len());
    for request in requests {
        let Some(&address) = chosen.get(request.container.as_str()) else {
            continue;
        };
        let before = held.get(request.container.as_str()).copied();
        let ipv6 = addresses6.lease(request, before, address)?;
        leases.push(lease(directory, network, request, address, ipv6, before)?);
    }
    check_macs(network, existing, &asking, &leases)?;
    check_ports(network, existing, &asking, &leases)?;
    Ok(leases)
}

fn lease(
    directory: &Path,
    network: &Network,
    request: &LeaseRequest,
    address: Ipv4Addr,
    ipv6: Option<Ipv6Lease>,
    before: Option<&Lease>,
) -> Result<Lease, Error> {
    let interface = request.interface.as_deref().unwrap_or(INTERFACE);
    check_interface(&request.container, interface)?;
    if let Some(mac) = request.mac.filter(|mac| !mac.is_of_one()) {
        return Err(Error::InvalidMac {
            container: request.container.clone(),
            mac,
        });
    }
    let ports: Vec<_> = { request.ports.iter() }
        .flat_map(|port| port.decided(ipv6.is_some()))
        .collect();
    for port in &ports {
        if port.address().is_ipv6() && ipv6.is_none() {
            return Err(Error::PortWithoutIpv6 {
                network: network.name.clone(),
                container: request.container.clone(),
                mapping: *port,
            });
        }
        if port.address() == IpAddr::from(Ipv6Addr::LOCALHOST) {
            return Err(Error::PortOnLoopback6 {
                container: request.container.clone(),
                mapping: *port,
            });
        }
    }
    Ok(Lease {
        network: network.name.clone(),
        container: request.container.clone(),
        names: request.names.clone(),
        address,
        prefix_len: network.subnet.prefix_len(),
        gateway: network.gateway,
        internal: network.internal,
        mac: request.mac.unwrap_or_else(|| Mac::for_address(address)),
        mtu: network.mtu,
        bridge: network.bridge.clone(),
        host_interface: naming::host_interface(directory, &network.name, &request.container),
        interface: interface.to_owned(),
        ports: keep_ports(ports, before.map_or(&[], |lease| &lease.ports)),
        ipv6,
        gw_priority: request.gw_priority,
        link_local: request.link_local.clone(),
        apart: network.apart,
    })
}

/// The host addresses of the network, or of the range in it that is for whoever asks for none.
fn host_addresses(network: &Network) -> impl Iterator<Item = Ipv4Addr> {
    let subnet = network.subnet;
    let range = network.range.unwrap_or(subnet);
    let first = range.network().max(subnet.first_host()).to_bits();
    let end = range.broadcast().to_bits().saturating_add(1);
    let gateway = network.gateway;
    (first..end.min(subnet.broadcast().to_bits()))
        .map(Ipv4Addr::from_bits)
        .filter(move |address| *address != gateway)
}

/// Two interfaces with one hardware address on a bridge would take each other's frames.
fn check_macs(
    network: &Network,
    existing: &[Lease],
    asking: &BTreeSet<&str>,
    leases: &[Lease],
) -> Result<(), Error> {
    let stay = { existing.iter() }.filter(|lease| !asking.contains(lease.container.as_str()));
    let mut taken: BTreeMap<[u8; 6], &str> =
        [(Mac::for_address(network.gateway).0, "the gateway")].into();
    for lease in stay.chain(leases) {
        if let Some(holder) = taken.insert(lease.mac.0, &lease.container) {
            return Err(Error::MacTaken {
                network: network.name.clone(),
                container: lease.container.clone(),
                mac: lease.mac,
                holder: holder.to_owned(),
            });
        }
    }
    Ok(())
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
        address: address.into(),
        subnet: subnet.to_string(),
    })
}

/// Fills in the host ports that an earlier lease chose for the same container ports.
fn keep_ports(mut ports: Vec<PortMapping>, before: &[PortMapping]) -> Vec<PortMapping> {
    for port in ports.iter_mut().filter(|port| port.host_port == 0) {
        let fits = |old: &&PortMapping| {
            let among = port
                .among
                .is_none_or(|(first, last)| (first..=last).contains(&old.host_port));
            among && port.at(old.host_port) == **old
        };
        if let Some(old) = before.iter().find(fits) {
            *port = *old;
        }
    }
    ports
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
