//! Limits: from compose's words to the cgroup crate's.

use anyhow::{Context, Result};
use coop_cgroup::{CpuQuota, CpuWeight, Limits, Max, default_devices};

use super::container::RunOptions;
use crate::stack::Service;
use crate::stack::value::{PidsLimit, SwapLimit};

/// Without a number a fork bomb takes the whole machine along: the one limit that is never
/// wanted unlimited. As Podman's default.
const DEFAULT_PIDS: u64 = 2048;

/// The limits of a service. `deploy.resources.limits` and the older keys are one thing:
/// the stack file's checks have made sure that they do not contradict each other.
pub(super) fn limits(service: &Service, options: &RunOptions) -> Result<Limits> {
    let deploy = service.deploy.as_ref().map(|deploy| &deploy.resources);
    let deployed = deploy.and_then(|resources| resources.limits.as_ref());
    let reserved = deploy.and_then(|resources| resources.reservations.as_ref());

    let cpus = service.cpus.or(deployed.and_then(|limits| limits.cpus));
    let cpu_quota = match (cpus, service.cpu_quota) {
        (Some(cpus), _) => Some(CpuQuota { quota_us: Max::At(cpus.quota_us()), period_us: cpus.period_us() }),
        (None, Some(quota)) => Some(CpuQuota {
            quota_us: u64::try_from(quota).map_or(Max::Unlimited, Max::At),
            period_us: service.cpu_period.unwrap_or(CpuQuota::DEFAULT_PERIOD_US),
        }),
        (None, None) => None,
    };
    let memory = service.mem_limit.or(deployed.and_then(|limits| limits.memory));
    let reservation = service.mem_reservation.or(reserved.and_then(|reserved| reserved.memory));
    let pids = service.pids_limit.or(deployed.and_then(|limits| limits.pids));
    let limits = Limits {
        cpu_quota,
        cpu_weight: service.cpu_shares.map(CpuWeight::Shares),
        cpuset_cpus: service
            .cpuset
            .as_deref()
            .map(str::parse)
            .transpose()
            .with_context(|| format!("cpuset {:?}", service.cpuset.as_deref().unwrap_or_default()))?,
        cpuset_mems: options
            .cpuset_mems
            .as_deref()
            .map(str::parse)
            .transpose()
            .with_context(|| format!("cpuset-mems {:?}", options.cpuset_mems.as_deref().unwrap_or_default()))?,
        memory_max: memory.map(|size| Max::At(size.bytes())),
        memory_low: reservation.map(|size| Max::At(size.bytes())),
        memory_swap: service.memswap_limit.map(|limit| match limit {
            SwapLimit::Unlimited => Max::Unlimited,
            SwapLimit::Bytes(size) => Max::At(size.bytes()),
        }),
        pids_max: Some(match pids {
            None => Max::At(DEFAULT_PIDS),
            Some(PidsLimit::Unlimited) => Max::Unlimited,
            Some(PidsLimit::Max(number)) => Max::At(number.into()),
        }),
        devices: Some(default_devices()),
        ..Limits::default()
    };
    limits.check()?;
    Ok(limits)
}
