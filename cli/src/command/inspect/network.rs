//! How the container is connected.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use coop_net::{Lease, Mac};
use serde::Serialize;

use crate::plan::{Attached, Connection, ContainerPlan};

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

#[derive(Default, Serialize)]
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
    gw_priority: i32,
    /// What was asked for by name.
    #[serde(rename = "IPAMConfig")]
    wanted: Option<WantedAddresses>,
}

#[derive(Serialize)]
struct WantedAddresses {
    #[serde(rename = "IPv4Address", skip_serializing_if = "Option::is_none")]
    address: Option<Ipv4Addr>,
    #[serde(rename = "IPv6Address", skip_serializing_if = "Option::is_none")]
    address_v6: Option<Ipv6Addr>,
    #[serde(rename = "LinkLocalIPs", skip_serializing_if = "<[_]>::is_empty")]
    link_local: Vec<IpAddr>,
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
    #[serde(rename = "GlobalIPv6Address")]
    address_v6: Text<Ipv6Addr>,
    #[serde(rename = "GlobalIPv6PrefixLen")]
    prefix_len_v6: u8,
    #[serde(rename = "IPv6Gateway")]
    gateway_v6: Text<Ipv6Addr>,
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
        let main = connection.main_lease();
        Self {
            bridge: main.map_or("", |lease| &lease.bridge),
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
            place: main.map(Place::new).unwrap_or_default(),
            networks: match connection {
                // They are the other one's.
                Connection::Container(_) => BTreeMap::new(),
                Connection::Host | Connection::None => {
                    [(mode(connection), Network::default())].into()
                }
                Connection::Bridge(bridged) => { bridged.attached.iter() }
                    .map(|attached| (Cow::from(&attached.network), Network::new(attached)))
                    .collect(),
            },
        }
    }
}

impl<'a> Network<'a> {
    fn new(attached: &'a Attached) -> Self {
        let lease = attached.lease.as_ref();
        let wanted = &attached.wanted;
        let some =
            wanted.address.is_some() || wanted.address6.is_some() || !wanted.link_local.is_empty();
        Self {
            place: lease.map(Place::new).unwrap_or_default(),
            aliases: &attached.names,
            dns_names: &attached.names,
            id: lease.map_or("", |lease| &lease.bridge),
            endpoint_id: lease.map_or("", |lease| &lease.host_interface),
            gw_priority: attached.gw_priority,
            wanted: some.then(|| WantedAddresses {
                address: wanted.address,
                address_v6: wanted.address6,
                link_local: wanted.link_local.clone(),
            }),
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
            address_v6: Text(lease.ipv6.map(|ipv6| ipv6.address)),
            prefix_len_v6: lease.ipv6.map_or(0, |ipv6| ipv6.prefix_len),
            gateway_v6: Text(lease.ipv6.map(|ipv6| ipv6.gateway)),
        }
    }
}

/// The network's name, or Docker's word for having none of its own.
pub(super) fn mode(connection: &Connection) -> Cow<'_, str> {
    match connection {
        Connection::Host => "host".into(),
        Connection::None => "none".into(),
        Connection::Container(other) => format!("container:{}", other.id).into(),
        // As Docker: the first one.
        Connection::Bridge(_) => connection.networks().next().unwrap_or_default().into(),
    }
}

/// Published ports by the container's: `80/tcp`.
pub(super) fn bindings(connection: &Connection) -> BTreeMap<String, Vec<Binding>> {
    let mut bindings = BTreeMap::<_, Vec<_>>::new();
    for port in connection.published() {
        bindings
            .entry(format!("{}/{}", port.container_port, port.protocol))
            .or_default()
            .push(Binding {
                host_ip: port.address().to_string(),
                host_port: port.host_port.to_string(),
            });
    }
    bindings
}
