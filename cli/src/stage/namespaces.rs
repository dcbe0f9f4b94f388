//! New namespaces, the id maps of the user namespace, the names of the UTS namespace.

use coop_launcher::{BoxError, ChildSide, HostSide, Prepare, Stage, Waiting};
use coop_ns::{IdMaps, hostname, idmap, privileges};

use crate::plan::ContainerPlan;

/// See the module.
pub(crate) struct Namespaces {
    new: coop_ns::Namespaces,
    id_maps: Option<IdMaps>,
    hostname: Option<String>,
}

impl Namespaces {
    pub(crate) fn new(plan: &ContainerPlan) -> Self {
        Self {
            new: plan.namespaces,
            id_maps: plan.id_maps.clone(),
            hostname: plan.hostname.clone(),
        }
    }
}

impl Stage for Namespaces {
    fn name(&self) -> &'static str {
        "namespaces"
    }

    fn host_side(&self) -> HostSide {
        if self.id_maps.is_some() {
            HostSide::Each
        } else {
            HostSide::None
        }
    }

    fn prepare(&mut self, launch: &mut Prepare<'_>) -> Result<(), BoxError> {
        log::info!("creating namespaces: {}", self.new);
        // The cgroup namespace starts at the cgroup that its maker is in, which at the clone
        // is still the launcher's: the child makes it itself, in the cgroup stage.
        launch.new_namespaces(self.new - coop_ns::Namespaces::CGROUP);
        Ok(())
    }

    fn attach(&mut self, child: &mut Waiting) -> Result<(), BoxError> {
        if let Some(maps) = &self.id_maps {
            log::info!("writing id maps");
            idmap::write(child.pid(), maps)?;
        }
        Ok(())
    }

    fn enter(&mut self, _child: &mut ChildSide<'_>) -> Result<(), BoxError> {
        if self.id_maps.is_some() {
            // The host's root is nobody here: become the container's own.
            privileges::set_user(0, 0, &[])?;
            privileges::set_not_dumpable()?;
        }
        if let Some(name) = &self.hostname {
            hostname::set_hostname(name)?;
        }
        Ok(())
    }
}
