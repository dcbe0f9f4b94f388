//! Ranges of user ids for containers.

use anyhow::{Context, Result};
use coop_launcher::store::ContainerId;
use coop_ns::{Namespace, Namespaces, PoolError};

use crate::host::Host;
use crate::plan::{ContainerPlan, Draft, Ids};

/// One lease call for all containers with a user namespace of their own; others share those of
/// the container whose namespace they join.
pub(super) fn lease(host: &Host, drafts: &mut [Draft]) -> Result<()> {
    let has_namespace = |draft: &&mut Draft| {
        let own = draft.plan.own_namespaces();
        own.contains(Namespaces::USER) && !joins_user_ids(&draft.plan)
    };
    let own: Vec<_> = drafts.iter_mut().filter(has_namespace).collect();
    match &host.rootless {
        Some(rootless) => {
            for draft in own {
                draft.plan.id_maps = Some(match &draft.ids {
                    Ids::Named(maps) => maps.clone(),
                    Ids::Own | Ids::Keep(_) => rootless.id_maps(),
                });
            }
        }
        None => lease_own_ids(host, own)?,
    }
    for index in 0..drafts.len() {
        let plan = &drafts[index].plan;
        if let Some(other) = plan.joined.get(&Namespace::User) {
            let found = drafts.iter().find(|it| it.plan.unit.id == other.id);
            let maps = match found {
                Some(draft) => draft.plan.id_maps.clone(),
                None => host.store.load_config::<ContainerPlan>(&other.id)?.id_maps,
            };
            if host.rootless.is_none() {
                let id = plan.unit.id.as_str();
                host.ids()?.share(id, other.id.as_str())?;
            }
            drafts[index].plan.id_maps = maps;
        }
    }
    Ok(())
}

fn joins_user_ids(plan: &ContainerPlan) -> bool {
    plan.joined.contains_key(&Namespace::User)
}

/// Ranges of root's containers.
fn lease_own_ids(host: &Host, drafts: Vec<&mut Draft>) -> Result<()> {
    let (named, ranged): (Vec<_>, Vec<_>) =
        { drafts.into_iter() }.partition(|draft| matches!(draft.ids, Ids::Named(_)));
    for draft in named {
        if let Ids::Named(maps) = &draft.ids {
            let id = draft.plan.unit.id.as_str();
            host.ids()?
                .lease_named(id, &maps.host_ranges())
                .map_err(|error| in_use(host, error))
                .with_context(|| draft.plan.unit.name.clone())?;
            draft.plan.id_maps = Some(maps.clone());
        }
    }
    if !ranged.is_empty() {
        let owners: Vec<_> = ranged.iter().map(|it| it.plan.unit.id.as_str()).collect();
        let ranges = host.ids()?.lease_several(&owners)?;
        for (draft, range) in ranged.into_iter().zip(ranges) {
            draft.plan.id_maps = Some(draft.ids.with_range(range));
        }
    }
    Ok(())
}

/// Whose ids they are, by its name.
fn in_use(host: &Host, error: PoolError) -> anyhow::Error {
    let PoolError::InUse { range, holder } = &error else {
        return error.into();
    };
    let state = { ContainerId::parse(holder).ok() }.and_then(|id| host.store.load_state(&id).ok());
    let Some(state) = state else {
        return error.into();
    };
    let last = range.end() - 1;
    anyhow::anyhow!(
        "ids {} to {last} are container {}'s\n  help: map others, or join it: --network \
         container:{1}",
        range.start,
        state.name
    )
}
