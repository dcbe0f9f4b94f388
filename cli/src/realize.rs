//! From a plan to containers on disk: leases, directories, files. Nothing runs yet.
//!
//! Every lease is by container id. The ids are in the stack's own journal before the first
//! lease is made, so that after a `kill -9` the next command gives back what no container
//! came of.

use std::cell::Cell;
use std::collections::HashMap;
use std::net::Ipv4Addr;

use anyhow::{Context, Result};
use coop_fs::RootSource;
use coop_launcher::Journal;
use coop_launcher::store::{ContainerId, Name, StackName, State};
use coop_net::{LeaseRequest, NetworkSpec};
use coop_ns::IdMaps;
use serde::{Deserialize, Serialize};

use crate::host::Host;
use crate::plan::{Connection, ContainerPlan, Draft, NetworkOptions, StackPlan};

/// The stack's journal: what planning leases.
pub(crate) const PLANNING: &str = "planning";

/// What to give back when no container came of it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Planned {
    /// The containers.
    pub containers: Vec<PlannedContainer>,
    /// The networks that they lease addresses of.
    pub networks: Vec<String>,
}

/// A container that is about to be.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct PlannedContainer {
    /// Its id, by which it leases.
    pub id: ContainerId,
    /// Volumes that are its own.
    pub volumes: Vec<String>,
}

/// Makes the containers of a plan on disk. `neighbours` are the stack's containers that exist
/// already. The caller holds the stack's lock.
pub(crate) fn realize(
    host: &Host,
    plan: StackPlan,
    neighbours: &[ContainerPlan],
) -> Result<Vec<ContainerPlan>> {
    let StackPlan {
        name: stack,
        drafts,
    } = plan;
    let containers = drafts.iter().map(|draft| PlannedContainer {
        id: draft.plan.unit.id.clone(),
        volumes: draft.plan.anonymous_volumes.clone(),
    });
    let planned = Planned {
        containers: containers.collect(),
        networks: networks_of(&drafts),
    };
    let dir = host.store.dirs().stack_run(&stack);
    fault("begin")?;
    Journal::open(dir.join(PLANNING))?.record(PLANNING, &planned)?;
    let result = lease_and_save(host, &stack, drafts, neighbours);
    if result.is_err() && give_back(host, &planned) {
        // Otherwise the next command that looks at the stack tries again.
        let _ = std::fs::remove_file(dir.join(PLANNING));
    }
    result
}

/// A point at which a test can stop the planning.
fn fault(step: &str) -> Result<()> {
    coop_launcher::fault::point(PLANNING, step).map_err(anyhow::Error::from_boxed)
}

fn networks_of(drafts: &[Draft]) -> Vec<String> {
    let mut networks: Vec<_> = drafts
        .iter()
        .filter_map(|draft| match &draft.plan.network {
            Connection::Bridge { network, .. } => Some(network.clone()),
            _ => None,
        })
        .collect();
    networks.sort();
    networks.dedup();
    networks
}

fn lease_and_save(
    host: &Host,
    stack: &StackName,
    mut drafts: Vec<Draft>,
    neighbours: &[ContainerPlan],
) -> Result<Vec<ContainerPlan>> {
    for draft in &mut drafts {
        let id = draft.plan.unit.id.as_str();
        let range = if let Some(other) = draft.plan.joined.get(&coop_ns::Namespace::User) {
            Some(host.ids()?.share(id, other.id.as_str()))
        } else if draft.plan.namespaces.contains(coop_ns::Namespaces::USER) {
            Some(host.ids()?.lease(id))
        } else {
            None
        };
        if let Some(range) = range {
            let range = range.context("lease a range of user ids")?;
            draft.plan.id_maps = Some(IdMaps::single_range(range.start, range.count));
        }
    }
    fault("ids")?;
    lease_addresses(host, &mut drafts)?;
    fault("addresses")?;
    for draft in &drafts {
        make_sources(host, draft).with_context(|| draft.plan.unit.name.clone())?;
        fault("sources")?;
        save(host, stack, &draft.plan).with_context(|| draft.plan.unit.name.clone())?;
        fault("save")?;
    }
    let plans: Vec<_> = drafts.into_iter().map(|draft| draft.plan).collect();
    let all: Vec<_> = plans.iter().chain(neighbours).collect();
    for plan in &plans {
        crate::files::write(host, plan, &all).with_context(|| plan.unit.name.clone())?;
    }
    for plan in neighbours {
        crate::files::write_hosts(host, plan, &all).with_context(|| plan.unit.name.clone())?;
    }
    Ok(plans)
}

