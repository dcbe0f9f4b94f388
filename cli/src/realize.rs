//! From a plan to containers on disk: leases, directories, files. Nothing runs yet.
//!
//! Every lease is by container id. The ids are in the stack's own journal before the first
//! lease is made, so that after a `kill -9` the next command gives back what no container
//! came of.

mod addresses;
mod ids;

use std::cell::Cell;
use std::collections::BTreeMap;

use anyhow::{Context, Result};
use coop_fs::RootSource;
use coop_launcher::Journal;
use coop_launcher::store::{ContainerId, Event, Lock, Name, StackName, State, Status};
use serde::{Deserialize, Serialize};

use crate::host::Host;
use crate::plan::{ContainerPlan, Draft, StackPlan};
use crate::volumes;

pub(crate) use addresses::{complete_leases, has_missing_leases, lease_again, lease_one};

/// The stack's journal: what planning leases. Locked by who plans.
pub(crate) use coop_launcher::store::PLANNING;

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

/// Makes the containers of a plan on disk.
pub(crate) fn realize(host: &Host, plan: StackPlan) -> Result<Vec<ContainerPlan>> {
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
    if let Some(network) = planned.networks.first() {
        coop_net::find_tools().with_context(|| {
            format!(
                "network {network}\n  help: or do without a network of its own: \
                 network_mode: none or host (--network)"
            )
        })?;
    }
    let path = host.store.dirs().stack_run(&stack).join(PLANNING);
    fault("begin")?;
    // The stack's lock may be a supervisor's, which can end at any time.
    let _lock = Lock::file(&path)?;
    Journal::open(&path)?.record(PLANNING, &planned)?;
    let result = lease_and_save(host, &stack, drafts);
    // What could not be given back stays on record, for the next command that looks at the
    // stack. What was made tells of itself: its containers are there.
    if result.is_ok() || give_back(host, &planned) {
        let _ = std::fs::remove_file(&path);
    }
    result
}

/// The record of a command that was killed while it planned, locked; none when there is no
/// record, or its command lives.
pub(crate) fn abandoned_planning(host: &Host, stack: &StackName) -> Result<Option<Lock>> {
    let path = host.store.dirs().stack_run(stack).join(PLANNING);
    if !path.exists() {
        return Ok(None);
    }
    Ok(Lock::try_file(&path)?)
}

/// Gives back what a killed command leased and made for containers that it did not complete.
///
/// # Errors
/// When something cannot be given back: it stays on record.
pub(crate) fn finish_planning(host: &Host, record: &Lock) -> Result<()> {
    coop_launcher::journal::unwind(record.path(), |_, record| {
        let mut planned: Planned = serde_json::from_str(record)?;
        let mut half_made = Vec::new();
        planned.containers.retain(|container| {
            let Ok(state) = host.store.load_state(&container.id) else {
                return true;
            };
            if state.is_untouched() {
                half_made.push(container.id.clone());
            }
            false
        });
        for id in half_made {
            remove_container(host, &host.store.load_config(&id)?)?;
        }
        if give_back(host, &planned) {
            Ok(())
        } else {
            Err("not everything could be given back".into())
        }
    })?;
    Ok(())
}

/// A point at which a test can stop the planning.
fn fault(step: &str) -> Result<()> {
    coop_launcher::fault::point(PLANNING, step).map_err(anyhow::Error::from_boxed)
}

fn networks_of(drafts: &[Draft]) -> Vec<String> {
    let mut networks: Vec<_> = drafts
        .iter()
        .flat_map(|draft| draft.plan.network.networks())
        .map(str::to_owned)
        .collect();
    networks.sort();
    networks.dedup();
    networks
}

