//! The top-level `networks`.

use super::super::diagnostic::Diagnostic;
use super::super::model::{Ipam, IpamConfig, Network};
use super::super::name::check_service_name;
use super::super::node::Node;
use super::super::path::NodePath;
use super::super::value::{DriverOpts, IpNet, ParseError};
use super::scalar::Labels;
use super::{At, Fields, Problems, Read, keys};
use indexmap::IndexMap;
use std::net::IpAddr;

/// The top-level `networks`.
pub(super) struct Networks(pub(super) IndexMap<String, Network>);

impl Read for Networks {
    fn read(at: At<'_>, out: &mut Problems) -> Option<Self> {
        let Some(entries) = at.entries() else {
            return out.wrong_type(&at, "a mapping of networks by name");
        };
        let mut map = IndexMap::new();
        for (name, at) in entries {
            if let Err(error) = check_service_name(name) {
                let message = format!("invalid network name {name:?}: {}", error.why);
                out.errors
                    .push(Diagnostic::at_key(at.path.clone(), message).help(error.form));
            }
            let network = match at.node {
                Node::Null => Some(Network::default()),
                _ => Network::read(at, out),
            };
            map.extend(network.map(|network| (name.to_owned(), network)));
        }
        Some(Self(map))
    }
}

impl Read for Network {
    fn read(at: At<'_>, out: &mut Problems) -> Option<Self> {
        let path = at.path.clone();
        let mut fields = Fields::open(at, "a mapping or nothing", out)?;
        let driver: Option<String> = fields.get("driver", out);
        if let Some(driver) = driver.filter(|driver| driver != "bridge" && driver != "default") {
            let message = format!("Coop has no network driver {driver:?}");
            let help = "the only driver is bridge; network_mode: host or none need no network";
            out.error(&path.key("driver"), &message, Some(help));
        }
        let name: Option<String> = fields.get("name", out);
        if let Some(Err(error)) = name.as_deref().map(check_service_name) {
            out.error(&path.key("name"), &error.why, Some(error.form));
        }
        families(&mut fields, out);
        let labels = |labels: Option<Labels>| labels.map(|Labels(map)| map).unwrap_or_default();
        let network = Self {
            name,
            external: fields.or_default("external", out),
            internal: fields.or_default("internal", out),
            driver_opts: labels(fields.get("driver_opts", out)),
            enable_ipv6: fields.or_default("enable_ipv6", out),
            ipam: fields.get("ipam", out),
            labels: labels(fields.get("labels", out)),
        };
        let plain = Self {
            name: network.name.clone(),
            external: true,
            ..Self::default()
        };
        if network.external && network != plain {
            let message = "an external network is as it is: only its name can be given";
            out.error(&path, message, Some("remove the other keys, or external"));
        }
        check_options(&network, &path, out);
        check_ipv6(&network, &path, out);
        fields.finish(keys::NETWORK, out);
        Some(network)
    }
}

/// What every network of Coop is anyway.
fn families(fields: &mut Fields<'_>, out: &mut Problems) {
    for (key, why, help) in [
        (
            "attachable",
            "every container may be connected to a network",
            "remove it",
        ),
        (
            "enable_ipv4",
            "a network without IPv4 is not supported",
            "remove it, and give the network IPv6 as well: enable_ipv6: true",
        ),
    ] {
        let path = fields.path(key);
        if fields.get::<bool>(key, out) == Some(false) {
            out.error(&path, why, Some(help));
        }
    }
}

fn check_options(network: &Network, path: &NodePath, out: &mut Problems) {
    for (name, value) in &network.driver_opts {
        if let Err((name, error)) = DriverOpts::read([(name.as_str(), value.as_str())]) {
            let path = path.key("driver_opts").key(name);
            let message = format!("{name}: {}", error.why);
            out.error(&path, &message, Some(error.form));
        }
    }
}

