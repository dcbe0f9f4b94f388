//! How a container is connected, and what it knows of others.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

use anyhow::Result;
use coop_launcher::store::{Name, StackName};
use coop_net::{Ipv4Net, Ipv6Spec, NetworkSpec};
use serde::{Deserialize, Serialize};

use super::{Attached, Bridged, Connection, NamespaceOf, Wanted};
use crate::host::Host;
use crate::load::Located;
use crate::stack::value::{DriverOpts, ExtraHost, HostAddress, IpNet, NetworkMode};
use crate::stack::{Attachment, Diagnostic, Network, NodePath, Service, Stack};

/// The network that all single containers share: Docker's name for the same thing.
pub(crate) const SHARED_NETWORK: &str = "bridge";

/// The network of the services that name none.
const DEFAULT: &str = "default";

/// How a network is made when it is not there yet.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct NetworkOptions {
    /// It has no way out.
    pub internal: bool,
    /// Its addresses; none: some that are free.
    pub subnet: Option<Ipv4Net>,
    /// The bridge's address; none: the first one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gateway: Option<Ipv4Addr>,
    /// Where the addresses come from that nobody asks for by name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub range: Option<Ipv4Net>,
    /// Its IPv6 side.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ipv6: Option<Ipv6Spec>,
    /// Addresses that no container gets.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub reserved: BTreeMap<String, IpAddr>,
    /// The largest packet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mtu: Option<u32>,
    /// The name of its bridge.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bridge: Option<String>,
    /// Its containers do not reach one another.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub apart: bool,
    /// Its containers keep their addresses on their way out.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub routed: bool,
    /// For the user.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// It is somebody else's, and has to be there.
    pub external: bool,
}

impl NetworkOptions {
    /// What a stack file says.
    pub(crate) fn of(network: &Network) -> Self {
        let options = { network.driver_opts.iter() }.map(|(key, value)| (&**key, &**value));
        // One that is not known was refused where it was read.
        let options = DriverOpts::read(options).unwrap_or_default();
        let mut made = Self {
            internal: network.internal,
            external: network.external,
            ipv6: network.enable_ipv6.then(Ipv6Spec::default),
            mtu: options.mtu,
            bridge: options.bridge,
            apart: options.apart,
            routed: options.routed,
            labels: network.labels.clone().into_iter().collect(),
            ..Self::default()
        };
        for config in network.ipam.iter().flat_map(|ipam| &ipam.config) {
            made.reserved.extend(config.aux_addresses.clone());
            match (config.subnet, config.gateway, config.ip_range) {
                (IpNet::V4(subnet), gateway, range) => {
                    made.subnet = Some(subnet);
                    made.gateway = match gateway {
                        Some(IpAddr::V4(gateway)) => Some(gateway),
                        _ => None,
                    };
                    made.range = match range {
                        Some(IpNet::V4(range)) => Some(range),
                        _ => None,
                    };
                }
                (IpNet::V6(subnet), gateway, range) => {
                    made.ipv6 = Some(Ipv6Spec {
                        subnet: Some(subnet),
                        gateway: match gateway {
                            Some(IpAddr::V6(gateway)) => Some(gateway),
                            _ => None,
                        },
                        range: match range {
                            Some(IpNet::V6(range)) => Some(range),
                            _ => None,
                        },
                    });
                }
            }
        }
        made
    }

    /// What the network of this name is asked to be.
    pub(crate) fn spec(&self, name: &str) -> NetworkSpec {
        let default = NetworkSpec::new(name);
        NetworkSpec {
            internal: self.internal,
            subnet: self.subnet,
            gateway: self.gateway,
            range: self.range,
            ipv6: self.ipv6.clone(),
            reserved: self.reserved.clone(),
            mtu: self.mtu.unwrap_or(default.mtu),
            bridge: self.bridge.clone(),
            apart: self.apart,
            routed: self.routed,
            labels: self.labels.clone(),
            ..default
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
    let names: Vec<_> = { service_name.into_iter() }
        .map(str::to_owned)
        .chain([name.to_string()])
        .collect();
    Connection::Bridge(Bridged {
        attached: attachments(stack, stack_name, service, service_name, &names),
        ports: service
            .ports
            .iter()
            .flat_map(|port| port.mappings().to_vec())
            .collect(),
    })
}

/// Its place in each of its networks, in the order of its interfaces.
fn attachments(
    stack: &Stack,
    stack_name: &StackName,
    service: &Service,
    service_name: Option<&str>,
    names: &[String],
) -> Vec<Attached> {
    let on_default = (DEFAULT.to_owned(), Attachment::default());
    let mut networks = service.networking.networks_in_order();
    if networks.is_empty() {
        networks.push((&on_default.0, &on_default.1));
    }
    let mut free = (0..).map(|number| format!("eth{number}")).filter(|name| {
        let chosen =
            |(_, attachment): &(_, &Attachment)| attachment.interface_name.as_ref() == Some(name);
        !networks.iter().any(chosen)
    });
    let mut attached = Vec::with_capacity(networks.len());
    for (index, (key, attachment)) in networks.iter().enumerate() {
        let declared = stack.networks.get(*key);
        let network = match (service_name, declared) {
            (_, Some(_)) => stack.network_name(key),
            (None, None) => SHARED_NETWORK.to_owned(),
            (Some(_), None) => format!("{stack_name}_{key}"),
        };
        let interface = { attachment.interface_name.clone() }.or_else(|| free.next());
        attached.push(Attached {
            network,
            options: declared.map(NetworkOptions::of).unwrap_or_default(),
            names: names.iter().chain(&attachment.aliases).cloned().collect(),
            interface: interface.unwrap_or_default(),
            wanted: Wanted {
                address: attachment.ipv4_address,
                address6: attachment.ipv6_address,
                // As compose: that of the service is for its first network.
                mac: { attachment.mac_address }
                    .or(service.networking.mac_address.filter(|_| index == 0)),
                link_local: attachment.link_local_ips.clone(),
            },
            gw_priority: attachment.gw_priority,
            shape: attachment.shape.or(service.networking.shape),
            lease: None,
        });
    }
    attached
}

/// Looks how external networks are. Refuses a stack of which one is not there.
pub(super) fn look_up_external(
    host: &Host,
    stack: &Stack,
    service: Option<&str>,
    connection: &mut Connection,
) -> Result<()> {
    for Attached {
        network, options, ..
    } in connection.attached_mut()
    {
        if !options.external {
            continue;
        }
        if let Some(found) = crate::networks::find(host, network)? {
            options.internal = found.internal;
            continue;
        }
        let Some(service) = service else {
            anyhow::bail!(
                "network {network} not found\n  \
                 help: coop network create {network}, or take one that `coop network ls` shows"
            );
        };
        let key = { stack.networks.keys() }.find(|key| stack.network_name(key) == *network);
        let path = NodePath::root()
            .key("networks")
            .key(key.map_or(DEFAULT, String::as_str));
        let message =
            format!("{service}: network {network} declared as external, but could not be found");
        let help = "make it (coop network create), bring the stack up that it belongs to, or remove \
                    external: true";
        return Err(Located(Diagnostic::at(path, message).help(help)).into());
    }
    Ok(())
}
