//! Variables and labels as `KEY=VALUE`.

use super::{ParseError, serde_as_text};
use std::fmt;
use std::str::FromStr;

/// `KEY=VALUE`, or `KEY` alone: the value that the caller's own environment has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct EnvEntry {
    /// The variable's name.
    pub key: String,
    /// Its value; `None` takes the host's, and leaves the variable unset when the host has none.
    pub value: Option<String>,
}

serde_as_text!(EnvEntry);

impl FromStr for EnvEntry {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let (key, value) = match text.split_once('=') {
            Some((key, value)) => (key, Some(value.to_owned())),
            None => (text, None),
        };
        check_name(key)?;
        if value.as_ref().is_some_and(|v| v.contains('\0')) {
            return Err(ParseError::new("the value holds a NUL byte", FORM));
        }
        Ok(Self {
            key: key.to_owned(),
            value,
        })
    }
}

const FORM: &str = "write NAME=VALUE, or NAME to pass the host's value";

/// Refuses what `execve` could not carry as the name of a variable.
pub(crate) fn check_name(key: &str) -> Result<(), ParseError> {
    let why = if key.is_empty() {
        "the name of the variable is missing"
    } else if key.contains('\0') {
        "the name holds a NUL byte"
    } else if key.contains('=') {
        "the name holds a ="
    } else if key.contains(char::is_whitespace) {
        "the name holds white space"
    } else {
        return Ok(());
    };
    Err(ParseError::new(why, FORM))
}

impl fmt::Display for EnvEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.value {
            Some(value) => write!(f, "{}={value}", self.key),
            None => f.write_str(&self.key),
        }
    }
}

/// `KEY=VALUE`, or `KEY` alone for an empty value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Label {
    /// The label's name.
    pub key: String,
    /// Its value, possibly empty.
    pub value: String,
}

serde_as_text!(Label);

impl FromStr for Label {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let (key, value) = text.split_once('=').unwrap_or((text, ""));
        if key.trim().is_empty() {
            return Err(ParseError::new(
                "the name of the label is missing",
                "write NAME=VALUE",
            ));
        }
        Ok(Self {
            key: key.to_owned(),
            value: value.to_owned(),
        })
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.key, self.value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_the_first_equals_sign_divides() {
        let entry: EnvEntry = "A=b=c".parse().unwrap();
        assert_eq!(
            (entry.key.as_str(), entry.value.as_deref()),
            ("A", Some("b=c"))
        );
        let entry: EnvEntry = "A".parse().unwrap();
        assert_eq!(entry.value, None);
        let entry: EnvEntry = "A=".parse().unwrap();
        assert_eq!(entry.value.as_deref(), Some(""));
        assert!("=x".parse::<EnvEntry>().is_err());
        assert!("A B=x".parse::<EnvEntry>().is_err());
    }

    proptest! {
        #[test]
        fn prints_what_it_parses(text in "[A-Za-z_.-]{1,8}(=\\PC{0,8})?") {
            let entry: EnvEntry = text.parse().unwrap();
            prop_assert_eq!(entry.to_string(), text);
        }
    }
}
