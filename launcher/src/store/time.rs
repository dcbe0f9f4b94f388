//! Times as RFC 3339 with nanoseconds, in UTC: `2024-05-01T12:00:00.000000001Z`.
//!
//! For `#[serde(with = "...")]`; `option` is the same for an `Option`.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serializer};

/// The last second of the year 9999: later times have no four-digit year.
const END: Duration = Duration::from_secs(253_402_300_799);

/// The time as text; a clock set before 1970 or after 9999 gives those borders.
pub fn format(time: SystemTime) -> String {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default().min(END);
    humantime::format_rfc3339_nanos(UNIX_EPOCH + since).to_string()
}

/// Reads what [`format()`] wrote, and any number of digits of the fraction as Docker writes.
pub fn parse(text: &str) -> Option<SystemTime> {
    humantime::parse_rfc3339(text).ok()
}

pub(super) fn serialize<S: Serializer>(time: &SystemTime, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&format(*time))
}

pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<SystemTime, D::Error> {
    let text = String::deserialize(from)?;
    humantime::parse_rfc3339(&text).map_err(D::Error::custom)
}

pub(super) mod option {
    use super::*;

    // serde calls it with this type.
    #[allow(clippy::ref_option)]
    pub(in super::super) fn serialize<S: Serializer>(
        time: &Option<SystemTime>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        match time {
            Some(time) => super::serialize(time, to),
            None => to.serialize_none(),
        }
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<SystemTime>, D::Error> {
        let text = Option::<String>::deserialize(from)?;
        text.map(|text| humantime::parse_rfc3339(&text).map_err(D::Error::custom))
            .transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_clock_can_be_written_and_read(secs in any::<u64>(), nanos in 0_u32..1_000_000_000) {
            let Some(time) = UNIX_EPOCH.checked_add(Duration::new(secs >> 8, nanos)) else {
                return Ok(());
            };
            let back = parse(&format(time)).expect("own format");
            if secs >> 8 < END.as_secs() {
                prop_assert_eq!(back, time);
            }
        }
    }

    #[test]
    fn a_clock_before_1970_is_no_panic() {
        let text = format(UNIX_EPOCH - Duration::from_secs(1));
        assert_eq!(text, "1970-01-01T00:00:00.000000000Z");
    }

    #[test]
    fn dockers_shortened_fractions_are_read() {
        let time = parse("2024-05-01T12:00:00.12Z").unwrap();
        assert_eq!(format(time), "2024-05-01T12:00:00.120000000Z");
    }
}
