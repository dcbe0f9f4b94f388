//! `coop system prune`: what is not in use goes.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use coop_launcher::store::{State, Status};

use super::super::network::prune_networks;
use super::super::ps::mend_all;
use super::super::volume::{Which, print_removed, prune_volumes};
use crate::args::{Filter, SystemPruneArgs};
use crate::host::Host;
use crate::plan::ContainerPlan;
use crate::ui::{confirmed, decimal_size, print};
use crate::{supervise, usage_on_disk, users};

/// `coop system prune`.
pub(super) fn prune(host: &Host, args: &SystemPruneArgs) -> Result<i32> {
    Filter::check(&args.filter, &["label", "until"])?;
    if args.volumes && args.filter.iter().any(|filter| filter.key == "until") {
        anyhow::bail!(
            "the filter until is not for volumes\n  help: leave out --volumes, or the filter"
        );
    }
    if !args.force && !confirmed(&warning(args))? {
        return Ok(1);
    }
    let networks_before = networks(host)?;
    let (containers, mut bytes) = prune_containers(host, &args.filter)?;
    print_removed("Deleted Containers:", &containers)?;
    // Also those that were made to stay; a time says nothing of them.
    let labelled: Vec<_> = { args.filter.iter() }
        .filter(|filter| filter.key == "label")
        .cloned()
        .collect();
    prune_networks(host, &labelled)?;
    let networks_after = networks(host)?;
    let gone: Vec<_> = networks_before
        .difference(&networks_after)
        .cloned()
        .collect();
    print_removed("Deleted Networks:", &gone)?;
    if args.volumes {
        let (volumes, size) = prune_volumes(host, Which::Anonymous, &args.filter)?;
        print_removed("Deleted Volumes:", &volumes)?;
        bytes += size;
    }
    let (images, size) = prune_images(host, args)?;
    print_removed("Deleted Images:", &images)?;
    bytes += size;
    print(&format!("Total reclaimed space: {}\n", decimal_size(bytes)))?;
    Ok(0)
}

fn warning(args: &SystemPruneArgs) -> String {
    let mut lines = vec![
        "WARNING! This will remove:",
        "  - all stopped containers",
        "  - all networks not used by at least one container",
    ];
    if args.volumes {
        lines.push("  - all anonymous volumes not used by at least one container");
    }
    lines.push(if args.all {
        "  - all images without at least one container associated to them"
    } else {
        "  - all dangling images"
    });
    lines.join("\n") + "\n"
}

fn networks(host: &Host) -> Result<BTreeSet<String>> {
    let networks = crate::networks::all(host)?;
    Ok(networks.into_iter().map(|network| network.name).collect())
}

/// Removes containers that do not run; gives their ids and what they held.
pub(crate) fn prune_containers(host: &Host, filters: &[Filter]) -> Result<(Vec<String>, u64)> {
    mend_all(host)?;
    let now = SystemTime::now();
    let (mut ids, mut bytes) = (Vec::new(), 0);
    for state in host.store.list()? {
        let labels = host.store.load_config::<ContainerPlan>(&state.id);
        let labels = labels.map(|plan| plan.labels).unwrap_or_default();
        if !is_stopped(&state)
            || !Filter::labels(filters, &labels)
            || !Filter::until(filters, state.created, now)
        {
            continue;
        }
        let size = usage_on_disk::size(&host.store.dirs().container(&state.id));
        if remove(host, &state)? {
            bytes += size;
            ids.push(state.id.to_string());
        }
    }
    Ok((ids, bytes))
}

fn is_stopped(state: &State) -> bool {
    matches!(state.current_status(), Status::Stopped | Status::Created) && !state.init_alive()
}

/// Removes a container unless it was started meanwhile.
fn remove(host: &Host, state: &State) -> Result<bool> {
    let Ok(current) = host.store.load_state(&state.id) else {
        return Ok(false);
    };
    if !is_stopped(&current) {
        return Ok(false);
    }
    // Its supervisor, if the stack has one, forgets it.
    let ids = std::slice::from_ref(&state.id);
    supervise::stop(host, &state.stack, ids, Some(Duration::ZERO), &mut |_| ())?;
    supervise::remove(host, &state.id)
        .with_context(|| format!("remove container {}", state.name))?;
    Ok(true)
}

/// Removes layers that have no name, and with `--all` images that no container uses.
fn prune_images(host: &Host, args: &SystemPruneArgs) -> Result<(Vec<String>, u64)> {
    let (mut lines, mut bytes) = (Vec::new(), 0);
    let now = SystemTime::now();
    let mut deleted = |lines: &mut Vec<String>, removed: coop_image::Removed| {
        bytes += removed.size;
        let names = removed.layers.iter().filter_map(|layer| layer.file_name());
        lines.extend(names.map(|hex| format!("deleted: sha256:{}", hex.to_string_lossy())));
    };
    let user_of = |layer: &Path| user_of(host, layer);
    if args.all {
        for image in host.images.list()? {
            let created = UNIX_EPOCH + Duration::from_secs(image.created);
            let labels = image.config.labels.clone().into_iter().collect();
            let used = image.layers.iter().any(|layer| user_of(layer).is_some());
            if used
                || !Filter::labels(&args.filter, &labels)
                || !Filter::until(&args.filter, created, now)
            {
                continue;
            }
            match host.images.remove(&image.reference, &user_of) {
                Ok(removed) => {
                    lines.push(format!("untagged: {}", image.reference));
                    deleted(&mut lines, removed);
                }
                // A container was made of it meanwhile, or somebody else removed it.
                Err(coop_image::Error::InUse { .. } | coop_image::Error::NotFound { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
    // What has no name has neither labels nor a time.
    if args.filter.is_empty() {
        deleted(&mut lines, host.images.prune(&user_of)?);
    }
    Ok((lines, bytes))
}

/// The container that has the layer in its root; somebody, when that cannot be told.
fn user_of(host: &Host, layer: &Path) -> Option<String> {
    let ids = match host.store.ids() {
        Ok(ids) => ids,
        Err(error) => return Some(error.to_string()),
    };
    ids.into_iter().find_map(|id| {
        match host.store.load_config::<ContainerPlan>(&id) {
            Ok(plan) => users::layers_of(&plan)
                .iter()
                .any(|own| own == layer)
                .then_some(plan.unit.name),
            Err(coop_launcher::store::StoreError::Gone { .. }) => None,
            // A container of another version may use any layer: it is kept.
            Err(_) => Some(id.short().to_owned()),
        }
    })
}
