//! The networks and volumes that an `up` makes.

use std::collections::BTreeSet;

use anyhow::Result;

use crate::host::Host;
use crate::plan::StackPlan;
use crate::ui::Progress;

/// Those that a plan needs and that are not there.
pub(super) struct Missing {
    networks: BTreeSet<String>,
    volumes: BTreeSet<String>,
}

impl Missing {
    /// Looks before anything of the plan is made.
    pub(super) fn find(host: &Host, plan: &StackPlan) -> Result<Self> {
        let mut missing = Self {
            networks: BTreeSet::new(),
            volumes: BTreeSet::new(),
        };
        for draft in &plan.drafts {
            for network in draft.plan.network.networks() {
                if !missing.networks.contains(network) && host.networks.get(network)?.is_none() {
                    missing.networks.insert(network.to_owned());
                }
            }
            let own = &draft.plan.anonymous_volumes;
            let names = draft.volumes.iter().map(|volume| &volume.name);
            for volume in names.filter(|volume| !own.contains(volume)) {
                if !host.volumes.path(volume)?.exists() {
                    missing.volumes.insert(volume.clone());
                }
            }
        }
        Ok(missing)
    }

    /// Says that they were made.
    pub(super) fn tell(&self, progress: &mut Progress) {
        for network in &self.networks {
            progress.line("Network", network, "Created");
        }
        for volume in &self.volumes {
            progress.line("Volume", volume, "Created");
        }
    }
}
