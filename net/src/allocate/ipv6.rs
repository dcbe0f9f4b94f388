//! Which IPv6 address a container gets.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::error::Error;
use crate::lease::{Ipv6Lease, Lease, LeaseRequest};
use crate::spec::{Ipv6Subnet, Network};

/// How far from the wanted address a free one is looked for: further than a bridge has ports.
const TRIES: u128 = 4096;

/// The addresses of a network's IPv6 side, while some are given away.
pub(super) struct Addresses<'a> {
    network: &'a Network,
    taken: BTreeMap<Ipv6Addr, &'a str>,
}

impl<'a> Addresses<'a> {
    /// Those that stay are taken, and those that are asked for by name.
    pub(super) fn new(
        network: &'a Network,
        existing: &'a [Lease],
        asking: &BTreeSet<&str>,
        requests: &'a [LeaseRequest],
    ) -> Result<Self, Error> {
        let mut taken: BTreeMap<Ipv6Addr, &str> = BTreeMap::new();
        for (name, address) in &network.reserved {
            if let IpAddr::V6(address) = address {
                taken.insert(*address, name);
            }
        }
        for lease in existing {
            if let Some(ipv6) = lease.ipv6
                && !asking.contains(lease.container.as_str())
            {
                taken.insert(ipv6.address, &lease.container);
            }
        }
        for request in requests {
            let Some(address) = request.address6 else {
                continue;
            };
            check(network, request, address)?;
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
        Ok(Self { network, taken })
    }

    /// The address of a container: the one that it asks for, the one that it has, the one with
    /// the number of its IPv4 address, or the next one that is free.
    pub(super) fn lease(
        &mut self,
        request: &'a LeaseRequest,
        before: Option<&Lease>,
        ipv4: Ipv4Addr,
    ) -> Result<Option<Ipv6Lease>, Error> {
        let Some(ipv6) = self.network.ipv6 else {
            return Ok(None);
        };
        let kept = before
            .and_then(|lease| lease.ipv6)
            .map(|ipv6| ipv6.address)
            .filter(|address| !self.taken.contains_key(address));
        let address = match request.address6.or(kept) {
            Some(address) => address,
            None => self.free(ipv6, ipv4).ok_or_else(|| Error::Subnet6Full {
                network: self.network.name.clone(),
                subnet: ipv6.range.unwrap_or(ipv6.subnet),
            })?,
        };
        self.taken.insert(address, &request.container);
        Ok(Some(Ipv6Lease {
            address,
            prefix_len: ipv6.subnet.prefix_len(),
            gateway: ipv6.gateway,
        }))
    }

    fn free(&self, ipv6: Ipv6Subnet, ipv4: Ipv4Addr) -> Option<Ipv6Addr> {
        let range = ipv6.range.unwrap_or(ipv6.subnet);
        let (first, last) = (range.network().to_bits(), range.last().to_bits());
        let count = (last - first).saturating_add(1);
        let number = ipv4.to_bits() - self.network.subnet.network().to_bits();
        (0..count.min(TRIES))
            .map(|step| Ipv6Addr::from_bits(first + (u128::from(number) + step) % count))
            .find(|address| {
                // The lowest address of a subnet is that of all its routers (RFC 4291, 2.6.1).
                *address != ipv6.subnet.network()
                    && *address != ipv6.gateway
                    && !self.taken.contains_key(address)
            })
    }
}

fn check(network: &Network, request: &LeaseRequest, address: Ipv6Addr) -> Result<(), Error> {
    let Some(ipv6) = network.ipv6 else {
        return Err(Error::NoIpv6 {
            network: network.name.clone(),
            container: request.container.clone(),
            address,
        });
    };
    let reserved = [ipv6.subnet.network(), ipv6.gateway];
    if ipv6.subnet.contains(address) && !reserved.contains(&address) {
        return Ok(());
    }
    Err(Error::AddressOutside {
        network: network.name.clone(),
        container: request.container.clone(),
        address: address.into(),
        subnet: ipv6.subnet.to_string(),
    })
}
