//! What a process may do, set in the child before `execve`: user, capabilities,
//! `no_new_privs`, resource limits, open descriptors.
//!
//! [`Privileges::apply`] is the common order. The steps are there one by one for callers
//! that need something in between: a seccomp filter, for example, has to be loaded before the
//! capabilities are given up if `no_new_privs` is not set.

mod capabilities;
mod capability;
mod capability_set;
mod descriptors;
mod keyring;
mod label;
mod landlock;
mod process;
mod rlimit;
mod user;

use rustix::io::Errno;
use rustix::process::Pid;
use serde::{Deserialize, Serialize};

pub use capabilities::Capabilities;
pub use capability::{Capability, ParseCapabilityError};
pub use capability_set::CapabilitySet;
pub use descriptors::{
    close_all_except, close_descriptors_from, close_on_exec_all_except, close_on_exec_from,
};
pub use keyring::{SessionKeyring, new_session_keyring};
pub use label::{Label, Procfs, apparmor_is_enabled, selinux_is_enabled};
pub use landlock::{LANDLOCK_VERSION, Landlock, LandlockAccess};
pub use process::{
    no_new_privs, set_not_dumpable, set_oom_score_adj, set_parent_death_signal, umask,
};
pub use rlimit::{ParseRlimitError, Rlimit, RlimitKind};
pub use user::{User, set_user};

use crate::Signal;

/// Everything that [`Privileges::apply`] sets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Privileges {
    /// User, group and supplementary groups, as ids inside the user namespace.
    pub user: User,
    /// The capability sets to end with.
    pub capabilities: Capabilities,
    /// Whether `execve` can never again grant rights that the process has not.
    pub no_new_privs: bool,
    /// Resource limits. Raising a hard limit needs `CAP_SYS_RESOURCE` in the initial user
    /// namespace, which a process in a user namespace of its own has not: raise it from
    /// outside by [`Rlimit::set_for`].
    #[serde(default)]
    pub rlimits: Vec<Rlimit>,
    /// File mode creation mask; `None` leaves it as inherited.
    #[serde(default)]
    pub umask: Option<u32>,
}

impl Privileges {
    /// Gives up everything but these privileges, in the one order that works:
    ///
    /// 1. file mode mask and resource limits;
    /// 2. the bounding set, while there is `CAP_SETPCAP`;
    /// 3. groups, group, user, with capabilities kept over the change of user;
    /// 4. the effective, permitted and inheritable sets, then the ambient set, which must be
    ///    within two of them;
    /// 5. `no_new_privs`;
    /// 6. the process is made not dumpable once more: a change of user resets that to
    ///    `fs.suid_dumpable`, which may be set to let everyone in.
    ///
    /// # Errors
    /// One variant of [`Error`] for each step. The process is then half-way: it should end.
    pub fn apply(&self) -> Result<(), Error> {
        self.capabilities.validate()?;
        if let Some(mask) = self.umask {
            umask(mask);
        }
        for rlimit in &self.rlimits {
            rlimit.set()?;
        }
        self.capabilities.limit_bounding()?;
        capabilities::keep_over_user_change(|| self.user.set())?;
        self.capabilities.set()?;
        if self.no_new_privs {
            no_new_privs()?;
        }
        set_not_dumpable()
    }
}

