//! Containers that go.

use anyhow::Result;
use coop_launcher::store::{ContainerId, Lock, StoreError};
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
    // So does the stack's directory.
    let nobody = host.store.supervisor(&plan.stack)?.is_none();
    if nobody && host.store.dirs().stack_run(&plan.stack).exists() {
        drop(keeper(host, &plan.stack)?);
    }
    Ok(())
}
