//! The container's cgroup: limits before anything runs in it, its own view of the tree.

use std::rc::Rc;

use coop_cgroup::{CgroupPath, Hierarchy, Limits};
use coop_launcher::{BoxError, ChildSide, HostSide, Prepare, Stage, Waiting};
use serde::{Deserialize, Serialize};

/// See the module.
pub(crate) struct Cgroup {
    hierarchy: Hierarchy,
    path: CgroupPath,
    limits: Limits,
    made: Option<coop_cgroup::Cgroup>,
}

/// The cgroup to remove, in every hierarchy.
#[derive(Debug, Serialize, Deserialize)]
struct Undo {
    path: CgroupPath,
}

impl Cgroup {
    pub(crate) fn new(hierarchy: &Hierarchy, path: &CgroupPath, limits: &Limits) -> Self {
        Self { hierarchy: hierarchy.clone(), path: path.clone(), limits: limits.clone(), made: None }
    }

    /// Ends what is left in the cgroup, and removes it.
    pub(crate) fn undo(hierarchy: &Hierarchy, record: &str) -> Result<(), BoxError> {
        let Undo { path } = serde_json::from_str(record)?;
        Ok(hierarchy.remove(&path)?)
    }
}

impl Stage for Cgroup {
    fn name(&self) -> &'static str {
        "cgroup"
    }

    fn host_side(&self) -> HostSide {
        HostSide::Each
    }

    fn prepare(&mut self, launch: &mut Prepare<'_>) -> Result<(), BoxError> {
        launch.record(&Undo { path: self.path.clone() })?;
        log::info!("creating cgroup {}", self.path);
        let cgroup = self.hierarchy.create(&self.path)?;
        cgroup.apply(&self.limits)?;
        if let Some(fd) = cgroup.clone_into() {
            launch.born_in(Rc::new(fd.try_clone_to_owned()?));
        }
        self.made = Some(cgroup);
        Ok(())
    }

    fn attach(&mut self, child: &mut Waiting) -> Result<(), BoxError> {
        match &self.made {
            Some(cgroup) if cgroup.clone_into().is_none() => Ok(cgroup.add(child.pid())?),
            _ => Ok(()),
        }
    }

    fn enter(&mut self, _child: &mut ChildSide<'_>) -> Result<(), BoxError> {
        Ok(rustix::thread::unshare(rustix::thread::UnshareFlags::NEWCGROUP)?)
    }
}
