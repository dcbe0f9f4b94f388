//! cgroup v2: one unified hierarchy.
//!
//! See the kernel's [documentation](https://docs.kernel.org/admin-guide/cgroup-v2.html).

mod group;
mod plan;
mod stats;

use std::path::PathBuf;

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
    occupants: Occupants,
}

/// What becomes of processes at the top of the tree, where v2 allows none beside controllers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Occupants {
    /// They are somebody else's: an error.
    Stay,
    /// They are moved to a leaf.
    MoveAside,
}

/// The leaf for those who were at the top.
const LEAF: &str = "coop-commands";

/// So often is the list of those at the top read again: they may fork meanwhile.
const ROUNDS: usize = 20;

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
        Ok(Self {
            base,
            available,
            occupants: Occupants::Stay,
        })
    }

    pub(crate) fn moving_aside(self) -> Self {
        Self {
            occupants: Occupants::MoveAside,
            ..self
        }
    }

    pub(crate) fn create(&self, path: &CgroupPath) -> Result<Group, Error> {
        let dir = tree::make(&self.base, path, &mut |_| Ok(()))?;
        let wanted: Controllers = ALWAYS.into_iter().collect();
        let wanted = wanted.intersection(self.available);
        let mut enabled = controllers(&dir, "cgroup.controllers")?;
        // Mostly a container is not the first of its stack, and its parents hand down all.
        if !enabled.contains_all(wanted) {
            // No error yet: the group is of use without a controller for which no limit is
            // set. `Group::directory` tries again and says what is wrong.
            if let Err(error) = self.hand_down(path, wanted) {
                log::debug!("{error}");
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

    /// Makes `wanted` available in the group at `path`: every group above it, from the base
    /// down, must enable them for its children.
    fn hand_down(&self, path: &CgroupPath, wanted: Controllers) -> Result<(), Error> {
        let above: Vec<&str> = path.ancestors().skip(1).collect();
        let top = Dir::open(&self.base)?;
        if self.occupants == Occupants::MoveAside {
            move_aside(&top)?;
        }
        enable(&top, wanted)?;
        for part in above.into_iter().rev() {
            enable(&Dir::open(&self.base.join(part))?, wanted)?;
        }
        Ok(())
    }

    pub(crate) fn remove_leaf(&self, path: &CgroupPath) -> Result<(), Error> {
        tree::remove_leaf(&self.base, path, &Unified)
    }
}

/// Moves the processes of a group to a leaf of it. Those that cannot be moved are found by
/// [`enable`].
fn move_aside(top: &Dir) -> Result<(), Error> {
    for _ in 0..ROUNDS {
        let occupants = top.own_pids()?;
        if occupants.is_empty() {
            break;
        }
        let leaf = tree::make(top.path(), &CgroupPath::new(LEAF)?, &mut |_| Ok(()))?;
        for pid in occupants {
            match leaf.put("cgroup.procs", &pid.as_raw_nonzero().to_string()) {
                // It has ended.
                Ok(()) | Err(Errno::SRCH) => {}
                Err(source) => {
                    return Err(Error::Add {
                        pid,
                        path: leaf.path().to_owned(),
                        source,
                    });
                }
            }
        }
    }
    Ok(())
}

fn enable(dir: &Dir, wanted: Controllers) -> Result<(), Error> {
    let missing = wanted.difference(controllers(dir, CONTROL)?);
    if missing.is_empty() {
        return Ok(());
    }
    let names = |controllers: Controllers| {
        let names = controllers
            .iter()
            .map(|controller| format!("+{}", controller.name(Version::V2)));
        names.collect::<Vec<_>>().join(" ")
    };
    let refused = |controllers, source| match source {
        Errno::BUSY => Error::InternalProcesses {
            path: dir.path().to_owned(),
            controllers,
            source,
        },
        Errno::ACCESS | Errno::PERM | Errno::ROFS => Error::NotDelegated {
            path: dir.path().to_owned(),
            source,
        },
        source => Error::Write {
            path: dir.path().join(CONTROL),
            value: controllers,
            source,
        },
    };
    // The kernel refuses this for memory and I/O only. Enabling cpu or pids in a group with
    // processes succeeds, and turns the group into a threaded one in whose children no
    // process can be put any more. (The root is exempt, and is the one without a type. A
    // process of another pid namespace is listed as 0 and counts as well.)
    let is_root = dir.read_if_present("cgroup.type")?.is_none();
    if !is_root && !dir.read("cgroup.procs")?.is_empty() {
        return Err(refused(names(missing), Errno::BUSY));
    }
    // One write for all is one walk over the tree. It fails as a whole when one of them is
    // refused (cpu: while there are realtime processes), and then each is tried alone.
    if dir.put(CONTROL, &names(missing)).is_ok() {
        return Ok(());
    }
    let mut result = Ok(());
    for controller in missing.iter() {
        let value = names(Controllers::NONE.with(controller));
        if let Err(source) = dir.put(CONTROL, &value) {
            result = result.and(Err(refused(value, source)));
        }
    }
    result
}

const CONTROL: &str = "cgroup.subtree_control";

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
