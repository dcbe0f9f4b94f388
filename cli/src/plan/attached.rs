//! How a container is connected, as it is saved with its plan.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use coop_net::{Lease, LeaseRequest, Mac, PortMapping, Shape};
use serde::{Deserialize, Serialize};

use super::{NamespaceOf, NetworkOptions};

/// How a container is connected.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Connection {
    /// The host's own network.
    Host,
    /// Only a loopback interface.
    None,
    /// That of another container, and with it its names.
    Container(NamespaceOf),
    /// On the bridges of networks.
    Bridge(Bridged),
}

/// The networks of a container, and what it publishes.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(from = "Saved")]
pub(crate) struct Bridged {
    /// Its place in each network, in the order of its interfaces.
    pub attached: Vec<Attached>,
    /// Ports to publish; host port 0 is any free one.
    pub ports: Vec<PortMapping>,
}

/// A container's place in a network.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Attached {
    /// The network's name.
    pub network: String,
    /// How it is made when it is not there yet.
    #[serde(default)]
    pub options: NetworkOptions,
    /// What the others of the network call it.
    pub names: Vec<String>,
    /// The container's end of the link.
    #[serde(default = "first_interface")]
    pub interface: String,
    /// What was asked for by name; the rest is any that is free.
    #[serde(default)]
    pub wanted: Wanted,
    /// The network with the highest number has the default route; of several, the first one.
    #[serde(default)]
    pub gw_priority: i32,
    /// How bad its link is made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shape: Option<Shape>,
    /// Its place in the network, once it is leased.
    pub lease: Option<Lease>,
}

/// Addresses that were asked for by name.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Wanted {
    /// The IPv4 address.
    pub address: Option<Ipv4Addr>,
    /// The IPv6 address.
    pub address6: Option<Ipv6Addr>,
    /// The hardware address.
    pub mac: Option<Mac>,
    /// Further addresses, of the link alone.
    pub link_local: Vec<IpAddr>,
}

/// What a plan holds: that of now, or that of a version with one network a container.
#[derive(Deserialize)]
#[serde(untagged)]
#[allow(clippy::large_enum_variant)] // it is read, and gone
enum Saved {
    Several {
        attached: Vec<Attached>,
        ports: Vec<PortMapping>,
    },
    One {
        network: String,
        #[serde(default)]
        options: NetworkOptions,
        names: Vec<String>,
        ports: Vec<PortMapping>,
        lease: Option<Lease>,
    },
}

impl From<Saved> for Bridged {
    fn from(saved: Saved) -> Self {
        match saved {
            Saved::Several { attached, ports } => Self { attached, ports },
            Saved::One {
                network,
                options,
                names,
                ports,
                lease,
            } => Self {
                attached: vec![Attached {
                    network,
                    options,
                    names,
                    interface: first_interface(),
                    wanted: Wanted::default(),
                    gw_priority: 0,
                    shape: None,
                    lease,
                }],
                ports,
            },
        }
    }
}

fn first_interface() -> String {
    "eth0".to_owned()
}

impl Connection {
    /// Its place in each network; none without a network of its own.
    pub(crate) fn attached(&self) -> &[Attached] {
        match self {
            Self::Bridge(bridged) => &bridged.attached,
            Self::Host | Self::None | Self::Container(_) => &[],
        }
    }

    /// As [`attached`](Self::attached).
    pub(crate) fn attached_mut(&mut self) -> &mut [Attached] {
        match self {
            Self::Bridge(bridged) => &mut bridged.attached,
            Self::Host | Self::None | Self::Container(_) => &mut [],
        }
    }

    /// Its place in one network.
    pub(crate) fn attached_to(&self, network: &str) -> Option<&Attached> {
        { self.attached().iter() }.find(|attached| attached.network == network)
    }

    /// Its leases, in the order of its interfaces.
    pub(crate) fn leases(&self) -> impl Iterator<Item = &Lease> + Clone {
        { self.attached().iter() }.filter_map(|attached| attached.lease.as_ref())
    }

    /// Its networks' names.
    pub(crate) fn networks(&self) -> impl Iterator<Item = &str> {
        { self.attached().iter() }.map(|attached| attached.network.as_str())
    }

    /// The ports that it publishes, with the host's number; without one as long as they are not
    /// leased. None while it is disconnected from the network that they were published by.
    pub(crate) fn published(&self) -> &[PortMapping] {
        let Self::Bridge(bridged) = self else {
            return &[];
        };
        let is_leased = { bridged.attached.iter() }.all(|attached| attached.lease.is_some());
        // One lease has them.
        match self.leases().find(|lease| !lease.ports.is_empty()) {
            Some(lease) => &lease.ports,
            None if is_leased => &[],
            None => &bridged.ports,
        }
    }

