//! Containers that go.

use anyhow::{Context, Result};
use coop_launcher::store::{ContainerId, Lock, StackName, StoreError};
use coop_launcher::supervisor;

use super::keeper;
use crate::host::Host;
use crate::plan::ContainerPlan;
use crate::realize;
use crate::wire::Wires;

/// Removes a container that does not run, with its anonymous volumes.
pub(crate) fn remove(host: &Host, id: &ContainerId) -> Result<()> {
    remove_by(host, id, realize::remove_container)
}

/// Removes containers of a stack that do not run, with their anonymous volumes, many at a time.
/// `removed` hears of each of them.
pub(crate) fn remove_several(
    host: &Host,
    ids: &[ContainerId],
    mut removed: impl FnMut(&ContainerPlan),
) -> Result<()> {
    /// So many are locked at a time.
    const PART: usize = 64;
    for part in ids.chunks(PART) {
        let (mut locks, mut plans, mut busy) = (Vec::new(), Vec::new(), Vec::new());
        for id in part {
            match host.store.try_lock(id) {
                Ok(Some(lock)) => locks.push(lock),
                // To wait with others locked could be forever.
                Ok(None) => {
                    busy.push(id);
                    continue;
                }
                Err(StoreError::Gone { .. }) => continue,
                Err(error) => return Err(error.into()),
            }
            plans.push(host.store.load_config::<ContainerPlan>(id)?);
        }
        for plan in &plans {
            supervisor::undo_run(&host.store, &Wires::new(host), &plan.unit.id)
                .with_context(|| format!("remove container {}", plan.unit.name))?;
        }
        realize::remove_containers(host, &plans)?;
        drop(locks);
        if let Some(plan) = plans.first() {
            forget_stack(host, &plan.stack)?;
        }
        plans.iter().for_each(&mut removed);
        for id in busy {
            let plan = host.store.load_config::<ContainerPlan>(id);
            remove(host, id)?;
            plan.iter().for_each(&mut removed);
        }
    }
    Ok(())
}

/// As [`remove`], but its anonymous volumes stay.
pub(crate) fn remove_but_volumes(host: &Host, id: &ContainerId) -> Result<()> {
    remove_by(host, id, realize::remove_container_but_volumes)
}

/// Goes on with a removal that was killed. Nobody remembers whether its anonymous volumes were
/// to go: they stay, but for those of a container that goes with its end.
pub(super) fn go_on(host: &Host, id: &ContainerId) -> Result<()> {
    let lock = match host.store.try_lock(id) {
        // Another command is at it.
        Ok(None) | Err(StoreError::Gone { .. }) => return Ok(()),
        Ok(Some(lock)) => lock,
        Err(error) => return Err(error.into()),
    };
    let plan: ContainerPlan = host.store.load_config(id)?;
    let remove = if plan.remove_at_exit {
        realize::remove_container
    } else {
        realize::remove_container_but_volumes
    };
    remove_locked(host, &plan, remove, lock)
}

fn remove_by(
    host: &Host,
    id: &ContainerId,
    remove: fn(&Host, &ContainerPlan) -> Result<()>,
) -> Result<()> {
    let lock = match host.store.lock(id) {
        // Another command was quicker.
        Err(StoreError::Gone { .. }) => return Ok(()),
        lock => lock?,
    };
    let plan: ContainerPlan = host.store.load_config(id)?;
    remove_locked(host, &plan, remove, lock)
}

fn remove_locked(
    host: &Host,
    plan: &ContainerPlan,
    remove: fn(&Host, &ContainerPlan) -> Result<()>,
    lock: Lock,
) -> Result<()> {
    // There is a journal still when something could not be undone at the container's end.
    supervisor::undo_run(&host.store, &Wires::new(host), &plan.unit.id)?;
    remove(host, plan)?;
    drop(lock);
    forget_stack(host, &plan.stack)
}

/// What is left of a supervisor that could not undo everything goes, too.
fn forget_stack(host: &Host, stack: &StackName) -> Result<()> {
    let nobody = host.store.supervisor(stack)?.is_none();
    if nobody && host.store.dirs().stack_run(stack).exists() {
        drop(keeper(host, stack)?);
    }
    Ok(())
}
