//! What a service says about its networks.

use super::super::model::{Attachment, Networking};
use super::super::name::check_service_name;
use super::super::node::Node;
use super::super::path::NodePath;
use super::super::value::{Duration, ExtraHost, ParseError, check_shape, from_net};
use super::scalar::OneOrMany;
use super::{At, Fields, Problems, Read, keys};
use coop_net::Shape;
use indexmap::IndexMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Reads the keys of a service.
pub(super) fn networking(f: &mut Fields<'_>, out: &mut Problems) -> Networking {
    let list = |list: Option<OneOrMany<String>>| list.map_or_else(Vec::new, |OneOrMany(list)| list);
    Networking {
        dns: f
            .get("dns", out)
            .map_or_else(Vec::new, |OneOrMany(list): OneOrMany<Server>| {
                list.into_iter().map(|Server(address)| address).collect()
            }),
        dns_opt: checked(f, "dns_opt", list, out),
        dns_search: checked(f, "dns_search", list, out),
        expose: f
            .or_default::<Vec<Exposed>>("expose", out)
            .into_iter()
            .map(|Exposed(port)| port)
            .collect(),
        extra_hosts: f
            .get("extra_hosts", out)
            .map_or_else(Vec::new, |ExtraHosts(list)| list),
        mac_address: { f.parse("mac_address", "a string", out) }.map(|Hardware(mac)| mac),
        networks: f
            .get("networks", out)
            .map_or_else(IndexMap::new, |Attachments(map)| map),
        shape: f.get("x-net", out),
    }
}

/// Words of `/etc/resolv.conf`: one that holds a space or a line's end would be more than one.
fn checked(
    f: &mut Fields<'_>,
    key: &'static str,
    list: impl Fn(Option<OneOrMany<String>>) -> Vec<String>,
    out: &mut Problems,
) -> Vec<String> {
    let words = list(f.get(key, out));
    if words
        .iter()
        .any(|word| word.is_empty() || word.contains(char::is_whitespace))
    {
        let message = format!("`{key}` takes single words");
        out.error(&f.path(key), &message, Some("write a list of words"));
    }
    words
}

struct Server(IpAddr);

impl std::str::FromStr for Server {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        text.parse()
            .map(Self)
            .map_err(|_| ParseError::new("not an address", "write an address such as 192.0.2.53"))
    }
}

impl Read for Server {
    fn read(at: At<'_>, out: &mut Problems) -> Option<Self> {
        at.parse("a string", out)
    }
}

struct Exposed(String);

impl std::str::FromStr for Exposed {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let (ports, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
        let port = |text: &str| text.parse::<u16>().ok().filter(|&port| port > 0);
        let fits = match ports.split_once('-') {
            Some((first, last)) => port(first)
                .zip(port(last))
                .is_some_and(|(first, last)| first <= last),
            None => port(ports).is_some(),
        };
        if fits && matches!(protocol, "tcp" | "udp" | "sctp") {
            return Ok(Self(text.to_owned()));
        }
        Err(ParseError::new(
            "not a port",
            "write a port or a range, such as 80, 8000-8010 or 53/udp",
        ))
    }
}

impl Read for Exposed {
    fn read(at: At<'_>, out: &mut Problems) -> Option<Self> {
        at.parse("a port", out)
    }
}

struct ExtraHosts(Vec<ExtraHost>);

impl Read for ExtraHosts {
    fn read(at: At<'_>, out: &mut Problems) -> Option<Self> {
        let mut list = Vec::new();
        if let Some(entries) = at.entries() {
            for (name, at) in entries {
                for at in at.items().unwrap_or_else(|| vec![at]) {
                    let Some(address) = at.node.scalar() else {
                        out.wrong_type::<()>(&at, "an address");
                        continue;
                    };
                    match ExtraHost::new(name, &address) {
                        Ok(host) => list.push(host),
                        Err(error) => {
                            out.invalid::<()>(&at, &address, &error);
                        }
                    }
                }
            }
        } else if let Some(items) = at.items() {
            for item in items {
                list.extend(item.parse::<ExtraHost>("NAME:ADDRESS", out));
            }
        } else {
            return out.wrong_type(&at, "a mapping or a list of NAME:ADDRESS");
        }
        Some(Self(list))
    }
}

/// `networks` of a service: a list of names, or a mapping.
struct Attachments(IndexMap<String, Attachment>);

impl Read for Attachments {
    fn read(at: At<'_>, out: &mut Problems) -> Option<Self> {
        let mut map = IndexMap::new();
        if let Some(entries) = at.entries() {
            for (name, at) in entries {
                let attachment = match at.node {
                    Node::Null => Some(Attachment::default()),
                    _ => Attachment::read(at, out),
                };
                map.extend(attachment.map(|attachment| (name.to_owned(), attachment)));
            }
        } else if at.items().is_some() {
            for name in Vec::<String>::read(at, out)? {
                map.insert(name, Attachment::default());
            }
        } else {
            return out.wrong_type(&at, "a list of networks or a mapping");
        }
        Some(Self(map))
    }
}

