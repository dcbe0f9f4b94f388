//! Limits as v1 spells them.

use crate::cgroup::Setting;
use crate::limits::{IoLimit, Limit, Limits, Max};

/// v1 writes "no limit" as -1.
fn or_minus_one(max: Max) -> String {
    max.value()
        .map_or_else(|| "-1".to_owned(), |value| value.to_string())
}

/// Block I/O throttling takes 0 for "no limit".
fn or_zero(max: Max) -> u64 {
    max.value().unwrap_or(0)
}

const NO_BANDWIDTH: &str = "the kernel lacks CONFIG_CFS_BANDWIDTH";
const NO_CPUSET: &str = "the kernel lacks CONFIG_CPUSETS";
const NO_SWAP: &str = "swap is not accounted; boot with swapaccount=1";
const NO_MEMCG: &str = "the kernel lacks CONFIG_MEMCG";
const NO_PIDS: &str = "the kernel lacks CONFIG_CGROUP_PIDS";
const NO_IO_WEIGHT: &str = "no disk scheduler with weights is active; load bfq (echo bfq > /sys/block/DISK/queue/scheduler)";
const NO_THROTTLE: &str = "the kernel lacks CONFIG_BLK_DEV_THROTTLING";
const NO_HUGETLB: &str = "the machine has no huge pages of this size";

pub(super) fn plan(limits: &Limits) -> Vec<Setting> {
    let mut plan = Vec::new();
    let mut set = |limit, file: &str, value: String, absent| {
        plan.push(Setting::new(limit, file, &value, absent));
    };
    if let Some(weight) = limits.cpu_weight {
        set(
            Limit::CpuWeight,
            "cpu.shares",
            weight.shares().to_string(),
            NO_BANDWIDTH,
        );
    }
    if let Some(quota) = limits.cpu_quota {
        set(
            Limit::CpuQuota,
            "cpu.cfs_period_us",
            quota.period_us.to_string(),
            NO_BANDWIDTH,
        );
        set(
            Limit::CpuQuota,
            "cpu.cfs_quota_us",
            or_minus_one(quota.quota_us),
            NO_BANDWIDTH,
        );
    }
    if let Some(cpus) = &limits.cpuset_cpus {
        set(
            Limit::CpusetCpus,
            "cpuset.cpus",
            cpus.to_string(),
            NO_CPUSET,
        );
    }
    if let Some(mems) = &limits.cpuset_mems {
        set(
            Limit::CpusetMems,
            "cpuset.mems",
            mems.to_string(),
            NO_CPUSET,
        );
    }
    if let Some(max) = limits.memory_max {
        set(
            Limit::MemoryMax,
            "memory.limit_in_bytes",
            or_minus_one(max),
            NO_MEMCG,
        );
    }
    if let Some(max) = limits.memory_swap {
        set(
            Limit::MemorySwap,
            "memory.memsw.limit_in_bytes",
            or_minus_one(max),
            NO_SWAP,
        );
    }
    if let Some(low) = limits.memory_low {
        set(
            Limit::MemoryLow,
            "memory.soft_limit_in_bytes",
            or_minus_one(low),
            NO_MEMCG,
        );
    }
    if let Some(swappiness) = limits.memory_swappiness {
        set(
            Limit::MemorySwappiness,
            "memory.swappiness",
            swappiness.to_string(),
            NO_MEMCG,
        );
    }
    if let Some(max) = limits.pids_max {
        set(Limit::PidsMax, "pids.max", max.to_string(), NO_PIDS);
    }
    for io in &limits.io_max {
        for (file, max) in throttle(io) {
            set(
                Limit::IoMax,
                file,
                format!("{} {}", io.device, or_zero(max)),
                NO_THROTTLE,
            );
        }
    }
    for (size, max) in &limits.hugetlb {
        let file = format!("hugetlb.{size}.limit_in_bytes");
        set(Limit::Hugetlb, &file, or_minus_one(*max), NO_HUGETLB);
    }
    if let Some(weight) = limits.io_weight {
        let weight = weight.blkio();
        plan.push(
            Setting::new(Limit::IoWeight, "blkio.weight", &weight, NO_IO_WEIGHT)
                .or("blkio.bfq.weight", &weight),
        );
    }
    if limits.memory_high.is_some() {
        let absent = "cgroup v1 has no throttling limit; use the memory limit or the reservation";
        plan.push(Setting::never(Limit::MemoryHigh, absent));
    }
    plan
}

fn throttle(io: &IoLimit) -> impl Iterator<Item = (&'static str, Max)> {
    [
        ("blkio.throttle.read_bps_device", io.read_bps),
        ("blkio.throttle.write_bps_device", io.write_bps),
        ("blkio.throttle.read_iops_device", io.read_iops),
        ("blkio.throttle.write_iops_device", io.write_iops),
    ]
    .into_iter()
    .filter_map(|(file, max)| Some((file, max?)))
}
