//! What a service says about its network, beside `network_mode` and `ports`.

use super::super::value::ExtraHost;
use coop_net::Ipv4Net;
use indexmap::IndexMap;
use serde::Serialize;
use std::net::IpAddr;

/// Keys of a service.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(crate) struct Networking {
    /// Name servers, instead of the host's.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub dns: Vec<IpAddr>,
    /// Options of the resolver, instead of the host's.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub dns_opt: Vec<String>,
    /// Domains to look names up in, instead of the host's.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub dns_search: Vec<String>,
    /// Ports that other services use: for the reader, as every port can be reached.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub expose: Vec<String>,
    /// Entries of `/etc/hosts`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub extra_hosts: Vec<ExtraHost>,
    /// The network that it is on, when it is not the stack's own.
    #[serde(skip_serializing_if = "IndexMap::is_empty")]
    pub networks: IndexMap<String, Attachment>,
}

/// A service's place in a network.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(crate) struct Attachment {
    /// Further names of the service in this network.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<String>,
}

/// An entry of the top-level `networks`.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(crate) struct Network {
    /// The network's name on the host; `None`: the stack's name, `_`, the key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// It belongs to somebody else and has to be there.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub external: bool,
    /// It has no way out.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub internal: bool,
    /// Its addresses; `None`: some that are free.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ipam: Option<Ipam>,
}

/// `networks.*.ipam`.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(crate) struct Ipam {
    /// At most one.
    pub config: Vec<IpamConfig>,
}

/// An entry of `networks.*.ipam.config`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct IpamConfig {
    /// The addresses of the network.
    pub subnet: Ipv4Net,
}

impl Network {
    /// The addresses that the file asks for.
    pub(crate) fn subnet(&self) -> Option<Ipv4Net> {
        let ipam = self.ipam.as_ref()?;
        ipam.config.first().map(|config| config.subnet)
    }
}
