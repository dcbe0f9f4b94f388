//! The stack file as typed data: as written, with variables filled in, host paths
//! made absolute, and short and long syntaxes brought to one form.
//!
//! Nothing here has a default that the file does not state, except where compose's
//! syntax itself does: the planner decides what an absent value means.

mod deploy;
mod grants;
mod instances;
mod isolation;
mod logging;
mod networking;

pub(crate) use deploy::*;
pub(crate) use grants::*;
pub(crate) use instances::*;
pub(crate) use isolation::*;
pub(crate) use logging::*;
pub(crate) use networking::*;

use super::node::Node;
use super::value::{
    ByteSize, Cpus, Duration, Mount, NetworkMode, PidsLimit, Port, Restart, RootfsMode, Signal,
    SwapLimit, TmpfsMount, UserSpec, UsernsMode,
};
use indexmap::IndexMap;
use serde::{Serialize, Serializer};
use std::path::PathBuf;

/// A stack file. Maps keep the file's order.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(crate) struct Stack {
    /// The stack's name, from wherever it was given first: command line,
    /// environment, file, directory.
    pub name: String,
    /// Services by name.
    pub services: IndexMap<String, Service>,
    /// Networks by key.
    #[serde(skip_serializing_if = "IndexMap::is_empty")]
    pub networks: IndexMap<String, Network>,
    /// Named volumes by key.
    #[serde(skip_serializing_if = "IndexMap::is_empty")]
    pub volumes: IndexMap<String, Volume>,
    /// Configuration files by key.
    #[serde(skip_serializing_if = "IndexMap::is_empty")]
    pub configs: GrantedMap,
    /// Secrets by key.
    #[serde(skip_serializing_if = "IndexMap::is_empty")]
    pub secrets: GrantedMap,
    /// Top-level `x-` keys.
    #[serde(flatten)]
    pub extensions: IndexMap<String, Node>,
}

/// An entry of `services`. Fields stand in the order in which they are printed.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(crate) struct Service {
    /// Capabilities to add, as written (`NET_ADMIN`, `CAP_NET_ADMIN`, `ALL`).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub cap_add: Vec<String>,
    /// Capabilities to drop, as written.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub cap_drop: Vec<String>,
    /// Arguments; `None` keeps the image's, empty clears them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command: Option<Vec<String>>,
    /// Length of the scheduler's period in microseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_period: Option<u64>,
    /// Microseconds of a processor in each period; -1 is no limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_quota: Option<i64>,
    /// Relative weight, 1024 being the normal one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_shares: Option<u64>,
    /// Most processors to use; see [`Service::limits`] for what holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpus: Option<Cpus>,
    /// Processors to run on, such as `0-3,6`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpuset: Option<String>,
    /// Services to wait for, in the file's order.
    #[serde(skip_serializing_if = "IndexMap::is_empty")]
    pub depends_on: IndexMap<String, Dependency>,
    /// Resource limits in the form that `docker stack` introduced.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deploy: Option<Deploy>,
    /// Program; `None` keeps the image's, empty clears it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entrypoint: Option<Vec<String>>,
    /// Files of variables, first to last; [`Service::environment`] wins over them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub env_file: Vec<EnvFile>,
    /// Variables; a key without a value takes the host's.
    #[serde(skip_serializing_if = "IndexMap::is_empty")]
    pub environment: IndexMap<String, Option<String>>,
    /// How to find out whether the service works.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub healthcheck: Option<Healthcheck>,
    /// Host name inside the container.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hostname: Option<String>,
    /// Image to run; a service has this or [`Service::rootfs`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// Labels of the container.
    #[serde(skip_serializing_if = "IndexMap::is_empty")]
    pub labels: IndexMap<String, String>,
    /// Services that it knows by another name, as `SERVICE[:ALIAS]`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub links: Vec<String>,
    /// What becomes of its output.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logging: Option<Logging>,
    /// Most memory; see [`Service::limits`] for what holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mem_limit: Option<ByteSize>,
    /// Memory to keep when the machine runs short.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mem_reservation: Option<ByteSize>,
    /// Most memory and swap together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memswap_limit: Option<SwapLimit>,
    /// Which network the container is on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network_mode: Option<NetworkMode>,
    /// Most processes and threads; see [`Service::limits`] for what holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pids_limit: Option<PidsLimit>,
    /// Published ports, one entry for each line of the file.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<Port>,
    /// The root filesystem cannot be written.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub read_only: bool,
    /// What becomes of the container when it ends by itself; see
    /// [`Service::restart_policy`] for what holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub restart: Option<Restart>,
    /// Directory to run, instead of an image. Coop's own key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rootfs: Option<Rootfs>,
    /// How long to wait between the stop signal and `SIGKILL`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop_grace_period: Option<Duration>,
    /// The signal that asks the container to end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop_signal: Option<Signal>,
    /// Memory filesystems.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tmpfs: Vec<TmpfsMount>,
    /// User to run as.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<UserSpec>,
    /// How its user ids relate to the host's, beside [`Isolation::id_maps`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub userns_mode: Option<UsernsMode>,
    /// Paths of the host, volumes and memory to mount.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub volumes: Vec<Mount>,
    /// Working directory inside the container.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub working_dir: Option<String>,
    /// `configs` and `secrets`.
    #[serde(flatten)]
    pub grants: Grants,
    /// How many containers it has, which, and when.
    #[serde(flatten)]
    pub instances: Instances,
    /// What it says about its network, beside `network_mode` and `ports`.
    #[serde(flatten)]
    pub networking: Networking,
    /// What it says about its process.
    #[serde(flatten)]
    pub isolation: Isolation,
    /// `x-` keys of the service.
    #[serde(flatten)]
    pub extensions: IndexMap<String, Node>,
}

