//! Rules for device nodes.

use std::fmt;
use std::str::FromStr;

use bitflags::bitflags;
use serde::{Deserialize, Serialize};

/// Kind of device node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DeviceKind {
    /// Block and character devices.
    All,
    /// Block devices.
    Block,
    /// Character devices.
    Char,
}

bitflags! {
    /// What may be done with a device.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
    pub struct Access: u32 {
        /// Make a node (`mknod`).
        const MKNOD = 1;
        /// Open for reading.
        const READ = 2;
        /// Open for writing.
        const WRITE = 4;
    }
}

/// Allows access to a device or to many; written as the kernel and compose write it:
/// `c 1:3 rwm`, `b 8:* r`, `a *:* rwm`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DeviceRule {
    /// Kind of node.
    pub kind: DeviceKind,
    /// Major number, or any.
    pub major: Option<u32>,
    /// Minor number, or any.
    pub minor: Option<u32>,
    /// What is allowed.
    pub access: Access,
}

impl DeviceRule {
    /// Allows everything on every device, as a privileged container has it.
    pub const ALL: Self = Self {
        kind: DeviceKind::All,
        major: None,
        minor: None,
        access: Access::all(),
    };

    /// Allows `access` on one character device.
    pub const fn char(major: u32, minor: u32, access: Access) -> Self {
        Self {
            kind: DeviceKind::Char,
            major: Some(major),
            minor: Some(minor),
            access,
        }
    }

    /// Allows `access` on one block device.
    pub const fn block(major: u32, minor: u32, access: Access) -> Self {
        Self {
            kind: DeviceKind::Block,
            major: Some(major),
            minor: Some(minor),
            access,
        }
    }
}

/// The devices that a container has when nothing else is asked for, as the OCI
/// runtime-spec lists them: `null`, `zero`, `full`, `random`, `urandom`, `tty`,
/// `console`, `ptmx` and `pts/*`. Making nodes is allowed for all (a node that may not
/// be opened is harmless, and package managers unpack them).
pub fn default_devices() -> Vec<DeviceRule> {
    let mknod = |kind| DeviceRule {
        kind,
        major: None,
        minor: None,
        access: Access::MKNOD,
    };
    let open = |major, minor| DeviceRule::char(major, minor, Access::all());
    vec![
        mknod(DeviceKind::Char),
        mknod(DeviceKind::Block),
        open(1, 3),
        open(1, 5),
        open(1, 7),
        open(1, 8),
        open(1, 9),
        open(5, 0),
        open(5, 1),
        open(5, 2),
        DeviceRule {
            kind: DeviceKind::Char,
            major: Some(136),
            minor: None,
            access: Access::all(),
        },
    ]
}

impl fmt::Display for DeviceRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            DeviceKind::All => 'a',
            DeviceKind::Block => 'b',
            DeviceKind::Char => 'c',
        };
        write!(f, "{kind} ")?;
        match self.major {
            Some(major) => write!(f, "{major}:")?,
            None => f.write_str("*:")?,
        }
        match self.minor {
            Some(minor) => write!(f, "{minor} ")?,
            None => f.write_str("* ")?,
        }
        for (flag, letter) in LETTERS {
            if self.access.contains(flag) {
                write!(f, "{letter}")?;
            }
        }
        Ok(())
    }
}

const LETTERS: [(Access, char); 3] = [
    (Access::READ, 'r'),
    (Access::WRITE, 'w'),
    (Access::MKNOD, 'm'),
];

/// Why a string is not a [`DeviceRule`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{rule:?} is not a device rule such as \"c 1:3 rwm\": {reason}")]
pub struct DeviceRuleError {
    /// What was given.
    pub rule: String,
    /// What is wrong with it.
    pub reason: &'static str,
}

impl FromStr for DeviceRule {
    type Err = DeviceRuleError;

    fn from_str(text: &str) -> Result<Self, DeviceRuleError> {
        let wrong = |reason| DeviceRuleError {
            rule: text.to_owned(),
            reason,
        };
        let mut words = text.split_ascii_whitespace();
        let kind = match words.next() {
            Some("a") => DeviceKind::All,
            Some("b") => DeviceKind::Block,
            Some("c") => DeviceKind::Char,
            _ => return Err(wrong("it starts with a, b or c")),
        };
        let numbers = match words.next() {
            // The kernel's short form: "a" alone is everything.
            None if kind == DeviceKind::All => return Ok(Self::ALL),
            numbers => numbers.and_then(|numbers| numbers.split_once(':')),
        };
        let (major, minor) = numbers.ok_or_else(|| wrong("MAJOR:MINOR is missing"))?;
        // A dev_t has 12 bits of major and 20 of minor number.
        let number = |text: &str, bits: u32| match text {
            "*" => Ok(None),
            digits => match digits.parse::<u32>() {
                Ok(value) if value < 1 << bits => Ok(Some(value)),
                _ => Err(wrong("a number is out of range (use * for any)")),
            },
        };
        let (major, minor) = (number(major, 12)?, number(minor, 20)?);
        let mut access = Access::empty();
        for letter in words
            .next()
            .ok_or_else(|| wrong("the access is missing"))?
            .chars()
        {
            let (flag, _) = LETTERS
                .into_iter()
                .find(|(_, known)| *known == letter)
                .ok_or_else(|| wrong("the access is of r, w and m"))?;
            access |= flag;
        }
        if words.next().is_some() {
            return Err(wrong("there are words after the access"));
        }
        Ok(Self {
            kind,
            major,
            minor,
            access,
        })
    }
}

impl TryFrom<String> for DeviceRule {
    type Error = DeviceRuleError;
    fn try_from(text: String) -> Result<Self, DeviceRuleError> {
        text.parse()
    }
}

impl From<DeviceRule> for String {
    fn from(rule: DeviceRule) -> Self {
        rule.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn rules_read_as_the_kernel_writes_them() {
        assert_eq!("a".parse(), Ok(DeviceRule::ALL));
        assert_eq!("a *:* rwm".parse(), Ok(DeviceRule::ALL));
        assert_eq!(
            "c 1:3 mr".parse(),
            Ok(DeviceRule::char(1, 3, Access::READ | Access::MKNOD))
        );
        for bad in [
            "",
            "c",
            "x 1:3 r",
            "c 1 r",
            "c 1:3",
            "c 1:3 q",
            "c 5000:1 r",
            "c 1:3 r r",
        ] {
            assert!(bad.parse::<DeviceRule>().is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn a_rule_reads_back_as_written(
            kind in 0..3_usize,
            major in proptest::option::of(0_u32..1 << 12),
            minor in proptest::option::of(0_u32..1 << 20),
            access in 1_u32..8,
        ) {
            let kind = [DeviceKind::All, DeviceKind::Block, DeviceKind::Char][kind];
            let rule = DeviceRule { kind, major, minor, access: Access::from_bits_truncate(access) };
            prop_assert_eq!(rule.to_string().parse(), Ok(rule));
        }
    }
}
