//! The container's cgroup: limits before anything runs in it, its own view of the tree.

use std::rc::Rc;

use coop_cgroup::{CgroupPath, Entrance, Hierarchy, Limits};
use coop_launcher::{BoxError, ChildSide, Prepare, Stage};
use coop_ns::Namespaces;
use serde::{Deserialize, Serialize};

/// See the module.
pub(crate) struct Cgroup {
    hierarchy: Hierarchy,
    path: CgroupPath,
    limits: Limits,
    entrance: Option<Entrance>,
}

/// The cgroup to remove, in every hierarchy.
#[derive(Debug, Serialize, Deserialize)]
struct Undo {
    path: CgroupPath,
}

impl Cgroup {
    pub(crate) fn new(hierarchy: &Hierarchy, path: &CgroupPath, limits: &Limits) -> Self {
        Self {
            hierarchy: hierarchy.clone(),
            path: path.clone(),
            limits: limits.clone(),
            entrance: None,
        }
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

    fn prepare(&mut self, launch: &mut Prepare<'_>) -> Result<(), BoxError> {
        launch.record(&Undo {
            path: self.path.clone(),
        })?;
        log::info!("creating cgroup {}", self.path);
        let mut cgroup = self.hierarchy.create(&self.path)?;
        cgroup.apply(&self.limits)?;
        match cgroup.clone_into() {
            Some(fd) => launch.born_in(Rc::new(fd.try_clone_to_owned()?)),
            None => self.entrance = Some(cgroup.entrance()?),
        }
        Ok(())
    }

    fn enter(&mut self, _child: &mut ChildSide<'_>) -> Result<(), BoxError> {
        if let Some(entrance) = &self.entrance {
            entrance.enter()?;
        }
        // Only now: the namespace's root is where its maker is.
        Ok(coop_ns::unshare(Namespaces::CGROUP)?)
    }
}
