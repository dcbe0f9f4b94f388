//! Limits that may also be lifted.

use super::{ByteSize, ParseError, deserialize_from_text, serde_as_text};
use std::fmt;
use std::str::FromStr;

/// Memory and swap together, as `--memory-swap` and `memswap_limit` mean it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SwapLimit {
    /// As much swap as the machine has: `-1`.
    Unlimited,
    /// Memory and swap together may take this much; equal to the memory limit: no swap.
    Bytes(ByteSize),
}

serde_as_text!(SwapLimit);

impl FromStr for SwapLimit {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        if text.trim() == "-1" {
            return Ok(Self::Unlimited);
        }
        text.parse().map(Self::Bytes).map_err(|e: ParseError| {
            ParseError::new(e.why, "write a size such as 128m, or -1 for no limit")
        })
    }
}

impl fmt::Display for SwapLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unlimited => f.write_str("-1"),
            Self::Bytes(size) => size.fmt(f),
        }
    }
}

/// The number of processes and threads a container may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PidsLimit {
    /// No limit: `-1`, and as Docker has it also `0`.
    Unlimited,
    /// At most this many.
    Max(u32),
}

deserialize_from_text!(PidsLimit);

impl serde::Serialize for PidsLimit {
    /// A number, as compose prints it.
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_i64(match self {
            Self::Unlimited => -1,
            Self::Max(max) => i64::from(*max),
        })
    }
}

impl FromStr for PidsLimit {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        const FORM: &str = "write a whole number such as 64, or -1 for no limit";
        match text.trim() {
            "-1" | "0" | "unlimited" | "max" => Ok(Self::Unlimited),
            other => match other.parse() {
                Ok(0) => Ok(Self::Unlimited),
                Ok(max) => Ok(Self::Max(max)),
                Err(_) => Err(ParseError::new("not a number of processes", FORM)),
            },
        }
    }
}

impl fmt::Display for PidsLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unlimited => f.write_str("-1"),
            Self::Max(max) => max.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn minus_one_lifts_the_limit() {
        assert_eq!("-1".parse(), Ok(SwapLimit::Unlimited));
        assert_eq!("-1".parse(), Ok(PidsLimit::Unlimited));
        assert_eq!("0".parse(), Ok(PidsLimit::Unlimited));
        assert_eq!("64".parse(), Ok(PidsLimit::Max(64)));
        assert_eq!("1k".parse(), Ok(SwapLimit::Bytes(ByteSize(1024))));
        assert!("-2".parse::<SwapLimit>().is_err());
        assert!("-2".parse::<PidsLimit>().is_err());
        assert!("1.5".parse::<PidsLimit>().is_err());
    }
}
