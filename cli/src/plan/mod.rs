//! The plan: what a stack means on this host, every default explicit.
//!
//! A plan is plain data. It is saved with the container, printed by `coop plan`, and the only
//! thing that the stages look at: nothing downstream reads the YAML.

mod attached;
mod connection;
mod container;
mod grants;
mod health;
mod ids;
mod labels;
mod limits;
mod mounts;
mod namespaces;
mod privileges;
mod process;
mod seccomp;
mod stack;
#[cfg(test)]
pub(crate) mod tests;
mod volumes;

use std::collections::BTreeMap;
use std::path::PathBuf;

use coop_cgroup::{CgroupPath, Limits};
use coop_fs::{Mount, RootSource, Sysctl};
use coop_launcher::store::{ContainerId, StackName};
use coop_launcher::supervisor::UnitSpec;
use coop_ns::privileges::{CapabilitySet, Label, LandlockAccess, Rlimit};
use coop_ns::{IdMaps, Namespace, Namespaces};
use coop_seccomp::Filter;
use serde::{Deserialize, Serialize};

pub(crate) use attached::{Attached, Bridged, Connection, Wanted};
pub(crate) use connection::{NetworkOptions, Resolver, SHARED_NETWORK};
pub(crate) use container::{Draft, RunOptions};
pub(crate) use grants::{GrantedFile, GrantedSource, Hidden};
pub(crate) use ids::Ids;
pub(crate) use limits::DEFAULT_PIDS;
pub(crate) use namespaces::{IpcSharing, NamespaceOf};
pub(crate) use privileges::capabilities;
pub(crate) use seccomp::{context as seccomp_context, open_policy, policy as seccomp_policy};
pub(crate) use stack::{Existing, StackPlan, plan_single, plan_stack};

/// Everything about one container.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ContainerPlan {
    /// What the supervisor needs: id, name, dependencies, how to stop, when to check.
    pub unit: UnitSpec,
    /// The stack it belongs to.
    pub stack: StackName,
    /// The service it is an instance of; none for `coop run`.
    pub service: Option<String>,
    /// Which of the service's containers, from 1.
    #[serde(default = "first")]
    pub replica: u32,
    /// Whether `up` shows its output.
    #[serde(default = "yes")]
    pub attach: bool,
    /// What it knows of others beside the stack.
    #[serde(default)]
    pub resolver: Resolver,
    /// Secrets and configs.
    #[serde(default)]
    pub granted: Vec<GrantedFile>,
    /// Digest of what it was made from: another digest means that it has to be made anew.
    pub config_hash: String,
    /// Image reference, or the root directory's path.
    pub image: String,
    /// Labels, its own over the image's.
    pub labels: BTreeMap<String, String>,
    /// Notes for other programs.
    #[serde(default)]
    pub annotations: BTreeMap<String, String>,
    /// Where the root filesystem comes from.
    pub root: RootSource,
    /// Whether the root filesystem cannot be written.
    pub root_readonly: bool,
    /// What is mounted in it, in order.
    pub mounts: Vec<Mount>,
    /// Anonymous volumes, which go with the container.
    pub anonymous_volumes: Vec<String>,
    /// New namespaces.
    pub namespaces: Namespaces,
    /// Namespaces of other containers. What is neither new nor joined is the host's.
    #[serde(default)]
    pub joined: BTreeMap<Namespace, NamespaceOf>,
    /// Whether others may join its IPC namespace.
    #[serde(default)]
    pub ipc_sharing: IpcSharing,
    /// How ids inside map to ids outside; none in the host's user namespace.
    pub id_maps: Option<IdMaps>,
    /// Name in its UTS namespace.
    pub hostname: Option<String>,
    /// NIS domain name in its UTS namespace.
    #[serde(default)]
    pub domainname: Option<String>,
    /// Kernel parameters of its own namespaces.
    pub sysctls: Vec<Sysctl>,
    /// Its cgroup, below each hierarchy's root.
    pub cgroup: CgroupPath,
    /// The cgroup above, where it was asked for: it stays when the container goes.
    #[serde(default)]
    pub cgroup_parent: Option<CgroupPath>,
    /// Whether nothing of `/proc` and `/sys` is hidden or read-only.
    #[serde(default)]
    pub system_paths_unconfined: bool,
    /// Whether its first process is an init that forwards signals and reaps.
    #[serde(default)]
    pub init: bool,
    /// What it may use.
    pub limits: Limits,
    /// How it is connected.
    pub network: Connection,
    /// What its process is.
    pub process: ProcessPlan,
    /// What its process may do.
    pub privileges: PrivilegesPlan,
    /// Its system-call filter.
    pub seccomp: Filter,
    /// The command of the health check.
    pub health_command: Option<Vec<String>>,
    /// Whether it goes when it ends (`--rm`).
    pub remove_at_exit: bool,
    /// The stack file that it was brought up from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stack_file: Option<PathBuf>,
}

fn first() -> u32 {
    1
}

fn yes() -> bool {
    true
}

#[allow(clippy::trivially_copy_pass_by_ref)] // as serde calls it
fn is_empty(set: &CapabilitySet) -> bool {
    set.is_empty()
}

impl ContainerPlan {
    /// The namespaces that its processes are in, besides the host's.
    pub(crate) fn own_namespaces(&self) -> Namespaces {
        let joined: Namespaces = self.joined.keys().copied().collect();
        self.namespaces | joined
    }

    /// Whose `/etc/hosts`, `/etc/hostname` and `/etc/resolv.conf` it has: they belong to the
    /// network.
    pub(crate) fn names_of(&self) -> &ContainerId {
        match &self.network {
            Connection::Container(other) => &other.id,
            _ => &self.unit.id,
        }
    }
}

/// A process to execute in a container.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ProcessPlan {
    /// Command and arguments.
    pub argv: Vec<String>,
    /// `NAME=value`.
    pub env: Vec<String>,
    /// Working directory in the container.
    pub cwd: String,
    /// `USER[:GROUP]`, looked up in the container.
    pub user: String,
    /// Whether it has a terminal.
    pub terminal: bool,
    /// Whether its standard input is open.
    pub stdin_open: bool,
}

/// What a container's processes may do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PrivilegesPlan {
    /// Whether it is hardly kept from the host at all; what that means is in the other fields.
    #[serde(default)]
    pub privileged: bool,
    /// The capabilities that it may ever have.
    pub capabilities: CapabilitySet,
    /// Whether `execve` can gain nothing, for example by set-user-ID programs.
    pub no_new_privileges: bool,
    /// Limits of each process.
    pub rlimits: Vec<Rlimit>,
    /// Further groups of its user, by name or number, looked up in the container.
    #[serde(default)]
    pub group_add: Vec<String>,
    /// How likely it is to be killed when memory is short: -1000 to 1000.
    #[serde(default)]
    pub oom_score_adj: Option<i16>,
    /// Capabilities that were added by name: those a user other than root has, too.
    #[serde(default, skip_serializing_if = "is_empty")]
    pub ambient: CapabilitySet,
    /// Labels of the host's security modules.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<Label>,
    /// The only files that its processes may use; none: all that their user may.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub landlock: Vec<FileRule>,
}

/// What may be done with a file or with all that is below a directory.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FileRule {
    /// The path in the container.
    pub path: PathBuf,
    /// What it may be used for.
    pub access: LandlockAccess,
}