impl Read for Attachment {
    fn read(at: At<'_>, out: &mut Problems) -> Option<Self> {
        let path = at.path.clone();
        let mut fields = Fields::open(at, "a mapping or nothing", out)?;
        let aliases: Vec<String> = fields.or_default("aliases", out);
        for (index, alias) in aliases.iter().enumerate() {
            if let Err(error) = check_service_name(alias) {
                let path = path.key("aliases").index(index);
                out.error(&path, &error.why, Some(error.form));
            }
        }
        let interface_name: Option<String> = fields.get("interface_name", out);
        if let Some(name) = &interface_name {
            check_interface(&path.key("interface_name"), name, out);
        }
        let attachment = Self {
            aliases,
            gw_priority: fields.or_default("gw_priority", out),
            interface_name,
            ipv4_address: { fields.parse("ipv4_address", "a string", out) }
                .map(|Address(address)| address),
            ipv6_address: { fields.parse("ipv6_address", "a string", out) }
                .map(|Address(address)| address),
            link_local_ips: link_local(&mut fields, out),
            mac_address: { fields.parse("mac_address", "a string", out) }.map(|Hardware(mac)| mac),
            priority: fields.or_default("priority", out),
            shape: fields.get("x-net", out),
        };
        fields.finish(keys::ATTACHMENT, out);
        Some(attachment)
    }
}

impl Read for Shape {
    fn read(at: At<'_>, out: &mut Problems) -> Option<Self> {
        let path = at.path.clone();
        let is_empty = at.entries().is_some_and(|entries| entries.is_empty());
        let mut fields = Fields::open(at, "a mapping", out)?;
        let mut time = |key| fields.get(key, out).map(Duration::get);
        let (delay, jitter) = (time("delay"), time("jitter"));
        let shape = Self {
            rate: { fields.parse("rate", "a rate", out) }.map(|Of(rate)| rate),
            delay,
            jitter,
            loss: { fields.parse("loss", "a percentage", out) }.map(|Of(loss)| loss),
        };
        if let Err((key, error)) = check_shape(&shape) {
            out.error(&path.key(key), &error.why, Some(error.form));
        }
        if is_empty {
            let help = "write rate, delay, jitter or loss, or leave x-net out";
            out.error(&path, "`x-net` says nothing", Some(help));
        }
        fields.finish(&[], out);
        Some(shape)
    }
}

/// A value of the network's own.
struct Of<T>(T);

impl<T: std::str::FromStr<Err = coop_net::ShapeError>> std::str::FromStr for Of<T> {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        text.parse().map(Self).map_err(from_net)
    }
}

/// What the kernel takes for an interface, and `ip` for one word.
fn check_interface(path: &NodePath, name: &str, out: &mut Problems) {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
    let fits = name.len() < 16
        && name.starts_with(|first: char| first.is_ascii_alphanumeric())
        && name.bytes().all(plain)
        && !matches!(name, "lo" | "all" | "default");
    if !fits {
        let message = format!("invalid interface name {name:?}");
        let help = "use up to 15 letters, digits, '_', '.' and '-', and start with a letter or \
                    digit";
        out.error(path, &message, Some(help));
    }
}

/// Addresses that mean something on one link only.
fn link_local(fields: &mut Fields<'_>, out: &mut Problems) -> Vec<IpAddr> {
    let path = fields.path("link_local_ips");
    let texts: Vec<String> = fields.or_default("link_local_ips", out);
    let mut addresses = Vec::new();
    for (index, text) in texts.iter().enumerate() {
        let is_local = |address: &IpAddr| match address {
            IpAddr::V4(address) => address.is_link_local(),
            IpAddr::V6(address) => address.is_unicast_link_local(),
        };
        match text.parse().ok().filter(is_local) {
            Some(address) => addresses.push(address),
            None => out.error(
                &path.index(index),
                &format!("{text:?} is not a link-local address"),
                Some("write an address of 169.254.0.0/16 or fe80::/10"),
            ),
        }
    }
    addresses
}

/// An address of one family.
struct Address<T>(T);

impl std::str::FromStr for Address<Ipv4Addr> {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let wrong = |_| ParseError::new("not an IPv4 address", "write an address such as 10.9.0.2");
        text.parse().map(Self).map_err(wrong)
    }
}

impl std::str::FromStr for Address<Ipv6Addr> {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let wrong = |_| ParseError::new("not an IPv6 address", "write an address such as fd00::2");
        text.parse().map(Self).map_err(wrong)
    }
}

struct Hardware(coop_net::Mac);

impl std::str::FromStr for Hardware {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let mac = text
            .parse()
            .ok()
            .filter(|mac: &coop_net::Mac| mac.is_of_one());
        mac.map(Self).ok_or_else(|| {
            ParseError::new(
                "not the hardware address of an interface",
                "write one such as 02:42:0a:00:00:02, with an even first byte",
            )
        })
    }
}
