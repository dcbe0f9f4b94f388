//! Lengths of time.

use super::{ParseError, decimal, serde_as_text};
use std::fmt;
use std::str::FromStr;

/// A length of time as compose writes it: `1m30s`, `500ms`, `1h`, `1.5s`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Duration(std::time::Duration);

serde_as_text!(Duration);

const FORM: &str = "write a number with us, ms, s, m or h, such as 1m30s";

impl Duration {
    /// From whole seconds, as `--stop-timeout` and `--time` count.
    pub fn from_secs(seconds: u64) -> Self {
        Self(std::time::Duration::from_secs(seconds))
    }

    /// As the standard library's type.
    pub fn get(self) -> std::time::Duration {
        self.0
    }
}

impl From<std::time::Duration> for Duration {
    fn from(duration: std::time::Duration) -> Self {
        Self(duration)
    }
}

impl From<Duration> for std::time::Duration {
    fn from(duration: Duration) -> Self {
        duration.0
    }
}

impl FromStr for Duration {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let mut rest = text.trim();
        if rest == "0" {
            return Ok(Self::default());
        }
        if rest.is_empty() {
            return Err(ParseError::new("a duration cannot be empty", FORM));
        }
        if rest.starts_with('-') {
            return Err(ParseError::new("a duration cannot be negative", FORM));
        }
        let mut nanos: u64 = 0;
        while !rest.is_empty() {
            let end = rest
                .find(|c: char| !c.is_ascii_digit() && c != '.')
                .unwrap_or(rest.len());
            let (number, tail) = rest.split_at(end);
            let end = tail
                .find(|c: char| c.is_ascii_digit() || c == '.')
                .unwrap_or(tail.len());
            let (unit, tail) = tail.split_at(end);
            let unit_ns: u64 = match unit {
                "ns" => 1,
                "us" | "µs" | "μs" => 1_000,
                "ms" => 1_000_000,
                "s" => 1_000_000_000,
                "m" => 60_000_000_000,
                "h" => 3_600_000_000_000,
                "" => return Err(ParseError::new(format!("{number:?} has no unit"), FORM)),
                _ => {
                    return Err(ParseError::new(
                        format!("{unit:?} is not a unit of time"),
                        FORM,
                    ));
                }
            };
            let billionths = decimal(number, 9)
                .ok_or_else(|| ParseError::new(format!("{number:?} is not a number"), FORM))?;
            nanos = billionths
                .checked_mul(u128::from(unit_ns))
                .and_then(|part| u64::try_from(part / 1_000_000_000).ok())
                .and_then(|part| nanos.checked_add(part))
                .filter(|n| i64::try_from(*n).is_ok())
                .ok_or_else(|| ParseError::new("longer than 292 years", FORM))?;
            rest = tail;
        }
        Ok(Self(std::time::Duration::from_nanos(nanos)))
    }
}

impl fmt::Display for Duration {
    /// The largest units that give whole numbers, in the order that Go prints them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanos = u64::try_from(self.0.as_nanos()).unwrap_or(u64::MAX);
        if nanos == 0 {
            return f.write_str("0s");
        }
        let (seconds, below) = (nanos / 1_000_000_000, nanos % 1_000_000_000);
        for (count, unit) in [
            (seconds / 3600, "h"),
            (seconds / 60 % 60, "m"),
            (seconds % 60, "s"),
        ] {
            if count > 0 {
                write!(f, "{count}{unit}")?;
            }
        }
        match below {
            0 => Ok(()),
            n if n % 1_000_000 == 0 => write!(f, "{}ms", n / 1_000_000),
            n if n % 1_000 == 0 => write!(f, "{}us", n / 1_000),
            n => write!(f, "{n}ns"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn units_add_up() {
        for (text, ms) in [
            ("1m30s", 90_000),
            ("500ms", 500),
            ("1h", 3_600_000),
            ("1.5s", 1_500),
            ("0", 0),
            ("0s", 0),
            ("1h5m30s20ms", 3_930_020),
        ] {
            let parsed: Duration = text.parse().unwrap();
            assert_eq!(parsed.get().as_millis(), ms, "{text}");
        }
    }

    #[test]
    fn a_number_without_a_unit_is_refused() {
        for text in [
            "10",
            "",
            "-1s",
            "s",
            "1d",
            "1 s",
            "1s2",
            "99999999h",
            "1e3s",
        ] {
            assert!(text.parse::<Duration>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn prints_what_it_parses(nanos in 0..=i64::MAX as u64 / 4) {
            let duration = Duration(std::time::Duration::from_nanos(nanos));
            prop_assert_eq!(duration.to_string().parse(), Ok(duration));
        }

        #[test]
        fn never_panics(text in "\\PC{0,20}") {
            let _ = text.parse::<Duration>();
        }
    }
}
