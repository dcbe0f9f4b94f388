//! Finding the hierarchies of this system, and making and removing groups in them.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{self, Access};
use serde::{Deserialize, Serialize};

use crate::cgroup::Cgroup;
use crate::controller::{Controller, Controllers};
use crate::dir::read_path;
use crate::error::Error;
use crate::limits::{Limit, Limits};
use crate::mountinfo::{self, Kind, Mount};
use crate::path::CgroupPath;
use crate::{v1, v2};

/// Which control group interface a system has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Version {
    /// One unified hierarchy.
    V2,
    /// A hierarchy per controller.
    V1,
    /// v1 for the controllers that Coop uses, with a unified hierarchy beside it.
    Hybrid,
}

/// The control group hierarchies of this system, and the place in them where groups may
/// be made.
#[derive(Debug, Clone)]
pub struct Hierarchy {
    tree: Arc<Tree>,
}

#[derive(Debug)]
pub(crate) enum Tree {
    Unified(v2::Tree),
    Legacy(v1::Tree),
}

impl Tree {
    pub(crate) fn version(&self) -> Version {
        match self {
            Self::Unified(_) => Version::V2,
            Self::Legacy(tree) => tree.version,
        }
    }

    fn controllers(&self) -> Controllers {
        match self {
            Self::Unified(tree) => tree.available,
            Self::Legacy(tree) => tree.controllers(),
        }
    }

    /// The error for a limit whose controller is missing.
    pub(crate) fn no_controller(&self, limit: Limit) -> Error {
        let controller = limit.controller();
        let name = controller.name(self.version());
        let remedy = match self {
            Self::Unified(tree) => format!(
                "{}/cgroup.controllers does not list {name}: the parent must hand it down (as \
                 root: echo +{name} > cgroup.subtree_control there; with systemd: Delegate=yes), \
                 and the kernel must not be booted with cgroup_disable={name}",
                tree.base.display()
            ),
            Self::Legacy(_) => format!(
                "no {name} hierarchy is mounted: mkdir /sys/fs/cgroup/{name} && mount -t cgroup \
                 -o {name} cgroup /sys/fs/cgroup/{name}"
            ),
        };
        Error::NoController {
            controller,
            limit,
            remedy,
        }
    }
}

const UNIFIED: &str = "/sys/fs/cgroup";
/// `CGROUP2_SUPER_MAGIC`, see statfs(2).
const CGROUP2_MAGIC: u32 = 0x6367_7270;

impl Hierarchy {
    /// Looks at what is mounted.
    ///
    /// Groups are made below the root of each hierarchy where this process may write there
    /// (as root). Otherwise below the closest writable ancestor of its own group, or, when
    /// only its own group is writable, below that.
    ///
    /// # Errors
    /// [`Error::NotMounted`] without any hierarchy, [`Error::Read`].
    pub fn detect() -> Result<Self, Error> {
        // The common case needs no mount table, which takes long to read on a host with
        // many mounts: a unified hierarchy at its usual place that we may write to.
        let unified = fs::statfs(UNIFIED).is_ok_and(|stat| stat.f_type as u32 == CGROUP2_MAGIC);
        if unified && may_write(Path::new(UNIFIED)) {
            return Self::unified_at(UNIFIED);
        }
        let mounts = mountinfo::parse(&read_path("/proc/self/mountinfo")?);
        // Our own position matters only where the root is out of reach.
        let mut position: Option<String> = None;
        let mut base = |mount: &Mount| -> Result<PathBuf, Error> {
            if may_write(&mount.point) {
                return Ok(mount.point.clone());
            }
            if position.is_none() {
                position = Some(read_path("/proc/self/cgroup")?);
            }
            let own = match mount.kind {
                Kind::Unified => None,
                Kind::Legacy(controllers) => Some(controllers),
            };
            let own = mountinfo::own_position(position.as_deref().unwrap_or_default(), own);
            Ok(delegated_base(mount, own.unwrap_or("/"), &may_write))
        };
        let unified = mounts.iter().find(|mount| mount.kind == Kind::Unified);
        let mut legacy = Vec::new();
        for mount in &mounts {
            if let Kind::Legacy(controllers) = mount.kind {
                legacy.push(v1::Mounted {
                    controllers,
                    base: base(mount)?,
                });
            }
        }
        match unified {
            None if legacy.is_empty() => Err(Error::NotMounted),
            Some(mount) if legacy.is_empty() => Self::unified_at(base(mount)?),
            _ => {
                let version = if unified.is_some() {
                    Version::Hybrid
                } else {
                    Version::V1
                };
                Ok(Self::from_tree(Arc::new(Tree::Legacy(v1::Tree::new(
                    version, legacy,
                )))))
            }
        }
    }

