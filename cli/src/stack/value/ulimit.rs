//! Resource limits of processes, `setrlimit(2)`.

use super::{ParseError, serde_as_text};
use std::fmt;
use std::str::FromStr;

/// `NAME=SOFT[:HARD]`; `-1` is no limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ulimit {
    /// The limit's name in lower case without `RLIMIT_`, such as `nofile`.
    pub name: String,
    /// The value in force; `None` is no limit.
    pub soft: Option<u64>,
    /// The most that the process may raise it to; `None` is no limit.
    pub hard: Option<u64>,
}

serde_as_text!(Ulimit);

const FORM: &str = "write NAME=SOFT or NAME=SOFT:HARD, such as nofile=1024:4096";

const NAMES: [&str; 16] = [
    "as",
    "core",
    "cpu",
    "data",
    "fsize",
    "locks",
    "memlock",
    "msgqueue",
    "nice",
    "nofile",
    "nproc",
    "rss",
    "rtprio",
    "rttime",
    "sigpending",
    "stack",
];

impl FromStr for Ulimit {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let (name, values) = text
            .split_once('=')
            .ok_or_else(|| ParseError::new("the value is missing", FORM))?;
        if !NAMES.contains(&name) {
            return Err(ParseError::new(format!("{name:?} is not a limit"), FORM));
        }
        let (soft, hard) = values.split_once(':').unwrap_or((values, values));
        let (soft, hard) = (value(soft)?, value(hard)?);
        if hard.is_some_and(|hard| soft.is_none_or(|soft| soft > hard)) {
            return Err(ParseError::new(
                "the soft limit is above the hard one",
                FORM,
            ));
        }
        Ok(Self {
            name: name.to_owned(),
            soft,
            hard,
        })
    }
}

fn value(text: &str) -> Result<Option<u64>, ParseError> {
    match text {
        "-1" | "unlimited" => Ok(None),
        _ => text
            .parse()
            .map(Some)
            .map_err(|_| ParseError::new("not a number", FORM)),
    }
}

impl fmt::Display for Ulimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let show = |v: Option<u64>| v.map_or_else(|| "-1".to_owned(), |v| v.to_string());
        write!(f, "{}={}:{}", self.name, show(self.soft), show(self.hard))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn soft_and_hard() {
        let limit: Ulimit = "nofile=1024:4096".parse().unwrap();
        assert_eq!((limit.soft, limit.hard), (Some(1024), Some(4096)));
        let limit: Ulimit = "core=0".parse().unwrap();
        assert_eq!((limit.soft, limit.hard), (Some(0), Some(0)));
        let limit: Ulimit = "memlock=-1".parse().unwrap();
        assert_eq!((limit.soft, limit.hard), (None, None));
        for bad in [
            "nofile",
            "nofile=",
            "files=3",
            "nofile=5:4",
            "nofile=-1:4",
            "nofile=a",
        ] {
            assert!(bad.parse::<Ulimit>().is_err(), "{bad}");
        }
    }
}
