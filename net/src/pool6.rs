//! Which IPv6 subnet a new network gets.

use std::fs;
use std::io::ErrorKind;
use std::net::Ipv6Addr;
use std::path::Path;

use crate::error::{Error, errno};
use crate::naming;
use crate::subnet6::Ipv6Net;

/// Unique to a machine, and the same after a reboot: see machine-id(5).
const MACHINE: &str = "/etc/machine-id";

/// A free unique local /64 (RFC 4193): `fd`, 40 bits that are this machine's, and 16 bits that
/// are the network's. The search starts at a place given by the network's name, so that a stack
/// that comes up again gets the subnet that it had.
pub(crate) fn choose(directory: &Path, network: &str, used: &[Ipv6Net]) -> Option<Ipv6Net> {
    let machine = fs::read(MACHINE)
        .or_else(|_| fs::read("/proc/sys/kernel/hostname"))
        .unwrap_or_default();
    let directory = directory.as_os_str().as_encoded_bytes();
    let site = naming::hash(&[&machine, directory]) >> 24;
    let start = naming::hash(&[directory, network.as_bytes()]);
    choose_from(site, start, used)
}

fn choose_from(site: u64, start: u64, used: &[Ipv6Net]) -> Option<Ipv6Net> {
    let prefix = (0xfd_u128 << 120) | (u128::from(site & 0xff_ffff_ffff) << 80);
    (0..=u16::MAX)
        .map(|step| (start as u16).wrapping_add(step))
        .filter_map(|number| {
            Ipv6Net::new(Ipv6Addr::from_bits(prefix | (u128::from(number) << 64)), 64)
        })
        .find(|candidate| !used.iter().any(|other| other.overlaps(*candidate)))
}

/// Every network that the host has an address in or a route to, but by `bridge`, which may be
/// one of ours that outlived its files.
pub(crate) fn routes(bridge: &str) -> Result<Vec<Ipv6Net>, Error> {
    const ROUTES: &str = "/proc/thread-self/net/ipv6_route";
    match fs::read_to_string(ROUTES) {
        Ok(text) => Ok(parse(&text, bridge)),
        // A kernel without IPv6.
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(Error::Routes {
            path: ROUTES,
            source: errno(&error),
        }),
    }
}

/// Lines of `DESTINATION LENGTH SOURCE LENGTH NEXT METRIC COUNT USE FLAGS DEVICE`, numbers in
/// hexadecimal. See the kernel's `rt6_info_route`.
fn parse(text: &str, bridge: &str) -> Vec<Ipv6Net> {
    let mut routes: Vec<Ipv6Net> = text
        .lines()
        .filter_map(|line| {
            let mut fields = line.split_whitespace();
            let address = u128::from_str_radix(fields.next()?, 16).ok()?;
            let prefix_len = u8::from_str_radix(fields.next()?, 16).ok()?;
            let device = fields.next_back()?;
            let route = Ipv6Net::new(Ipv6Addr::from_bits(address), prefix_len)?;
            // A default route is there to be overridden, also when a VPN splits it.
            (device != bridge && prefix_len >= 7).then_some(route)
        })
        .collect();
    routes.sort_unstable();
    routes.dedup();
    routes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn net(text: &str) -> Ipv6Net {
        text.parse().unwrap()
    }

    #[test]
    fn routes_are_read_from_the_table() {
        let text = "\
fd000001000200030000000000000000 40 00000000000000000000000000000000 00 00000000000000000000000000000000 00000100 00000001 00000000 00000001     eth1
fd000009000000000000000000000000 40 00000000000000000000000000000000 00 00000000000000000000000000000000 00000100 00000001 00000000 00000001   coop-1
00000000000000000000000000000000 00 00000000000000000000000000000000 00 fe800000000000000000000000000001 00000400 00000001 00000000 00450003     eth1
";
        assert_eq!(parse(text, "coop-1"), [net("fd00:1:2:3::/64")]);
    }

    #[test]
    fn the_prefix_is_unique_local_and_the_choice_is_free() {
        let chosen = choose_from(0x12_3456_789a, 7, &[]).unwrap();
        assert_eq!(chosen, net("fd12:3456:789a:7::/64"));
        let used = [net("fd12:3456:789a:7::1/128")];
        let next = choose_from(0x12_3456_789a, 7, &used).unwrap();
        assert_eq!(next, net("fd12:3456:789a:8::/64"));
        assert_eq!(choose_from(1, 0, &[net("fc00::/7")]), None);
        let name = |name| choose(Path::new("/run/coop/networks"), name, &[]);
        assert_eq!(name("shop"), name("shop"));
        assert_ne!(name("shop"), name("store"));
    }
}
