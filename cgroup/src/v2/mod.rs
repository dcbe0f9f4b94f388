//! cgroup v2: one unified hierarchy.
//!
//! See the kernel's [documentation](https://docs.kernel.org/admin-guide/cgroup-v2.html).

mod group;
mod plan;
mod stats;

use std::path::{Path, PathBuf};

use rustix::io::Errno;

pub(crate) use self::group::Group;
use crate::controller::{Controller, Controllers};
use crate::dir::Dir;
use crate::error::Error;
use crate::hierarchy::Version;
use crate::path::CgroupPath;
use crate::tree::{self, Emptier};
use crate::wait::Backoff;

/// The hierarchy, or the part of it that is ours.
#[derive(Debug, Clone)]
pub(crate) struct Tree {
    pub(crate) base: PathBuf,
    /// What `base` may hand down.
    pub(crate) available: Controllers,
}

/// Enabled for every group: limits and statistics of these are wanted for all. The others
/// cost something on every context switch or page fault, and wait until they are asked for.
const ALWAYS: [Controller; 4] = [
    Controller::Cpu,
    Controller::Memory,
    Controller::Pids,
    Controller::Io,
];

impl Tree {
    pub(crate) fn new(base: PathBuf) -> Result<Self, Error> {
        let available = controllers(&Dir::open(&base)?, "cgroup.controllers")?;
        Ok(Self { base, available })
    }

    pub(crate) fn create(&self, path: &CgroupPath) -> Result<Group, Error> {
        let dir = tree::make(&self.base, path, &mut |_| Ok(()))?;
        let wanted: Controllers = ALWAYS.into_iter().collect();
        let wanted = wanted.intersection(self.available);
        let mut enabled = controllers(&dir, "cgroup.controllers")?;
        // Mostly a container is not the first of its stack, and its parents hand down all.
        if !enabled.contains_all(wanted) {
            // One at a time, and no error yet: the group is of use without a controller for
            // which no limit is set. `directory` tries again and says what is wrong.
            for controller in wanted.difference(enabled).iter() {
                if let Err(error) = self.hand_down(path, controller) {
                    log::debug!("{error}");
                }
            }
            enabled = controllers(&dir, "cgroup.controllers")?;
        }
        Ok(Group::new(self.clone(), path, dir, enabled))
    }

    pub(crate) fn open(&self, path: &CgroupPath) -> Result<Group, Error> {
        let dir = Dir::open(&self.base.join(path.as_str()))?;
        let enabled = controllers(&dir, "cgroup.controllers")?;
        Ok(Group::new(self.clone(), path, dir, enabled))
    }

    /// Makes `controller` available in the group at `path`: every group above it, from the
    /// base down, must enable it for its children.
    fn hand_down(&self, path: &CgroupPath, controller: Controller) -> Result<(), Error> {
        let above: Vec<&str> = path.ancestors().skip(1).collect();
        let above = above.into_iter().rev().map(|part| self.base.join(part));
        for here in std::iter::once(self.base.clone()).chain(above) {
            enable(&here, controller)?;
        }
        Ok(())
    }

    pub(crate) fn remove_leaf(&self, path: &CgroupPath) -> Result<(), Error> {
        tree::remove_leaf(&self.base, path, &Unified)
    }
}

fn enable(here: &Path, controller: Controller) -> Result<(), Error> {
    let dir = Dir::open(here)?;
    if controllers(&dir, "cgroup.subtree_control")?.contains(controller) {
        return Ok(());
    }
    let value = format!("+{}", controller.name(Version::V2));
    dir.put("cgroup.subtree_control", &value)
        .map_err(|source| match source {
            Errno::BUSY => Error::InternalProcesses {
                path: here.to_owned(),
                controllers: value,
                source,
            },
            source => Error::Write {
                path: here.join("cgroup.subtree_control"),
                value,
                source,
            },
        })
}

fn controllers(dir: &Dir, file: &str) -> Result<Controllers, Error> {
    Ok(Controllers::parse(&dir.read(file)?, ' '))
}

struct Unified;

impl Emptier for Unified {
    fn kill(&self, dir: &Dir) -> Result<(), Error> {
        group::kill(dir)
    }

    fn wait(&self, dir: &Dir, backoff: &mut Backoff) -> bool {
        // Any answer will do: the next attempt to remove it tells.
        !matches!(
            group::wait_for(dir, "populated 0", backoff),
            Ok(group::Waited::OutOfPatience)
        )
    }
}
