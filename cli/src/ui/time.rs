//! Times in Docker's words.

use std::time::{Duration, SystemTime};

use coop_launcher::store::time;

/// How long something took or lasts: `About a minute`, `3 hours`.
pub(crate) fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let minutes = seconds / 60;
    // Rounded to the nearest hour, as Docker does it from here on.
    let hours = (seconds + 1800) / 3600;
    match () {
        () if seconds < 1 => "Less than a second".into(),
        () if seconds == 1 => "1 second".into(),
        () if seconds < 60 => format!("{seconds} seconds"),
        () if minutes == 1 => "About a minute".into(),
        () if minutes < 60 => format!("{minutes} minutes"),
        () if hours == 1 => "About an hour".into(),
        () if hours < 48 => format!("{hours} hours"),
        () if hours < 24 * 7 * 2 => format!("{} days", hours / 24),
        () if hours < 24 * 30 * 2 => format!("{} weeks", hours / 24 / 7),
        () if hours < 24 * 365 * 2 => format!("{} months", hours / 24 / 30),
        () => format!("{} years", hours / 24 / 365),
    }
}

/// How long ago something was: `2 weeks ago`. What a wrong clock puts into the future was just
/// now.
pub(crate) fn ago(then: SystemTime, now: SystemTime) -> String {
    format!(
        "{} ago",
        duration(now.duration_since(then).unwrap_or_default())
    )
}

/// As Docker's lists write a time: `2024-05-01 12:00:00 +0000 UTC`.
pub(crate) fn timestamp(time: SystemTime) -> String {
    let text = time::format(time);
    let seconds = text.get(..19).unwrap_or(&text);
    format!("{} +0000 UTC", seconds.replace('T', " "))
}

/// A measured time, three digits and a unit: `12.3ms`, `1.50s`.
pub(crate) fn span(duration: Duration) -> String {
    let nanoseconds = duration.as_nanos() as f64;
    let (value, unit) = match nanoseconds {
        n if n < 1e3 => (n, "ns"),
        n if n < 1e6 => (n / 1e3, "µs"),
        n if n < 1e9 => (n / 1e6, "ms"),
        n => (n / 1e9, "s"),
    };
    let decimals = match value {
        _ if unit == "ns" => 0,
        value if value < 10.0 => 2,
        value if value < 100.0 => 1,
        _ => 0,
    };
    format!("{value:.decimals$}{unit}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn durations_have_dockers_words() {
        const MINUTE: u64 = 60;
        const HOUR: u64 = 60 * MINUTE;
        const DAY: u64 = 24 * HOUR;
        for (seconds, text) in [
            (0, "Less than a second"),
            (1, "1 second"),
            (59, "59 seconds"),
            (60, "About a minute"),
            (119, "About a minute"),
            (120, "2 minutes"),
            (59 * MINUTE, "59 minutes"),
            (HOUR, "About an hour"),
            (HOUR + 29 * MINUTE, "About an hour"),
            (HOUR + 30 * MINUTE, "2 hours"),
            (47 * HOUR, "47 hours"),
            (2 * DAY, "2 days"),
            (13 * DAY, "13 days"),
            (14 * DAY, "2 weeks"),
            (60 * DAY, "2 months"),
            (2 * 365 * DAY, "2 years"),
        ] {
            assert_eq!(duration(Duration::from_secs(seconds)), text);
        }
    }

    #[test]
    fn a_time_in_the_future_was_just_now() {
        let now = SystemTime::UNIX_EPOCH;
        assert_eq!(
            ago(now + Duration::from_secs(9), now),
            "Less than a second ago"
        );
    }

    #[test]
    fn times_of_lists_are_without_fractions() {
        let time = SystemTime::UNIX_EPOCH + Duration::from_millis(1_714_564_800_123);
        assert_eq!(timestamp(time), "2024-05-01 12:00:00 +0000 UTC");
    }

    #[test]
    fn measured_times_have_three_digits() {
        for (nanoseconds, text) in [
            (0, "0ns"),
            (999, "999ns"),
            (1_500, "1.50µs"),
            (12_345_678, "12.3ms"),
            (123_456_789, "123ms"),
            (2_000_000_000, "2.00s"),
            (90_000_000_000, "90.0s"),
        ] {
            assert_eq!(span(Duration::from_nanos(nanoseconds)), text);
        }
    }

    proptest! {
        #[test]
        fn no_duration_is_too_long_for_words(seconds in any::<u64>()) {
            let _ = (duration(Duration::from_secs(seconds / 2)), span(Duration::from_secs(seconds)));
        }
    }
}
