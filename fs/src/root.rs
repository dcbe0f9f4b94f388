//! What becomes the container's root, built by the host and attached nowhere yet.

use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::AtFlags;
use rustix::io::Errno;
use rustix::mount::OpenTreeFlags;
use serde::{Deserialize, Serialize};

use crate::detached::{clone_tree, id_map_error};
use crate::error::{Operation, at};
use crate::options::{MountAttributes, Propagation};
use crate::overlay::build_root;
use crate::sys::{Change, mount_setattr};
use crate::{Changes, Error, Overlay};

/// What becomes the container's `/`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum RootSource {
    /// Layers with a writable directory on top.
    Overlay(Overlay),
    /// A directory of the host, as it is.
    Bind {
        /// The directory.
        dir: PathBuf,
        /// Whether nothing can be written through it.
        readonly: bool,
    },
}

/// A root that is built and attached nowhere.
#[derive(Debug)]
pub struct Root {
    /// For the child: [`enter`](crate::enter).
    pub mount: OwnedFd,
    /// The layers of an overlay, of no use any more. To close an id-mapped one costs the wait
    /// for an RCU grace period, so do it while the child works.
    pub layers: Vec<OwnedFd>,
}

impl From<OwnedFd> for Root {
    fn from(mount: OwnedFd) -> Self {
        Self {
            mount,
            layers: Vec::new(),
        }
    }
}

impl RootSource {
    /// Builds the root as a detached mount: [`build_overlay`](crate::build_overlay), or a
    /// clone of the directory's mount. With `userns` it is id-mapped. What becomes of
    /// `changes` matters to an overlay only.
    ///
    /// # Errors
    /// Those of [`build_overlay`](crate::build_overlay).
    pub fn build(&self, userns: Option<BorrowedFd<'_>>, changes: Changes) -> Result<Root, Error> {
        match self {
            Self::Overlay(overlay) => build_root(overlay, userns, changes),
            Self::Bind { dir, readonly } => bind_root(dir, *readonly, userns).map(Root::from),
        }
    }
}

fn bind_root(dir: &Path, readonly: bool, userns: Option<BorrowedFd<'_>>) -> Result<OwnedFd, Error> {
    let tree = match clone_tree(dir, OpenTreeFlags::empty()) {
        // In a user namespace what is mounted below cannot be left behind.
        Err(Error::System {
            errno: Errno::INVAL,
            ..
        }) => clone_tree(dir, OpenTreeFlags::AT_RECURSIVE)?,
        tree => tree?,
    };
    let mut set = MountAttributes::empty();
    set.set(MountAttributes::RDONLY, readonly);
    // As in an overlay: `IN_USER_NAMESPACE`.
    set.set(MountAttributes::NODEV, userns.is_some());
    let change = Change {
        id_map: userns,
        propagation: Propagation::RPrivate.flags(),
        ..Change::set(set)
    };
    mount_setattr(&tree, c"", AtFlags::EMPTY_PATH, change).map_err(|errno| match userns {
        Some(_) => id_map_error(dir, errno),
        None => at(Operation::SetAttributes, dir)(errno),
    })?;
    Ok(tree)
}