/// One lease call for each network, for all of its containers.
fn lease_addresses(host: &Host, drafts: &mut [Draft]) -> Result<()> {
    let mut requests: HashMap<String, (NetworkSpec, Vec<LeaseRequest>)> = HashMap::new();
    for draft in drafts.iter() {
        if let Connection::Bridge {
            network,
            options,
            names,
            ports,
            ..
        } = &draft.plan.network
        {
            requests
                .entry(network.clone())
                .or_insert_with(|| (spec(host, network, options), Vec::new()))
                .1
                .push(LeaseRequest {
                    container: draft.plan.unit.id.to_string(),
                    names: names.clone(),
                    ports: ports.clone(),
                    address: None,
                });
        }
    }
    for (network, (spec, requests)) in requests {
        let leases = host
            .networks
            .lease(&spec, &requests)
            .with_context(|| format!("lease addresses of network {network}"))?;
        for lease in leases {
            let of = |draft: &&mut Draft| *draft.plan.unit.id.as_str() == *lease.container;
            if let Some(draft) = drafts.iter_mut().find(of)
                && let Connection::Bridge { lease: slot, .. } = &mut draft.plan.network
            {
                *slot = Some(lease);
            }
        }
    }
    Ok(())
}

/// What a network is asked to be: an external one is as it is.
fn spec(host: &Host, network: &str, options: &NetworkOptions) -> NetworkSpec {
    let mut spec = options.spec(network);
    if options.external
        && let Ok(Some(existing)) = host.networks.get(network)
    {
        spec.internal = existing.internal;
        spec.mtu = existing.mtu;
    }
    spec
}

/// Puts the addresses of a network's containers on record again, the same as their plans have
/// them: after a reboot, which takes the record. All of them, so that the rules are complete
/// before the first one starts.
pub(crate) fn lease_again(host: &Host, network: &str) -> Result<()> {
    let (mut leases, mut asked) = (Vec::new(), None);
    for id in host.store.ids()? {
        // Another version's plan cannot be started either.
        if let Ok(plan) = host.store.load_config::<ContainerPlan>(&id)
            && let Connection::Bridge {
                network: own,
                options,
                lease: Some(lease),
                ..
            } = plan.network
            && own == network
        {
            asked.get_or_insert_with(|| options.spec(network));
            leases.push(lease);
        }
    }
    let (Some(first), Some(asked)) = (leases.first(), asked) else {
        return Ok(());
    };
    let spec = NetworkSpec {
        subnet: Some(first.subnet()),
        internal: first.internal,
        mtu: first.mtu,
        ..asked
    };
    let requests: Vec<_> = leases
        .iter()
        .map(|lease| LeaseRequest {
            container: lease.container.clone(),
            names: lease.names.clone(),
            ports: lease.ports.clone(),
            address: Some(lease.address),
        })
        .collect();
    fault("again")?;
    host.networks.lease(&spec, &requests).with_context(|| {
        format!("give the containers of network {network} the addresses that they had")
    })?;
    Ok(())
}

