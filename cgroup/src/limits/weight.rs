//! Weights, and their conversions between v1's and v2's scales.
//!
//! v1 counts CPU shares from 2 to 262,144 with a default of 1024, v2 weights from 1 to
//! 10,000 with a default of 100. Three formulas are in use:
//!
//! - runc and crun since 2025 (and so Kubernetes): a curve through (2, 1), (1024, 100)
//!   and (262144, 10000), so that the two defaults meet. Coop applies this one.
//! - the older OCI formula: a line through the ends, which turns the default of 1024
//!   into 39 and so puts a container below everything else on the machine.
//! - systemd's `CPUShares=`: the line through the defaults, clamped at the ends.

use serde::{Deserialize, Serialize};

const SHARES: std::ops::RangeInclusive<u64> = 2..=262_144;
const WEIGHT: std::ops::RangeInclusive<u64> = 1..=10_000;
const BLKIO: std::ops::RangeInclusive<u64> = 10..=1000;

/// Share of the CPU under contention, in the scale in which it was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum CpuWeight {
    /// Docker's and v1's shares, 2 to 262,144; 1024 is the default.
    Shares(u64),
    /// systemd's and v2's weight, 1 to 10,000; 100 is the default.
    Weight(u64),
}

impl CpuWeight {
    /// The value for v1's `cpu.shares`.
    pub fn shares(self) -> u64 {
        match self {
            Self::Shares(shares) => shares,
            Self::Weight(weight) => shares_from_weight(weight),
        }
    }

    /// The value for v2's `cpu.weight`.
    pub fn weight(self) -> u64 {
        match self {
            Self::Shares(shares) => weight_from_shares(shares),
            Self::Weight(weight) => weight,
        }
    }

    /// The value for v2's `cpu.weight` by the OCI runtime-spec's older, linear formula.
    pub fn weight_linear(self) -> u64 {
        match self {
            Self::Shares(shares) => {
                let shares = shares.clamp(*SHARES.start(), *SHARES.end());
                1 + (shares - 2) * 9999 / 262_142
            }
            Self::Weight(weight) => weight,
        }
    }

    /// The value for v2's `cpu.weight` by systemd's formula (`CPUShares=`).
    pub fn weight_systemd(self) -> u64 {
        match self {
            Self::Shares(shares) => {
                (shares.min(*SHARES.end()) * 100 / 1024).clamp(*WEIGHT.start(), *WEIGHT.end())
            }
            Self::Weight(weight) => weight,
        }
    }

    /// The value for v1's `cpu.shares` by systemd's formula (`CPUWeight=`).
    pub fn shares_systemd(self) -> u64 {
        match self {
            Self::Shares(shares) => shares,
            Self::Weight(weight) => {
                (weight.min(*WEIGHT.end()) * 1024 / 100).clamp(*SHARES.start(), *SHARES.end())
            }
        }
    }

    pub(crate) fn is_valid(self) -> bool {
        match self {
            Self::Shares(shares) => SHARES.contains(&shares),
            Self::Weight(weight) => WEIGHT.contains(&weight),
        }
    }
}

// 10^((l^2 + 125 l) / 612 - 7 / 34) with l = log2(shares), rounded up.
fn weight_from_shares(shares: u64) -> u64 {
    let l = (shares.clamp(*SHARES.start(), *SHARES.end()) as f64).log2();
    let weight = 10_f64.powf((l * l + 125.0 * l) / 612.0 - 7.0 / 34.0);
    // The three fixed points come out as 1.0000000000000002 and the like: rounding up
    // must not make them 2.
    ((weight - 1e-9).ceil() as u64).clamp(*WEIGHT.start(), *WEIGHT.end())
}

