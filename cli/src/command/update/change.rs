//! What is to change, and what that means for a cgroup.

use anyhow::{Context, Result, ensure};
use coop_cgroup::{
    CpuQuota, CpuWeight, IndexList, IoWeight, Limit, LimitError, Limits, Max, Version,
};

use super::Allowed;
use crate::args::{CpusLimit, LimitArgs};
use crate::stack::value::{ByteSize, PidsLimit, SwapLimit};

/// The period when none is given, in microseconds: the kernel's own default.
const PERIOD_US: u64 = 100_000;

/// The kernel's own weights.
const SHARES: CpuWeight = CpuWeight::Shares(1024);
const IO_WEIGHT: IoWeight = IoWeight::Weight(100);

/// New values; what is `None` stays.
#[derive(Debug)]
pub(super) struct Change {
    memory: Option<Max>,
    swap: Option<Max>,
    reservation: Option<Max>,
    quota_us: Option<Max>,
    period_us: Option<u64>,
    shares: Option<CpuWeight>,
    cpus: Option<IndexList>,
    mems: Option<IndexList>,
    pids: Option<Max>,
    io_weight: Option<IoWeight>,
    version: Version,
}

impl Change {
    /// As asked for on the command line.
    pub(super) fn new(args: &LimitArgs, version: Version) -> Result<Self> {
        let list = |flag: &'static str, text: &Option<String>| -> Result<Option<IndexList>> {
            let list = text.as_deref().map(str::parse).transpose();
            list.with_context(|| format!("--{flag}"))
        };
        let quota_us = match (args.cpus, args.cpu_quota) {
            (Some(CpusLimit::At(cpus)), _) => Some(Max::At(cpus.quota_us())),
            (Some(CpusLimit::Unlimited), _) | (None, Some(0 | -1)) => Some(Max::Unlimited),
            (None, Some(quota)) => {
                let quota = u64::try_from(quota).ok();
                ensure!(quota.is_some(), "--cpu-quota: write microseconds, or -1");
                quota.map(Max::At)
            }
            (None, None) => None,
        };
        let change = Self {
            memory: args.memory.map(no_limit_at_0),
            swap: args.memory_swap.map(|swap| match swap {
                SwapLimit::Unlimited => Max::Unlimited,
                SwapLimit::Bytes(size) => no_limit_at_0(size),
            }),
            reservation: args.memory_reservation.map(|size| match size.bytes() {
                0 => nothing_reserved(version),
                bytes => Max::At(bytes),
            }),
            quota_us,
            period_us: match args.cpus {
                // A number of processors is of the usual period.
                Some(_) => Some(PERIOD_US),
                None => args.cpu_period,
            },
            shares: args.cpu_shares.map(|shares| match shares {
                0 => SHARES,
                shares => CpuWeight::Shares(shares),
            }),
            cpus: list("cpuset-cpus", &args.cpuset_cpus)?,
            mems: list("cpuset-mems", &args.cpuset_mems)?,
            pids: args.pids_limit.map(|pids| match pids {
                PidsLimit::Unlimited => Max::Unlimited,
                PidsLimit::Max(pids) => Max::At(pids.into()),
            }),
            io_weight: args.blkio_weight.map(|weight| match weight {
                0 => IO_WEIGHT,
                weight => IoWeight::Blkio(weight),
            }),
            version,
        };
        ensure!(
            args.restart.is_some() || change.is_any(),
            "nothing to change is given\n  help: `coop update --help` lists what can be changed"
        );
        Ok(change)
    }

    fn is_any(&self) -> bool {
        let lists = self.cpus.is_some() || self.mems.is_some();
        let weights = self.shares.is_some() || self.io_weight.is_some();
        let sizes = self.changes_memory() || self.reservation.is_some() || self.pids.is_some();
        lists || weights || sizes || self.changes_quota()
    }

    /// Changes the limits of a plan.
    pub(super) fn apply(&self, limits: &mut Limits) {
        fn replace<T: Clone>(old: &mut Option<T>, new: Option<&T>) {
            if let Some(new) = new {
                *old = Some(new.clone());
            }
        }
        replace(&mut limits.memory_max, self.memory.as_ref());
        replace(&mut limits.memory_swap, self.swap.as_ref());
        replace(&mut limits.memory_low, self.reservation.as_ref());
        replace(&mut limits.cpu_weight, self.shares.as_ref());
        replace(&mut limits.cpuset_cpus, self.cpus.as_ref());
        replace(&mut limits.cpuset_mems, self.mems.as_ref());
        replace(&mut limits.pids_max, self.pids.as_ref());
        replace(&mut limits.io_weight, self.io_weight.as_ref());
        if self.changes_quota() {
            let old = limits.cpu_quota.unwrap_or(NO_QUOTA);
            limits.cpu_quota = Some(CpuQuota {
                quota_us: self.quota_us.unwrap_or(old.quota_us),
                period_us: self.period_us.unwrap_or(old.period_us),
            });
        }
    }

    /// Of a plan's limits, those that a running cgroup has to be told.
    pub(super) fn to_set(&self, limits: &Limits) -> Limits {
        let swap = self.changes_memory() && (self.swap.is_some() || limits.memory_swap.is_some());
        Limits {
            // v2's limit of swap alone depends on both.
            memory_max: limits.memory_max.filter(|_| self.changes_memory()),
            memory_swap: limits.memory_swap.filter(|_| swap),
            memory_low: limits.memory_low.filter(|_| self.reservation.is_some()),
            cpu_quota: limits.cpu_quota.filter(|_| self.changes_quota()),
            cpu_weight: limits.cpu_weight.filter(|_| self.shares.is_some()),
            cpuset_cpus: (limits.cpuset_cpus.clone()).filter(|_| self.cpus.is_some()),
            cpuset_mems: (limits.cpuset_mems.clone()).filter(|_| self.mems.is_some()),
            pids_max: limits.pids_max.filter(|_| self.pids.is_some()),
            io_weight: limits.io_weight.filter(|_| self.io_weight.is_some()),
            ..Limits::default()
        }
    }

    /// What undoes [`to_set`](Self::to_set): a limit that was not there is lifted by name.
    pub(super) fn to_restore(&self, before: &Limits, allowed: &Allowed) -> Limits {
        let list = |text: &Option<String>| text.as_deref().and_then(|text| text.parse().ok());
        let mut whole = before.clone();
        whole.memory_max.get_or_insert(Max::Unlimited);
        whole.memory_swap.get_or_insert(Max::Unlimited);
        (whole.memory_low).get_or_insert(nothing_reserved(self.version));
        whole.cpu_quota.get_or_insert(NO_QUOTA);
        whole.cpu_weight.get_or_insert(SHARES);
        whole.pids_max.get_or_insert(Max::Unlimited);
        whole.io_weight.get_or_insert(IO_WEIGHT);
        whole.cpuset_cpus = whole.cpuset_cpus.or_else(|| list(&allowed.cpus));
        whole.cpuset_mems = whole.cpuset_mems.or_else(|| list(&allowed.mems));
        let mut restore = self.to_set(&whole);
        if self.swap.is_none() {
            // Not touched, and not there on every kernel.
            restore.memory_swap = before.memory_swap.filter(|_| self.changes_memory());
        }
        restore
    }

    /// As Docker: a limit of memory and swap that was set before is not changed by the way.
    pub(super) fn explain(&self, error: LimitError) -> anyhow::Error {
        if error.limit == Limit::MemorySwap && self.swap.is_none() {
            return anyhow::anyhow!("{error}\n  help: change --memory-swap at the same time");
        }
        error.into()
    }

    fn changes_memory(&self) -> bool {
        self.memory.is_some() || self.swap.is_some()
    }

    fn changes_quota(&self) -> bool {
        self.quota_us.is_some() || self.period_us.is_some()
    }
}

