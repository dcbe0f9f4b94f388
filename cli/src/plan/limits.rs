//! Limits: from compose's words to the cgroup crate's.

use anyhow::{Context, Result};
use coop_cgroup::{CpuQuota, CpuWeight, DeviceNumber, IndexList, IoLimit, IoWeight, Limits, Max};
use rustix::fs::{FileType, major, minor};

use super::container::RunOptions;
use super::privileges::device_rules;
use crate::stack::value::{ByteSize, PidsLimit, SwapLimit};
use crate::stack::{BlkioConfig, DeviceRate, Service};

/// Without a number a fork bomb takes the whole machine along: the one limit that is never
/// wanted unlimited. As Podman's default.
pub(crate) const DEFAULT_PIDS: u64 = 2048;

/// The limits of a service.
pub(super) fn limits(service: &Service, options: &RunOptions) -> Result<Limits> {
    let written = service.limits();
    let isolation = &service.isolation;
    let blkio = isolation.blkio_config.as_ref();
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
        memory_swap: match (written.swap, written.memory) {
            (Some(SwapLimit::Unlimited), _) => Some(Max::Unlimited),
            (Some(SwapLimit::Bytes(size)), _) => Some(bytes(size)),
            // As Docker: as much swap as memory.
            (None, Some(memory)) => Some(Max::At(memory.bytes().saturating_mul(2))),
            (None, None) => None,
        },
        memory_swappiness: isolation.mem_swappiness.map(|swappiness| swappiness.0),
        io_weight: blkio
            .and_then(|blkio| blkio.weight)
            .map(|weight| IoWeight::Blkio(weight.0.into())),
        io_max: blkio.map(io_max).transpose()?.unwrap_or_default(),
        pids_max: Some(match written.pids {
            None => Max::At(DEFAULT_PIDS),
            Some(PidsLimit::Unlimited) => Max::Unlimited,
            Some(PidsLimit::Max(number)) => Max::At(number.into()),
        }),
        devices: Some(device_rules(service)?),
        ..Limits::default()
    };
    limits.check()?;
    Ok(limits)
}

/// The limits of each block device, one entry for each.
fn io_max(blkio: &BlkioConfig) -> Result<Vec<IoLimit>> {
    let mut limits = Vec::new();
    let bytes = |rate: ByteSize| Max::At(rate.bytes());
    for rate in &blkio.device_read_bps {
        of_device(&mut limits, rate)?.read_bps = Some(bytes(rate.rate));
    }
    for rate in &blkio.device_write_bps {
        of_device(&mut limits, rate)?.write_bps = Some(bytes(rate.rate));
    }
    for rate in &blkio.device_read_iops {
        of_device(&mut limits, rate)?.read_iops = Some(Max::At(rate.rate));
    }
    for rate in &blkio.device_write_iops {
        of_device(&mut limits, rate)?.write_iops = Some(Max::At(rate.rate));
    }
    Ok(limits)
}

fn of_device<'l, T>(limits: &'l mut Vec<IoLimit>, rate: &DeviceRate<T>) -> Result<&'l mut IoLimit> {
    let failed = || format!("blkio_config: {}", rate.path.display());
    let stat = rustix::fs::stat(&rate.path).with_context(failed)?;
    anyhow::ensure!(
        FileType::from_raw_mode(stat.st_mode) == FileType::BlockDevice,
        "{}: not a block device",
        failed()
    );
    let device = DeviceNumber {
        major: major(stat.st_rdev),
        minor: minor(stat.st_rdev),
    };
    let known = limits.iter().position(|limit| limit.device == device);
    let index = known.unwrap_or_else(|| {
        limits.push(IoLimit::new(device));
        limits.len() - 1
    });
    Ok(&mut limits[index])
}
