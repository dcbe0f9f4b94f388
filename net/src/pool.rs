//! Which subnet a new network gets: one that nothing on this host uses.

use std::fs;
use std::net::Ipv4Addr;

use crate::error::{Error, errno};
use crate::subnet::Ipv4Net;

/// Where subnets are taken from: 4,096 networks of 253 containers. The range keeps clear
/// of the defaults of Docker (172.17 to 172.31, 192.168), Podman (10.88, 10.89),
/// Docker's swarm (10.0) and Kubernetes (10.96, 10.244).
const POOL: (Ipv4Addr, u32) = (Ipv4Addr::new(10, 208, 0, 0), 4096);
const POOL_PREFIX: u8 = 24;
/// A network that begins with more containers than one of the usual size has room for: 1,021 of
/// them, about as many as a bridge has ports.
const LARGE_PREFIX: u8 = 22;

/// The size of a new network's subnet, for so many containers.
pub(crate) fn prefix_for(containers: usize) -> u8 {
    if containers <= room(POOL_PREFIX) {
        POOL_PREFIX
    } else {
        LARGE_PREFIX
    }
}

/// How many containers a subnet has addresses for: not those of the network itself, of the
/// gateway, and for broadcast.
pub(crate) fn room(prefix_len: u8) -> usize {
    (1_usize << (32 - prefix_len.min(30))) - 3
}

/// A free subnet of the pool, `None` when there is none. The search starts at a place
/// given by `seed`: a stack that comes up again gets the subnet that it had, and two
/// state directories do not race for the same one.
pub(crate) fn choose(seed: u64, prefix_len: u8, used: &[Ipv4Net]) -> Option<Ipv4Net> {
    let (base, count) = POOL;
    // In units of the pool's own networks.
    let size = 1 << (POOL_PREFIX - prefix_len.min(POOL_PREFIX));
    let count = count / size;
    let start = (seed % u64::from(count)) as u32;
    (0..count)
        .map(|step| (start + step) % count)
        .filter_map(|index| {
            Ipv4Net::new(
                Ipv4Addr::from_bits(base.to_bits() + index * size * 256),
                prefix_len,
            )
        })
        .find(|candidate| conflict(*candidate, used).is_none())
}

/// The first network of `used` that shares an address with `candidate`.
pub(crate) fn conflict(candidate: Ipv4Net, used: &[Ipv4Net]) -> Option<Ipv4Net> {
    used.iter().copied().find(|other| other.overlaps(candidate))
}

/// Every network that the host has an address in or a route to, in any routing table.
pub(crate) fn routes() -> Result<Vec<Ipv4Net>, Error> {
    // `thread-self`, not `self`: the namespace is a property of the thread.
    const FIB: &str = "/proc/thread-self/net/fib_trie";
    let text = fs::read_to_string(FIB).map_err(|error| Error::Routes {
        path: FIB,
        source: errno(&error),
    })?;
    Ok(parse(&text))
}

/// Reads `fib_trie`: a leaf is a line `|-- ADDRESS`, followed by one line
/// `/LENGTH SCOPE TYPE` per route. See the kernel's `fib_trie_seq_show`.
fn parse(text: &str) -> Vec<Ipv4Net> {
    let mut routes: Vec<Ipv4Net> = Vec::new();
    let mut leaf: Option<Ipv4Addr> = None;
    for line in text.lines().map(str::trim) {
        if let Some(address) = line.strip_prefix("|-- ") {
            leaf = address.parse().ok();
        } else if let Some(rest) = line.strip_prefix('/') {
            let prefix_len = rest
                .split_whitespace()
                .next()
                .and_then(|len| len.parse().ok());
            routes.extend(
                leaf.zip(prefix_len)
                    .and_then(|(leaf, len)| Ipv4Net::new(leaf, len)),
            );
        } else {
            leaf = None;
        }
    }
    // A default route is there to be overridden, also when a VPN splits it in halves.
    routes.retain(|route| route.prefix_len() >= 8);
    routes.sort_unstable();
    routes.dedup();
    routes
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn net(text: &str) -> Ipv4Net {
        text.parse().unwrap()
    }

    #[test]
    fn routes_are_read_from_the_trie() {
        let text = "\
Main:
  +-- 0.0.0.0/0 3 0 5
     |-- 0.0.0.0
        /0 universe UNICAST
        /1 universe UNICAST
     +-- 192.0.2.0/24 2 0 2
        |-- 192.0.2.0
           /24 link UNICAST
           |-- 192.0.2.2
              /32 host LOCAL
Id 200:
  +-- 10.0.0.0/8 2 0 2
     |-- 10.208.0.0
        /16 universe UNICAST
";
        assert_eq!(
            parse(text),
            [
                net("10.208.0.0/16"),
                net("192.0.2.0/24"),
                net("192.0.2.2/32")
            ]
        );
    }

    #[test]
    fn the_host_has_loopback() {
        assert!(
            routes()
                .unwrap()
                .iter()
                .all(|route| route.prefix_len() >= 8)
        );
    }

    #[test]
    fn a_vpn_over_the_whole_pool_leaves_nothing() {
        assert_eq!(choose(7, POOL_PREFIX, &[net("10.0.0.0/8")]), None);
        assert_eq!(choose(7, POOL_PREFIX, &[]), Some(net("10.208.7.0/24")));
        assert_eq!(
            choose(7, POOL_PREFIX, &[net("10.208.7.9/32")]),
            Some(net("10.208.8.0/24"))
        );
        assert_eq!(
            choose(4095, POOL_PREFIX, &[net("10.223.255.0/24")]),
            Some(net("10.208.0.0/24"))
        );
    }

    #[test]
    fn a_network_that_begins_large_gets_a_large_subnet() {
        assert_eq!((prefix_for(253), prefix_for(254)), (24, 22));
        assert_eq!([30, 29, 24, 22].map(room), [1, 5, 253, 1021]);
        assert_eq!(choose(1, 22, &[]), Some(net("10.208.4.0/22")));
        assert_eq!(
            choose(1, 22, &[net("10.208.6.0/24")]),
            Some(net("10.208.8.0/22"))
        );
    }

    proptest! {
        #[test]
        fn the_choice_never_overlaps(seed: u64, containers in 0_usize..600, used in proptest::collection::vec((any::<u32>(), 8_u8..=32), 0..40)) {
            // Around the pool, where it hurts.
            let used: Vec<_> = used
                .into_iter()
                .filter_map(|(bits, len)| Ipv4Net::new(Ipv4Addr::from_bits(0x0ad0_0000 | (bits & 0x00ff_ffff)), len))
                .collect();
            if let Some(chosen) = choose(seed, prefix_for(containers), &used) {
                prop_assert!(conflict(chosen, &used).is_none());
                prop_assert!(net("10.208.0.0/12").overlaps(chosen));
            }
        }
    }
}
