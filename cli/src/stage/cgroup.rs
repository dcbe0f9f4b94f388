//! The container's cgroup: limits before anything runs in it, its own view of the tree.

use std::rc::Rc;

use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use anyhow::Result;
use coop_cgroup::{CgroupPath, Entrance, Hierarchy, Limits, Max, Version};
use coop_fs::{Mount, OpenMount};
use coop_launcher::{BoxError, ChildSide, HostSide, MAX_PASSED, Prepare, Stage, Waiting};
use coop_ns::Namespaces;
use serde::{Deserialize, Serialize};

use crate::host::Host;
use crate::plan::ContainerPlan;

/// See the module.
pub(crate) struct Cgroup {
    /// None without cgroups: an ordinary user may have none.
    hierarchy: Option<Hierarchy>,
    /// Where it is written down which part of the hierarchy is an ordinary user's.
    base_record: Option<PathBuf>,
    path: CgroupPath,
    limits: Limits,
    /// Whether its namespace starts at its own cgroup.
    namespace: Namespaces,
    parent: Parent,
    joined: Joined,
}

/// When the child joins it, and how.
enum Joined {
    /// Before anything else: born in it, or by these descriptors.
    First(Option<Entrance>),
    /// With the root filesystem behind it, where these show the cgroups: see
    /// [`Cgroup::is_joined_last`].
    Last(Vec<Mount>, Vec<OpenMount>),
}

/// What becomes of the cgroups above when the container's goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Parent {
    /// Coop's own: they go when they are empty.
    #[default]
    Ours,
    /// Asked for by name: they stay.
    Given,
}

/// The cgroup to remove, in every hierarchy.
#[derive(Debug, Serialize, Deserialize)]
struct Undo {
    path: CgroupPath,
    #[serde(default)]
    parent: Parent,
    /// The part of the unified hierarchy that was delegated to an ordinary user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    base: Option<PathBuf>,
}

impl Cgroup {
    /// The plan's cgroup with its limits.
    pub(crate) fn new(host: &Host, plan: &ContainerPlan) -> Result<Self> {
        let (hierarchy, limits) = host.new_cgroup(plan)?;
        let ordinary_user = host.rootless.is_some();
        let joined = match (hierarchy, shown(plan)) {
            (Some(hierarchy), Some(mount)) if !ordinary_user && may_be_last(hierarchy) => {
                Joined::Last(vec![mount.clone()], Vec::new())
            }
            _ => Joined::First(None),
        };
        Ok(Self {
            joined,
            hierarchy: hierarchy.cloned(),
            base_record: ordinary_user.then(|| host.cgroup_record(&plan.unit.id)),
            path: plan.cgroup.clone(),
            limits,
            namespace: plan.namespaces & Namespaces::CGROUP,
            parent: match plan.cgroup_parent {
                Some(_) => Parent::Given,
                None => Parent::Ours,
            },
        })
    }

    /// Whether its stage comes after the root filesystem's, which is then one
    /// [without cgroups](super::Rootfs::without_cgroups).
    ///
    /// On cgroup v1 it takes a dozen directories, made as slowly as all of the mounts: so the
    /// host makes them while the child mounts. Before `execve` the child is in them all.
    pub(crate) fn is_joined_last(&self) -> bool {
        matches!(self.joined, Joined::Last(..))
    }

    fn create(&self, hierarchy: &Hierarchy) -> Result<coop_cgroup::Cgroup, coop_cgroup::Error> {
        log::info!("creating cgroup {}", self.path);
        let mut cgroup = hierarchy.create(&self.path)?;
        self.apply_limits(&mut cgroup)?;
        Ok(cgroup)
    }