/// The step that failed; the errno is the [source](std::error::Error::source).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The sets contradict one another: the kernel would refuse them or take some away.
    #[error("capabilities {capabilities} are {set} but not {not_in}")]
    ContradictingSets {
        /// Those that are wrong.
        capabilities: CapabilitySet,
        /// The set that they are in.
        set: &'static str,
        /// The set that they would have to be in, too.
        not_in: &'static str,
    },
    /// The process has not got a capability that it is to keep.
    #[error("capabilities {0} cannot be kept: this process has not got them")]
    NotHeld(CapabilitySet),
    /// The current sets cannot be read.
    #[error("read capabilities")]
    ReadCapabilities(#[source] Errno),
    /// `prctl(PR_CAPBSET_DROP)` failed.
    #[error("drop capability {capability} from the bounding set")]
    DropBounding {
        /// Its number; it may be one that this crate has no name for.
        capability: u32,
        /// `EPERM`: no `CAP_SETPCAP`.
        #[source]
        source: Errno,
    },
    /// `prctl(PR_SET_KEEPCAPS)` failed.
    #[error("keep capabilities while changing user")]
    KeepCapabilities(#[source] Errno),
    /// `setgroups(2)` failed.
    #[error("set supplementary groups {groups:?}")]
    SetGroups {
        /// The groups.
        groups: Vec<u32>,
        /// `EINVAL`: a group is not mapped; `EPERM`: no `CAP_SETGID`, or denied for the user
        /// namespace.
        #[source]
        source: Errno,
    },
    /// `setresgid(2)` failed.
    #[error("set group {gid}")]
    SetGid {
        /// The group.
        gid: u32,
        /// `EINVAL`: not mapped in the user namespace; `EPERM`: no `CAP_SETGID`.
        #[source]
        source: Errno,
    },
    /// `setresuid(2)` failed.
    #[error("set user {uid}")]
    SetUid {
        /// The user.
        uid: u32,
        /// `EINVAL`: not mapped in the user namespace; `EPERM`: no `CAP_SETUID`.
        #[source]
        source: Errno,
    },
    /// `capset(2)` failed.
    #[error("set capabilities")]
    SetCapabilities(#[source] Errno),
    /// `prctl(PR_CAP_AMBIENT)` failed.
    #[error("set ambient capability {capability}")]
    SetAmbient {
        /// The capability.
        capability: Capability,
        /// The errno.
        #[source]
        source: Errno,
    },
    /// `prctl(PR_CAP_AMBIENT_CLEAR_ALL)` failed.
    #[error("clear ambient capabilities")]
    ClearAmbient(#[source] Errno),
    /// `prctl(PR_SET_NO_NEW_PRIVS)` failed.
    #[error("set no_new_privs")]
    NoNewPrivs(#[source] Errno),
    /// `prlimit(2)` failed.
    #[error("set resource limit {rlimit}")]
    SetRlimit {
        /// The limit.
        rlimit: Rlimit,
        /// `EPERM`: raises a hard limit without `CAP_SYS_RESOURCE`; `EINVAL`: soft above hard.
        #[source]
        source: Errno,
    },
    /// `prctl(PR_SET_DUMPABLE)` failed.
    #[error("make process not dumpable")]
    NotDumpable(#[source] Errno),
    /// `prctl(PR_SET_PDEATHSIG)` failed.
    #[error("set parent death signal {signal}")]
    ParentDeathSignal {
        /// The signal.
        signal: Signal,
        /// The errno.
        #[source]
        source: Errno,
    },
    /// `keyctl(KEYCTL_JOIN_SESSION_KEYRING)` failed.
    #[error("make a session keyring")]
    SessionKeyring(
        /// `EDQUOT`: the user has as many keys as `/proc/sys/kernel/keys` allows.
        #[source]
        Errno,
    ),
    /// A call of `landlock(7)` failed.
    #[error("landlock: {operation}")]
    Landlock {
        /// What was tried.
        operation: &'static str,
        /// `EPERM`: neither `no_new_privs` nor `CAP_SYS_ADMIN`.
        #[source]
        source: Errno,
    },
    /// The kernel cannot enforce Landlock rules as they are meant.
    #[error(
        "landlock: {} is needed (Linux {}), and this kernel has {}",
        version(*needed),
        if *needed < LANDLOCK_VERSION { "5.19" } else { "6.2" },
        version(*found)
    )]
    LandlockUnsupported {
        /// The version that the rules need.
        needed: u32,
        /// The version that it has; 0 is none, or one that is switched off.
        found: u32,
    },
    /// `/proc` is not there, or something else is in its place (`ENODEV`).
    #[error("open /proc")]
    NoProcfs(#[source] Errno),
    /// A label of a security module was refused.
    #[error("set the {} label {}", label.module(), text(label))]
    SetLabel {
        /// The label.
        label: Label,
        /// `ENOENT`: no such profile; `EINVAL`: not a label of this policy, or no such module.
        #[source]
        source: Errno,
    },
    /// `/proc/PID/oom_score_adj` cannot be written.
    #[error("set OOM score adjustment of process {} to {value}", pid.as_raw_nonzero())]
    OomScoreAdj {
        /// The process.
        pid: Pid,
        /// The value.
        value: i16,
        /// `EACCES`: lowers it without `CAP_SYS_RESOURCE`.
        #[source]
        source: Errno,
    },
    /// Descriptors cannot be closed or marked to be closed.
    #[error("{operation} from {first} on")]
    Descriptors {
        /// `close descriptors` or `mark descriptors close-on-exec`.
        operation: &'static str,
        /// The first of the range that failed.
        first: u32,
        /// The errno.
        #[source]
        source: Errno,
    },
}

fn version(number: u32) -> String {
    match number {
        0 => "none".to_owned(),
        number => format!("version {number}"),
    }
}

fn text(label: &Label) -> &str {
    match label {
        Label::AppArmor(text) | Label::SeLinux(text) => text,
    }
}
