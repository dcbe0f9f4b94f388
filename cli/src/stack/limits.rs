//! Which limits hold for a service: the file has two places for some of them.

use super::model::Service;
use super::value::{ByteSize, Cpus, PidsLimit, SwapLimit};

/// The limits of a service, from wherever they are written.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Limits {
    /// Most memory.
    pub(crate) memory: Option<ByteSize>,
    /// Most memory and swap together.
    pub(crate) swap: Option<SwapLimit>,
    /// Memory to keep when the machine runs short.
    pub(crate) memory_reservation: Option<ByteSize>,
    /// Most processor time.
    pub(crate) cpu: Option<CpuQuota>,
    /// Relative weight, 1024 being the normal one.
    pub(crate) cpu_shares: Option<u64>,
    /// Processors to run on.
    pub(crate) cpuset: Option<String>,
    /// Most processes and threads.
    pub(crate) pids: Option<PidsLimit>,
}

/// Processor time in each period, in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CpuQuota {
    /// Time; `None` is no limit.
    pub(crate) quota_us: Option<u64>,
    /// Length of the period.
    pub(crate) period_us: u64,
}

impl From<Cpus> for CpuQuota {
    fn from(cpus: Cpus) -> Self {
        Self {
            quota_us: Some(cpus.quota_us()),
            period_us: cpus.period_us(),
        }
    }
}

/// The period when only a quota is given; the kernel's own.
const PERIOD_US: u64 = 100_000;

impl Service {
    /// The limits that hold. `mem_limit`, `cpus`, `pids_limit` and `mem_reservation`
    /// win over `deploy.resources`; a loaded file has no two that differ.
    pub(crate) fn limits(&self) -> Limits {
        let resources = self.deploy.as_ref().map(|deploy| &deploy.resources);
        let limits = resources.and_then(|r| r.limits.clone()).unwrap_or_default();
        let reserved = resources
            .and_then(|r| r.reservations.clone())
            .unwrap_or_default();
        let quota = (self.cpu_quota.is_some() || self.cpu_period.is_some()).then(|| CpuQuota {
            quota_us: self.cpu_quota.and_then(|quota| u64::try_from(quota).ok()),
            period_us: self.cpu_period.unwrap_or(PERIOD_US),
        });
        Limits {
            memory: self.mem_limit.or(limits.memory),
            swap: self.memswap_limit,
            memory_reservation: self.mem_reservation.or(reserved.memory),
            cpu: self.cpus.or(limits.cpus).map(CpuQuota::from).or(quota),
            cpu_shares: self.cpu_shares,
            cpuset: self.cpuset.clone(),
            pids: self.pids_limit.or(limits.pids),
        }
    }
}