    /// The part of the hierarchy that is an ordinary user's, written down for those who look
    /// for the cgroup: their own part may be another.
    fn record_base(&self) -> Result<Option<PathBuf>> {
        let Some(record) = &self.base_record else {
            return Ok(None);
        };
        let base = self.hierarchy.iter().flat_map(Hierarchy::bases).next();
        match base {
            Some(base) => std::fs::write(record, base.as_os_str().as_bytes())?,
            None => match std::fs::remove_file(record) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(error.into());
                }
                _ => {}
            },
        }
        Ok(base.map(Path::to_owned))
    }

    /// As much swap as memory is what a limit of memory means when nothing is said of swap:
    /// where the kernel does not count swap, the limit of memory holds without.
    fn apply_limits(&self, cgroup: &mut coop_cgroup::Cgroup) -> Result<(), coop_cgroup::Error> {
        let twice = |memory| match memory {
            Max::At(bytes) => Some(Max::At(bytes.saturating_mul(2))),
            Max::Unlimited => None,
        };
        let implied = self.limits.memory_swap.is_some()
            && self.limits.memory_max.and_then(twice) == self.limits.memory_swap;
        if !implied {
            return cgroup.apply(&self.limits);
        }
        cgroup.apply(&Limits {
            memory_swap: None,
            ..self.limits.clone()
        })?;
        let skipped = cgroup.apply_available(&Limits {
            memory_max: self.limits.memory_max,
            memory_swap: self.limits.memory_swap,
            ..Limits::default()
        })?;
        for skipped in skipped {
            log::info!("{}", skipped.reason);
        }
        Ok(())
    }

    /// Ends what is left in the cgroup, and removes it.
    pub(crate) fn undo(host: &Host, record: &str) -> Result<(), BoxError> {
        let Undo { path, parent, base } = serde_json::from_str(record)?;
        let delegated = match base {
            // With the scope that it was part of.
            Some(base) if !base.exists() => return Ok(()),
            Some(base) => Some(Hierarchy::delegated_at(base)?),
            None => None,
        };
        let hierarchy = match &delegated {
            Some(hierarchy) => hierarchy,
            None => host.cgroups()?,
        };
        match parent {
            Parent::Ours => hierarchy.remove(&path)?,
            Parent::Given => hierarchy.remove_leaf(&path)?,
        }
        Ok(())
    }
}

/// What shows a container its cgroups, if nothing else of its mounts depends on the order.
fn shown(plan: &ContainerPlan) -> Option<&Mount> {
    let shows = |mount: &&Mount| matches!(mount, Mount::Cgroup { .. });
    let is_sysfs = |mount: &Mount| matches!(mount, Mount::Sysfs { .. });
    let cgroups = plan.mounts.iter().find(shows)?;
    let apart = |mount: &Mount| {
        let target = coop_fs::normalize_target(mount.target());
        is_sysfs(mount) || target.is_ok_and(|target| !target.starts_with("/sys"))
    };
    let others = || plan.mounts.iter().filter(|mount| !shows(mount));
    (others().any(is_sysfs) && others().all(apart)).then_some(cgroups)
}

/// Whether making the cgroup takes long, and the child can join it at any time.
fn may_be_last(hierarchy: &Hierarchy) -> bool {
    hierarchy.version() != Version::V2 && hierarchy.bases().count() <= MAX_PASSED
}

impl Stage for Cgroup {
    fn name(&self) -> &'static str {
        "cgroup"
    }

    fn prepare(&mut self, launch: &mut Prepare<'_>) -> Result<(), BoxError> {
        let base = self.record_base()?;
        let Some(hierarchy) = &self.hierarchy else {
            log::info!("no cgroup is delegated to this user: going on without");
            return Ok(());
        };
        launch.record(&Undo {
            path: self.path.clone(),
            parent: self.parent,
            base,
        })?;
        if let Joined::Last(mounts, open) = &mut self.joined {
            // The host's hierarchies are read here, for the child will not see them.
            *open = coop_fs::open_mounts(mounts)?;
            return Ok(());
        }
        let cgroup = self.create(hierarchy)?;
        match cgroup.clone_into() {
            Some(fd) => launch.born_in(Rc::new(fd.try_clone_to_owned()?)),
            None => self.joined = Joined::First(Some(cgroup.entrance()?)),
        }
        Ok(())
    }

    fn host_side(&self) -> HostSide {
        if self.is_joined_last() {
            HostSide::Each
        } else {
            HostSide::None
        }
    }

    fn attach(&mut self, child: &mut Waiting) -> Result<(), BoxError> {
        if let Some(hierarchy) = &self.hierarchy {
            for fd in self.create(hierarchy)?.entrance()?.into_descriptors() {
                child.pass(fd);
            }
        }
        Ok(())
    }

    fn enter(&mut self, child: &mut ChildSide<'_>) -> Result<(), BoxError> {
        match &self.joined {
            Joined::First(entrance) => entrance.as_ref().map_or(Ok(()), Entrance::enter)?,
            Joined::Last(..) => {
                let passed = std::iter::from_fn(|| child.passed());
                Entrance::from_descriptors(passed, &self.path).enter()?;
            }
        }
        // Only now: the namespace's root is where its maker is.
        coop_ns::unshare(self.namespace)?;
        if let Joined::Last(_, mounts) = &self.joined {
            mounts.iter().try_for_each(coop_fs::mount_inside)?;
        }
        Ok(())
    }
}
