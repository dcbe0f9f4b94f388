//! What a service says about its process: how it runs, what it may do, what it shares.

use super::super::value::{
    BlkioWeight, ByteSize, CallName, CgroupMode, CompatArch, DeviceMapping, Group, IdMapLine,
    IpcMode, LANDLOCK_ACCESSES, LandlockRule, OomScoreAdj, PidMode, SeccompProfile, SecurityOpt,
    Swappiness, Ulimit, UtsMode,
};
use coop_cgroup::{CgroupPath, DeviceRule};
use indexmap::IndexMap;
use serde::{Serialize, Serializer};
use std::path::PathBuf;

/// Keys of a service that stand beside the others.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(crate) struct Isolation {
    /// Notes for other programs, kept and shown, without a meaning for Coop.
    #[serde(skip_serializing_if = "IndexMap::is_empty")]
    pub annotations: IndexMap<String, String>,
    /// Weight and limits of block devices.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub blkio_config: Option<BlkioConfig>,
    /// What it sees of the cgroup tree.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cgroup: Option<CgroupMode>,
    /// The cgroup that its own is made in, below the root of each hierarchy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cgroup_parent: Option<CgroupPath>,
    /// Rules for device nodes, besides those of [`Isolation::devices`].
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub device_cgroup_rules: Vec<DeviceRule>,
    /// Devices of the host.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub devices: Vec<DeviceMapping>,
    /// NIS domain name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub domainname: Option<String>,
    /// Further groups of its user.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub group_add: Vec<Group>,
    /// How its ids map to the host's, by name. Coop's own key.
    #[serde(rename = "x-userns", skip_serializing_if = "IdMapLines::is_empty")]
    pub id_maps: IdMapLines,
    /// Its first process is an init that forwards signals and reaps.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub init: Option<bool>,
    /// Whose shared memory it uses.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ipc: Option<IpcMode>,
    /// Files of labels, first to last; `labels` wins over them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub label_file: Vec<PathBuf>,
    /// The only files that it may use. Coop's own key.
    #[serde(
        rename = "x-landlock",
        serialize_with = "landlock",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub landlock: Vec<LandlockRule>,
    /// How much the kernel prefers to swap its memory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mem_swappiness: Option<Swappiness>,
    /// How likely it is to be killed when memory is short.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oom_score_adj: Option<OomScoreAdj>,
    /// Whose processes it sees.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pid: Option<PidMode>,
    /// It is hardly kept from the host at all.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub privileged: bool,
    /// What is loosened or tightened.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub security_opt: Vec<SecurityOpt>,
    /// Size of `/dev/shm`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shm_size: Option<ByteSize>,
    /// Its standard input stays open.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub stdin_open: bool,
    /// Kernel parameters of its namespaces.
    #[serde(skip_serializing_if = "IndexMap::is_empty")]
    pub sysctls: IndexMap<String, String>,
    /// It has a terminal.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub tty: bool,
    /// Limits of each process.
    #[serde(serialize_with = "ulimits", skip_serializing_if = "Vec::is_empty")]
    pub ulimits: Vec<Ulimit>,
    /// Whose host name it has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uts: Option<UtsMode>,
    /// Its system-call filter in more words than `security_opt` has for it.
    #[serde(rename = "x-seccomp", skip_serializing_if = "Option::is_none")]
    pub seccomp: Option<SeccompKeys>,
}

/// `x-seccomp`: a profile, and what is different from it.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(crate) struct SeccompKeys {
    /// What it is like else.
    pub base: SeccompProfile,
    /// 32-bit ABIs that programs may use.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub architectures: Vec<CompatArch>,
    /// Calls that are allowed, whatever their arguments.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub allow: Vec<CallName>,
    /// Calls that are refused, whatever their arguments.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub deny: Vec<CallName>,
}

/// `x-userns`. One of the two alone stands for both, as with Podman.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(crate) struct IdMapLines {
    /// Lines of the map of user ids.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub uid_map: Vec<IdMapLine>,
    /// Lines of the map of group ids.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub gid_map: Vec<IdMapLine>,
}

impl IdMapLines {
    /// Whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.uid_map.is_empty() && self.gid_map.is_empty()
    }
}

/// As a mapping of uses to paths.
fn landlock<S: Serializer>(rules: &[LandlockRule], s: S) -> Result<S::Ok, S::Error> {
    s.collect_map(LANDLOCK_ACCESSES.into_iter().filter_map(|(name, access)| {
        let of = { rules.iter() }.filter(|rule| rule.access == access);
        let paths: Vec<_> = of.map(|rule| &rule.path).collect();
        (!paths.is_empty()).then_some((name, paths))
    }))
}

/// In compose's long form.
fn ulimits<S: Serializer>(ulimits: &[Ulimit], s: S) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct Long {
        soft: i64,
        hard: i64,
    }
    let number =
        |limit: Option<u64>| limit.map_or(-1, |limit| i64::try_from(limit).unwrap_or(i64::MAX));
    s.collect_map(ulimits.iter().map(|limit| {
        let long = Long {
            soft: number(limit.soft),
            hard: number(limit.hard),
        };
        (&limit.name, long)
    }))
}

/// `blkio_config`.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(crate) struct BlkioConfig {
    /// Share of the disk's time when it is contended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weight: Option<BlkioWeight>,
    /// Bytes read per second.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub device_read_bps: Vec<DeviceRate<ByteSize>>,
    /// Read operations per second.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub device_read_iops: Vec<DeviceRate<u64>>,
    /// Bytes written per second.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub device_write_bps: Vec<DeviceRate<ByteSize>>,
    /// Write operations per second.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub device_write_iops: Vec<DeviceRate<u64>>,
}

/// A limit for one block device.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct DeviceRate<T> {
    /// Its node on the host.
    pub path: PathBuf,
    /// Most of it in a second.
    pub rate: T,
}
