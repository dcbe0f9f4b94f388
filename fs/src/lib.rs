//! The root filesystem of a container, from the image's layers to `pivot_root`.
//!
//! The work is split by who may do it. The host's side builds the root as a detached
//! mount and opens every source, the child attaches them in its own mount namespace and
//! pivots into them. Nothing is ever mounted where the host could see it, and no path of
//! the image is trusted: each is resolved below the root by `openat2(2)`.
//!
//! | when | function |
//! |---|---|
//! | host, before the clone | [`prepare_upper`], [`open_mounts`], [`Volumes`] |
//! | host, the child waits | [`RootSource::build`], [`id_map`], [`chown_dev`] |
//! | child | [`enter`], [`lookup_user`], [`enter_working_dir`] |
//! | host, afterwards | [`remove_tree`] |
//! | either side | [`archive`]: trees of files as tar streams that neither side trusts |
//!
//! Needs Linux 5.12, for id-mapped layers 5.19; below that, or where a filesystem has no id
//! maps, [`Error::IdMapUnsupported`] tells the caller to go another way.
//!
//! # Example
//!
//! A shell in a copy-on-write view of a directory, in namespaces of its own:
//!
//! ```no_run
//! use std::os::fd::AsFd;
//! use coop_fs::{Mount, Overlay, RootSettings};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let overlay = Overlay {
//!     lowers: vec!["/srv/images/alpine".into()],
//!     upper: "/var/tmp/box/upper".into(),
//!     work: "/var/tmp/box/work".into(),
//!     marks: coop_fs::Marks::Trusted,
//!     context: None,
//! };
//! coop_fs::prepare_upper(&overlay, 0, 0)?;
//! let root = coop_fs::build_overlay(&overlay, None)?;
//! let mounts = coop_fs::open_mounts(&[
//!     Mount::Proc,
//!     Mount::Dev { devices: Vec::new(), context: None },
//!     Mount::Devpts,
//!     Mount::bind_readonly("/etc/resolv.conf", "/etc/resolv.conf"),
//! ])?;
//! // In a child with mount and pid namespaces of its own:
//! coop_fs::enter(root.as_fd(), &mounts, &RootSettings::default())?;
//! let user = coop_fs::lookup_user("daemon")?;
//! coop_fs::enter_working_dir(&user.home)?;
//! # Ok(())
//! # }
//! ```

pub mod archive;
mod attach;
mod cgroup_mount;
mod changes;
mod console;
mod copy;
mod detached;
mod dev;
mod dev_owner;
mod directory;
mod enter;
mod error;
mod layers;
mod mapped_copy;
mod mask;
mod mount;
mod options;
mod overlay;
mod path;
mod private_mounts;
mod remove;
mod resolve;
mod root;
mod shared_memory;
mod sys;
mod sysctl;
mod user;
mod volume;
mod volume_record;
mod workdir;

pub use changes::{ChangeKind, FileChange, changes};
pub use console::mount_console;
pub use dev::{Device, DeviceKind, DeviceNode};
pub use dev_owner::{chown_dev, chown_file};
pub use enter::{RootSettings, enter, mount_inside, pivot};
pub use error::{Error, Operation};
pub use layers::{Changes, Marks};
pub use mapped_copy::copy_for_ids;
pub use mask::{DEFAULT_MASKED_PATHS, DEFAULT_READONLY_PATHS};
pub use mount::{DEFAULT_SHM_SIZE, Mount, OpenMount, defer_mounts, id_map, open_mounts};
pub use options::{MountAttributes, MountOptions, Propagation, Relabel};
pub use overlay::{
    Overlay, build_overlay, build_overlay_attached, build_overlay_unprivileged,
    mount_overlay_classic, prepare_upper,
};
pub use path::normalize_target;
pub use remove::remove_tree;
pub use resolve::open_in_root;
pub use root::{Root, RootSource};
pub use shared_memory::share_memory_of;
pub use sysctl::{Sysctl, is_namespaced_sysctl, set_sysctl};
pub use user::{User, lookup_group, lookup_user, lookup_user_in};
pub use volume::Volumes;
pub use volume_record::Volume;
pub use workdir::{create_working_dir, enter_working_dir};