// The same curve solved for shares.
fn shares_from_weight(weight: u64) -> u64 {
    let exponent = (weight.clamp(*WEIGHT.start(), *WEIGHT.end()) as f64).log10();
    let c = 612.0 * (exponent + 7.0 / 34.0);
    let l = ((125.0_f64 * 125.0 + 4.0 * c).sqrt() - 125.0) / 2.0;
    // Rounded down, because the way back rounds up.
    ((l.exp2() + 1e-6).floor() as u64).clamp(*SHARES.start(), *SHARES.end())
}

/// Share of a disk's time under contention, in the scale in which it was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum IoWeight {
    /// Docker's and OCI's block I/O weight, 10 to 1000; BFQ's scale too.
    Blkio(u64),
    /// v2's weight, 1 to 10,000; 100 is the default.
    Weight(u64),
}

impl IoWeight {
    /// The value for `blkio.weight` and for BFQ's files.
    pub fn blkio(self) -> u64 {
        match self {
            Self::Blkio(weight) => weight,
            Self::Weight(weight) => {
                let weight = weight.clamp(*WEIGHT.start(), *WEIGHT.end());
                10 + ((weight - 1) * 990).div_ceil(9999)
            }
        }
    }

    /// The value for `io.weight`, by the OCI runtimes' formula.
    pub fn weight(self) -> u64 {
        match self {
            Self::Blkio(weight) => {
                1 + (weight.clamp(*BLKIO.start(), *BLKIO.end()) - 10) * 9999 / 990
            }
            Self::Weight(weight) => weight,
        }
    }

    pub(crate) fn is_valid(self) -> bool {
        match self {
            Self::Blkio(weight) => BLKIO.contains(&weight),
            Self::Weight(weight) => WEIGHT.contains(&weight),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_ends_and_the_defaults_meet() {
        for (shares, weight) in [(2, 1), (1024, 100), (262_144, 10_000)] {
            assert_eq!(CpuWeight::Shares(shares).weight(), weight);
            assert_eq!(CpuWeight::Weight(weight).shares(), shares);
        }
        assert_eq!(CpuWeight::Shares(1024).weight_linear(), 39);
        assert_eq!(CpuWeight::Shares(1024).weight_systemd(), 100);
        assert_eq!(CpuWeight::Weight(100).shares_systemd(), 1024);
        assert_eq!(CpuWeight::Weight(1).shares_systemd(), 10);
        for (blkio, weight) in [(10, 1), (1000, 10_000)] {
            assert_eq!(IoWeight::Blkio(blkio).weight(), weight);
            assert_eq!(IoWeight::Weight(weight).blkio(), blkio);
        }
    }

    proptest! {
        #[test]
        fn conversions_stay_in_range_and_in_order(a in 0_u64..400_000, b in 0_u64..400_000) {
            let (low, high) = (a.min(b), a.max(b));
            for convert in [CpuWeight::weight, CpuWeight::weight_linear, CpuWeight::weight_systemd] {
                let (low, high) = (convert(CpuWeight::Shares(low)), convert(CpuWeight::Shares(high)));
                prop_assert!(low <= high && WEIGHT.contains(&low) && WEIGHT.contains(&high));
            }
            for convert in [CpuWeight::shares, CpuWeight::shares_systemd] {
                let (low, high) = (convert(CpuWeight::Weight(low)), convert(CpuWeight::Weight(high)));
                prop_assert!(low <= high && SHARES.contains(&low) && SHARES.contains(&high));
            }
        }

        #[test]
        fn a_weight_survives_the_way_through_shares(weight in WEIGHT) {
            let back = CpuWeight::Shares(CpuWeight::Weight(weight).shares()).weight();
            // Shares are the coarser scale at the low end.
            prop_assert!(back.abs_diff(weight) <= 1 + weight / 100, "{weight} came back as {back}");
        }

        #[test]
        fn a_block_weight_survives_the_way_through_io_weight(weight in BLKIO) {
            prop_assert_eq!(IoWeight::Weight(IoWeight::Blkio(weight).weight()).blkio(), weight);
        }
    }
}
