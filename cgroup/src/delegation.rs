//! Which part of the unified hierarchy an ordinary user may manage.
//!
//! See [Control Group APIs and Delegation](https://systemd.io/CGROUP_DELEGATION/) and
//! "Delegation" in the kernel's documentation of cgroup v2.

use std::path::{Path, PathBuf};

use rustix::fs::{self, Access};

use crate::dir::read_path;
use crate::error::Error;
use crate::hierarchy::{Hierarchy, Version};
use crate::mountinfo::{self, Kind, Mount};

/// What an ordinary user has of the control groups.
#[derive(Debug, Clone)]
pub enum Delegation {
    /// A part of the unified hierarchy. Processes that sit at its top are moved to a leaf of
    /// it when controllers are enabled there.
    To(Hierarchy),
    /// No group around this process may be written by its user.
    Nothing {
        /// The group of this process.
        own: PathBuf,
    },
    /// v1's hierarchies are not delegated: a group's limits could be raised from inside.
    Legacy(Version),
}

impl Delegation {
    /// Looks at what is mounted and at the group of this process.
    ///
    /// A group that systemd has marked as delegated (`user.delegate`) is taken as it is. Else
    /// it is the closest one above this process that its user may write to, and at last the
    /// group of this process itself.
    ///
    /// # Errors
    /// [`Error::NotMounted`] without any hierarchy, [`Error::Read`].
    pub fn look() -> Result<Self, Error> {
        let mounts = mountinfo::parse(&read_path("/proc/self/mountinfo")?);
        let unified = mounts.iter().find(|mount| mount.kind == Kind::Unified);
        let legacy = mounts.iter().any(|mount| mount.kind != Kind::Unified);
        let mount = match (unified, legacy) {
            (None, false) => return Err(Error::NotMounted),
            (None, true) => return Ok(Self::Legacy(Version::V1)),
            (Some(_), true) => return Ok(Self::Legacy(Version::Hybrid)),
            (Some(mount), false) => mount,
        };
        let position = read_path("/proc/self/cgroup")?;
        let own = own_group(
            mount,
            mountinfo::own_position(&position, None).unwrap_or("/"),
        );
        match base(&mount.point, &own, &Standing::of) {
            Some(base) => Hierarchy::delegated_at(base).map(Self::To),
            None => Ok(Self::Nothing { own }),
        }
    }
}

/// Whether this process may move to the group at `path`, of the unified hierarchy. It takes the
/// right to write to both, and to the closest group above both.
///
/// # Errors
/// [`Error::Read`].
pub fn may_enter(path: &Path) -> Result<bool, Error> {
    let mounts = mountinfo::parse(&read_path("/proc/self/mountinfo")?);
    let Some(mount) = mounts.iter().find(|mount| mount.kind == Kind::Unified) else {
        return Ok(false);
    };
    let position = read_path("/proc/self/cgroup")?;
    let position = mountinfo::own_position(&position, None).unwrap_or("/");
    let above = common(&own_group(mount, position), path);
    Ok(Standing::of(&above).writable)
}

/// The closest group above both, or one of them.
fn common(one: &Path, other: &Path) -> PathBuf {
    let pairs = one.components().zip(other.components());
    pairs
        .take_while(|(one, other)| one == other)
        .map(|(part, _)| part)
        .collect()
}

/// What a group is to this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Standing {
    /// Groups can be made in it, processes put there, controllers handed down.
    writable: bool,
    /// systemd leaves it to whoever runs in it.
    marked: bool,
}

impl Standing {
    fn of(group: &Path) -> Self {
        let may = |path: &Path, access| fs::access(path, access).is_ok();
        Self {
            writable: may(group, Access::WRITE_OK | Access::EXEC_OK)
                && ["cgroup.procs", "cgroup.subtree_control"]
                    .into_iter()
                    .all(|file| may(&group.join(file), Access::WRITE_OK)),
            marked: fs::getxattr(group, c"user.delegate", &mut [0_u8; 8]).is_ok(),
        }
    }
}

/// The group at `own`, as `/proc/self/cgroup` shows it, below the mount.
fn own_group(mount: &Mount, own: &str) -> PathBuf {
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
    mount.point.join(below)
}

fn base(top: &Path, own: &Path, standing: &dyn Fn(&Path) -> Standing) -> Option<PathBuf> {
    let here = standing(own);
    if here.writable && here.marked {
        return Some(own.to_owned());
    }
    // The parent is better than the group itself, where this process is.
    let above = own
        .ancestors()
        .skip(1)
        .take_while(|group| group.starts_with(top))
        .find(|group| standing(group).writable);
    above.or(here.writable.then_some(own)).map(Path::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MANAGER: &str = "/cg/user.slice/user-1.slice/user@1.service";

    fn found(own: &str, standing: &dyn Fn(&Path) -> Standing) -> Option<String> {
        let base = base(Path::new("/cg"), Path::new(own), standing)?;
        Some(base.to_str().unwrap().to_owned())
    }

    fn of_the_user(group: &Path) -> Standing {
        Standing {
            writable: group.starts_with(MANAGER),
            marked: group.ends_with("mine.scope"),
        }
    }

    #[test]
    fn a_scope_that_is_marked_is_taken_and_otherwise_what_is_above() {
        let app = format!("{MANAGER}/app.slice");
        let found = |own: &str| found(own, &of_the_user);
        assert_eq!(
            found(&format!("{app}/mine.scope")),
            Some(format!("{app}/mine.scope"))
        );
        assert_eq!(found(&format!("{app}/other.scope")), Some(app));
    }

    #[test]
    fn a_login_session_has_nothing() {
        let own = "/cg/user.slice/user-1.slice/session-2.scope";
        assert_eq!(found(own, &of_the_user), None);
    }

    #[test]
    fn only_the_own_group_is_better_than_none() {
        let own = "/cg/given";
        let standing = |group: &Path| Standing {
            writable: group == Path::new(own),
            marked: false,
        };
        assert_eq!(found(own, &standing).as_deref(), Some(own));
        // What the top of a cgroup namespace is.
        let all = |_: &Path| Standing {
            writable: true,
            marked: false,
        };
        assert_eq!(found("/cg", &all).as_deref(), Some("/cg"));
    }

    #[test]
    fn what_is_above_two_groups_is_what_their_paths_share() {
        let common = |one: &str, other: &str| common(Path::new(one), Path::new(other));
        assert_eq!(common("/cg/a/b", "/cg/a/bc/d"), Path::new("/cg/a"));
        assert_eq!(common("/cg/a", "/cg/a/b"), Path::new("/cg/a"));
        assert_eq!(common("/cg/x", "/cg/y"), Path::new("/cg"));
    }

    #[test]
    fn a_partial_view_counts_from_its_root() {
        let mount = Mount {
            root: "/docker/3f".to_owned(),
            point: "/cg".into(),
            kind: Kind::Unified,
        };
        assert_eq!(own_group(&mount, "/docker/3f/a/b"), Path::new("/cg/a/b"));
        for own in ["/", "/../..", "/docker/3f", "/docker/3fa/b"] {
            assert_eq!(own_group(&mount, own), Path::new("/cg"));
        }
    }
}
