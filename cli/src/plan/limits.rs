//! Limits: from compose's words to the cgroup crate's.

use anyhow::{Context, Result};
use coop_cgroup::{CpuQuota, CpuWeight, IndexList, Limits, Max, default_devices};

use super::container::RunOptions;
use crate::stack::Service;
use crate::stack::value::{ByteSize, PidsLimit, SwapLimit};

/// Without a number a fork bomb takes the whole machine along: the one limit that is never
/// wanted unlimited. As Podman's default.
const DEFAULT_PIDS: u64 = 2048;

/// The limits of a service.
pub(super) fn limits(service: &Service, options: &RunOptions) -> Result<Limits> {
    let written = service.limits();
    let list = |what: &'static str, list: &Option<String>| -> Result<Option<IndexList>> {
        list.as_deref()
            .map(str::parse)
            .transpose()
            .with_context(|| what)
    };
    let bytes = |size: ByteSize| Max::At(size.bytes());
    let limits = Limits {
        cpu_quota: written.cpu.map(|cpu| CpuQuota {
            quota_us: cpu.quota_us.map_or(Max::Unlimited, Max::At),
            period_us: cpu.period_us,
        }),
        cpu_weight: written.cpu_shares.map(CpuWeight::Shares),
        cpuset_cpus: list("cpuset", &written.cpuset)?,
        cpuset_mems: list("cpuset-mems", &options.cpuset_mems)?,
        memory_max: written.memory.map(bytes),
        memory_low: written.memory_reservation.map(bytes),
        memory_swap: written.swap.map(|limit| match limit {
            SwapLimit::Unlimited => Max::Unlimited,
            SwapLimit::Bytes(size) => bytes(size),
        }),
        pids_max: Some(match written.pids {
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
