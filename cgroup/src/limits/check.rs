//! Limits that no kernel takes, found before anything is written.

use super::{Limit, Limits, Max};

/// A limit's value is out of its range, or does not go with another.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{limit} {value}: {reason}")]
pub struct LimitError {
    /// The limit.
    pub limit: Limit,
    /// The value given.
    pub value: String,
    /// What is allowed.
    pub reason: &'static str,
}

impl Limits {
    /// Checks ranges and combinations without looking at the system, so that a mistake
    /// is found when a file is read and not when a container starts.
    ///
    /// # Errors
    /// The first [`LimitError`].
    pub fn check(&self) -> Result<(), LimitError> {
        if let Some(quota) = self.cpu_quota {
            let value = format!("{}/{}", quota.quota_us, quota.period_us);
            // The same bounds as the kernel's `min_cfs_quota_period` and `max_cfs_quota_period`.
            ensure(
                (1000..=1_000_000).contains(&quota.period_us),
                Limit::CpuQuota,
                &value,
                || "the period is 1000 to 1000000 microseconds",
            )?;
            ensure(
                quota.quota_us >= Max::At(1000),
                Limit::CpuQuota,
                &value,
                || "the quota is at least 1000 microseconds (0.01 of a CPU)",
            )?;
        }
        if let Some(weight) = self.cpu_weight {
            ensure(
                weight.is_valid(),
                Limit::CpuWeight,
                &format!("{weight:?}"),
                || "shares are 2 to 262144, weights 1 to 10000",
            )?;
        }
        if let Some(weight) = self.io_weight {
            ensure(
                weight.is_valid(),
                Limit::IoWeight,
                &format!("{weight:?}"),
                || "block I/O weights are 10 to 1000, weights 1 to 10000",
            )?;
        }
        if let Some(swappiness) = self.memory_swappiness {
            ensure(
                swappiness <= 100,
                Limit::MemorySwappiness,
                &swappiness.to_string(),
                || "swappiness is 0 to 100",
            )?;
        }
        if let Some(total @ Max::At(_)) = self.memory_swap {
            let memory = self.memory_max.unwrap_or(Max::Unlimited);
            ensure(
                memory <= total,
                Limit::MemorySwap,
                &total.to_string(),
                || "it counts memory and swap together, so it needs a memory limit that is not larger",
            )?;
        }
        if self.pids_max == Some(Max::At(0)) {
            return Err(error(
                Limit::PidsMax,
                "0",
                "no process could start; use at least 1",
            ));
        }
        for size in self.hugetlb.keys() {
            // The size becomes a part of a file name.
            let digits = size.trim_end_matches(|c: char| c.is_ascii_uppercase());
            let known = matches!(&size[digits.len()..], "KB" | "MB" | "GB");
            ensure(
                known && digits.parse::<u32>().is_ok(),
                Limit::Hugetlb,
                size,
                || "page sizes are spelled as the kernel does: 2MB, 1GB",
            )?;
        }
        Ok(())
    }
}

fn ensure(
    holds: bool,
    limit: Limit,
    value: &str,
    reason: fn() -> &'static str,
) -> Result<(), LimitError> {
    if holds {
        Ok(())
    } else {
        Err(error(limit, value, reason()))
    }
}

fn error(limit: Limit, value: &str, reason: &'static str) -> LimitError {
    LimitError {
        limit,
        value: value.to_owned(),
        reason,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{CpuQuota, CpuWeight};

    fn refused(limits: &Limits) -> Limit {
        limits.check().unwrap_err().limit
    }

    #[test]
    fn what_no_kernel_takes_is_refused_early() {
        let none = Limits::default;
        assert_eq!(
            refused(&Limits {
                cpu_quota: Some(CpuQuota::cpus(0.0)),
                ..none()
            }),
            Limit::CpuQuota
        );
        assert_eq!(
            refused(&Limits {
                cpu_weight: Some(CpuWeight::Shares(1)),
                ..none()
            }),
            Limit::CpuWeight
        );
        assert_eq!(
            refused(&Limits {
                pids_max: Some(Max::At(0)),
                ..none()
            }),
            Limit::PidsMax
        );
        let swap = Limits {
            memory_max: Some(Max::At(10)),
            memory_swap: Some(Max::At(9)),
            ..none()
        };
        assert_eq!(refused(&swap), Limit::MemorySwap);
        assert_eq!(
            refused(&Limits {
                memory_max: None,
                ..swap
            }),
            Limit::MemorySwap
        );
        for size in ["../x", "2", "MB", "2mb", "1TB"] {
            let limits = Limits {
                hugetlb: [(size.to_owned(), Max::At(0))].into(),
                ..none()
            };
            assert_eq!(refused(&limits), Limit::Hugetlb, "{size}");
        }
    }

    #[test]
    fn a_default_changes_nothing_and_is_valid() {
        assert!(Limits::default().is_empty());
        assert_eq!(Limits::default().check(), Ok(()));
        assert_eq!(serde_json::to_string(&Limits::default()).unwrap(), "{}");
    }
}
