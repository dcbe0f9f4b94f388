//! Limits as v2 spells them.

use std::fmt::Write as _;

use crate::cgroup::Setting;
use crate::limits::{IoLimit, Limit, Limits, Max};

const NO_CPU: &str = "the kernel lacks CONFIG_CFS_BANDWIDTH";
const NO_CPUSET: &str = "the kernel lacks CONFIG_CPUSETS";
const NO_SWAP: &str = "swap is not accounted; boot with swapaccount=1";
const NO_MEMCG: &str = "the kernel lacks CONFIG_MEMCG";
const NO_PIDS: &str = "the kernel lacks CONFIG_CGROUP_PIDS";
const NO_IO_WEIGHT: &str = "the kernel has neither CONFIG_BLK_CGROUP_IOCOST nor the bfq scheduler";
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
            "cpu.weight",
            weight.weight().to_string(),
            NO_CPU,
        );
    }
    if let Some(quota) = limits.cpu_quota {
        let value = format!("{} {}", quota.quota_us, quota.period_us);
        set(Limit::CpuQuota, "cpu.max", value, NO_CPU);
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
        set(Limit::MemoryMax, "memory.max", max.to_string(), NO_MEMCG);
    }
    if let Some(high) = limits.memory_high {
        set(Limit::MemoryHigh, "memory.high", high.to_string(), NO_MEMCG);
    }
    if let Some(low) = limits.memory_low {
        set(Limit::MemoryLow, "memory.low", low.to_string(), NO_MEMCG);
    }
    if let Some(both) = limits.memory_swap {
        let swap = swap_alone(both, limits.memory_max);
        set(
            Limit::MemorySwap,
            "memory.swap.max",
            swap.to_string(),
            NO_SWAP,
        );
    }
    if let Some(max) = limits.pids_max {
        set(Limit::PidsMax, "pids.max", max.to_string(), NO_PIDS);
    }
    for io in &limits.io_max {
        let value = io_max(io);
        if value.contains('=') {
            set(Limit::IoMax, "io.max", value, NO_THROTTLE);
        }
    }
    for (size, max) in &limits.hugetlb {
        set(
            Limit::Hugetlb,
            &format!("hugetlb.{size}.max"),
            max.to_string(),
            NO_HUGETLB,
        );
    }
    if let Some(weight) = limits.io_weight {
        // BFQ's file is there only when BFQ is loaded, and then it is what counts; the other
        // one is there always and does nothing until io.cost.qos is set up.
        plan.push(
            Setting::new(
                Limit::IoWeight,
                "io.bfq.weight",
                &weight.blkio(),
                NO_IO_WEIGHT,
            )
            .or("io.weight", &format!("default {}", weight.weight())),
        );
    }
    if limits.memory_swappiness.is_some() {
        let absent = "cgroup v2 has no swappiness of a group; limit swap instead";
        plan.push(Setting::never(Limit::MemorySwappiness, absent));
    }
    plan
}

/// v2 counts swap alone, Docker and OCI memory and swap together. `Limits::check` has seen
/// to it that there is a memory limit that is not larger.
fn swap_alone(both: Max, memory: Option<Max>) -> Max {
    match (both, memory) {
        (Max::At(both), Some(Max::At(memory))) => Max::At(both.saturating_sub(memory)),
        _ => Max::Unlimited,
    }
}

fn io_max(io: &IoLimit) -> String {
    let fields = [
        ("rbps", io.read_bps),
        ("wbps", io.write_bps),
        ("riops", io.read_iops),
        ("wiops", io.write_iops),
    ];
    let mut value = io.device.to_string();
    for (name, max) in fields {
        if let Some(max) = max {
            // Writing to a string cannot fail.
            let _ = write!(value, " {name}={max}");
        }
    }
    value
}