/// Host directories and volumes that the container mounts.
fn make_sources(host: &Host, draft: &Draft) -> Result<()> {
    crate::grants::leave(&draft.texts)?;
    for directory in &draft.host_directories {
        std::fs::create_dir_all(directory)
            .with_context(|| format!("make {} for a bind mount", directory.display()))?;
    }
    for used in &draft.volumes {
        if used.external && !host.volumes.path(&used.name)?.exists() {
            anyhow::bail!("external volume {} does not exist", used.name);
        }
        if !used.labels.is_empty() && !used.external {
            host.volumes.create_labelled(&used.name, &used.labels)?;
        }
        match &draft.plan.root {
            RootSource::Overlay(overlay) if used.copy => {
                host.volumes
                    .populate(&used.name, &overlay.lowers, &used.target)?;
            }
            _ => drop(host.volumes.create(&used.name)?),
        }
    }
    Ok(())
}

fn save(host: &Host, stack: &StackName, plan: &ContainerPlan) -> Result<()> {
    let name = Name::parse(&plan.unit.name)?;
    let mut state = State::new(
        plan.unit.id.clone(),
        name,
        stack.clone(),
        plan.image.clone(),
    );
    state.service.clone_from(&plan.service);
    state.command.clone_from(&plan.process.argv);
    host.store.create(&state, plan)?;
    if let RootSource::Overlay(overlay) = &plan.root {
        let (uid, gid) = mapped_root(plan);
        coop_fs::prepare_upper(overlay, uid, gid)?;
    }
    Ok(())
}

/// The container's root, as the host sees it.
pub(crate) fn mapped_root(plan: &ContainerPlan) -> (u32, u32) {
    match &plan.id_maps {
        Some(maps) => (maps.host_uid(0).unwrap_or(0), maps.host_gid(0).unwrap_or(0)),
        None => (0, 0),
    }
}

/// Gives back what was leased and made for containers that are not to be. Says whether
/// nothing of it is left.
pub(crate) fn give_back(host: &Host, planned: &Planned) -> bool {
    let clean = Cell::new(true);
    for PlannedContainer { id, volumes } in &planned.containers {
        let warn = |what: &str, error: &dyn std::fmt::Display| {
            log::warn!("{}: {what}: {error}", id.short());
            clean.set(false);
        };
        for network in &planned.networks {
            if let Err(error) = host.networks.release(network, id.as_str()) {
                warn("release address", &error);
            }
        }
        if let Err(error) = host.ids().and_then(|ids| Ok(ids.release(id.as_str())?)) {
            warn("release ids", &error);
        }
        for volume in volumes {
            if let Err(error) = host.volumes.remove(volume) {
                warn("remove volume", &error);
            }
        }
        if let Err(error) = remove_directories(host, id) {
            warn("remove files", &error);
        }
    }
    clean.get()
}

/// Removes a container that has ended, with all that it was given.
pub(crate) fn remove_container(host: &Host, plan: &ContainerPlan) -> Result<()> {
    for volume in &plan.anonymous_volumes {
        host.volumes.remove(volume)?;
    }
    remove_container_but_volumes(host, plan)
}

/// As [`remove_container`], but its anonymous volumes stay.
pub(crate) fn remove_container_but_volumes(host: &Host, plan: &ContainerPlan) -> Result<()> {
    let id = &plan.unit.id;
    if let Connection::Bridge { network, .. } = &plan.network {
        host.networks.release(network, id.as_str())?;
    }
    remove_directories(host, id)?;
    // Last: nobody else may get these ids while a file of theirs is left.
    host.ids()?.release(id.as_str())?;
    Ok(())
}

fn remove_directories(host: &Host, id: &ContainerId) -> Result<()> {
    let dir = host.store.dirs().container(id);
    crate::grants::remove(host.store.dirs(), id)?;
    coop_fs::remove_tree(&dir.join("upper"))?;
    coop_fs::remove_tree(&dir.join("work"))?;
    host.store.remove(id)?;
    Ok(())
}

/// The container's address, when it has one.
pub(crate) fn address(plan: &ContainerPlan) -> Option<Ipv4Addr> {
    match &plan.network {
        Connection::Bridge { lease, .. } => lease.as_ref().map(|lease| lease.address),
        _ => None,
    }
}