/// A subnet of IPv6 is no wish for IPv6: both are said, as with Docker.
fn check_ipv6(network: &Network, path: &NodePath, out: &mut Problems) {
    let config = network.ipam.iter().flat_map(|ipam| &ipam.config);
    let has_v6 = config
        .into_iter()
        .any(|config| matches!(config.subnet, IpNet::V6(_)));
    if has_v6 && !network.enable_ipv6 {
        let message = "it has an IPv6 subnet, but no IPv6";
        out.error(path, message, Some("add enable_ipv6: true"));
    }
}

impl Read for Ipam {
    fn read(at: At<'_>, out: &mut Problems) -> Option<Self> {
        let path = at.path.clone();
        let mut fields = Fields::open(at, "a mapping", out)?;
        let driver: Option<String> = fields.get("driver", out);
        if let Some(driver) = driver.filter(|driver| driver != "default") {
            let message = format!("Coop has no ipam driver {driver:?}");
            out.error(&path.key("driver"), &message, Some("remove it"));
        }
        let config: Vec<IpamConfig> = fields.or_default("config", out);
        let of_v6 = |config: &&IpamConfig| matches!(config.subnet, IpNet::V6(_));
        let v6 = config.iter().filter(of_v6).count();
        if v6 > 1 || config.len() - v6 > 1 {
            let message = "a network has one subnet of each family";
            out.error(&path.key("config"), message, Some("keep one of them"));
        }
        fields.finish(keys::IPAM, out);
        Some(Self { config })
    }
}

impl Read for IpamConfig {
    fn read(at: At<'_>, out: &mut Problems) -> Option<Self> {
        let path = at.path.clone();
        let mut fields = Fields::open(at, "a mapping", out)?;
        let before = out.errors.len();
        let subnet: Option<IpNet> = fields.parse("subnet", "a string", out);
        let gateway = { fields.parse("gateway", "a string", out) }.map(|Address(address)| address);
        let ip_range: Option<IpNet> = fields.parse("ip_range", "a string", out);
        let aux = { fields.get("aux_addresses", out) }
            .map(|Labels(map)| map)
            .unwrap_or_default();
        fields.finish(keys::IPAM_CONFIG, out);
        let mut aux_addresses = IndexMap::new();
        for (name, text) in aux {
            match text.parse() {
                Ok(address) => {
                    aux_addresses.insert(name, address);
                }
                Err(_) => out.error(
                    &path.key("aux_addresses").key(&name),
                    &format!("{text:?} is not an address"),
                    Some("write an address of the subnet"),
                ),
            }
        }
        if subnet.is_none() && out.errors.len() == before {
            let help = "write subnet: and addresses such as 10.9.0.0/24";
            out.error(&path, "it needs a subnet", Some(help));
        }
        let config = Self {
            subnet: subnet?,
            gateway,
            ip_range,
            aux_addresses,
        };
        check_inside(&config, &path, out);
        Some(config)
    }
}

fn check_inside(config: &IpamConfig, path: &NodePath, out: &mut Problems) {
    let subnet = config.subnet;
    let range = config.ip_range.map(|range| match range {
        IpNet::V4(range) => range.network().into(),
        IpNet::V6(range) => IpAddr::from(range.network()),
    });
    let aux = { config.aux_addresses.iter() }
        .map(|(name, address)| (path.key("aux_addresses").key(name), *address));
    let addresses = [("gateway", config.gateway), ("ip_range", range)];
    let addresses = { addresses.into_iter() }
        .filter_map(|(key, address)| Some((path.key(key), address?)))
        .chain(aux);
    for (path, address) in addresses {
        if !subnet.contains(address) {
            let message = format!("{address} is not in the subnet {subnet}");
            out.error(&path, &message, Some("write an address of the subnet"));
        }
    }
}

struct Address(IpAddr);

impl std::str::FromStr for Address {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let wrong = |_| ParseError::new("not an address", "write an address of the subnet");
        text.parse().map(Self).map_err(wrong)
    }
}
