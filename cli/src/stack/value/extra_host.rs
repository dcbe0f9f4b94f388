//! Entries of a container's `/etc/hosts`.

use super::{ParseError, serde_as_text};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// A name and its address: `extra_hosts` and `--add-host`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ExtraHost {
    /// The name.
    pub name: String,
    /// Where it is.
    pub address: HostAddress,
}

/// Where a host is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum HostAddress {
    /// At this address.
    At(IpAddr),
    /// `host-gateway`: it is the machine that Coop runs on.
    Gateway,
}

serde_as_text!(ExtraHost);

const FORM: &str = "write NAME:ADDRESS or NAME=ADDRESS, such as db:192.0.2.7 or host:host-gateway";

impl ExtraHost {
    /// An entry of which name and address are written apart.
    pub(crate) fn new(name: &str, address: &str) -> Result<Self, ParseError> {
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if name.is_empty() || name.len() > 253 || !name.chars().all(fits) {
            return Err(ParseError::new(
                format!("{name:?} is not a host name"),
                FORM,
            ));
        }
        Ok(Self {
            name: name.to_owned(),
            address: address.parse()?,
        })
    }
}

impl FromStr for HostAddress {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        if text == "host-gateway" {
            return Ok(Self::Gateway);
        }
        let bare = text
            .strip_prefix('[')
            .and_then(|text| text.strip_suffix(']'))
            .unwrap_or(text);
        bare.parse()
            .map(Self::At)
            .map_err(|_| ParseError::new(format!("{text:?} is not an address"), FORM))
    }
}

impl FromStr for ExtraHost {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let split = text.split_once('=').or_else(|| text.split_once(':'));
        let (name, address) =
            split.ok_or_else(|| ParseError::new("it has a name and no address", FORM))?;
        Self::new(name.trim(), address.trim())
    }
}

impl fmt::Display for HostAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::At(address) => address.fmt(f),
            Self::Gateway => f.write_str("host-gateway"),
        }
    }
}

impl fmt::Display for ExtraHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.name, self.address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_separators_and_both_families() {
        for (text, shown) in [
            ("db:192.0.2.7", "db=192.0.2.7"),
            ("db=192.0.2.7", "db=192.0.2.7"),
            ("db:[::1]", "db=::1"),
            ("db:2001:db8::1", "db=2001:db8::1"),
            ("host:host-gateway", "host=host-gateway"),
        ] {
            assert_eq!(text.parse::<ExtraHost>().unwrap().to_string(), shown);
        }
        for text in [
            "db",
            "db:",
            ":1.2.3.4",
            "a b:1.2.3.4",
            "a:1.2.3",
            "a\nb:1.2.3.4",
        ] {
            assert!(text.parse::<ExtraHost>().is_err(), "{text}");
        }
    }
}
