//! Places in networks.

use std::collections::{BTreeMap, HashMap};

use anyhow::{Context, Result};
use coop_launcher::store::Event;
use coop_net::{Ipv6Net, Ipv6Spec, Lease, LeaseRequest, NetworkSpec};

use super::fault;
use crate::host::Host;
use crate::plan::{Connection, ContainerPlan, Draft, NetworkOptions};

/// One lease call for each network, for all of its containers.
pub(super) fn lease_addresses(host: &Host, drafts: &mut [Draft]) -> Result<()> {
    let mut requests: BTreeMap<String, (NetworkSpec, Vec<LeaseRequest>)> = BTreeMap::new();
    for draft in drafts.iter() {
        let Connection::Bridge(bridged) = &draft.plan.network else {
            continue;
        };
        for (index, attached) in bridged.attached.iter().enumerate() {
            requests
                .entry(attached.network.clone())
                .or_insert_with(|| {
                    let spec = spec(host, &attached.network, &attached.options);
                    (spec, Vec::new())
                })
                .1
                .push(bridged.request(index, draft.plan.unit.id.as_str()));
        }
    }
    for (network, (spec, requests)) in requests {
        let is_new = host.networks.get(&network)?.is_none();
        let leases = host
            .networks
            .lease(&spec, &requests)
            .map_err(|error| by_name(host, drafts, error))?;
        if is_new {
            host.store.emit(&Event::of_network(&network, "create"));
            warn_of_firewalls(host, &network);
        }
        let mut leases: HashMap<_, _> = { leases.into_iter() }
            .map(|lease| (lease.container.clone(), lease))
            .collect();
        for draft in drafts.iter_mut() {
            let Some(lease) = leases.remove(draft.plan.unit.id.as_str()) else {
                continue;
            };
            let mut attached = draft.plan.network.attached_mut().iter_mut();
            if let Some(attached) = attached.find(|attached| attached.network == network) {
                attached.lease = Some(lease);
            }
        }
    }
    Ok(())
}

/// An error of the crate, which knows containers by their ids, with their names instead.
fn by_name(host: &Host, drafts: &[Draft], error: coop_net::Error) -> anyhow::Error {
    let error = anyhow::Error::from(error);
    let mut text = format!("{error:#}");
    for draft in drafts {
        text = text.replace(draft.plan.unit.id.as_str(), &draft.plan.unit.name);
    }
    for state in host.store.list().unwrap_or_default() {
        text = text.replace(state.id.as_str(), state.name.as_str());
    }
    anyhow::anyhow!(text)
}

/// Says what stands in the way of a new network, before its containers wait for answers in vain.
fn warn_of_firewalls(host: &Host, network: &str) {
    // Without root the host's firewall sees a program of the user, and no bridge.
    if host.rootless.is_some() {
        return;
    }
    let network = host.networks.get(network);
    let found = network.map(|network| network.map(|network| coop_net::obstacles(&network)));
    if let Ok(Some(Ok(found))) = found {
        for obstacle in found {
            log::warn!("{obstacle}");
        }
    }
}

/// Leases the place in a network that the plan has and no lease for: the container was connected
/// to it later.
pub(crate) fn lease_one(host: &Host, plan: &mut ContainerPlan, network: &str) -> Result<Lease> {
    let id = plan.unit.id.to_string();
    let Connection::Bridge(bridged) = &mut plan.network else {
        anyhow::bail!("{}: it has no network of its own", plan.unit.name);
    };
    let index = { bridged.attached.iter() }
        .position(|attached| attached.network == network)
        .with_context(|| format!("not connected to network {network}"))?;
    let published = { bridged.attached.iter() }
        .any(|attached| { attached.lease.iter() }.any(|lease| !lease.ports.is_empty()));
    let mut request = bridged.request(index, &id);
    // They come with the way out, or not at all.
    if published || bridged.attached[index].options.internal {
        request.ports.clear();
    }
    let spec = spec(host, network, &bridged.attached[index].options);
    let leases =
        { host.networks.lease(&spec, &[request]) }.map_err(|error| by_name(host, &[], error))?;
    let lease = { leases.into_iter().next() }
        .with_context(|| format!("no address of network {network}"))?;
    bridged.attached[index].lease = Some(lease.clone());
    Ok(lease)
}

