//! What a network becomes that is asked for: its addresses and its bridge, clear of all that
//! the host has.

use std::fmt::Display;
use std::net::IpAddr;
use std::path::Path;

use crate::apply;
use crate::error::Error;
use crate::naming;
use crate::pool;
use crate::pool6;
use crate::spec::{Ipv6Spec, Ipv6Subnet, Network, NetworkSpec};
use crate::subnet::Ipv4Net;
use crate::subnet6::Ipv6Net;

/// Decides on everything that `spec` leaves open, with room for so many containers.
pub(crate) fn decide(
    directory: &Path,
    spec: &NetworkSpec,
    others: &[Network],
    containers: usize,
) -> Result<Network, Error> {
    let bridge = { spec.bridge.clone() }.unwrap_or_else(|| naming::bridge(directory, &spec.name));
    if let Some(other) = others.iter().find(|other| other.bridge == bridge) {
        return Err(Error::BridgeForeign {
            network: spec.name.clone(),
            bridge,
            what: format!("the bridge of network {}", other.name),
        });
    }
    let subnet = subnet(directory, spec, &used(&bridge, others)?, containers)?;
    let gateway = spec.gateway.unwrap_or_else(|| subnet.first_host());
    let usable = gateway != subnet.network() && gateway != subnet.broadcast();
    check_inside(
        spec,
        "gateway",
        &gateway,
        &subnet,
        usable && subnet.contains(gateway),
    )?;
    if let Some(range) = spec.range {
        let inside = subnet.contains(range.network()) && range.prefix_len() >= subnet.prefix_len();
        check_inside(spec, "range", &range, &subnet, inside)?;
    }
    let ipv6 = { spec.ipv6.as_ref() }
        .map(|asked| ipv6(directory, spec, asked, others))
        .transpose()?;
    for address in spec.reserved.values() {
        match (address, ipv6) {
            (IpAddr::V4(v4), _) => {
                check_inside(spec, "reserved address", v4, &subnet, subnet.contains(*v4))?;
            }
            (IpAddr::V6(v6), Some(ipv6)) => {
                let inside = ipv6.subnet.contains(*v6);
                check_inside(spec, "reserved address", v6, &ipv6.subnet, inside)?;
            }
            (IpAddr::V6(v6), None) => {
                check_inside(spec, "reserved address", v6, &subnet, false)?;
            }
        }
    }
    Ok(Network {
        name: spec.name.clone(),
        subnet,
        gateway,
        range: spec.range,
        ipv6,
        reserved: spec.reserved.clone(),
        bridge,
        internal: spec.internal,
        apart: spec.apart,
        routed: spec.routed,
        mtu: spec.mtu,
        kept: spec.kept,
        name_port: None,
        partitions: Vec::new(),
        labels: spec.labels.clone(),
    })
}

fn check_inside(
    spec: &NetworkSpec,
    what: &'static str,
    address: &dyn Display,
    subnet: &dyn Display,
    inside: bool,
) -> Result<(), Error> {
    if inside {
        return Ok(());
    }
    Err(Error::Outside {
        network: spec.name.clone(),
        what,
        address: address.to_string(),
        subnet: subnet.to_string(),
    })
}

fn subnet(
    directory: &Path,
    spec: &NetworkSpec,
    used: &[Ipv4Net],
    containers: usize,
) -> Result<Ipv4Net, Error> {
    let network = || spec.name.clone();
    match spec.subnet {
        Some(subnet) if !(8..=30).contains(&subnet.prefix_len()) => Err(Error::SubnetSize {
            network: network(),
            subnet,
        }),
        Some(subnet) => match pool::conflict(subnet, used) {
            Some(with) => Err(Error::SubnetOverlaps {
                network: network(),
                subnet: subnet.to_string(),
                with: with.to_string(),
            }),
            None => Ok(subnet),
        },
        None => {
            let seed = naming::hash(&[
                directory.as_os_str().as_encoded_bytes(),
                spec.name.as_bytes(),
            ]);
            pool::choose(seed, pool::prefix_for(containers), used)
                .ok_or_else(|| Error::PoolExhausted { network: network() })
        }
    }
}

/// Every subnet that a new network must keep clear of.
fn used(bridge: &str, others: &[Network]) -> Result<Vec<Ipv4Net>, Error> {
    let mut used = pool::routes()?;
    // A bridge of ours that outlived its files is no obstacle but the thing itself.
    let left_over = apply::control(bridge)?.address(bridge).ok().flatten();
    if let Some((address, netmask)) = left_over {
        let own = Ipv4Net::with_mask(address, netmask);
        used.retain(|route| {
            *route != own && !(route.prefix_len() == 32 && own.contains(route.network()))
        });
    }
    used.extend(others.iter().map(|other| other.subnet));
    Ok(used)
}

