//! The names of one network.

use std::collections::HashMap;
use std::net::IpAddr;

/// How fit a container is to be named, from the least to the most.
///
/// A name that several containers share stands for the fittest of them, and for all that are
/// equally fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Standing {
    /// It has ended: its names are nobody's.
    Gone,
    /// It does not run yet, or not at this moment, but will.
    Awaited,
    /// It runs, and its health check fails.
    Unhealthy,
    /// It runs, and its health check has given no verdict yet.
    Starting,
    /// It runs, and nothing speaks against it.
    Healthy,
}

/// A container as a network knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Its id.
    pub id: String,
    /// What it is called when its address is looked up.
    pub name: String,
    /// All names that it answers to, its own and those that it shares.
    pub names: Vec<String>,
    /// Its addresses in the network.
    pub addresses: Vec<IpAddr>,
}

/// The names of one network: a value that knows nothing of files or sockets.
#[derive(Debug, Clone, Default)]
pub struct Zone {
    network: String,
    is_internal: bool,
    subnets: Vec<(IpAddr, u8)>,
    members: Vec<Member>,
    by_name: HashMap<Box<str>, Vec<u32>>,
    by_address: HashMap<IpAddr, u32>,
}

/// An id is known by as many digits as lists show.
const SHORT_ID: usize = 12;

impl Zone {
    /// The names of `members`, whose addresses are in `subnets`: network address and bits.
    pub fn new(
        network: &str,
        is_internal: bool,
        subnets: Vec<(IpAddr, u8)>,
        members: Vec<Member>,
    ) -> Self {
        let mut zone = Self {
            network: network.to_ascii_lowercase(),
            is_internal,
            subnets,
            ..Self::default()
        };
        for (index, member) in members.iter().enumerate() {
            let index = index as u32;
            for address in &member.addresses {
                zone.by_address.insert(*address, index);
            }
            let short = member.id.get(..SHORT_ID).unwrap_or(&member.id);
            let names = member.names.iter().map(String::as_str);
            for name in names.chain([member.name.as_str(), short]) {
                let name = name.trim_end_matches('.').to_ascii_lowercase();
                let named = zone.by_name.entry(name.into()).or_default();
                if named.last() != Some(&index) {
                    named.push(index);
                }
            }
        }
        zone.members = members;
        zone
    }

    /// The network's name, in lower case.
    pub fn network(&self) -> &str {
        &self.network
    }

    /// Whether the network has no way out.
    pub fn is_internal(&self) -> bool {
        self.is_internal
    }

    /// Who answers to `name`, which is in lower case: as it is, or with the network's behind it.
    pub fn named(&self, name: &str) -> impl Iterator<Item = &Member> {
        let short = name
            .strip_suffix(&*self.network)
            .and_then(|name| name.strip_suffix('.'));
        let found = { self.by_name.get(name) }.or_else(|| self.by_name.get(short?));
        { found.into_iter().flatten() }.filter_map(|index| self.members.get(*index as usize))
    }

    /// Whose address it is.
    pub fn at(&self, address: IpAddr) -> Option<&Member> {
        self.members.get(*self.by_address.get(&address)? as usize)
    }

    /// Whether the address is of this network, whoever has it.
    pub fn contains(&self, address: IpAddr) -> bool {
        let masked = |address: IpAddr, bits: u8| match address {
            IpAddr::V4(address) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(bits.min(32)));
                IpAddr::from((address.to_bits() & mask.unwrap_or(0)).to_be_bytes())
            }
            IpAddr::V6(address) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(bits.min(128)));
                IpAddr::from((address.to_bits() & mask.unwrap_or(0)).to_be_bytes())
            }
        };
        let is_in = |(network, bits): &(IpAddr, u8)| {
            network.is_ipv4() == address.is_ipv4()
                && masked(address, *bits) == masked(*network, *bits)
        };
        self.subnets.iter().any(is_in)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zone() -> Zone {
        let member = |id: &str, name: &str, names: &[&str], address: &str| Member {
            id: id.to_owned(),
            name: name.to_owned(),
            names: names.iter().map(|name| (*name).to_owned()).collect(),
            addresses: vec![address.parse().unwrap()],
        };
        let subnets = vec![
            ([10, 1, 2, 0].into(), 24),
            ("fd00:1::".parse().unwrap(), 64),
        ];
        let members = vec![
            member(
                "0123456789abcdef",
                "shop-web-1",
                &["web", "WWW"],
                "10.1.2.2",
            ),
            member("fedcba9876543210", "shop-web-2", &["web"], "10.1.2.3"),
        ];
        Zone::new("Shop_default", false, subnets, members)
    }

    #[test]
    fn a_container_has_its_names_alone_and_below_the_network() {
        let zone = zone();
        let ids = |name: &str| -> Vec<char> {
            let first = |member: &Member| member.id.chars().next().unwrap();
            zone.named(name).map(first).collect()
        };
        assert_eq!(ids("web"), ['0', 'f']);
        assert_eq!(ids("web.shop_default"), ['0', 'f']);
        assert_eq!(ids("www"), ['0']);
        assert_eq!(ids("shop-web-2"), ['f']);
        assert_eq!(ids("0123456789ab"), ['0']);
        for nobody in [
            "",
            "shop_default",
            ".shop_default",
            "webshop_default",
            "web.other",
            "0123",
        ] {
            assert!(ids(nobody).is_empty(), "{nobody}");
        }
    }

    #[test]
    fn an_address_is_of_the_network_or_not() {
        let zone = zone();
        for address in ["10.1.2.0", "10.1.2.255", "fd00:1::ffff"] {
            assert!(zone.contains(address.parse().unwrap()), "{address}");
        }
        for address in ["10.1.3.1", "fd00:1:0:1::1", "::", "0.0.0.0"] {
            assert!(!zone.contains(address.parse().unwrap()), "{address}");
        }
        assert_eq!(zone.at([10, 1, 2, 3].into()).unwrap().name, "shop-web-2");
        assert!(zone.at([10, 1, 2, 1].into()).is_none());
    }
}
