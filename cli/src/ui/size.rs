//! Numbers of bytes in Docker's words.

const BINARY: [&str; 7] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
const DECIMAL: [&str; 7] = ["B", "kB", "MB", "GB", "TB", "PB", "EB"];

/// In powers of 1024, four digits: memory.
pub(crate) fn binary_size(bytes: u64) -> String {
    in_units(bytes, 1024.0, &BINARY, 4)
}

/// In powers of 1000, three digits: files and traffic.
pub(crate) fn decimal_size(bytes: u64) -> String {
    in_units(bytes, 1000.0, &DECIMAL, 3)
}

fn in_units(bytes: u64, base: f64, units: &[&str], digits: usize) -> String {
    let mut value = bytes as f64;
    let mut unit = 0;
    // What is rounded up to the next unit is written in it: 1MB, not 1000kB.
    while rounded(value, digits) >= base && unit + 1 < units.len() {
        value /= base;
        unit += 1;
    }
    format!("{}{}", rounded(value, digits), units[unit])
}

/// To this many digits, none of the whole part lost: C's `%.4g` without its exponents.
fn rounded(value: f64, digits: usize) -> f64 {
    let whole = if value < 1.0 {
        1
    } else {
        value.log10() as usize + 1
    };
    let scale = 10_f64.powi(digits.saturating_sub(whole) as i32);
    (value * scale).round() / scale
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn memory_is_written_as_docker_writes_it() {
        for (bytes, text) in [
            (0, "0B"),
            (1023, "1023B"),
            (1024, "1KiB"),
            (1536, "1.5KiB"),
            (64 << 20, "64MiB"),
            (12_345_678, "11.77MiB"),
            ((64 << 20) - 1, "64MiB"),
            ((1 << 30) - 1, "1GiB"),
            (u64::MAX, "16EiB"),
        ] {
            assert_eq!(binary_size(bytes), text, "{bytes}");
        }
    }

    #[test]
    fn traffic_is_written_as_docker_writes_it() {
        for (bytes, text) in [
            (0, "0B"),
            (999, "999B"),
            (1_200, "1.2kB"),
            (999_999, "1MB"),
            (7_829_000, "7.83MB"),
            (123_456_789, "123MB"),
        ] {
            assert_eq!(decimal_size(bytes), text, "{bytes}");
        }
    }

    proptest! {
        #[test]
        fn every_size_is_short(bytes in any::<u64>()) {
            prop_assert!(binary_size(bytes).len() <= 9, "{}", binary_size(bytes));
            prop_assert!(decimal_size(bytes).len() <= 7, "{}", decimal_size(bytes));
        }
    }
}
