//! The networks that are none, by which containers are told to have the host's or no other.

use serde_json::{Value, json};

/// A network that is always there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Predefined {
    /// The host's own.
    Host,
    /// Only a loopback interface.
    None,
}

impl Predefined {
    pub(super) const ALL: [Self; 2] = [Self::Host, Self::None];

    /// The one of this name.
    pub(super) fn find(name: &str) -> Option<Self> {
        { Self::ALL.into_iter() }.find(|it| it.name() == name)
    }

    /// Its name, and its id: there is only one of it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::None => "none",
        }
    }

    /// Docker's word for who makes it.
    pub(super) fn driver(self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::None => "null",
        }
    }

    /// What `inspect` says of it.
    pub(super) fn object(self) -> Value {
        json!({
            "Name": self.name(),
            "Id": self.name(),
            "Scope": "local",
            "Driver": self.driver(),
            "EnableIPv4": true,
            "EnableIPv6": false,
            "IPAM": {"Driver": "default", "Options": {}, "Config": []},
            "Internal": false,
            "Attachable": false,
            "Containers": {},
            "Options": {},
            "Labels": {},
        })
    }
}
