//! How the container is connected.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use coop_net::{Lease, Mac};
use serde::Serialize;

use crate::command::ps::published;
use crate::plan::{Connection, ContainerPlan};

/// Address, gateway and the like of the one network at the top, too: where older versions of
/// Docker, and scripts made for them, have them.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct NetworkSettings<'a> {
    bridge: &'a str,
    /// Whose network namespace it is: the container, or the one whose network it has.
    #[serde(rename = "SandboxID")]
    sandbox_id: &'a str,
    /// The namespace, while somebody is in it.
    sandbox_key: String,
    ports: BTreeMap<String, Vec<Binding>>,
    #[serde(flatten)]
    place: Place,
    networks: BTreeMap<Cow<'a, str>, Network<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Network<'a> {
    #[serde(flatten)]
    place: Place,
    aliases: &'a [String],
    #[serde(rename = "DNSNames")]
    dns_names: &'a [String],
    /// As `inspect --type network` has it.
    #[serde(rename = "NetworkID")]
    id: &'a str,
    /// The host's end of its link.
    #[serde(rename = "EndpointID")]
    endpoint_id: &'a str,
}

/// Empty without an address.
#[derive(Debug, Clone, Default, Serialize)]
struct Place {
    #[serde(rename = "IPAddress")]
    address: Text<Ipv4Addr>,
    #[serde(rename = "IPPrefixLen")]
    prefix_len: u8,
    #[serde(rename = "Gateway")]
    gateway: Text<Ipv4Addr>,
    #[serde(rename = "MacAddress")]
    mac: Text<Mac>,
    /// There is no IPv6 yet.
    #[serde(rename = "GlobalIPv6Address")]
    address_v6: &'static str,
    #[serde(rename = "GlobalIPv6PrefixLen")]
    prefix_len_v6: u8,
    #[serde(rename = "IPv6Gateway")]
    gateway_v6: &'static str,
}

/// A value, or the empty string for none.
#[derive(Debug, Clone)]
struct Text<T>(Option<T>);

impl<T> Default for Text<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<T: Serialize> Serialize for Text<T> {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match &self.0 {
            Some(value) => value.serialize(to),
            None => to.serialize_str(""),
        }
    }
}

/// One published port on the host.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Binding {
    host_ip: String,
    host_port: String,
}

impl<'a> NetworkSettings<'a> {
    /// `pid` is that of the container's first process, 0 for none.
    pub(super) fn new(plan: &'a ContainerPlan, pid: i32) -> Self {
        let connection = &plan.network;
        let (names, lease): (&[String], _) = match connection {
            Connection::Bridge { names, lease, .. } => (names, lease.as_ref()),
            _ => (&[], None),
        };
        let place = lease.map(Place::new).unwrap_or_default();
        let network = Network {
            place: place.clone(),
            aliases: names,
            dns_names: names,
            id: lease.map_or("", |lease| &lease.bridge),
            endpoint_id: lease.map_or("", |lease| &lease.host_interface),
        };
        Self {
            bridge: network.id,
            sandbox_id: match connection {
                Connection::Host => "",
                _ => plan.names_of().as_str(),
            },
            sandbox_key: if pid == 0 {
                String::new()
            } else {
                format!("/proc/{pid}/ns/net")
            },
            ports: bindings(connection),
            place,
            networks: match connection {
                // They are the other one's.
                Connection::Container(_) => BTreeMap::new(),
                _ => [(mode(connection), network)].into(),
            },
        }
    }
}

impl Place {
    fn new(lease: &Lease) -> Self {
        Self {
            address: Text(Some(lease.address)),
            prefix_len: lease.prefix_len,
            gateway: Text(Some(lease.gateway)),
            mac: Text(Some(lease.mac)),
            ..Self::default()
        }
    }
}

/// The network's name, or Docker's word for having none of its own.
pub(super) fn mode(connection: &Connection) -> Cow<'_, str> {
    match connection {
        Connection::Host => "host".into(),
        Connection::None => "none".into(),
        Connection::Container(other) => format!("container:{}", other.id).into(),
        Connection::Bridge { network, .. } => network.into(),
    }
}

/// Published ports by the container's: `80/tcp`.
pub(super) fn bindings(connection: &Connection) -> BTreeMap<String, Vec<Binding>> {
    let mut bindings = BTreeMap::<_, Vec<_>>::new();
    for port in published(connection) {
        bindings
            .entry(format!("{}/{}", port.container_port, port.protocol))
            .or_default()
            .push(Binding {
                host_ip: port.host_ip.to_string(),
                host_port: port.host_port.to_string(),
            });
    }
    bindings
}
