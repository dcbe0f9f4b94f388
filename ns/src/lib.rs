//! Linux namespaces, id maps, process descriptors and process privileges.
//!
//! The parts of a container that have to do with *who* a process is and *what it sees*,
//! as thin typed calls in the order in which the kernel wants them:
//!
//! - [`clone3()`](clone3) makes a process in new [`Namespaces`], with a pidfd, in a cgroup;
//! - [`idmap`] writes user and group id maps, [`IdPool`] leases ranges of ids for them;
//! - [`join()`](join) enters the namespaces of a running process, [`unshare()`](unshare) new
//!   ones, [`Handle`] keeps one alive;
//! - [`pidfd`] signals and waits without races on reused pids;
//! - [`privileges`] gives up rights in the child before `execve`.
//!
//! Nothing here starts a thread, keeps global state or talks netlink. Functions for the child
//! side make system calls only and are fit for a process cloned without exec from a
//! single-threaded parent.
//!
//! # Example
//!
//! A process in new user, pid and uts namespaces; needs root, or a kernel that lets
//! unprivileged users create user namespaces.
//!
//! ```no_run
//! use coop_ns::{CloneArgs, Forked, IdMaps, Namespaces, clone3, hostname, idmap, pidfd};
//! use std::os::fd::AsFd;
//!
//! let (go, ready) = rustix::pipe::pipe()?;
//! let args = CloneArgs {
//!     namespaces: Namespaces::USER | Namespaces::PID | Namespaces::UTS,
//!     cgroup: None,
//! };
//! // SAFETY: this process has one thread.
//! match unsafe { clone3(&args) }? {
//!     Forked::Child => {
//!         // Without its id map the child has no user: wait until the parent wrote it.
//!         let mapped = rustix::io::read(&go, &mut [0; 1]).is_ok();
//!         let named = mapped && hostname::set_hostname("sandbox").is_ok();
//!         coop_ns::exit_child(if named { 0 } else { 1 })
//!     }
//!     Forked::Parent(child) => {
//!         idmap::write(child.pid, &IdMaps::single_range(1_073_741_824, 65_536))?;
//!         rustix::io::write(&ready, b"!")?;
//!         println!("{}", pidfd::wait(child.pidfd.as_fd())?); // exit status 0
//!     }
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod clone;
mod error;
mod exit;
mod handle;
pub mod hostname;
pub mod idmap;
mod join;
mod namespaces;
pub mod pidfd;
mod pool;
pub mod privileges;
mod procfs;
mod signal;
pub mod subid;
mod sys;
mod time;
mod unshare;

pub use clone::{
    Child, CloneArgs, Forked, Joined, clone3, clone3_in_pid_namespace_of, clone3_joining,
    exit_child,
};
pub use error::Error;
pub use exit::ExitStatus;
pub use handle::{Handle, NamespaceId};
pub use idmap::{IdMapping, IdMaps};
pub use join::{PidNamespace, enter_pid_namespace_for_children, join};
pub use namespaces::{Namespace, Namespaces};
pub use pool::{IdPool, Lease, PoolError};
pub use rustix::process::Pid;
pub use signal::{ParseSignalError, Signal, parse_signal};
pub use subid::IdRange;
pub use time::{TimeOffset, TimeOffsets, set_time_offsets, unshare_time};
pub use unshare::unshare;
