//! Numbers in the kernel's ranges, and sysctls.

use super::{ParseError, serde_as_text};
use std::fmt;
use std::str::FromStr;

/// How likely the process is to be killed when memory is short: -1000 to 1000.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct OomScoreAdj(pub i16);

impl FromStr for OomScoreAdj {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        match text.trim().parse() {
            Ok(value @ -1000..=1000) => Ok(Self(value)),
            _ => Err(ParseError::new(
                "out of range",
                "write a whole number from -1000 (never killed) to 1000 (killed first)",
            )),
        }
    }
}

impl serde::Serialize for OomScoreAdj {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_i16(self.0)
    }
}

/// How much the kernel prefers to swap: 0 to 100.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Swappiness(pub u8);

impl FromStr for Swappiness {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        match text.trim().parse() {
            Ok(value @ 0..=100) => Ok(Self(value)),
            _ => Err(ParseError::new(
                "out of range",
                "write a whole number from 0 (swap as little as possible) to 100",
            )),
        }
    }
}

impl serde::Serialize for Swappiness {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_u8(self.0)
    }
}

/// A share of the disk's time: 10 to 1000.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BlkioWeight(pub u16);

impl FromStr for BlkioWeight {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        match text.trim().parse() {
            Ok(value @ 10..=1000) => Ok(Self(value)),
            _ => Err(ParseError::new(
                "out of range",
                "write a whole number from 10 to 1000",
            )),
        }
    }
}

impl serde::Serialize for BlkioWeight {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_u16(self.0)
    }
}

/// A group by name or number, looked up in the container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Group(pub String);

serde_as_text!(Group);

impl FromStr for Group {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let bad = |c: char| c == ':' || c == '/' || c.is_whitespace() || c.is_control();
        if text.is_empty() || text.starts_with('-') || text.contains(bad) {
            return Err(ParseError::new(
                "not a group",
                "write a name of the container's /etc/group, or a number",
            ));
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// `NAME=VALUE` of a kernel parameter that belongs to a namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sysctl {
    pub name: String,
    pub value: String,
}

impl Sysctl {
    /// A parameter that a container may have a value of its own for.
    pub(crate) fn new(name: &str, value: &str) -> Result<Self, ParseError> {
        if matches!(name, "kernel.hostname" | "kernel.domainname") {
            return Err(ParseError::new(
                "it has a key of its own",
                "write hostname: or domainname:",
            ));
        }
        if !coop_fs::is_namespaced_sysctl(name) {
            return Err(ParseError::new(
                "it is of the whole host, not of a container",
                "write one of net.*, fs.mqueue.*, kernel.shm*, kernel.msg* and kernel.sem, \
                 or set it on the host",
            ));
        }
        if value.contains(['\0', '\n']) {
            return Err(ParseError::new("the value has several lines", SYSCTL));
        }
        Ok(Self {
            name: name.to_owned(),
            value: value.to_owned(),
        })
    }
}

const SYSCTL: &str = "write NAME=VALUE, such as net.core.somaxconn=1024";

impl FromStr for Sysctl {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let (name, value) = text
            .split_once('=')
            .ok_or_else(|| ParseError::new("the value is missing", SYSCTL))?;
        Self::new(name, value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_the_kernels() {
        assert_eq!("-1000".parse(), Ok(OomScoreAdj(-1000)));
        assert!("-1001".parse::<OomScoreAdj>().is_err());
        assert_eq!("100".parse(), Ok(Swappiness(100)));
        assert!("-1".parse::<Swappiness>().is_err());
        assert!("9".parse::<BlkioWeight>().is_err());
    }

    #[test]
    fn only_parameters_of_a_namespace_are_taken() {
        assert!("net.ipv4.ip_forward=1".parse::<Sysctl>().is_ok());
        for bad in [
            "net.ipv4.ip_forward",
            "vm.swappiness=1",
            "kernel.hostname=x",
        ] {
            assert!(bad.parse::<Sysctl>().is_err(), "{bad}");
        }
    }
}
