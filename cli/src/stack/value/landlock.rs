//! What Landlock lets a container's processes do with which files.

use super::{ParseError, check_target, serde_as_text};
use coop_ns::privileges::LandlockAccess;
use std::fmt;
use std::str::FromStr;

/// A path in the container and its use, on the command line `read=PATH`, `write=PATH` or
/// `execute=PATH`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LandlockRule {
    /// What it may be used for, with all that is below it.
    pub access: LandlockAccess,
    /// An absolute path in the container.
    pub path: String,
}

serde_as_text!(LandlockRule);

const FORM: &str = "write read=PATH, write=PATH or execute=PATH, with an absolute path";

/// The uses by their names, which are the keys of `x-landlock`.
pub(crate) const LANDLOCK_ACCESSES: [(&str, LandlockAccess); 3] = [
    ("read", LandlockAccess::Read),
    ("write", LandlockAccess::Write),
    ("execute", LandlockAccess::Execute),
];

impl LandlockRule {
    /// A rule for this path.
    pub(crate) fn new(access: LandlockAccess, path: &str) -> Result<Self, ParseError> {
        // As for what is mounted; and "/" is a path like any other here.
        if path != "/"
            && let Err(error) = check_target(path, FORM)
        {
            return Err(error);
        }
        Ok(Self {
            access,
            path: path.to_owned(),
        })
    }
}

impl FromStr for LandlockRule {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let (name, path) = text
            .split_once('=')
            .ok_or_else(|| ParseError::new("the path is missing", FORM))?;
        let found = LANDLOCK_ACCESSES.into_iter().find(|(it, _)| *it == name);
        match found {
            Some((_, access)) => Self::new(access, path),
            None => Err(ParseError::new(format!("{name:?} is no access"), FORM)),
        }
    }
}

impl fmt::Display for LandlockRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = { LANDLOCK_ACCESSES.iter() }.find(|(_, access)| *access == self.access);
        write!(f, "{}={}", name.map_or("", |(name, _)| name), self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_read_back_as_written() {
        for rule in ["read=/", "write=/var/lib/app", "execute=/usr"] {
            assert_eq!(rule.parse::<LandlockRule>().unwrap().to_string(), rule);
        }
        for bad in ["", "read", "read=", "read=usr", "exec=/usr", "/usr"] {
            assert!(bad.parse::<LandlockRule>().is_err(), "{bad}");
        }
    }
}