fn lease_and_save(
    host: &Host,
    stack: &StackName,
    mut drafts: Vec<Draft>,
) -> Result<Vec<ContainerPlan>> {
    ids::lease(host, &mut drafts).context("lease a range of user ids")?;
    fault("ids")?;
    addresses::lease_addresses(host, &mut drafts)?;
    fault("addresses")?;
    for draft in &drafts {
        let uses_volumes = !draft.volumes.is_empty();
        let _lock = uses_volumes.then(|| volumes::lock(host)).transpose()?;
        make_sources(host, draft).with_context(|| draft.plan.unit.name.clone())?;
        fault("sources")?;
        save(host, stack, &draft.plan).with_context(|| draft.plan.unit.name.clone())?;
        fault("save")?;
    }
    let plans: Vec<_> = drafts.into_iter().map(|draft| draft.plan).collect();
    for plan in &plans {
        crate::files::write(host, plan).with_context(|| plan.unit.name.clone())?;
    }
    Ok(plans)
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
        volumes::make(host, &used.name, || {
            if !used.labels.is_empty() && !used.external {
                host.volumes.create_labelled(&used.name, &used.labels)?;
            }
            match &draft.plan.root {
                RootSource::Overlay(overlay) if used.copy => host
                    .volumes
                    .populate(&used.name, &overlay.lowers, &used.target)
                    .map(drop),
                _ => host.volumes.create(&used.name).map(drop),
            }
        })?;
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

/// Gives addresses of a network back, and tells of it when the network went with them.
fn release(host: &Host, network: &str, ids: &[&str]) -> Result<()> {
    let was_there = host.networks.get(network)?.is_some();
    let networks = &host.networks;
    host.place_of_networks_now()?
        .run(|| networks.release_several(network, ids))??;
    if was_there && host.networks.get(network)?.is_none() {
        host.store.emit(&Event::of_network(network, "destroy"));
    }
    Ok(())
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
            if let Err(error) = release(host, network, &[id.as_str()]) {
                warn("release address", &error);
            }
        }
        if let Err(error) = host.ids().and_then(|ids| Ok(ids.release(id.as_str())?)) {
            warn("release ids", &error);
        }
        for volume in volumes {
            if let Err(error) = volumes::remove(host, volume) {
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
    remove_containers(host, std::slice::from_ref(plan))
}

/// As [`remove_container`], but its anonymous volumes stay.
pub(crate) fn remove_container_but_volumes(host: &Host, plan: &ContainerPlan) -> Result<()> {
    remove_containers_but_volumes(host, std::slice::from_ref(plan))
}

/// Removes containers that have ended, with all that they were given.
pub(crate) fn remove_containers(host: &Host, plans: &[ContainerPlan]) -> Result<()> {
    each(plans, |plan| {
        begin_removal(host, plan)?;
        { plan.anonymous_volumes.iter() }.try_for_each(|volume| volumes::remove(host, volume))
    })?;
    remove_containers_but_volumes(host, plans)
}

fn remove_containers_but_volumes(host: &Host, plans: &[ContainerPlan]) -> Result<()> {
    each(plans, |plan| {
        begin_removal(host, plan)?;
        remove_changes(host, &plan.unit.id)
    })?;
    // After the files: meanwhile the kernel takes the links of what has just ended away, by
    // itself and many at a time.
    let mut networks: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for plan in plans {
        for network in plan.network.networks() {
            let ids = networks.entry(network).or_default();
            ids.push(plan.unit.id.as_str());
        }
    }
    for (network, ids) in networks {
        release(host, network, &ids)?;
    }
    each(plans, |plan| Ok(host.store.remove(&plan.unit.id)?))?;
    // Last: nobody else may get these ids while a file of theirs is left.
    let ids: Vec<_> = plans.iter().map(|plan| plan.unit.id.as_str()).collect();
    Ok(host.ids()?.release_several(&ids)?)
}

/// Does something to each of these containers, and says to which one it could not be done. Of a
/// single one the caller tells.
fn each(plans: &[ContainerPlan], mut work: impl FnMut(&ContainerPlan) -> Result<()>) -> Result<()> {
    if let [plan] = plans {
        return work(plan);
    }
    { plans.iter() }.try_for_each(|plan| {
        work(plan).with_context(|| format!("remove container {}", plan.unit.name))
    })
}

/// Writes down that the container goes: after a kill half-way it must not be started again, and
/// the next command goes on. One that goes at its end (`--rm`) and has run need not be marked:
/// [`keeper`](crate::supervise::keeper) takes its end for the mark.
fn begin_removal(host: &Host, plan: &ContainerPlan) -> Result<()> {
    let id = &plan.unit.id;
    match host.store.load_state(id) {
        Ok(state) if plan.remove_at_exit && state.started.is_some() => Ok(()),
        Ok(state) if state.status == Status::Removing => Ok(()),
        Ok(mut state) => {
            state.status = Status::Removing;
            Ok(host.store.save_state(&state)?)
        }
        // Damaged, or gone: there is nothing that could be started.
        Err(_) => Ok(()),
    }
}

fn remove_directories(host: &Host, id: &ContainerId) -> Result<()> {
    remove_changes(host, id)?;
    host.store.remove(id)?;
    Ok(())
}

/// What the container could write to, and what it was given in memory.
fn remove_changes(host: &Host, id: &ContainerId) -> Result<()> {
    let dir = host.store.dirs().container(id);
    crate::grants::remove(host.store.dirs(), id)?;
    coop_fs::remove_tree(&dir.join("upper"))?;
    coop_fs::remove_tree(&dir.join("work"))?;
    Ok(())
}
