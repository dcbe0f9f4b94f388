//! How containers and stacks are called.

use std::fmt;

use rustix::io::{Errno, retry_on_intr};
use rustix::rand::{GetRandomFlags, getrandom};
use serde::{Deserialize, Serialize};

use super::StoreError;

/// A container's identity: 64 lower-case hexadecimal digits, random.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ContainerId(String);

impl ContainerId {
    /// Digits of an id.
    pub const LEN: usize = 64;

    /// A new id from the kernel's random numbers.
    ///
    /// # Errors
    /// [`Errno::NOSYS`] on kernels before 3.17; see `getrandom(2)`.
    pub fn random() -> Result<Self, Errno> {
        let mut bytes = [0_u8; Self::LEN / 2];
        fill_random(&mut bytes)?;
        Ok(Self(
            bytes
                .iter()
                .flat_map(|byte| [byte >> 4, byte & 15])
                .map(hex_digit)
                .collect(),
        ))
    }

    /// Checks that the text is a whole id.
    ///
    /// # Errors
    /// [`StoreError::InvalidId`].
    pub fn parse(text: &str) -> Result<Self, StoreError> {
        if text.len() == Self::LEN && is_hex(text) {
            Ok(Self(text.to_owned()))
        } else {
            Err(StoreError::InvalidId {
                text: text.to_owned(),
            })
        }
    }

    /// All 64 digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first 12 digits, as shown to people and used as default host name.
    pub fn short(&self) -> &str {
        &self.0[..12]
    }
}

/// Whether the text could be the start of an id.
pub(super) fn is_hex(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

fn hex_digit(value: u8) -> char {
    char::from(b"0123456789abcdef"[usize::from(value)])
}

pub(super) fn fill_random(bytes: &mut [u8]) -> Result<(), Errno> {
    let mut filled = 0;
    while filled < bytes.len() {
        filled += retry_on_intr(|| getrandom(&mut bytes[filled..], GetRandomFlags::empty()))?;
    }
    Ok(())
}

/// A container's name, unique on the host: `[a-zA-Z0-9][a-zA-Z0-9_.-]+`, as Docker has it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Name(String);

impl Name {
    /// Checks the text.
    ///
    /// # Errors
    /// [`StoreError::InvalidName`].
    pub fn parse(text: &str) -> Result<Self, StoreError> {
        check_name("container", text, 2).map(Self)
    }

    /// Two words of the crate's own list.
    pub(super) fn known_good(adjective: &str, noun: &str) -> Self {
        Self(format!("{adjective}_{noun}"))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A stack's name: as a container's, but one character will do.
///
/// Compose's own rule (no upper case, no dots) is stricter: that is for the stack file's
/// parser to check; a stack of one is named after its container.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct StackName(String);

impl StackName {
    /// Checks the text.
    ///
    /// # Errors
    /// [`StoreError::InvalidName`].
    pub fn parse(text: &str) -> Result<Self, StoreError> {
        check_name("stack", text, 1).map(Self)
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&Name> for StackName {
    fn from(name: &Name) -> Self {
        Self(name.0.clone())
    }
}

/// What passes is safe as one path component: no slash, not `.` or `..`, not hidden.
fn check_name(kind: &'static str, text: &str, min: usize) -> Result<String, StoreError> {
    // NAME_MAX of Linux's file systems.
    const MAX: usize = 255;
    let valid = (min..=MAX).contains(&text.len())
        && text.as_bytes()[0].is_ascii_alphanumeric()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte));
    if valid {
        Ok(text.to_owned())
    } else {
        Err(StoreError::InvalidName {
            kind,
            text: text.to_owned(),
            min,
            max: MAX,
        })
    }
}

macro_rules! text_newtype {
    ($($type:ident),*) => {$(
        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }
        impl AsRef<str> for $type {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }
        impl TryFrom<String> for $type {
            type Error = StoreError;
            fn try_from(text: String) -> Result<Self, StoreError> {
                Self::parse(&text)
            }
        }
        impl std::str::FromStr for $type {
            type Err = StoreError;
            fn from_str(text: &str) -> Result<Self, StoreError> {
                Self::parse(text)
            }
        }
        impl From<$type> for String {
            fn from(value: $type) -> Self {
                value.0
            }
        }
    )*};
}
text_newtype!(ContainerId, Name, StackName);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ids_are_64_hex_digits_and_differ() {
        let one = ContainerId::random().unwrap();
        let two = ContainerId::random().unwrap();
        assert_ne!(one, two);
        assert_eq!(one.short().len(), 12);
        assert_eq!(ContainerId::parse(one.as_str()).unwrap(), one);
    }

    #[test]
    fn no_name_can_leave_its_directory() {
        for bad in [
            "", "a", ".", "..", "../x", "a/b", "-a", "_a", ".a", "a b", "a\n", "ä1", "a\0",
        ] {
            assert!(Name::parse(bad).is_err(), "{bad:?}");
        }
        assert!(Name::parse(&"x".repeat(256)).is_err());
        for good in ["a1", "web-1", "Web_1.x", "0-"] {
            assert_eq!(Name::parse(good).unwrap().to_string(), good);
        }
        assert!(StackName::parse("a").is_ok());
        assert!(StackName::parse("..").is_err());
    }

    #[test]
    fn json_with_a_bad_id_or_name_is_refused() {
        assert!(serde_json::from_str::<ContainerId>("\"../../etc\"").is_err());
        assert!(serde_json::from_str::<Name>("\"../../etc\"").is_err());
        let id = ContainerId::random().unwrap();
        let json = serde_json::to_string(&id).unwrap();
        assert_eq!(serde_json::from_str::<ContainerId>(&json).unwrap(), id);
    }

    #[test]
    fn display_pads_for_tables() {
        assert_eq!(format!("{:6}|", Name::parse("web").unwrap()), "web   |");
    }

    proptest! {
        #[test]
        fn every_accepted_name_is_one_normal_path_component(text in "\\PC{0,12}") {
            if let Ok(name) = StackName::parse(&text) {
                let mut parts = std::path::Path::new(name.as_str()).components();
                prop_assert!(matches!(parts.next(), Some(std::path::Component::Normal(_))));
                prop_assert!(parts.next().is_none());
            }
        }

        #[test]
        fn ids_are_exactly_64_hex_digits(text in "[0-9a-fA-Fg]{62,66}") {
            let valid = text.len() == 64 && text.bytes().all(|b| b"0123456789abcdef".contains(&b));
            prop_assert_eq!(ContainerId::parse(&text).is_ok(), valid);
        }
    }
}
