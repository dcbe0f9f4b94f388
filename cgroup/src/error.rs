//! What can go wrong, one variant a step.

use std::path::PathBuf;

use rustix::io::Errno;
use rustix::process::Pid;

use crate::controller::Controller;
use crate::limits::{Limit, LimitError};
use crate::path::PathError;

/// An error of this crate. Where the kernel said no, its [`Errno`] is the source.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A path breaks the rules of [`crate::CgroupPath`].
    #[error(transparent)]
    Path(#[from] PathError),

    /// A limit's value is wrong.
    #[error(transparent)]
    Limit(#[from] LimitError),

    /// No control group filesystem is mounted.
    #[error("no cgroup filesystem is mounted; mount one: mount -t cgroup2 none /sys/fs/cgroup")]
    NotMounted,

    /// A limit needs a controller that this hierarchy does not offer.
    #[error("{limit}: there is no {controller} controller; {remedy}")]
    NoController {
        /// What is missing.
        controller: Controller,
        /// What it was needed for.
        limit: Limit,
        /// What would provide it.
        remedy: String,
    },

    /// The controller is there but has no such knob, on this kernel or in this version.
    #[error("{limit}: the {controller} controller cannot do this here: {reason}")]
    Unsupported {
        /// The controller.
        controller: Controller,
        /// The limit.
        limit: Limit,
        /// Why, and what would help.
        reason: &'static str,
    },

    /// cgroup v2 gives controllers to children only where no process sits.
    #[error(
        "cannot give {controllers} to the children of {path}: processes sit in {path} itself, \
         and cgroup v2 allows them only in leaves; move them to a child of it"
    )]
    InternalProcesses {
        /// The group with processes in it.
        path: PathBuf,
        /// The controllers, in `cgroup.subtree_control` spelling.
        controllers: String,
        /// `EBUSY`.
        source: Errno,
    },

    /// We may not create groups, or enable controllers, here.
    #[error(
        "may not manage cgroups in {path}: it is not delegated to this user; \
         try: systemd-run --user --scope -p Delegate=yes COMMAND"
    )]
    NotDelegated {
        /// The group that would be the parent.
        path: PathBuf,
        /// `EACCES`, `EPERM` or `EROFS`.
        source: Errno,
    },

    /// A group or one of its parents cannot be made.
    #[error("cannot create cgroup {path}")]
    Create {
        /// Where.
        path: PathBuf,
        /// Why.
        source: Errno,
    },

    /// A group cannot be opened; `ENOENT` when it does not exist.
    #[error("cannot open cgroup {path}")]
    Open {
        /// Where.
        path: PathBuf,
        /// Why.
        source: Errno,
    },

    /// A group cannot be removed; `EBUSY` when something in it survives `SIGKILL` (a
    /// process in uninterruptible sleep).
    #[error("cannot remove cgroup {path}")]
    Remove {
        /// Where.
        path: PathBuf,
        /// Why.
        source: Errno,
    },

    /// A file cannot be read.
    #[error("cannot read {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: Errno,
    },

    /// A file holds something else than the kernel documents.
    #[error("cannot make sense of {path}: {found:?}")]
    Parse {
        /// The file.
        path: PathBuf,
        /// What is in it.
        found: String,
    },

    /// A file cannot be written.
    #[error("cannot write {value:?} to {path}")]
    Write {
        /// The file.
        path: PathBuf,
        /// What was to be written.
        value: String,
        /// Why.
        source: Errno,
    },

    /// A limit was refused.
    #[error("{limit}: cannot write {value:?} to {path}")]
    Apply {
        /// The limit.
        limit: Limit,
        /// The file.
        path: PathBuf,
        /// What was to be written.
        value: String,
        /// Why.
        source: Errno,
    },

    /// A process cannot be moved into the group; `ESRCH` when it is gone.
    #[error("cannot move process {pid} into cgroup {path}", pid = Pid::as_raw(Some(*.pid)))]
    Add {
        /// The process.
        pid: Pid,
        /// The group.
        path: PathBuf,
        /// Why.
        source: Errno,
    },

    /// The calling process cannot move itself into the group.
    #[error("cannot enter cgroup {path}")]
    Enter {
        /// The group.
        path: PathBuf,
        /// Why.
        source: Errno,
    },

    /// The group did not freeze in time and runs again. A process in uninterruptible
    /// sleep or stopped by a tracer can cause this.
    #[error("cgroup {path} does not freeze")]
    Freeze {
        /// The group.
        path: PathBuf,
    },

    /// v1 freezes only with a freezer hierarchy.
    #[error(
        "cannot freeze: no freezer hierarchy is mounted; mkdir /sys/fs/cgroup/freezer && mount \
         -t cgroup -o freezer cgroup /sys/fs/cgroup/freezer"
    )]
    NoFreezer,

    /// A process in the group cannot be killed.
    #[error("cannot kill process {pid} of cgroup {path}", pid = Pid::as_raw(Some(*.pid)))]
    Kill {
        /// The process.
        pid: Pid,
        /// The group.
        path: PathBuf,
        /// Why.
        source: Errno,
    },

    /// A descriptor for events cannot be made.
    #[error("cannot watch {path} for events")]
    Watch {
        /// The file.
        path: PathBuf,
        /// Why.
        source: Errno,
    },

    /// The kernel does not take the device program.
    #[error("device list: cannot {operation} the BPF program for cgroup {path}")]
    DeviceProgram {
        /// `load`, `attach`, `list` or `detach`.
        operation: &'static str,
        /// The group.
        path: PathBuf,
        /// Why: `EPERM` without `CAP_BPF` or `CAP_SYS_ADMIN`, `EINVAL` when the kernel is
        /// built without `CONFIG_CGROUP_BPF`.
        source: Errno,
    },
}

impl Error {
    /// The kernel's errno, if it was the kernel that said no.
    pub fn errno(&self) -> Option<Errno> {
        std::error::Error::source(self)?
            .downcast_ref::<Errno>()
            .copied()
    }
}