    /// The unified hierarchy, or a delegated part of it, at `base`, without a look at the
    /// mount table.
    ///
    /// # Errors
    /// [`Error::Read`] when `base` has no `cgroup.controllers`.
    pub fn unified_at(base: impl Into<PathBuf>) -> Result<Self, Error> {
        let tree = v2::Tree::new(base.into())?;
        Ok(Self::from_tree(Arc::new(Tree::Unified(tree))))
    }

    /// A part of the unified hierarchy in which this process may be itself: whoever sits at
    /// its top is moved to a leaf of it before controllers are enabled.
    ///
    /// # Errors
    /// As for [`Self::unified_at`].
    pub fn delegated_at(base: impl Into<PathBuf>) -> Result<Self, Error> {
        let tree = v2::Tree::new(base.into())?.moving_aside();
        Ok(Self::from_tree(Arc::new(Tree::Unified(tree))))
    }

    pub(crate) fn from_tree(tree: Arc<Tree>) -> Self {
        Self { tree }
    }

    /// The interface in use.
    pub fn version(&self) -> Version {
        self.tree.version()
    }

    /// The controllers that can be used. Those that are no controllers in the version at
    /// hand (on v2 `freezer`, `cpuacct`, and `devices`, which is a BPF program) are not
    /// listed, though what they do is available.
    pub fn controllers(&self) -> Controllers {
        self.tree.controllers()
    }

    /// Which of `limits` cannot be honoured for want of a controller, with the
    /// [`Error::NoController`] for each. Looks at nothing: cheap enough for a planner.
    ///
    /// A controller that is there may still lack a knob (swap accounting, I/O weights);
    /// that shows when limits are applied.
    pub fn missing(&self, limits: &Limits) -> Vec<(Limit, Error)> {
        let mut available = self.controllers();
        if self.version() == Version::V2 {
            available = available.with(Controller::Devices);
        }
        limits
            .set()
            .filter(|limit| !available.contains(limit.controller()))
            .map(|limit| (limit, self.tree.no_controller(limit)))
            .collect()
    }

    /// Makes the group and its parents, and opens it. What exists is used as it is.
    ///
    /// On v2 the controllers for CPU, memory, I/O and pids are enabled on the way down;
    /// cpuset and hugetlb when a limit needs them. On v1 the group is made in the
    /// hierarchies of these and of cpuacct and freezer; in those of cpuset, hugetlb and
    /// devices when a limit needs them.
    ///
    /// A controller that cannot be enabled is no error here but where it is needed, in
    /// [`Cgroup::apply`].
    ///
    /// # Errors
    /// [`Error::NotDelegated`], [`Error::Create`].
    pub fn create(&self, path: &CgroupPath) -> Result<Cgroup, Error> {
        Ok(match &*self.tree {
            Tree::Unified(tree) => Cgroup::new(path, &self.tree, Box::new(tree.create(path)?)),
            Tree::Legacy(tree) => Cgroup::new(path, &self.tree, Box::new(tree.create(path)?)),
        })
    }

    /// Opens a group that exists.
    ///
    /// # Errors
    /// [`Error::Open`] with `ENOENT` when it does not.
    pub fn open(&self, path: &CgroupPath) -> Result<Cgroup, Error> {
        Ok(match &*self.tree {
            Tree::Unified(tree) => Cgroup::new(path, &self.tree, Box::new(tree.open(path)?)),
            Tree::Legacy(tree) => Cgroup::new(path, &self.tree, Box::new(tree.open(path)?)),
        })
    }

    /// [`Cgroup::oom_kill_count`] of a group of which nothing else is asked: one directory is
    /// opened instead of one a hierarchy.
    ///
    /// # Errors
    /// [`Error::Open`] with `ENOENT` when there is no such group, [`Error::Read`].
    pub fn oom_kill_count(&self, path: &CgroupPath) -> Result<u64, Error> {
        match &*self.tree {
            Tree::Unified(_) => self.open(path)?.oom_kill_count(),
            Tree::Legacy(tree) => tree.oom_kill_count(path),
        }
    }

