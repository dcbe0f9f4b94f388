//! Sizes in bytes.

use super::{ParseError, serde_as_text};
use std::fmt;
use std::str::FromStr;

/// A number of bytes.
///
/// Written as Docker writes it: a number, and a unit out of `b`, `k`, `m`, `g`, `t`,
/// `p` in either case, optionally followed by `b` or `ib`. Units are powers of 1024
/// whatever the spelling. Prints as the plain number of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub(crate) struct ByteSize(pub u64);

serde_as_text!(ByteSize);

const FORM: &str = "write a number of bytes, or a number with b, k, m, g or t, such as 64m";

impl ByteSize {
    /// The number of bytes.
    pub(crate) fn bytes(self) -> u64 {
        self.0
    }
}

impl FromStr for ByteSize {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let text = text.trim();
        let end = text
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(text.len());
        let (number, unit) = text.split_at(end);
        if text.starts_with('-') {
            return Err(ParseError::new("a size cannot be negative", FORM));
        }
        if number.is_empty() {
            return Err(ParseError::new("a size starts with a number", FORM));
        }
        let unit = unit.strip_prefix(' ').unwrap_or(unit).to_ascii_lowercase();
        let shift = match unit.as_str() {
            "" | "b" => 0,
            "k" | "kb" | "kib" => 10,
            "m" | "mb" | "mib" => 20,
            "g" | "gb" | "gib" => 30,
            "t" | "tb" | "tib" => 40,
            "p" | "pb" | "pib" => 50,
            _ => {
                return Err(ParseError::new(
                    format!("{unit:?} is not a unit of size"),
                    FORM,
                ));
            }
        };
        let billionths = super::decimal(number, 9)
            .ok_or_else(|| ParseError::new(format!("{number:?} is not a number in range"), FORM))?;
        let bytes = billionths
            .checked_mul(1 << shift)
            .map(|b| b / 1_000_000_000);
        // The kernel's counters are signed 64-bit numbers.
        match bytes.and_then(|b| i64::try_from(b).ok()) {
            Some(bytes) => Ok(Self(bytes.unsigned_abs())),
            None => Err(ParseError::new("more than the kernel can count", FORM)),
        }
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_spelling_of_docker_parses() {
        for (text, bytes) in [
            ("1024", 1024),
            ("0", 0),
            ("64M", 64 << 20),
            ("64m", 64 << 20),
            ("64mb", 64 << 20),
            ("64MiB", 64 << 20),
            ("64 MB", 64 << 20),
            ("1.5g", 3 << 29),
            ("10b", 10),
            ("1k", 1024),
            ("2t", 2 << 40),
        ] {
            assert_eq!(text.parse(), Ok(ByteSize(bytes)), "{text}");
        }
    }

    #[test]
    fn what_is_no_size_is_refused() {
        for text in [
            "", "m", "-1", "64q", "64mm", "1e9", "0x10", "9999999p", "1..5m", "64m b",
        ] {
            assert!(text.parse::<ByteSize>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn prints_what_it_parses(bytes in 0..=i64::MAX as u64) {
            let size = ByteSize(bytes);
            prop_assert_eq!(size.to_string().parse(), Ok(size));
        }

        #[test]
        fn never_panics(text in "\\PC{0,20}") {
            let _ = text.parse::<ByteSize>();
        }
    }
}
