//! Linux control groups, v2 and v1, behind one set of types.
//!
//! What is mounted decides which back end is used: the unified hierarchy of v2, or a
//! hierarchy per controller (v1 and hybrid hosts). Limits, statistics, freezing, killing,
//! out-of-memory events and removal work the same on both; what one of them cannot do is
//! an error that names the controller and what would provide it.
//!
//! ```no_run
//! use coop_cgroup::{CgroupPath, CpuQuota, Hierarchy, Limits, Max};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let hierarchy = Hierarchy::detect()?;
//! let path = CgroupPath::new("example/worker")?;
//! let mut group = hierarchy.create(&path)?;
//! group.apply(&Limits {
//!     memory_max: Some(Max::At(64 << 20)),
//!     cpu_quota: Some(CpuQuota::cpus(0.5)),
//!     pids_max: Some(Max::At(64)),
//!     ..Limits::default()
//! })?;
//!
//! // A process moves itself in; everything that it starts from here on is inside.
//! group.entrance()?.enter()?;
//! println!("{:?}", group.stats()?);
//! # Ok(())
//! # }
//! ```
//!
//! # Starting a process in a group
//!
//! - v2: pass [`Cgroup::clone_into`] to `clone3`. The child starts inside.
//! - v1: open [`Cgroup::entrance`] in the parent, call [`Entrance::enter`] in the child
//!   before it unshares the cgroup namespace or has threads. See there why this is cheap
//!   and a write by the parent is not.
//! - a process that runs already: [`Cgroup::add`].
//!
//! # Undo
//!
//! [`Hierarchy::remove`] takes nothing but the path, works from another process and after
//! a crash half-way through [`Hierarchy::create`], and is done when everything is gone
//! already. It never leaves the path: a parent goes only when the kernel finds it empty.

mod bpf;
mod cgroup;
mod controller;
mod delegation;
mod device;
mod dir;
mod entrance;
mod error;
#[doc(hidden)]
pub mod fuzzing;
mod hierarchy;
mod kill;
mod limits;
mod mountinfo;
mod oom;
mod path;
mod stats;
mod tree;
mod v1;
mod v2;
mod wait;

pub use cgroup::{Cgroup, Skipped};
pub use controller::{Controller, Controllers};
pub use delegation::{Delegation, may_enter};
pub use device::{Access, DeviceKind, DeviceRule, DeviceRuleError, default_devices};
pub use entrance::Entrance;
pub use error::Error;
pub use hierarchy::{Hierarchy, Version};
pub use limits::{
    CpuQuota, CpuWeight, DeviceNumber, IndexList, IoLimit, IoWeight, Limit, LimitError, Limits, Max,
};
pub use oom::OomWatch;
pub use path::{CgroupPath, PathError};
pub use stats::{CpuStats, IoStats, MemoryStats, PidsStats, Pressure, Stall, Stats};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
