//! Published ports: `-p 8080:80`. The syntax itself is `coop-net`'s.

use super::ParseError;
use coop_net::PortMapping;
use serde::ser::{Serialize, SerializeMap, Serializer};
use std::fmt;
use std::str::FromStr;

/// What one `-p` or one line of `ports` publishes: a port, or a range of ports.
///
/// Serialises as compose's long syntax.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Port {
    short: String,
    mappings: Vec<PortMapping>,
}

const FORM: &str = "write TARGET, PUBLISHED:TARGET or ADDRESS:PUBLISHED:TARGET, such as 8080:80 \
                    or 127.0.0.1:5353:53/udp";

impl Port {
    /// One mapping for each port, at least one.
    pub(crate) fn mappings(&self) -> &[PortMapping] {
        &self.mappings
    }
}

impl FromStr for Port {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        match PortMapping::parse(text) {
            Ok(mappings) => Ok(Self {
                short: text.to_owned(),
                mappings,
            }),
            Err(error) => {
                // The callers of this module name the text themselves.
                let why = error.to_string();
                let why = why
                    .strip_prefix(&format!("invalid port {text:?}: "))
                    .unwrap_or(&why);
                Err(ParseError::new(why, FORM))
            }
        }
    }
}

impl fmt::Display for Port {
    /// The short syntax, as it was written.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.short)
    }
}

impl Serialize for Port {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        let (Some(first), Some(last)) = (self.mappings.first(), self.mappings.last()) else {
            return s.collect_str(&self.short);
        };
        let range = |first: u16, last: u16| {
            if first == last {
                first.to_string()
            } else {
                format!("{first}-{last}")
            }
        };
        let mut map = s.serialize_map(None)?;
        if let Some(host_ip) = first.host_ip {
            map.serialize_entry("host_ip", &host_ip)?;
        }
        if self.mappings.len() == 1 {
            map.serialize_entry("target", &first.container_port)?;
        } else {
            map.serialize_entry("target", &range(first.container_port, last.container_port))?;
        }
        // Text also when it is a single port: compose has it so.
        if let Some((first, last)) = first.among {
            map.serialize_entry("published", &range(first, last))?;
        } else if first.host_port != 0 {
            map.serialize_entry("published", &range(first.host_port, last.host_port))?;
        }
        map.serialize_entry("protocol", &first.protocol.to_string())?;
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_says_how_a_port_is_written() {
        let error = "80:http".parse::<Port>().unwrap_err();
        assert_eq!(error.why, "a port must be a number from 1 to 65535");
    }
}
