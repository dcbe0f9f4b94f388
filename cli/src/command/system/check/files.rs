//! Files that no container, image or volume is the reason for.

use std::collections::BTreeSet;

use anyhow::{Context, Result};
use coop_launcher::store::ContainerId;
use coop_launcher::supervisor;

use super::{Findings, lasting};
use crate::command::check::abandoned_roots;
use crate::host::Host;
use crate::realize::{PLANNING, Planned};
use crate::supervise;
use crate::wire::Wires;

pub(super) fn check(host: &Host, findings: &mut Findings) -> Result<()> {
    orphaned_journals(host, findings)?;
    halves(host, findings)?;
    for id in host.store.ids()? {
        for path in lasting(|| Ok(host.store.abandoned_writes(&id)?))? {
            let wrong = format!("{}: its writer was killed", path.display());
            findings.found(&wrong, "removed", || Ok(std::fs::remove_file(&path)?))?;
        }
    }
    for path in lasting(|| Ok(host.images.unfinished()?))? {
        let wrong = format!("{}: half an image", path.display());
        findings.found(&wrong, "removed", || Ok(host.images.remove_unfinished()?))?;
    }
    for path in lasting(|| Ok(host.volumes.unfinished()?))? {
        let wrong = format!("{}: half a volume", path.display());
        findings.found(&wrong, "removed", || Ok(coop_fs::remove_tree(&path)?))?;
    }
    for path in lasting(|| abandoned_roots(host))? {
        let wrong = format!("{}: of a `coop check` that was killed", path.display());
        findings.found(&wrong, "removed", || Ok(coop_fs::remove_tree(&path)?))?;
    }
    for owner in lasting(|| stale_ids(host))? {
        let wrong = format!("user ids are leased to container {owner}, which does not exist");
        findings.found(&wrong, "given back", || Ok(host.ids()?.release(&owner)?))?;
    }
    Ok(())
}

/// Journals whose container is gone: they say what is left in the kernel, and go before the
/// directories that they are in.
fn orphaned_journals(host: &Host, findings: &mut Findings) -> Result<()> {
    for id in lasting(|| supervise::orphans(host))? {
        let wrong = format!(
            "container {}: it is gone, and has left things in the kernel",
            id.short()
        );
        findings.found(&wrong, "removed", || {
            Ok(supervisor::undo_run(&host.store, &Wires::new(host), &id)?)
        })?;
    }
    Ok(())
}

fn halves(host: &Host, findings: &mut Findings) -> Result<()> {
    let stale = lasting(|| Ok(host.store.stale()?))?;
    for path in stale {
        let what = if path.is_symlink() {
            "a name that no container has"
        } else if path.starts_with(host.store.dirs().containers()) {
            "half a container"
        } else {
            "of a container that does not exist"
        };
        let wrong = format!("{}: {what}", path.display());
        findings.found(&wrong, "removed", || {
            // What a container wrote may be deeper than a plain removal can follow.
            if !path.is_symlink() {
                coop_fs::remove_tree(&path)?;
            }
            host.store.sweep()?;
            Ok(())
        })?;
    }
    Ok(())
}

/// Owners of id ranges that are no container, and none that is being planned.
fn stale_ids(host: &Host) -> Result<Vec<String>> {
    let mut owners: Vec<_> = if host.store.dirs().id_pool().exists() {
        let leases = host.ids()?.leases()?;
        leases.into_iter().map(|lease| lease.owner).collect()
    } else {
        Vec::new()
    };
    // In this order: what is leased is in a plan before, and a container afterwards.
    let planned = planned(host)?;
    owners.retain(|owner| !planned.contains(owner) && !exists(host, owner));
    Ok(owners)
}

/// Whether there is a container of this id.
pub(super) fn exists(host: &Host, id: &str) -> bool {
    ContainerId::parse(id).is_ok_and(|id| host.store.dirs().container(&id).exists())
}

/// The containers that commands are about to make at this moment.
pub(crate) fn planned(host: &Host) -> Result<BTreeSet<String>> {
    let mut ids = BTreeSet::new();
    for stack in host.store.stacks()? {
        let path = host.store.dirs().stack_run(&stack).join(PLANNING);
        let text = match std::fs::read_to_string(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            text => text.with_context(|| format!("read {}", path.display()))?,
        };
        for line in text.lines() {
            let Ok(record) = serde_json::from_str::<serde_json::Value>(line) else {
                continue;
            };
            if let Ok(planned) = serde_json::from_value::<Planned>(record["undo"].clone()) {
                ids.extend(planned.containers.into_iter().map(|it| it.id.to_string()));
            }
        }
    }
    Ok(ids)
}