/// A directory as root filesystem.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Rootfs {
    /// The directory on the host, absolute once the stack is loaded.
    pub path: PathBuf,
    /// What the container may do to it.
    pub mode: RootfsMode,
}

/// A file of variables.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct EnvFile {
    /// The file on the host, absolute once the stack is loaded.
    pub path: PathBuf,
    /// A missing file is an error.
    pub required: bool,
}

/// What a service waits for before it starts.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Dependency {
    /// The state to wait for.
    pub condition: Condition,
    /// A missing or failed dependency is an error, not a warning.
    pub required: bool,
    /// Restart this service when the dependency is restarted by a command.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub restart: bool,
}

/// A state of a service that another one waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "snake_case")]
#[allow(clippy::enum_variant_names)] // compose's words
pub(crate) enum Condition {
    /// It runs.
    #[default]
    ServiceStarted,
    /// Its health check passes.
    ServiceHealthy,
    /// It ended with status 0.
    ServiceCompletedSuccessfully,
}

/// A health check; what is `None` is the image's or the default.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(crate) struct Healthcheck {
    /// No check, also when the image has one.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub disable: bool,
    /// Time from the end of a check to the next one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interval: Option<Duration>,
    /// Failures in a row that make it unhealthy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retries: Option<u32>,
    /// Time between checks during [`Healthcheck::start_period`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_interval: Option<Duration>,
    /// Time after the start in which failures do not count.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_period: Option<Duration>,
    /// What to run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub test: Option<HealthTest>,
    /// Longest that one check may take.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Duration>,
}

/// The command of a health check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum HealthTest {
    /// `[NONE]`: no check.
    None,
    /// `[CMD, ...]`: a program and its arguments.
    Exec(Vec<String>),
    /// A string, or `[CMD-SHELL, ...]`: a line for `/bin/sh -c`.
    Shell(String),
}

impl Serialize for HealthTest {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        let (kind, rest) = match self {
            Self::None => ("NONE", &[] as &[String]),
            Self::Exec(words) => ("CMD", words.as_slice()),
            Self::Shell(line) => ("CMD-SHELL", std::slice::from_ref(line)),
        };
        s.collect_seq(std::iter::once(kind).chain(rest.iter().map(String::as_str)))
    }
}

/// An entry of the top-level `volumes`.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(crate) struct Volume {
    /// The volume's name on the host; `None`: the stack's name, `_`, the key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// It is made and removed by hand, not by the stack.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub external: bool,
    /// Labels of the volume, when the stack makes it.
    #[serde(skip_serializing_if = "IndexMap::is_empty")]
    pub labels: IndexMap<String, String>,
}