const NO_QUOTA: CpuQuota = CpuQuota {
    quota_us: Max::Unlimited,
    period_us: PERIOD_US,
};

/// A size of 0 sets no limit, as with `run`.
fn no_limit_at_0(size: ByteSize) -> Max {
    match size.bytes() {
        0 => Max::Unlimited,
        bytes => Max::At(bytes),
    }
}

/// v2 protects so much from reclaim, v1 reclaims first what is above: no limit is the opposite.
fn nothing_reserved(version: Version) -> Max {
    match version {
        Version::V2 => Max::At(0),
        Version::V1 | Version::Hybrid => Max::Unlimited,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(args: &LimitArgs) -> Change {
        Change::new(args, Version::V2).unwrap()
    }

    #[test]
    fn what_is_not_given_stays() {
        let mut limits = Limits {
            memory_max: Some(Max::At(64 << 20)),
            pids_max: Some(Max::At(10)),
            cpu_quota: Some(CpuQuota {
                quota_us: Max::At(50_000),
                period_us: 100_000,
            }),
            ..Limits::default()
        };
        let more = change(&LimitArgs {
            cpu_period: Some(50_000),
            pids_limit: Some(PidsLimit::Max(20)),
            ..LimitArgs::default()
        });
        more.apply(&mut limits);
        assert_eq!(limits.memory_max, Some(Max::At(64 << 20)));
        let quota = limits.cpu_quota.unwrap();
        assert_eq!((quota.quota_us, quota.period_us), (Max::At(50_000), 50_000));
        // Only what changes is written again.
        let set: Vec<_> = more.to_set(&limits).set().collect();
        assert_eq!(
            set,
            [coop_cgroup::Limit::CpuQuota, coop_cgroup::Limit::PidsMax]
        );
    }

    #[test]
    fn memory_and_swap_are_set_together() {
        let before = Limits {
            memory_max: Some(Max::At(64 << 20)),
            memory_swap: Some(Max::At(128 << 20)),
            ..Limits::default()
        };
        let less = change(&LimitArgs {
            memory: Some("32m".parse().unwrap()),
            ..LimitArgs::default()
        });
        let mut after = before.clone();
        less.apply(&mut after);
        let set = less.to_set(&after);
        assert_eq!(set.memory_max, Some(Max::At(32 << 20)));
        assert_eq!(set.memory_swap, Some(Max::At(128 << 20)));
    }

    #[test]
    fn what_was_not_limited_is_lifted_again() {
        let all = change(&LimitArgs {
            memory: Some("64m".parse().unwrap()),
            memory_swap: Some("64m".parse().unwrap()),
            cpus: Some(CpusLimit::At("0.5".parse().unwrap())),
            cpu_shares: Some(2),
            cpuset_cpus: Some("0".into()),
            cpuset_mems: Some("0".into()),
            pids_limit: Some(PidsLimit::Max(5)),
            blkio_weight: Some(10),
            ..LimitArgs::default()
        });
        let allowed = Allowed {
            cpus: Some("0-3".into()),
            mems: Some("0".into()),
        };
        let mut after = Limits::default();
        all.apply(&mut after);
        let restored = all.to_restore(&Limits::default(), &allowed);
        assert_eq!(
            restored.set().collect::<Vec<_>>(),
            all.to_set(&after).set().collect::<Vec<_>>()
        );
        assert_eq!(restored.memory_max, Some(Max::Unlimited));
        assert_eq!(restored.cpuset_cpus, Some("0-3".parse().unwrap()));
    }

    #[test]
    fn none_and_0_lift_a_limit() {
        let lifted = change(&LimitArgs {
            memory: Some("0".parse().unwrap()),
            cpus: Some(CpusLimit::Unlimited),
            ..LimitArgs::default()
        });
        assert_eq!(lifted.memory, Some(Max::Unlimited));
        assert_eq!(lifted.quota_us, Some(Max::Unlimited));
        let negative = LimitArgs {
            cpu_quota: Some(-5),
            ..LimitArgs::default()
        };
        assert!(Change::new(&negative, Version::V2).is_err());
    }
}
