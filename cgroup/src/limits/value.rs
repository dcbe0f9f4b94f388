//! The values that limits take.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// An upper bound: a number or none. Written as a number or `"max"`, the kernel's word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Max {
    /// At most this many (bytes, tasks, operations: the field says).
    At(u64),
    /// No bound.
    Unlimited,
}

impl Max {
    /// The number, if there is a bound.
    pub const fn value(self) -> Option<u64> {
        match self {
            Self::At(value) => Some(value),
            Self::Unlimited => None,
        }
    }
}

impl fmt::Display for Max {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::At(value) => value.fmt(f),
            Self::Unlimited => f.write_str("max"),
        }
    }
}

impl From<u64> for Max {
    fn from(value: u64) -> Self {
        Self::At(value)
    }
}

impl FromStr for Max {
    type Err = std::num::ParseIntError;
    /// Reads a number, `max`, or OCI's and Docker's `-1`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "max" | "-1" => Ok(Self::Unlimited),
            number => number.parse().map(Self::At),
        }
    }
}

impl Serialize for Max {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::At(value) => serializer.serialize_u64(*value),
            Self::Unlimited => serializer.serialize_str("max"),
        }
    }
}

impl<'de> Deserialize<'de> for Max {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Max;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number or \"max\"")
            }
            fn visit_u64<E: de::Error>(self, value: u64) -> Result<Max, E> {
                Ok(Max::At(value))
            }
            fn visit_i64<E: de::Error>(self, value: i64) -> Result<Max, E> {
                match value {
                    -1 => Ok(Max::Unlimited),
                    value => u64::try_from(value)
                        .map(Max::At)
                        .map_err(|_| E::invalid_value(de::Unexpected::Signed(value), &self)),
                }
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Max, E> {
                text.parse()
                    .map_err(|_| E::invalid_value(de::Unexpected::Str(text), &self))
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

/// CPU time that a group may use in each period.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CpuQuota {
    /// Microseconds of CPU time per period, summed over all CPUs: 1000 or more.
    pub quota_us: Max,
    /// Length of the period in microseconds: 1000 to 1,000,000.
    pub period_us: u64,
}

impl CpuQuota {
    /// The kernel's default period, 100 ms.
    pub const DEFAULT_PERIOD_US: u64 = 100_000;

    /// A quota in microseconds of the default period.
    pub const fn of_default_period(quota_us: u64) -> Self {
        Self {
            quota_us: Max::At(quota_us),
            period_us: Self::DEFAULT_PERIOD_US,
        }
    }

    /// As much time as `cpus` whole CPUs give (`0.5`: half of one), as Docker's `--cpus`.
    ///
    /// Values that make no quota (zero, negative, not a number) give one that
    /// [`crate::Limits::check`] refuses.
    pub fn cpus(cpus: f64) -> Self {
        // `as` saturates, and takes NaN and negative numbers to 0.
        Self::of_default_period((cpus * Self::DEFAULT_PERIOD_US as f64).round() as u64)
    }

    /// The quota as a number of CPUs, if there is one.
    pub fn as_cpus(self) -> Option<f64> {
        Some(self.quota_us.value()? as f64 / self.period_us.max(1) as f64)
    }
}

/// CPUs or memory nodes in the *list format* of [cpuset(7)]: `0-3,6`.
///
/// [cpuset(7)]: https://man7.org/linux/man-pages/man7/cpuset.7.html
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct IndexList(String);

impl IndexList {
    /// The list as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A string is not in the list format.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a list such as \"0-3,6\"")]
pub struct ListError(String);

impl FromStr for IndexList {
    type Err = ListError;
    fn from_str(text: &str) -> Result<Self, ListError> {
        let index = |part: &str| part.parse::<u16>().ok();
        let range = |part: &str| match part.split_once('-') {
            Some((from, to)) => index(from)
                .zip(index(to))
                .is_some_and(|(from, to)| from <= to),
            None => index(part).is_some(),
        };
        if text.split(',').all(range) {
            Ok(Self(text.to_owned()))
        } else {
            Err(ListError(text.to_owned()))
        }
    }
}

impl TryFrom<String> for IndexList {
    type Error = ListError;
    fn try_from(text: String) -> Result<Self, ListError> {
        text.parse()
    }
}

impl From<IndexList> for String {
    fn from(list: IndexList) -> Self {
        list.0
    }
}

impl fmt::Display for IndexList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A device's number: `MAJOR:MINOR`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeviceNumber {
    /// Number of the driver.
    pub major: u32,
    /// Number of the device within the driver.
    pub minor: u32,
}

impl fmt::Display for DeviceNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.major, self.minor)
    }
}

/// Bandwidth and operations that a group may use on one block device (a whole disk:
/// the kernel refuses partitions).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IoLimit {
    /// The device.
    pub device: DeviceNumber,
    /// Bytes read per second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read_bps: Option<Max>,
    /// Bytes written per second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub write_bps: Option<Max>,
    /// Read operations per second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read_iops: Option<Max>,
    /// Write operations per second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub write_iops: Option<Max>,
}

impl IoLimit {
    /// A limit for `device` that sets nothing yet.
    pub const fn new(device: DeviceNumber) -> Self {
        Self {
            device,
            read_bps: None,
            write_bps: None,
            read_iops: None,
            write_iops: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_is_a_number_or_the_word_max() {
        for (text, max) in [
            ("7", Max::At(7)),
            ("\"max\"", Max::Unlimited),
            ("-1", Max::Unlimited),
        ] {
            assert_eq!(serde_json::from_str::<Max>(text).unwrap(), max);
        }
        assert_eq!(serde_json::to_string(&Max::Unlimited).unwrap(), "\"max\"");
        assert!(serde_json::from_str::<Max>("-2").is_err());
        assert!(serde_json::from_str::<Max>("\"lots\"").is_err());
        assert!(Max::At(u64::MAX) < Max::Unlimited);
    }

    #[test]
    fn cpus_become_microseconds_of_a_period() {
        assert_eq!(CpuQuota::cpus(0.5), CpuQuota::of_default_period(50_000));
        assert_eq!(CpuQuota::cpus(1.29).quota_us, Max::At(129_000));
        assert_eq!(CpuQuota::cpus(f64::NAN).quota_us, Max::At(0));
        assert_eq!(CpuQuota::cpus(2.5).as_cpus(), Some(2.5));
    }

    #[test]
    fn a_list_is_indexes_and_ranges() {
        for good in ["0", "0-3", "0-3,6", "1,3,5"] {
            assert!(good.parse::<IndexList>().is_ok(), "{good}");
        }
        for bad in ["", "3-0", "a", "0,", "0--1", "-1", "0 1", "0\n1"] {
            assert!(bad.parse::<IndexList>().is_err(), "{bad}");
        }
    }
}
