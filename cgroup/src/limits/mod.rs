//! What a control group may use.

mod check;
mod value;
mod weight;

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

pub use self::check::LimitError;
pub use self::value::{CpuQuota, DeviceNumber, IndexList, IoLimit, Max};
pub use self::weight::{CpuWeight, IoWeight};
use crate::controller::Controller;
use crate::device::DeviceRule;

/// Limits for one control group. Everything is optional: what is `None` or empty is
/// left as the kernel has it, so a default value changes nothing and a partial one
/// updates a running group.
///
/// ```
/// use coop_cgroup::{CpuQuota, Limits, Max};
/// let limits = Limits {
///     memory_max: Some(Max::At(64 << 20)),
///     cpu_quota: Some(CpuQuota::cpus(0.5)),
///     pids_max: Some(Max::At(64)),
///     ..Limits::default()
/// };
/// assert!(limits.check().is_ok());
/// ```
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// CPU time per period, over all CPUs together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_quota: Option<CpuQuota>,
    /// Share of the CPU when it is contended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_weight: Option<CpuWeight>,
    /// CPUs to run on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpuset_cpus: Option<IndexList>,
    /// Memory nodes to allocate from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpuset_mems: Option<IndexList>,
    /// Hard limit in bytes: above it the OOM killer acts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_max: Option<Max>,
    /// Throttling limit in bytes: above it the group is slowed and reclaimed. v2 only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_high: Option<Max>,
    /// Bytes protected from reclaim (Docker's and OCI's *reservation*): `memory.low`
    /// on v2, the soft limit on v1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_low: Option<Max>,
    /// Memory **and** swap together in bytes, as Docker and OCI count it. v2 counts swap
    /// alone, so there the memory limit must be given as well and is subtracted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_swap: Option<Max>,
    /// Preference for swapping anonymous memory, 0 to 100. v1 only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_swappiness: Option<u8>,
    /// Number of tasks (processes and threads).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pids_max: Option<Max>,
    /// Share of the disk's time when it is contended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub io_weight: Option<IoWeight>,
    /// Bandwidth and operations per second, by device.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub io_max: Vec<IoLimit>,
    /// Bytes of huge pages by page size in the kernel's spelling (`2MB`, `1GB`).
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub hugetlb: BTreeMap<String, Max>,
    /// Device nodes that may be used. `None` restricts nothing; an empty list refuses
    /// every device. See [`crate::default_devices`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub devices: Option<Vec<DeviceRule>>,
}

/// The name of one limit, for messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(
    missing_docs,
    reason = "each names the field of `Limits` of the same name"
)]
pub enum Limit {
    CpuQuota,
    CpuWeight,
    CpusetCpus,
    CpusetMems,
    MemoryMax,
    MemoryHigh,
    MemoryLow,
    MemorySwap,
    MemorySwappiness,
    PidsMax,
    IoWeight,
    IoMax,
    Hugetlb,
    Devices,
}

impl Limit {
    /// The controller that enforces it.
    pub fn controller(self) -> Controller {
        match self {
            Self::CpuQuota | Self::CpuWeight => Controller::Cpu,
            Self::CpusetCpus | Self::CpusetMems => Controller::Cpuset,
            Self::MemoryMax
            | Self::MemoryHigh
            | Self::MemoryLow
            | Self::MemorySwap
            | Self::MemorySwappiness => Controller::Memory,
            Self::PidsMax => Controller::Pids,
            Self::IoWeight | Self::IoMax => Controller::Io,
            Self::Hugetlb => Controller::Hugetlb,
            Self::Devices => Controller::Devices,
        }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::CpuQuota => "CPU quota",
            Self::CpuWeight => "CPU weight",
            Self::CpusetCpus => "CPU set",
            Self::CpusetMems => "memory node set",
            Self::MemoryMax => "memory limit",
            Self::MemoryHigh => "memory high",
            Self::MemoryLow => "memory reservation",
            Self::MemorySwap => "memory and swap limit",
            Self::MemorySwappiness => "memory swappiness",
            Self::PidsMax => "pids limit",
            Self::IoWeight => "I/O weight",
            Self::IoMax => "I/O limit",
            Self::Hugetlb => "huge page limit",
            Self::Devices => "device list",
        })
    }
}

impl Limits {
    /// The limits that are set.
    pub fn set(&self) -> impl Iterator<Item = Limit> {
        [
            (self.cpu_quota.is_some(), Limit::CpuQuota),
            (self.cpu_weight.is_some(), Limit::CpuWeight),
            (self.cpuset_cpus.is_some(), Limit::CpusetCpus),
            (self.cpuset_mems.is_some(), Limit::CpusetMems),
            (self.memory_max.is_some(), Limit::MemoryMax),
            (self.memory_high.is_some(), Limit::MemoryHigh),
            (self.memory_low.is_some(), Limit::MemoryLow),
            (self.memory_swap.is_some(), Limit::MemorySwap),
            (self.memory_swappiness.is_some(), Limit::MemorySwappiness),
            (self.pids_max.is_some(), Limit::PidsMax),
            (self.io_weight.is_some(), Limit::IoWeight),
            (!self.io_max.is_empty(), Limit::IoMax),
            (!self.hugetlb.is_empty(), Limit::Hugetlb),
            (self.devices.is_some(), Limit::Devices),
        ]
        .into_iter()
        .filter_map(|(set, limit)| set.then_some(limit))
    }

    /// Whether nothing is set.
    pub fn is_empty(&self) -> bool {
        self.set().next().is_none()
    }
}
