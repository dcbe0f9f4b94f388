//! How the container is connected.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use coop_net::{Lease, Mac};
use serde::Serialize;

use crate::command::ps::published;
use crate::plan::Connection;

/// Address, gateway and the like of the one network at the top, too: where older versions of
/// Docker, and scripts made for them, have them.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct NetworkSettings<'a> {
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
    pub(super) fn new(connection: &'a Connection) -> Self {
        let place = match connection {
            Connection::Bridge {
                lease: Some(lease), ..
            } => Place::new(lease),
            _ => Place::default(),
        };
        let aliases: &[String] = match connection {
            Connection::Bridge { names, .. } => names,
            _ => &[],
        };
        Self {
            ports: bindings(connection),
            place: place.clone(),
            networks: match connection {
                // They are the other one's.
                Connection::Container(_) => BTreeMap::new(),
                _ => [(mode(connection), Network { place, aliases })].into(),
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
