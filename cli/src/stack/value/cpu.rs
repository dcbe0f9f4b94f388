//! Shares of processors.

use super::{ParseError, decimal, deserialize_from_text};
use std::fmt;
use std::str::FromStr;

/// Length of the period over which a share of a processor is measured, in microseconds.
const PERIOD_US: u64 = 100_000;

/// A number of processors, `0.5` or `50%`, kept in billionths as Docker's API does.
///
/// At least 0.01: the kernel takes no quota below one millisecond, and the period is
/// 100 milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Cpus {
    nano: u64,
}

deserialize_from_text!(Cpus);

impl serde::Serialize for Cpus {
    /// A number, as compose prints it. Nine digits after the point come through exactly.
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_f64(self.nano as f64 / 1e9)
    }
}

const FORM: &str = "write a number of processors such as 0.5 or 50%, at least 0.01";

impl Cpus {
    /// From a quota in microseconds per period of 100 milliseconds.
    pub(crate) fn from_quota_us(quota: u64) -> Result<Self, ParseError> {
        let nano = quota
            .checked_mul(1_000_000_000 / PERIOD_US)
            .ok_or_else(too_many)?;
        Self::checked(nano)
    }

    /// The quota in microseconds for each [`Cpus::period_us`].
    pub(crate) fn quota_us(self) -> u64 {
        self.nano / (1_000_000_000 / PERIOD_US)
    }

    /// The period in microseconds that [`Cpus::quota_us`] belongs to.
    #[allow(clippy::unused_self)] // reads as a pair with the quota
    pub(crate) fn period_us(self) -> u64 {
        PERIOD_US
    }

    fn checked(nano: u64) -> Result<Self, ParseError> {
        let cpus = Self { nano };
        if cpus.quota_us() < 1_000 {
            return Err(ParseError::new("less than the kernel can give", FORM));
        }
        // Far above any machine; keeps the quota inside what the kernel accepts.
        if cpus.nano > 1_000_000 * 1_000_000_000 {
            return Err(too_many());
        }
        Ok(cpus)
    }
}

fn too_many() -> ParseError {
    ParseError::new("more processors than any machine has", FORM)
}

impl FromStr for Cpus {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let text = text.trim();
        let (number, scale) = match text.strip_suffix('%') {
            Some(percent) => (percent.trim_end(), 7),
            None => (text, 9),
        };
        let nano = decimal(number, scale)
            .and_then(|nano| u64::try_from(nano).ok())
            .ok_or_else(|| ParseError::new("not a number of processors", FORM))?;
        Self::checked(nano)
    }
}

impl fmt::Display for Cpus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, rest) = (self.nano / 1_000_000_000, self.nano % 1_000_000_000);
        if rest == 0 {
            return write!(f, "{whole}");
        }
        let digits = format!("{rest:09}");
        write!(f, "{whole}.{}", digits.trim_end_matches('0'))
    }
}

/// The value of `--cpu`: `50%` of one processor, or `50000`, the microseconds of a
/// processor in each 100 milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CpuFlag(pub Cpus);

const FLAG_FORM: &str = "write a percentage such as 50%, or microseconds per 100 ms such as 50000; a number of \
     processors goes to --cpus";

impl FromStr for CpuFlag {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let cpus = if text.ends_with('%') {
            text.parse::<Cpus>()
        } else {
            match text.parse::<u64>() {
                Ok(quota) => Cpus::from_quota_us(quota),
                Err(_) => Err(ParseError::new(
                    "neither a percentage nor a whole number",
                    FORM,
                )),
            }
        };
        cpus.map(Self)
            .map_err(|e| ParseError::new(e.why, FLAG_FORM))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn numbers_and_percentages_agree() {
        let half: Cpus = "0.5".parse().unwrap();
        assert_eq!("50%".parse(), Ok(half));
        assert_eq!(".5".parse(), Ok(half));
        assert_eq!((half.quota_us(), half.period_us()), (50_000, 100_000));
        assert_eq!(half.to_string(), "0.5");
        assert_eq!("150%".parse::<Cpus>().unwrap().to_string(), "1.5");
        assert_eq!("2".parse::<Cpus>().unwrap().to_string(), "2");
    }

    #[test]
    fn the_cpu_flag_takes_a_percentage_or_a_quota() {
        let half: Cpus = "0.5".parse().unwrap();
        assert_eq!("50%".parse(), Ok(CpuFlag(half)));
        assert_eq!("50000".parse(), Ok(CpuFlag(half)));
        // Too little for a quota: surely a number of processors for --cpus.
        for text in ["0.5", "2", "", "%", "-1"] {
            assert!(text.parse::<CpuFlag>().is_err(), "{text}");
        }
    }

    #[test]
    fn what_the_kernel_cannot_do_is_refused() {
        for text in ["0", "0.001", "-1", "", "all", "1e3", "99999999", "0%"] {
            assert!(text.parse::<Cpus>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn prints_what_it_parses(quota in 1_000u64..100_000_000) {
            let cpus = Cpus::from_quota_us(quota).unwrap();
            prop_assert_eq!(cpus.quota_us(), quota);
            prop_assert_eq!(cpus.to_string().parse(), Ok(cpus));
            let json = serde_json::to_string(&cpus).unwrap();
            prop_assert_eq!(serde_json::from_str::<Cpus>(&json).unwrap(), cpus);
        }
    }
}