    /// Whether the group exists, in any hierarchy.
    pub fn exists(&self, path: &CgroupPath) -> bool {
        self.bases().any(|base| base.join(path.as_str()).is_dir())
    }

    /// Undoes [`Self::create`], also after a crash half-way and from another process:
    /// kills what is inside, waits for it to end, removes the group with the groups below
    /// it from every hierarchy, then its parents as long as they are empty. Succeeds when
    /// it is gone already. Not for a group that the caller is in.
    ///
    /// # Errors
    /// [`Error::Kill`], or [`Error::Remove`] when something survives being killed.
    pub fn remove(&self, path: &CgroupPath) -> Result<(), Error> {
        self.remove_leaf(path)?;
        for base in self.bases() {
            // The first hierarchy has every group that any other one has: parents that are not
            // empty there have to stay everywhere.
            if !crate::tree::remove_empty_parents(base, path) {
                break;
            }
        }
        Ok(())
    }

    /// As [`Self::remove`], but leaves the parents: for a group below one that somebody
    /// else manages, as an OCI runtime is told by its caller.
    ///
    /// # Errors
    /// As [`Self::remove`].
    pub fn remove_leaf(&self, path: &CgroupPath) -> Result<(), Error> {
        match &*self.tree {
            Tree::Unified(tree) => tree.remove_leaf(path),
            Tree::Legacy(tree) => tree.remove_leaf(path),
        }
    }

    /// The directories below which groups are made: one on v2, one a hierarchy on v1.
    pub fn bases(&self) -> impl Iterator<Item = &Path> {
        let (one, many) = match &*self.tree {
            Tree::Unified(tree) => (Some(tree.base.as_path()), None),
            Tree::Legacy(tree) => (None, Some(tree.bases())),
        };
        one.into_iter().chain(many.into_iter().flatten())
    }
}

/// Whether groups can be made in `dir`: permission, and no read-only mount.
fn may_write(dir: &Path) -> bool {
    fs::access(dir, Access::WRITE_OK | Access::EXEC_OK).is_ok()
}

/// Where a process that may not write to the root makes its groups.
///
/// `own` is its group as `/proc/self/cgroup` shows it. Its parent is better than the group
/// itself, which has at least one process (us) and so cannot hand down v2's controllers.
fn delegated_base(mount: &Mount, own: &str, may_write: &dyn Fn(&Path) -> bool) -> PathBuf {
    let below = match mount.root.as_str() {
        "/" => own,
        // A mount that shows a part of the tree: our path is counted from its root.
        root => own
            .strip_prefix(root)
            .filter(|rest| rest.starts_with('/'))
            .unwrap_or("/"),
    };
    let below = below.trim_matches('/');
    // A cgroup namespace shows a group outside of it as "/../..".
    if below.is_empty() || below.split('/').any(|part| part == "..") {
        return mount.point.clone();
    }
    let own = mount.point.join(below);
    match own.parent() {
        Some(parent) if parent != mount.point && may_write(parent) => parent.to_owned(),
        _ => own,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mount(root: &str) -> Mount {
        Mount {
            root: root.to_owned(),
            point: "/cg".into(),
            kind: Kind::Unified,
        }
    }

    #[test]
    fn an_unprivileged_process_gets_the_delegated_part() {
        let session = "/user.slice/user@1.service/app.slice/x.scope";
        let delegated = |dir: &Path| dir.starts_with("/cg/user.slice/user@1.service");
        let base = delegated_base(&mount("/"), session, &delegated);
        assert_eq!(base, Path::new("/cg/user.slice/user@1.service/app.slice"));
        // Only its own group is writable: that one.
        let base = delegated_base(&mount("/"), "/system.slice/x.service", &|_| false);
        assert_eq!(base, Path::new("/cg/system.slice/x.service"));
    }

    #[test]
    fn a_partial_view_counts_from_its_root() {
        let base = delegated_base(&mount("/docker/3f"), "/docker/3f/a/b", &|_| true);
        assert_eq!(base, Path::new("/cg/a"));
        for own in ["/", "/../..", "/docker/3f", "/docker/3fa/b"] {
            assert_eq!(
                delegated_base(&mount("/docker/3f"), own, &|_| true),
                Path::new("/cg")
            );
        }
    }
}
