//! The content of a container's `/etc/hosts` and `/etc/resolv.conf`.

use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr};

/// The stub of systemd-resolved: an address on the host's loopback.
const STUB: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 53);
/// Where systemd-resolved writes the servers that it asks itself.
const UPSTREAM: &str = "/run/systemd/resolve/resolv.conf";

/// An address and its names, the canonical one first.
pub type HostsEntry = (IpAddr, Vec<String>);

/// A container's `/etc/hosts`: loopback, and its own entries. See hosts(5).
pub fn hosts_file(own: &[HostsEntry]) -> String {
    let mut text = String::from(
        "127.0.0.1\tlocalhost\n\
         ::1\tlocalhost ip6-localhost ip6-loopback\n\
         fe00::\tip6-localnet\n\
         ff00::\tip6-mcastprefix\n\
         ff02::1\tip6-allnodes\n\
         ff02::2\tip6-allrouters\n",
    );
    for (address, names) in own.iter().filter(|(_, names)| !names.is_empty()) {
        text.extend([&address.to_string(), "\t", &names.join(" "), "\n"]);
    }
    text
}

/// `/etc/resolv.conf` of a container, from the host's: comments and options stay, name
/// servers that a container with an IPv4 address cannot reach go (the host's loopback,
/// IPv6). Nothing is put in their place: a container that cannot resolve names is better
/// than one that asks a server that nobody chose. See resolv.conf(5).
pub fn resolv_conf(host_text: &str) -> String {
    let mut text = String::new();
    for line in host_text
        .lines()
        .filter(|line| nameserver(line).is_none_or(is_reachable))
    {
        text += line;
        text.push('\n');
    }
    text
}

/// The host's `/etc/resolv.conf`, or when that names the stub of systemd-resolved, the
/// file with the servers behind it.
///
/// # Errors
/// When `/etc/resolv.conf` exists and cannot be read. A host without it has no name
/// servers: that is the empty text.
pub fn host_resolv_conf() -> io::Result<String> {
    let text = match fs::read_to_string("/etc/resolv.conf") {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(String::new()),
        other => other?,
    };
    if text
        .lines()
        .filter_map(nameserver)
        .any(|server| server == STUB.to_string())
        && let Ok(upstream) = fs::read_to_string(UPSTREAM)
    {
        return Ok(upstream);
    }
    Ok(text)
}

/// The address of a `nameserver` line.
fn nameserver(line: &str) -> Option<&str> {
    let mut words = line.split_whitespace();
    (words.next() == Some("nameserver")).then(|| words.next().unwrap_or_default())
}

fn is_reachable(server: &str) -> bool {
    matches!(server.parse(), Ok(IpAddr::V4(address)) if !address.is_loopback() && !address.is_unspecified())
}

#[cfg(test)]
mod tests {
    use std::net::Ipv6Addr;

    use super::*;

    #[test]
    fn each_address_has_a_line_with_its_names() {
        let own = [
            (
                [10, 208, 1, 2].into(),
                vec!["web".into(), "0123456789ab".into()],
            ),
            (Ipv6Addr::LOCALHOST.into(), vec!["here".into()]),
            ([10, 208, 1, 4].into(), vec![]),
        ];
        let text = hosts_file(&own);
        insta::assert_snapshot!(text, @r"
        127.0.0.1	localhost
        ::1	localhost ip6-localhost ip6-loopback
        fe00::	ip6-localnet
        ff00::	ip6-mcastprefix
        ff02::1	ip6-allnodes
        ff02::2	ip6-allrouters
        10.208.1.2	web 0123456789ab
        ::1	here
        ");
    }

    #[test]
    fn servers_out_of_reach_are_dropped_and_the_rest_stays() {
        let host = "# by dhclient\nnameserver 127.0.0.53\nnameserver\t192.0.2.53\nnameserver ::1\n\
                    nameserver fe80::1%eth0\nsearch example.org\noptions edns0 trust-ad";
        insta::assert_snapshot!(resolv_conf(host), @r"
        # by dhclient
        nameserver	192.0.2.53
        search example.org
        options edns0 trust-ad
        ");
    }
}
