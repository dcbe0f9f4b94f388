//! The user that a container's process runs as.

use super::{ParseError, serde_as_text};
use std::fmt;
use std::str::FromStr;

/// A user or a group: by number, or by a name that the container's own
/// `/etc/passwd` or `/etc/group` resolves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Principal {
    /// A uid or gid inside the container.
    Id(u32),
    /// A name inside the container.
    Name(String),
}

/// `USER` or `USER:GROUP`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct UserSpec {
    /// The user.
    pub user: Principal,
    /// The group; `None` is the user's own.
    pub group: Option<Principal>,
}

serde_as_text!(UserSpec);

const FORM: &str = "write USER or USER:GROUP, names or numbers, such as 1000:1000";

impl FromStr for Principal {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        if text.is_empty() {
            return Err(ParseError::new("a user or group is missing", FORM));
        }
        if text.bytes().all(|b| b.is_ascii_digit()) {
            // The largest value is the kernel's "no id".
            return match text.parse() {
                Ok(id) if id != u32::MAX => Ok(Self::Id(id)),
                _ => Err(ParseError::new("the id is out of range", FORM)),
            };
        }
        if text.contains(|c: char| c == ':' || c.is_whitespace() || c.is_control()) {
            return Err(ParseError::new("not a user or group", FORM));
        }
        Ok(Self::Name(text.to_owned()))
    }
}

impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id(id) => id.fmt(f),
            Self::Name(name) => f.write_str(name),
        }
    }
}

impl FromStr for UserSpec {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let (user, group) = match text.split_once(':') {
            Some((user, group)) => (user, Some(group.parse()?)),
            None => (text, None),
        };
        Ok(Self {
            user: user.parse()?,
            group,
        })
    }
}

impl fmt::Display for UserSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.group {
            Some(group) => write!(f, "{}:{group}", self.user),
            None => self.user.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_and_numbers() {
        let spec: UserSpec = "1000:www-data".parse().unwrap();
        assert_eq!(spec.user, Principal::Id(1000));
        assert_eq!(spec.group, Some(Principal::Name("www-data".into())));
        for bad in [
            "",
            ":",
            "a:",
            ":b",
            "a:b:c",
            "a b",
            "4294967295",
            "99999999999",
        ] {
            assert!(bad.parse::<UserSpec>().is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn prints_what_it_parses(text in "([a-z]{1,8}|[1-9][0-9]{0,8})(:([a-z]{1,8}|0))?") {
            prop_assert_eq!(text.parse::<UserSpec>().unwrap().to_string(), text);
        }
    }
}
