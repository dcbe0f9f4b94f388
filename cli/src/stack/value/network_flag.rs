//! `--network` of `coop run`: a mode, or a network by name with what the container is there.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use coop_net::Mac;

use super::{NetworkMode, ParseError};

/// One `--network`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NetworkFlag {
    /// No network of its own, or the usual one.
    Mode(NetworkMode),
    /// A network by name.
    Named(NamedNetwork),
}

/// A network, and the container's place in it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct NamedNetwork {
    pub name: String,
    pub aliases: Vec<String>,
    pub ipv4: Option<Ipv4Addr>,
    pub ipv6: Option<Ipv6Addr>,
    pub mac: Option<Mac>,
    pub gw_priority: i32,
}

const FORM: &str = "write bridge, none, host, container:NAME, a network's name, or \
                    name=NAME,alias=NAME,ip=ADDRESS,ip6=ADDRESS,mac-address=MAC,gw-priority=NUMBER";

impl FromStr for NetworkFlag {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        if let Ok(mode) = text.parse() {
            return Ok(Self::Mode(mode));
        }
        if !text.contains('=') {
            return named(text, &[]).map(Self::Named);
        }
        let fields: Vec<_> = text.split(',').collect();
        let name = fields.iter().find_map(|field| field.strip_prefix("name="));
        let name = name.ok_or_else(|| ParseError::new("it names no network", FORM))?;
        named(name, &fields).map(Self::Named)
    }
}

fn named(name: &str, fields: &[&str]) -> Result<NamedNetwork, ParseError> {
    crate::stack::name::check_service_name(name)
        .map_err(|_| ParseError::new(format!("{name:?} is not a network"), FORM))?;
    let mut network = NamedNetwork {
        name: name.to_owned(),
        ..NamedNetwork::default()
    };
    for field in fields {
        let wrong = || ParseError::new(format!("{field:?} is not understood"), FORM);
        let (key, value) = field.split_once('=').ok_or_else(wrong)?;
        match key {
            "name" => {}
            "alias" => network.aliases.push(value.to_owned()),
            "ip" => network.ipv4 = Some(value.parse().map_err(|_| wrong())?),
            "ip6" => network.ipv6 = Some(value.parse().map_err(|_| wrong())?),
            "mac-address" => network.mac = Some(value.parse().map_err(|_| wrong())?),
            "gw-priority" => network.gw_priority = value.parse().map_err(|_| wrong())?,
            _ => return Err(wrong()),
        }
    }
    Ok(network)
}

impl fmt::Display for NetworkFlag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mode(mode) => mode.fmt(f),
            Self::Named(network) => f.write_str(&network.name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_is_a_mode_or_a_name() {
        let parsed = |text: &str| text.parse::<NetworkFlag>();
        assert_eq!(parsed("host"), Ok(NetworkFlag::Mode(NetworkMode::Host)));
        let Ok(NetworkFlag::Named(net)) = parsed("name=back,alias=db,ip=10.9.0.2,gw-priority=1")
        else {
            panic!("not understood")
        };
        assert_eq!((net.name.as_str(), net.gw_priority), ("back", 1));
        assert_eq!(net.aliases, ["db"]);
        assert_eq!(net.ipv4, Some([10, 9, 0, 2].into()));
        for wrong in [
            "",
            "a b",
            "alias=x",
            "name=x,ip=y",
            "name=x,y",
            "service:",
            "x/y",
        ] {
            assert!(parsed(wrong).is_err(), "{wrong}");
        }
    }
}
