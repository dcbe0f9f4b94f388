//! Who uses what: containers, running or not, of volumes and layers.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Result;
use coop_fs::{Mount, RootSource};
use coop_launcher::store::{ContainerId, State};

use crate::host::Host;
use crate::plan::ContainerPlan;

/// The containers that use each volume.
#[derive(Debug, Default)]
pub(crate) struct VolumeUsers {
    by_volume: BTreeMap<String, Vec<State>>,
    /// Containers whose plan cannot be read: they may use anything.
    unknown: Vec<ContainerId>,
}

impl VolumeUsers {
    /// Looks at every container's plan.
    pub(crate) fn find(host: &Host) -> Result<Self> {
        let mut users = Self::default();
        for state in host.store.list()? {
            match host.store.load_config::<ContainerPlan>(&state.id) {
                Ok(plan) => {
                    for volume in volumes_of(host, &plan) {
                        users
                            .by_volume
                            .entry(volume)
                            .or_default()
                            .push(state.clone());
                    }
                }
                Err(coop_launcher::store::StoreError::Gone { .. }) => {}
                Err(_) => users.unknown.push(state.id),
            }
        }
        Ok(users)
    }

    /// Those of one volume.
    pub(crate) fn of(&self, volume: &str) -> &[State] {
        self.by_volume.get(volume).map_or(&[], Vec::as_slice)
    }

    /// Whether nobody can be using it.
    pub(crate) fn is_free(&self, volume: &str) -> bool {
        self.of(volume).is_empty() && self.unknown.is_empty()
    }
}

/// The volumes that a container has, named and anonymous.
pub(crate) fn volumes_of(host: &Host, plan: &ContainerPlan) -> Vec<String> {
    let mut volumes = plan.anonymous_volumes.clone();
    for mount in &plan.mounts {
        if let Mount::Bind { source, .. } = mount
            && let Some(volume) = volume_at(host, source)
        {
            volumes.push(volume);
        }
    }
    volumes.sort();
    volumes.dedup();
    volumes
}

fn volume_at(host: &Host, source: &Path) -> Option<String> {
    let below = source.strip_prefix(host.volumes.dir()).ok()?;
    Some(below.iter().next()?.to_str()?.to_owned())
}

/// The layers that a container's root is made of.
pub(crate) fn layers_of(plan: &ContainerPlan) -> &[PathBuf] {
    match &plan.root {
        RootSource::Overlay(overlay) => &overlay.lowers,
        RootSource::Bind { .. } => &[],
    }
}
