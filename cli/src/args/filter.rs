//! `--filter`, as Docker has it.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Result, bail};
use coop_launcher::store::time;

/// One `KEY=VALUE` or `KEY!=VALUE`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Filter {
    /// What is looked at.
    pub key: String,
    /// What it has to be, or must not be.
    pub value: String,
    /// Whether it must not.
    pub negated: bool,
}

impl FromStr for Filter {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (key, value) = text
            .split_once('=')
            .ok_or("write KEY=VALUE, such as label=team or name=db")?;
        let (key, negated) = match key.strip_suffix('!') {
            Some(key) => (key, true),
            None => (key, false),
        };
        Ok(Self {
            key: key.to_owned(),
            value: value.to_owned(),
            negated,
        })
    }
}

impl Filter {
    /// Refuses filters that this list does not have.
    pub(crate) fn check(filters: &[Self], known: &[&str]) -> Result<()> {
        for filter in filters {
            if !known.contains(&filter.key.as_str()) {
                bail!(
                    "invalid filter '{}'\n  help: there is {}",
                    filter.key,
                    known.join(", ")
                );
            }
            if filter.negated && filter.key != "label" {
                bail!(
                    "filter '{}!' is not known: only label can be negated",
                    filter.key
                );
            }
            match filter.key.as_str() {
                "dangling" => drop(boolean(&filter.value)?),
                "until" => drop(until(&filter.value, SystemTime::now())?),
                _ => {}
            }
        }
        Ok(())
    }

    /// Whether something passes all filters by label: each label has to be there, and none of
    /// the negated ones.
    pub(crate) fn labels(filters: &[Self], labels: &BTreeMap<String, String>) -> bool {
        filters
            .iter()
            .filter(|filter| filter.key == "label")
            .all(|filter| {
                let found = match filter.value.split_once('=') {
                    Some((key, value)) => labels.get(key).is_some_and(|found| found == value),
                    None => labels.contains_key(&filter.value),
                };
                found != filter.negated
            })
    }

    /// Whether something passes the filters of this key: one of them will do, none passes all.
    pub(crate) fn any(filters: &[Self], key: &str, passes: impl Fn(&str) -> bool) -> bool {
        let mut values = filters.iter().filter(|filter| filter.key == key).peekable();
        values.peek().is_none() || values.any(|filter| passes(&filter.value))
    }

    /// Whether something made at this time passes the filters by `until`.
    pub(crate) fn until(filters: &[Self], created: SystemTime, now: SystemTime) -> bool {
        filters
            .iter()
            .filter(|filter| filter.key == "until")
            .all(|filter| until(&filter.value, now).is_ok_and(|until| created < until))
    }
}

/// Docker's words for yes and no.
pub(crate) fn boolean(text: &str) -> Result<bool> {
    match text.to_ascii_lowercase().as_str() {
        "1" | "t" | "true" => Ok(true),
        "0" | "f" | "false" => Ok(false),
        _ => bail!("invalid filter 'dangling={text}'\n  help: write true or false"),
    }
}

/// A time: how long ago (`10m`, `1h30m`), RFC 3339, or seconds since the epoch.
fn until(text: &str, now: SystemTime) -> Result<SystemTime> {
    let at = |seconds| UNIX_EPOCH.checked_add(Duration::from_secs(seconds));
    if let Some(time) = text.parse().ok().and_then(at) {
        return Ok(time);
    }
    if let Ok(ago) = text.parse::<crate::stack::value::Duration>() {
        return Ok(now.checked_sub(ago.into()).unwrap_or(UNIX_EPOCH));
    }
    match time::parse(text) {
        Some(time) => Ok(time),
        None => bail!(
            "invalid filter 'until={text}'\n  \
             help: write how long ago (24h), or a time such as 2026-01-31T12:00:00Z"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filters(texts: &[&str]) -> Vec<Filter> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn labels_are_asked_for_by_key_or_value_and_denied() {
        let labels = BTreeMap::from([("team".to_owned(), "blue".to_owned())]);
        let passes = |texts: &[&str]| Filter::labels(&filters(texts), &labels);
        assert!(passes(&[]) && passes(&["label=team"]) && passes(&["label=team=blue"]));
        assert!(passes(&["label!=other", "label=team"]));
        assert!(!passes(&["label=team=red"]) && !passes(&["label!=team"]));
        assert!(!passes(&["label=team", "label=other"]));
    }

    #[test]
    fn until_is_an_age_or_a_time() {
        let now = UNIX_EPOCH + Duration::from_secs(1_000_000);
        let made = |age| now - Duration::from_secs(age);
        let passes = |text: &str, age| Filter::until(&filters(&[text]), made(age), now);
        assert!(passes("until=1h", 3601) && !passes("until=1h", 3599));
        assert!(passes("until=999000", 1001) && !passes("until=999000", 999));
        assert!(passes("until=1970-01-12T13:46:40Z", 1));
    }

    #[test]
    fn what_is_no_filter_is_told() {
        assert!("label".parse::<Filter>().is_err());
        for bad in [
            "nope=1",
            "name!=x",
            "dangling=perhaps",
            "until=later",
            "until=18446744073709551615",
        ] {
            let known = ["name", "dangling", "until", "label"];
            assert!(Filter::check(&filters(&[bad]), &known).is_err(), "{bad}");
        }
    }
}