/// What is missing of a container's places before it can be started: one that a killed `network
/// connect` began, and the ports of one that was disconnected from the network that had them.
pub(crate) fn complete_leases(host: &Host, plan: &ContainerPlan) -> Result<()> {
    let mut plan = plan.clone();
    let missing: Vec<String> = { plan.network.attached().iter() }
        .filter(|attached| attached.lease.is_none())
        .map(|attached| attached.network.clone())
        .collect();
    for network in missing {
        crate::networks::restore(host, &network)?;
        lease_one(host, &mut plan, &network)?;
    }
    publish_again(host, &mut plan)?;
    Ok(host.store.save_config(&plan.unit.id, &plan)?)
}

/// Whether [`complete_leases`] has something to do.
pub(crate) fn has_missing_leases(plan: &ContainerPlan) -> bool {
    match &plan.network {
        Connection::Bridge(bridged) => {
            bridged.attached.iter().any(|it| it.lease.is_none()) || bridged.unpublished().is_some()
        }
        Connection::Host | Connection::None | Connection::Container(_) => false,
    }
}

/// Has the network with the way out publish the ports, when none does.
fn publish_again(host: &Host, plan: &mut ContainerPlan) -> Result<()> {
    let Connection::Bridge(bridged) = &mut plan.network else {
        return Ok(());
    };
    let Some(place) = bridged.unpublished() else {
        return Ok(());
    };
    let (network, options) = (place.network.clone(), place.options.clone());
    let Some(lease) = &place.lease else {
        return Ok(());
    };
    let request = LeaseRequest {
        ports: bridged.ports.clone(),
        ..lease.request()
    };
    let spec = spec(host, &network, &options);
    let leases =
        { host.networks.lease(&spec, &[request]) }.map_err(|error| by_name(host, &[], error))?;
    let place = { bridged.attached.iter_mut() }.find(|it| it.network == network);
    if let (Some(place), Some(lease)) = (place, leases.into_iter().next()) {
        place.lease = Some(lease);
    }
    Ok(())
}

/// What a network is asked to be: an external one is as it is.
fn spec(host: &Host, network: &str, options: &NetworkOptions) -> NetworkSpec {
    if options.external
        && let Ok(Some(existing)) = host.networks.get(network)
    {
        return NetworkSpec::from(&existing);
    }
    options.spec(network)
}

/// Puts the addresses of a network's containers on record again, the same as their plans have
/// them: after a reboot, which takes the record. All of them, so that the rules are complete
/// before the first one starts.
pub(crate) fn lease_again(host: &Host, network: &str) -> Result<()> {
    crate::networks::restore(host, network)?;
    let (mut leases, mut asked) = (Vec::new(), None);
    for id in host.store.ids()? {
        // Another version's plan cannot be started either.
        let Ok(plan) = host.store.load_config::<ContainerPlan>(&id) else {
            continue;
        };
        let Some(attached) = plan.network.attached_to(network) else {
            continue;
        };
        if let Some(lease) = &attached.lease {
            asked.get_or_insert_with(|| attached.options.spec(network));
            leases.push(lease.clone());
        }
    }
    let (Some(first), Some(asked)) = (leases.first(), asked) else {
        return Ok(());
    };
    let spec = NetworkSpec {
        subnet: Some(first.subnet()),
        gateway: Some(first.gateway),
        ipv6: { first.ipv6.as_ref() }.map(|ipv6| Ipv6Spec {
            subnet: Ipv6Net::new(ipv6.address, ipv6.prefix_len),
            gateway: Some(ipv6.gateway),
            ..asked.ipv6.clone().unwrap_or_default()
        }),
        internal: first.internal,
        mtu: first.mtu,
        ..asked
    };
    let spec = match host.networks.get(network)? {
        Some(existing) if existing.kept => NetworkSpec::from(&existing),
        _ => spec,
    };
    let requests: Vec<_> = leases.iter().map(Lease::request).collect();
    fault("again")?;
    host.networks.lease(&spec, &requests).with_context(|| {
        format!("give the containers of network {network} the addresses that they had")
    })?;
    Ok(())
}
