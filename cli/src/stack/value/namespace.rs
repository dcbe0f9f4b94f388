//! Whose namespaces a container is in.

use super::{ParseError, serde_as_text};
use std::fmt;
use std::str::FromStr;

/// Another container whose namespace is shared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Peer {
    /// `service:NAME`: of the same stack.
    Service(String),
    /// `container:NAME`: any container of this host, by name or id.
    Container(String),
}

impl Peer {
    /// `service:NAME` or `container:NAME`; none for anything else, an empty name among it.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (kind, name) = text.split_once(':')?;
        if name.is_empty() {
            return None;
        }
        match kind {
            "service" => Some(Self::Service(name.to_owned())),
            "container" => Some(Self::Container(name.to_owned())),
            _ => None,
        }
    }

    /// The service, when it is one.
    pub(crate) fn service(&self) -> Option<&str> {
        match self {
            Self::Service(name) => Some(name),
            Self::Container(_) => None,
        }
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Service(name) => write!(f, "service:{name}"),
            Self::Container(name) => write!(f, "container:{name}"),
        }
    }
}

/// `pid`: whose processes it sees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum PidMode {
    /// The host's.
    Host,
    /// Another container's.
    Of(Peer),
}

serde_as_text!(PidMode);

impl FromStr for PidMode {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        match text {
            "host" => Ok(Self::Host),
            _ => Peer::parse(text).map(Self::Of).ok_or_else(|| {
                ParseError::new(
                    "not a pid mode",
                    "write host, service:NAME or container:NAME, or nothing for processes of its own",
                )
            }),
        }
    }
}

impl fmt::Display for PidMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host => f.write_str("host"),
            Self::Of(peer) => peer.fmt(f),
        }
    }
}

/// `ipc`: whose shared memory, semaphores and message queues it uses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum IpcMode {
    /// Its own, without `/dev/shm`.
    None,
    /// Its own, which nobody else may join.
    Private,
    /// Its own, which others may join.
    Shareable,
    /// The host's.
    Host,
    /// Another container's.
    Of(Peer),
}

serde_as_text!(IpcMode);

impl FromStr for IpcMode {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        match text {
            "none" => Ok(Self::None),
            "private" => Ok(Self::Private),
            "shareable" => Ok(Self::Shareable),
            "host" => Ok(Self::Host),
            _ => Peer::parse(text).map(Self::Of).ok_or_else(|| {
                ParseError::new(
                    "not an ipc mode",
                    "write none, private, shareable, host, service:NAME or container:NAME",
                )
            }),
        }
    }
}

impl fmt::Display for IpcMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("none"),
            Self::Private => f.write_str("private"),
            Self::Shareable => f.write_str("shareable"),
            Self::Host => f.write_str("host"),
            Self::Of(peer) => peer.fmt(f),
        }
    }
}

/// `network_mode`: how a container is connected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NetworkMode {
    /// On a network's bridge; the default.
    Bridge,
    /// Only a loopback interface.
    None,
    /// The host's own network.
    Host,
    /// Another container's network.
    Of(Peer),
}

serde_as_text!(NetworkMode);

impl FromStr for NetworkMode {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        match text {
            "bridge" => Ok(Self::Bridge),
            "none" => Ok(Self::None),
            "host" => Ok(Self::Host),
            _ => Peer::parse(text).map(Self::Of).ok_or_else(|| {
                ParseError::new(
                    format!("{text:?} is not a network mode"),
                    "write bridge, none, host, service:NAME or container:NAME",
                )
            }),
        }
    }
}

impl fmt::Display for NetworkMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bridge => f.write_str("bridge"),
            Self::None => f.write_str("none"),
            Self::Host => f.write_str("host"),
            Self::Of(peer) => peer.fmt(f),
        }
    }
}

/// `uts`: whose host name it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum UtsMode {
    /// The host's.
    Host,
}

serde_as_text!(UtsMode);

impl FromStr for UtsMode {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        match text {
            "host" => Ok(Self::Host),
            _ => Err(ParseError::new(
                "not a uts mode",
                "write host, or nothing for a host name of its own",
            )),
        }
    }
}

impl fmt::Display for UtsMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("host")
    }
}

/// `cgroup`: what it sees of the cgroup tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CgroupMode {
    /// All of the host's.
    Host,
    /// Its own cgroup as the root; the default.
    Private,
}

serde_as_text!(CgroupMode);

impl FromStr for CgroupMode {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        match text {
            "host" => Ok(Self::Host),
            "private" => Ok(Self::Private),
            _ => Err(ParseError::new(
                "not a cgroup mode",
                "write host or private",
            )),
        }
    }
}

impl fmt::Display for CgroupMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Host => "host",
            Self::Private => "private",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_read_back_as_written() {
        for mode in ["host", "service:db", "container:box"] {
            assert_eq!(mode.parse::<PidMode>().unwrap().to_string(), mode);
        }
        for mode in [
            "none",
            "private",
            "shareable",
            "host",
            "service:db",
            "container:a",
        ] {
            assert_eq!(mode.parse::<IpcMode>().unwrap().to_string(), mode);
        }
        for mode in ["bridge", "none", "host", "service:db", "container:a"] {
            assert_eq!(mode.parse::<NetworkMode>().unwrap().to_string(), mode);
        }
        for bad in ["", "service:", "container:", "db", "task:db", "Host"] {
            assert!(bad.parse::<PidMode>().is_err(), "{bad}");
            assert!(bad.parse::<IpcMode>().is_err(), "{bad}");
            assert!(bad.parse::<NetworkMode>().is_err(), "{bad}");
        }
        assert!("private".parse::<UtsMode>().is_err());
        assert!("none".parse::<CgroupMode>().is_err());
    }
}
