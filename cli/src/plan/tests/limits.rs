//! Limits: from compose's words to the cgroup's.

use coop_cgroup::{CpuQuota, CpuWeight, Limits, Max};

use super::*;

fn limits(keys: &str) -> Limits {
    Fixture::new().web(keys).unwrap().plan.limits
}

fn quota(quota_us: Max, period_us: u64) -> CpuQuota {
    CpuQuota {
        quota_us,
        period_us,
    }
}

#[test]
fn only_processes_and_devices_are_limited_by_default() {
    let defaults = Limits {
        pids_max: Some(Max::At(2048)),
        devices: Some(coop_cgroup::default_devices()),
        ..Limits::default()
    };
    assert_eq!(limits(""), defaults);
    assert_eq!(limits("pids_limit: -1").pids_max, Some(Max::Unlimited));
}

#[test]
fn each_limit_reaches_the_cgroup() {
    let limits = limits(
        "mem_limit: 64m\nmemswap_limit: 128m\nmem_reservation: 32m\ncpus: 0.5\ncpu_shares: 512\n\
         cpuset: 0-1,3\npids_limit: 10",
    );
    assert_eq!(limits.memory_max, Some(Max::At(64 << 20)));
    assert_eq!(limits.memory_swap, Some(Max::At(128 << 20)));
    assert_eq!(limits.memory_low, Some(Max::At(32 << 20)));
    assert_eq!(limits.cpu_quota, Some(quota(Max::At(50_000), 100_000)));
    assert_eq!(limits.cpu_weight, Some(CpuWeight::Shares(512)));
    assert_eq!(limits.cpuset_cpus, Some("0-1,3".parse().unwrap()));
    assert_eq!(limits.pids_max, Some(Max::At(10)));
}

#[test]
fn unlimited_swap_and_a_quota_of_its_own_period() {
    let limits = limits("mem_limit: 64m\nmemswap_limit: -1\ncpu_quota: 5000\ncpu_period: 20000");
    assert_eq!(limits.memory_swap, Some(Max::Unlimited));
    assert_eq!(limits.cpu_quota, Some(quota(Max::At(5_000), 20_000)));
    assert_eq!(
        self::limits("cpu_quota: -1").cpu_quota,
        Some(quota(Max::Unlimited, 100_000))
    );
}
