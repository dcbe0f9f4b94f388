//! cgroup v1: a hierarchy per controller, several joined by each process.

mod devices;
mod freezer;
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
use crate::kill::kill_listed;
use crate::path::CgroupPath;
use crate::tree::{self, Emptier};
use crate::wait::Backoff;

/// One mounted hierarchy and the directory in it below which groups are made.
#[derive(Debug, Clone)]
pub(crate) struct Mounted {
    pub(crate) controllers: Controllers,
    pub(crate) base: PathBuf,
}

/// The hierarchies, the freezer's first: whatever is in any of them is in the freezer's,
/// which a kill relies on.
#[derive(Debug)]
pub(crate) struct Tree {
    pub(crate) version: Version,
    mounted: Vec<Mounted>,
}

/// Hierarchies that have none but these controllers are joined only when a limit asks for
/// them. The others serve statistics, freeze and kill, or (cpu) keep a container with many
/// threads from outweighing one with few.
const ON_REQUEST: [Controller; 3] = [Controller::Cpuset, Controller::Devices, Controller::Hugetlb];

impl Tree {
    pub(crate) fn new(version: Version, mut mounted: Vec<Mounted>) -> Self {
        mounted.sort_by_key(|mounted| !mounted.controllers.contains(Controller::Freezer));
        Self { version, mounted }
    }

    pub(crate) fn controllers(&self) -> Controllers {
        self.mounted.iter().fold(Controllers::NONE, |all, mounted| {
            all.union(mounted.controllers)
        })
    }

    pub(crate) fn bases(&self) -> impl Iterator<Item = &Path> {
        self.mounted.iter().map(|mounted| mounted.base.as_path())
    }

    pub(crate) fn create(&self, path: &CgroupPath) -> Result<Group, Error> {
        let mut group = Group::new(path, &self.mounted);
        let on_request: Controllers = ON_REQUEST.into_iter().collect();
        for mounted in &self.mounted {
            if !on_request.contains_all(mounted.controllers) {
                group.join(mounted)?;
            }
        }
        Ok(group)
    }

    pub(crate) fn open(&self, path: &CgroupPath) -> Result<Group, Error> {
        let mut group = Group::new(path, &self.mounted);
        let mut missing = None;
        for mounted in &self.mounted {
            match Dir::open(&mounted.base.join(path.as_str())) {
                Ok(dir) => group.push(mounted.controllers, dir),
                Err(error) if error.errno() == Some(Errno::NOENT) => missing = Some(error),
                Err(error) => return Err(error),
            }
        }
        match missing {
            Some(error) if group.is_empty() => Err(error),
            _ => Ok(group),
        }
    }

    pub(crate) fn oom_kill_count(&self, path: &CgroupPath) -> Result<u64, Error> {
        let counts = |mounted: &&Mounted| mounted.controllers.contains(Controller::Memory);
        let Some(mounted) = self.mounted.iter().find(counts) else {
            return Ok(0);
        };
        stats::oom_kill_count(&Dir::open(&mounted.base.join(path.as_str()))?)
    }

    pub(crate) fn remove_leaf(&self, path: &CgroupPath) -> Result<(), Error> {
        for mounted in &self.mounted {
            let freezer = mounted.controllers.contains(Controller::Freezer);
            let emptier: &dyn Emptier = if freezer { &Frozen } else { &Listed };
            tree::remove_leaf(&mounted.base, path, emptier)?;
        }
        Ok(())
    }
}

/// Makes a group's directory in one hierarchy, ready for processes.
fn make(mounted: &Mounted, path: &CgroupPath) -> Result<Dir, Error> {
    let cpuset = mounted.controllers.contains(Controller::Cpuset);
    tree::make(&mounted.base, path, &mut |made| {
        if cpuset { inherit_cpuset(made) } else { Ok(()) }
    })
}

// A new cpuset has no CPUs and no memory nodes, and takes no process until it has both.
fn inherit_cpuset(made: &Path) -> Result<(), Error> {
    let Some(parent) = made.parent() else {
        return Ok(());
    };
    let (parent, made) = (Dir::open(parent)?, Dir::open(made)?);
    for file in ["cpuset.cpus", "cpuset.mems"] {
        made.write(file, parent.read(file)?.trim())?;
    }
    Ok(())
}

/// Empties a group of the freezer's hierarchy.
struct Frozen;

impl Emptier for Frozen {
    fn kill(&self, dir: &Dir) -> Result<(), Error> {
        freezer::kill(dir)
    }

    fn wait(&self, _: &Dir, backoff: &mut Backoff) -> bool {
        backoff.pause()
    }
}

/// Empties a group of another hierarchy, in which somebody is only if the freezer has none
/// mounted.
struct Listed;

impl Emptier for Listed {
    fn kill(&self, dir: &Dir) -> Result<(), Error> {
        kill_listed(dir)
    }

    fn wait(&self, _: &Dir, backoff: &mut Backoff) -> bool {
        backoff.pause()
    }
}
