//! How a container is connected, and what it knows of others.

use std::net::IpAddr;

use anyhow::Result;
use coop_launcher::store::{Name, StackName};
use coop_net::{Ipv4Net, NetworkSpec};
use serde::{Deserialize, Serialize};

use super::{Connection, NamespaceOf};
use crate::load::Located;
use crate::stack::value::{ExtraHost, HostAddress, NetworkMode};
use crate::stack::{Diagnostic, NodePath, Service, Stack};

/// The network that all single containers share: Docker's name for the same thing.
pub(crate) const SHARED_NETWORK: &str = "bridge";

/// The network of the services that name none.
const DEFAULT: &str = "default";

/// How a network is made when it is not there yet.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NetworkOptions {
    /// It has no way out.
    pub internal: bool,
    /// Its addresses; none: some that are free.
    pub subnet: Option<Ipv4Net>,
    /// It is somebody else's, and has to be there.
    pub external: bool,
}

impl NetworkOptions {
    /// What the network of this name is asked to be.
    pub(crate) fn spec(&self, name: &str) -> NetworkSpec {
        NetworkSpec {
            internal: self.internal,
            subnet: self.subnet,
            ..NetworkSpec::new(name)
        }
    }
}

/// What a container finds in its `/etc/hosts` and `/etc/resolv.conf` beside what it finds there
/// anyway.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Resolver {
    /// Name servers, instead of the host's.
    pub servers: Vec<IpAddr>,
    /// Domains to look names up in, instead of the host's; a single dot is none.
    pub search: Vec<String>,
    /// Options, instead of the host's.
    pub options: Vec<String>,
    /// Entries of `/etc/hosts`.
    pub hosts: Vec<(String, HostAddress)>,
    /// Services that the container knows by another name: service, and name.
    pub links: Vec<(String, String)>,
}

/// What the service says about name resolution.
pub(super) fn resolver(service: &Service) -> Resolver {
    let networking = &service.networking;
    let links = service.links().filter(|(to, alias)| to != alias);
    Resolver {
        servers: networking.dns.clone(),
        search: networking.dns_search.clone(),
        options: networking.dns_opt.clone(),
        hosts: networking
            .extra_hosts
            .iter()
            .map(|ExtraHost { name, address }| (name.clone(), *address))
            .collect(),
        links: links
            .map(|(to, alias)| (to.to_owned(), alias.to_owned()))
            .collect(),
    }
}

/// How the container of a service is connected; `service_name` is none for `coop run`.
/// `joined` is whose network namespace it is in, when that is another container's.
pub(super) fn connection(
    stack: &Stack,
    stack_name: &StackName,
    service: &Service,
    service_name: Option<&str>,
    name: &Name,
    joined: Option<&NamespaceOf>,
) -> Connection {
    match (&service.network_mode, joined) {
        (_, Some(other)) => return Connection::Container(other.clone()),
        (Some(NetworkMode::Host), None) => return Connection::Host,
        (Some(NetworkMode::None), None) => return Connection::None,
        // One that joins what does not exist has been refused.
        (Some(NetworkMode::Bridge | NetworkMode::Of(_)) | None, None) => {}
    }
    let attached = service.networking.networks.first();
    let key = attached.map_or(DEFAULT, |(key, _)| key);
    let aliases = attached.map_or(&[] as &[String], |(_, attachment)| &attachment.aliases);
    let declared = stack.networks.get(key);
    let network = match (service_name, declared) {
        (None, _) => SHARED_NETWORK.to_owned(),
        (Some(_), None) => format!("{stack_name}_{key}"),
        (Some(_), Some(_)) => stack.network_name(key),
    };
    Connection::Bridge {
        network,
        options: declared
            .map(|network| NetworkOptions {
                internal: network.internal,
                subnet: network.subnet(),
                external: network.external,
            })
            .unwrap_or_default(),
        names: service_name
            .into_iter()
            .map(str::to_owned)
            .chain([name.to_string()])
            .chain(aliases.iter().cloned())
            .collect(),
        ports: service
            .ports
            .iter()
            .flat_map(|port| port.mappings().to_vec())
            .collect(),
        lease: None,
    }
}

/// Refuses a stack whose external networks are not there.
pub(super) fn check_external(
    networks: &coop_net::Networks,
    stack: &Stack,
    service: &str,
    connection: &Connection,
) -> Result<()> {
    let Connection::Bridge {
        network, options, ..
    } = connection
    else {
        return Ok(());
    };
    if !options.external || networks.get(network)?.is_some() {
        return Ok(());
    }
    let key = { stack.networks.keys() }.find(|key| stack.network_name(key) == *network);
    let path = NodePath::root()
        .key("networks")
        .key(key.map_or(DEFAULT, String::as_str));
    let message =
        format!("{service}: network {network} declared as external, but could not be found");
    let help = "bring the stack up that it belongs to, or remove external: true";
    Err(Located(Diagnostic::at(path, message).help(help)).into())
}
