//! Points in time as the user writes them.

use std::str::FromStr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use crate::stack::value;

/// A point in time in one of Docker's forms for `--since` and `--until`: RFC 3339, of which
/// the zone (local then) and the time of the day may be left out; seconds since 1970, with a
/// fraction; or how long ago, as `10m` or `1h30m`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Moment(SystemTime);

impl Moment {
    /// As the standard library's type.
    pub(crate) fn get(self) -> SystemTime {
        self.0
    }

    fn parse(text: &str, now: SystemTime, zone: &TimeZone) -> Option<SystemTime> {
        if let Some(seconds) = unix(text) {
            return UNIX_EPOCH.checked_add(seconds);
        }
        if let Some(ahead) = text.strip_prefix('-') {
            return now.checked_add(duration(ahead)?);
        }
        if let Some(ago) = duration(text.strip_prefix('+').unwrap_or(text)) {
            // Longer ago than clocks count: all of it.
            let time = now.checked_sub(ago).unwrap_or(UNIX_EPOCH);
            return Some(time.max(UNIX_EPOCH));
        }
        date(text, zone)
    }
}

impl FromStr for Moment {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::parse(text, SystemTime::now(), &TimeZone::system())
            .map(Self)
            .ok_or_else(|| {
                "write a time such as 2024-05-01T12:30:00, 2024-05-01, 1714566600 (seconds since \
                 1970), or how long ago, such as 10m"
                    .to_owned()
            })
    }
}

fn duration(text: &str) -> Option<Duration> {
    text.parse().ok().map(value::Duration::get)
}

/// `SECONDS[.NANOSECONDS]`.
fn unix(text: &str) -> Option<Duration> {
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(seconds) || !digits(fraction) || fraction.len() > 9 {
        return None;
    }
    let nanos = format!("{fraction:0<9}").parse().ok()?;
    Some(Duration::new(seconds.parse().ok()?, nanos))
}

fn date(text: &str, zone: &TimeZone) -> Option<SystemTime> {
    const DATE: usize = "2024-05-01".len();
    let (day, rest) = text.split_at_checked(DATE)?;
    let (time, offset) = match rest.strip_prefix('T') {
        Some(rest) => rest.split_at(rest.find(['Z', '+', '-']).unwrap_or(rest.len())),
        // Docker has a date with a zone.
        None => ("00:00:00", rest),
    };
    // Minutes and seconds may be left out.
    let time = match time.len() {
        2 => format!("{time}:00:00"),
        5 => format!("{time}:00"),
        _ => time.to_owned(),
    };
    let local = format!("{day}T{time}");
    let timestamp = if offset.is_empty() {
        let local: DateTime = local.parse().ok()?;
        local.to_zoned(zone.clone()).ok()?.timestamp()
    } else {
        format!("{local}{offset}").parse::<Timestamp>().ok()?
    };
    Some(timestamp.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn now() -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(2_000_000_000)
    }

    /// In a zone one hour ahead: as RFC 3339.
    fn parsed(text: &str) -> String {
        let zone = TimeZone::fixed(jiff::tz::offset(1));
        match Moment::parse(text, now(), &zone) {
            Some(time) => Timestamp::try_from(time).unwrap().to_string(),
            None => "none".into(),
        }
    }

    #[test]
    fn every_form_of_dockers_is_read() {
        for (text, expected) in [
            ("2024-05-01T12:30:00Z", "2024-05-01T12:30:00Z"),
            ("2024-05-01T12:30:00.25Z", "2024-05-01T12:30:00.25Z"),
            (
                "2024-05-01T12:30:00.000000001Z",
                "2024-05-01T12:30:00.000000001Z",
            ),
            ("2024-05-01T12:30:00+02:00", "2024-05-01T10:30:00Z"),
            ("2024-05-01T12:30:00-02:00", "2024-05-01T14:30:00Z"),
            ("2024-05-01T12:30:00", "2024-05-01T11:30:00Z"),
            ("2024-05-01T12:30:00.5", "2024-05-01T11:30:00.5Z"),
            ("2024-05-01T12:30", "2024-05-01T11:30:00Z"),
            ("2024-05-01T12", "2024-05-01T11:00:00Z"),
            ("2024-05-01T12Z", "2024-05-01T12:00:00Z"),
            ("2024-05-01", "2024-04-30T23:00:00Z"),
            ("2024-05-01Z", "2024-05-01T00:00:00Z"),
            ("2024-05-01+02:00", "2024-04-30T22:00:00Z"),
            ("1136073600", "2006-01-01T00:00:00Z"),
            ("1136073600.000000001", "2006-01-01T00:00:00.000000001Z"),
            ("1136073600.5", "2006-01-01T00:00:00.5Z"),
            ("0", "1970-01-01T00:00:00Z"),
            ("10m", "2033-05-18T03:23:20Z"),
            ("1h30m", "2033-05-18T02:03:20Z"),
            ("1.5s", "2033-05-18T03:33:18.5Z"),
            ("-10m", "2033-05-18T03:43:20Z"),
            ("876000h", "1970-01-01T00:00:00Z"),
        ] {
            assert_eq!(parsed(text), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "",
            "now",
            "yesterday",
            "2024-13-01",
            "2024-05-01T25:00:00",
            "1.2.3",
            ".5",
            "1136073600.0000000001",
            "10x",
            "-",
            "2024-05-01T",
            "2024-05-01 12:00",
        ] {
            assert_eq!(parsed(text), "none", "{text}");
        }
        let error = "soon".parse::<Moment>().unwrap_err();
        insta::assert_snapshot!(error, @"write a time such as 2024-05-01T12:30:00, 2024-05-01, 1714566600 (seconds since 1970), or how long ago, such as 10m");
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text in "[0-9T:.Zhms+\\-é ]{0,30}|.*") {
            let _ = text.parse::<Moment>();
        }
    }
}