fn ipv6(
    directory: &Path,
    spec: &NetworkSpec,
    asked: &Ipv6Spec,
    others: &[Network],
) -> Result<Ipv6Subnet, Error> {
    let own = naming::bridge(directory, &spec.name);
    let bridge = spec.bridge.as_deref().unwrap_or(&own);
    let mut used = pool6::routes(bridge)?;
    used.extend(others.iter().filter_map(|other| Some(other.ipv6?.subnet)));
    let overlap = |subnet: Ipv6Net| used.iter().find(|other| other.overlaps(subnet));
    let subnet = match asked.subnet {
        Some(subnet) if !(8..=126).contains(&subnet.prefix_len()) => {
            return Err(Error::Subnet6Size {
                network: spec.name.clone(),
                subnet,
            });
        }
        Some(subnet) => {
            if let Some(with) = overlap(subnet) {
                return Err(Error::SubnetOverlaps {
                    network: spec.name.clone(),
                    subnet: subnet.to_string(),
                    with: with.to_string(),
                });
            }
            subnet
        }
        None => {
            pool6::choose(directory, &spec.name, &used).ok_or_else(|| Error::PoolExhausted {
                network: spec.name.clone(),
            })?
        }
    };
    let gateway = asked.gateway.unwrap_or_else(|| subnet.first_host());
    let usable = subnet.contains(gateway) && gateway != subnet.network();
    check_inside(spec, "gateway", &gateway, &subnet, usable)?;
    if let Some(range) = asked.range {
        let inside = subnet.contains(range.network()) && range.prefix_len() >= subnet.prefix_len();
        check_inside(spec, "range", &range, &subnet, inside)?;
    }
    Ok(Ipv6Subnet {
        subnet,
        gateway,
        range: asked.range,
    })
}

/// The network as it is, when that is what `spec` asks for. What `spec` leaves open is as it is.
pub(crate) fn same(network: Network, spec: &NetworkSpec) -> Result<Network, Error> {
    let yes_no = |yes: bool| yes.to_string();
    let ipv6 = network.ipv6;
    let asked6 = spec.ipv6.as_ref();
    // An option of the spec, as it is: nothing is asked for, so nothing differs.
    let asked = |asked: Option<String>, have: &str| asked.unwrap_or_else(|| have.to_owned());
    let or_none = |text: Option<String>| text.unwrap_or_else(|| "none".to_owned());
    let have = [
        ("subnet", network.subnet.to_string()),
        ("gateway", network.gateway.to_string()),
        ("IP range", or_none(network.range.map(|it| it.to_string()))),
        ("bridge", network.bridge.clone()),
        ("internal setting", yes_no(network.internal)),
        ("MTU", network.mtu.to_string()),
        ("IPv6 setting", yes_no(ipv6.is_some())),
        (
            "IPv6 subnet",
            or_none(ipv6.map(|ipv6| ipv6.subnet.to_string())),
        ),
        (
            "IPv6 gateway",
            or_none(ipv6.map(|ipv6| ipv6.gateway.to_string())),
        ),
        (
            "IPv6 range",
            or_none(ipv6.and_then(|ipv6| Some(ipv6.range?.to_string()))),
        ),
        ("enable_icc setting", yes_no(!network.apart)),
        ("enable_ip_masquerade setting", yes_no(!network.routed)),
    ];
    let want = [
        spec.subnet.map(|subnet| subnet.to_string()),
        spec.gateway.map(|gateway| gateway.to_string()),
        spec.range.map(|range| range.to_string()),
        spec.bridge.clone(),
        Some(yes_no(spec.internal)),
        Some(spec.mtu.to_string()),
        Some(yes_no(asked6.is_some())),
        asked6.and_then(|ipv6| Some(ipv6.subnet?.to_string())),
        asked6.and_then(|ipv6| Some(ipv6.gateway?.to_string())),
        asked6.and_then(|ipv6| Some(ipv6.range?.to_string())),
        Some(yes_no(!spec.apart)),
        Some(yes_no(!spec.routed)),
    ];
    for ((setting, have), want) in have.into_iter().zip(want) {
        let want = asked(want, &have);
        if want != have {
            return Err(Error::Differs {
                network: spec.name.clone(),
                setting,
                have,
                want,
            });
        }
    }
    Ok(network)
}
