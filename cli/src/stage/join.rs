//! Entering a container that runs: `exec` and health checks.

use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;

use coop_cgroup::{Cgroup, Entrance};
use coop_launcher::{BoxError, ChildSide, Prepare, Stage};
use coop_ns::{Namespaces, privileges};

/// The namespaces and the cgroup of a running container.
pub(crate) struct Join {
    init: Rc<OwnedFd>,
    namespaces: Namespaces,
    /// None for a process that only looks: it works for the host, also when the container is
    /// frozen. None, too, where the container has none.
    cgroup: Option<Cgroup>,
    entrance: Option<Entrance>,
}

impl Join {
    /// Joins these namespaces of the process behind `init`, and its container's cgroup.
    pub(crate) fn new(init: OwnedFd, namespaces: Namespaces, cgroup: Option<Cgroup>) -> Self {
        Self {
            init: Rc::new(init),
            namespaces,
            cgroup,
            entrance: None,
        }
    }

    /// Joins only what decides how files look, and stays in the host's cgroup.
    pub(crate) fn files(init: OwnedFd, namespaces: Namespaces) -> Self {
        Self {
            init: Rc::new(init),
            namespaces: namespaces & (Namespaces::MOUNT | Namespaces::USER),
            cgroup: None,
            entrance: None,
        }
    }
}

impl Stage for Join {
    fn name(&self) -> &'static str {
        "join"
    }

    fn prepare(&mut self, launch: &mut Prepare<'_>) -> Result<(), BoxError> {
        if self.namespaces.contains(Namespaces::PID) {
            launch.in_pid_namespace_of(Rc::clone(&self.init));
        }
        let Some(cgroup) = &self.cgroup else {
            return Ok(());
        };
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
        coop_ns::join(self.init.as_fd(), self.namespaces - Namespaces::PID)?;
        if self.namespaces.contains(Namespaces::USER) {
            privileges::set_user(0, 0, &[])?;
            privileges::set_not_dumpable()?;
        }
        Ok(())
    }
}