    /// The lease by whose network it reaches others, and that has its published ports; without a
    /// way out, the first one.
    pub(crate) fn main_lease(&self) -> Option<&Lease> {
        let (v4, _) = coop_net::default_routes(self.leases());
        v4.or_else(|| self.leases().next())
    }
}

impl Bridged {
    /// Which of the networks publishes its ports: the one with the default route; of those
    /// without a way out, the first one.
    pub(crate) fn publisher(&self) -> Option<usize> {
        let internal = |index: &usize| self.attached[*index].options.internal;
        let mut best = None;
        for index in (0..self.attached.len()).filter(|index| !internal(index)) {
            let priority = self.attached[index].gw_priority;
            if best.is_none_or(|best: usize| self.attached[best].gw_priority < priority) {
                best = Some(index);
            }
        }
        best.or(if self.attached.is_empty() {
            None
        } else {
            Some(0)
        })
    }

    /// The place that has to publish its ports and does not: it was disconnected from the network
    /// that did.
    pub(crate) fn unpublished(&self) -> Option<&Attached> {
        let is_published =
            |attached: &Attached| { attached.lease.iter() }.any(|lease| !lease.ports.is_empty());
        if self.ports.is_empty() || self.attached.iter().any(is_published) {
            return None;
        }
        let place = &self.attached[self.publisher()?];
        Some(place).filter(|place| !place.options.internal)
    }

    /// What to ask the network at this place for.
    pub(crate) fn request(&self, index: usize, container: &str) -> LeaseRequest {
        let attached = &self.attached[index];
        LeaseRequest {
            container: container.to_owned(),
            names: attached.names.clone(),
            ports: if self.publisher() == Some(index) {
                self.ports.clone()
            } else {
                Vec::new()
            },
            address: attached.wanted.address,
            address6: attached.wanted.address6,
            mac: attached.wanted.mac,
            interface: Some(attached.interface.clone()),
            gw_priority: attached.gw_priority,
            link_local: attached.wanted.link_local.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_of_one_network_still_loads() {
        let old = r#"{"bridge": {"network": "shop_default", "options": {"internal": true,
            "subnet": null, "external": false}, "names": ["web"],
            "ports": [{"host_ip": "0.0.0.0", "host_port": 80, "container_port": 80,
                "protocol": "tcp"}],
            "lease": {"network": "shop_default", "container": "c", "names": ["web"],
                "address": "10.208.1.2", "prefix_len": 24, "gateway": "10.208.1.1",
                "internal": true, "mac": "02:42:0a:d0:01:02", "mtu": 1500, "bridge": "coop-1",
                "host_interface": "coopv1", "interface": "eth0", "ports": [{"host_ip": "0.0.0.0",
                "host_port": 80, "container_port": 80, "protocol": "tcp"}]}}}"#;
        let connection: Connection = serde_json::from_str(old).unwrap();
        let attached = connection.attached_to("shop_default").unwrap();
        assert!(attached.options.internal);
        assert_eq!(attached.interface, "eth0");
        assert_eq!(connection.leases().count(), 1);
        assert_eq!(connection.published()[0].to_string(), "0.0.0.0:80:80/tcp");
        let saved = serde_json::to_string(&connection).unwrap();
        assert_eq!(
            serde_json::from_str::<Connection>(&saved).unwrap(),
            connection
        );
    }

    #[test]
    fn ports_are_published_where_the_way_out_is() {
        let attached = |network: &str, internal, gw_priority| Attached {
            network: network.into(),
            options: NetworkOptions {
                internal,
                ..NetworkOptions::default()
            },
            names: Vec::new(),
            interface: "eth0".into(),
            wanted: Wanted::default(),
            shape: None,
            gw_priority,
            lease: None,
        };
        let publisher = |attached: Vec<Attached>| {
            Bridged {
                attached,
                ports: Vec::new(),
            }
            .publisher()
        };
        assert_eq!(publisher(vec![]), None);
        assert_eq!(publisher(vec![attached("a", true, 9)]), Some(0));
        assert_eq!(
            publisher(vec![attached("a", true, 9), attached("b", false, 0)]),
            Some(1)
        );
        assert_eq!(
            publisher(vec![
                attached("a", false, 0),
                attached("b", false, 1),
                attached("c", false, 1)
            ]),
            Some(1)
        );
    }
}
