//! Keeping published ports from everyone else.
//!
//! Packets for a published port never reach a socket of the host: DNAT comes first. The
//! socket is there so that a port in use is an error before anything starts, and so that
//! nobody takes it later.

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::net::{
    AddressFamily, SocketFlags, SocketType, bind, getsockname, ipproto, listen, socket_with,
    sockopt,
};

use crate::error::Error;
use crate::holder;
use crate::ports::{PortMapping, Protocol};

/// Takes the host ports of `mappings`. They stay taken as long as the descriptors are
/// open, in this or another process.
///
/// A TCP port is listened on: only then does the kernel list it (`ss -ltn`), so that the
/// next one who wants it, Coop included, can tell who has it. Nobody accepts, and no
/// packet gets there while the rules are in force.
///
/// # Errors
/// [`Error::PortInUse`] with the holder if `/proc` tells, [`Error::Port`] for a
/// privileged port without privilege or an address that this host does not have.
pub fn reserve(mappings: &[PortMapping]) -> Result<Vec<OwnedFd>, Error> {
    let mut held = Vec::new();
    for mapping in mappings {
        held.extend(take(mapping)?);
    }
    Ok(held)
}

fn take(mapping: &PortMapping) -> Result<Option<OwnedFd>, Error> {
    let result = bound(mapping).and_then(|socket| {
        if mapping.protocol == Protocol::Tcp {
            listen(&socket, 0)?;
        }
        Ok(socket)
    });
    match result {
        Ok(socket) => Ok(Some(socket)),
        // Without SCTP sockets there is nobody who could take the port.
        Err(Errno::PROTONOSUPPORT) if mapping.protocol == Protocol::Sctp => Ok(None),
        Err(Errno::ADDRINUSE) => Err(Error::PortInUse {
            port: mapping.host_port,
            protocol: mapping.protocol,
            holder: holder::find(mapping),
        }),
        Err(source) => Err(Error::Port {
            mapping: *mapping,
            source,
        }),
    }
}

/// A socket that has the port.
fn bound(mapping: &PortMapping) -> rustix::io::Result<OwnedFd> {
    let address = SocketAddr::new(mapping.address(), mapping.host_port);
    let family = match address {
        SocketAddr::V4(_) => AddressFamily::INET,
        SocketAddr::V6(_) => AddressFamily::INET6,
    };
    let (kind, protocol) = match mapping.protocol {
        Protocol::Tcp => (SocketType::STREAM, None),
        Protocol::Udp => (SocketType::DGRAM, None),
        Protocol::Sctp => (SocketType::STREAM, Some(ipproto::SCTP)),
    };
    let socket = socket_with(family, kind, SocketFlags::CLOEXEC, protocol)?;
    if family == AddressFamily::INET6 {
        // The port of IPv4 is another one's to publish.
        sockopt::set_ipv6_v6only(&socket, true)?;
    }
    if mapping.protocol == Protocol::Tcp {
        // Connections of a former server may linger in TIME_WAIT for a minute. They do not
        // make the port one in use.
        sockopt::set_socket_reuseaddr(&socket, true)?;
    }
    bind(&socket, &address)?;
    Ok(socket)
}

/// Puts a free host port in place of every 0. `taken` are ports that are leased and
/// perhaps not reserved yet.
///
/// A port that is published on all addresses of IPv4 and of IPv6 has one number on both.
pub(crate) fn choose_free_ports<'a>(
    mappings: impl Iterator<Item = &'a mut PortMapping>,
    mut taken: Vec<PortMapping>,
) -> Result<(), Error> {
    let (mut open, fixed): (Vec<_>, Vec<_>) = mappings.partition(|it| it.host_port == 0);
    taken.extend(fixed.into_iter().map(|it| *it));
    // Kept to the end, or the kernel may give the same port twice.
    let mut sockets = Vec::new();
    let mut open = open.iter_mut().peekable();
    while let Some(mapping) = open.next() {
        let mut twin = open.next_if(|next| is_twin(mapping, next));
        let mut candidates = Candidates::of(mapping);
        loop {
            let (socket, port) = candidates.next()?;
            sockets.push(socket);
            let candidate = mapping.at(port);
            if taken.iter().any(|other| other.conflicts(&candidate)) {
                continue;
            }
            if let Some(twin) = &mut twin {
                let other = twin.at(port);
                let free = !taken.iter().any(|taken| taken.conflicts(&other));
                match bound_to_choose(&other) {
                    Ok(socket) if free => sockets.push(socket),
                    Ok(_) | Err(Errno::ADDRINUSE) => continue,
                    Err(source) => {
                        return Err(Error::Port {
                            mapping: other,
                            source,
                        });
                    }
                }
                ***twin = other;
                taken.push(other);
            }
            **mapping = candidate;
            taken.push(candidate);
            break;
        }
    }
    Ok(())
}

/// Whether the second one is the IPv6 side of the first.
fn is_twin(first: &PortMapping, second: &PortMapping) -> bool {
    let any = |mapping: &PortMapping| mapping.address().is_unspecified();
    let same = PortMapping {
        host_ip: first.host_ip,
        ..*second
    };
    any(first)
        && any(second)
        && first.address().is_ipv4()
        && second.address().is_ipv6()
        && same == *first
}

/// As [`bound`], to find a number that is free: where the kernel has no sockets of SCTP, it is one
/// of UDP.
fn bound_to_choose(mapping: &PortMapping) -> rustix::io::Result<OwnedFd> {
    match bound(mapping) {
        Err(Errno::PROTONOSUPPORT) if mapping.protocol == Protocol::Sctp => bound(&PortMapping {
            protocol: Protocol::Udp,
            ..*mapping
        }),
        bound => bound,
    }
}

/// The ports of the host that a mapping without one could have, as far as they are free now.
struct Candidates {
    mapping: PortMapping,
    /// Those that it was told of; none: what the kernel gives.
    rest: Option<RangeInclusive<u16>>,
}

impl Candidates {
    fn of(mapping: &PortMapping) -> Self {
        Self {
            mapping: *mapping,
            rest: mapping.among.map(|(first, last)| first..=last),
        }
    }

    /// The next one, with a socket that has it.
    fn next(&mut self) -> Result<(OwnedFd, u16), Error> {
        let failed = |source| Error::Port {
            mapping: self.mapping,
            source,
        };
        let Some(rest) = &mut self.rest else {
            let socket = bound_to_choose(&self.mapping).map_err(failed)?;
            let address = getsockname(&socket).and_then(SocketAddr::try_from);
            return Ok((socket, address.map_err(failed)?.port()));
        };
        for port in rest {
            match bound_to_choose(&self.mapping.at(port)) {
                Ok(socket) => return Ok((socket, port)),
                Err(Errno::ADDRINUSE) => {}
                Err(source) => return Err(failed(source)),
            }
        }
        Err(Error::NoFreePort {
            mapping: self.mapping,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, TcpListener};

    use super::*;

    fn loopback(host_port: u16, protocol: Protocol) -> PortMapping {
        PortMapping {
            host_ip: Some(Ipv4Addr::LOCALHOST.into()),
            host_port,
            among: None,
            container_port: 80,
            protocol,
        }
    }

    #[test]
    fn a_port_in_use_names_its_holder() {
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = server.local_addr().unwrap().port();
        let error = reserve(&[loopback(port, Protocol::Tcp)]).unwrap_err();
        let pid = std::process::id();
        let text = error.to_string();
        assert!(
            text.starts_with(&format!(
                "cannot publish port {port}/tcp: address already in use, held by "
            )),
            "{text}"
        );
        assert!(
            text.ends_with(&format!("(pid {pid}), listening on 127.0.0.1:{port}")),
            "{text}"
        );
    }

    #[test]
    fn a_reserved_port_is_reserved_once_and_then_free() {
        for protocol in [Protocol::Tcp, Protocol::Udp] {
            let mut mappings = [loopback(0, protocol), loopback(0, protocol)];
            choose_free_ports(mappings.iter_mut(), vec![]).unwrap();
            assert_ne!(mappings[0].host_port, mappings[1].host_port);
            let held = reserve(&mappings).unwrap();
            let Err(Error::PortInUse {
                holder: Some(holder),
                ..
            }) = reserve(&mappings[..1])
            else {
                panic!("{protocol} port was not held");
            };
            assert_eq!(holder.pid, std::process::id());
            drop(held);
            reserve(&mappings).unwrap();
        }
    }

    #[test]
    fn a_stranger_with_reuseaddr_is_kept_out() {
        let mut mapping = loopback(0, Protocol::Tcp);
        choose_free_ports(std::iter::once(&mut mapping), vec![]).unwrap();
        let _held = reserve(&[mapping]).unwrap();
        // The standard library sets SO_REUSEADDR, as every server does.
        assert!(TcpListener::bind((mapping.address(), mapping.host_port)).is_err());
    }

    #[test]
    fn both_families_get_the_same_number() {
        for protocol in ["tcp", "udp", "sctp"] {
            let port = PortMapping::parse(&format!("80/{protocol}")).unwrap()[0];
            let mut ports: Vec<_> = port.decided(true).collect();
            choose_free_ports(ports.iter_mut(), vec![]).unwrap();
            assert_ne!(ports[0].host_port, 0);
            assert_eq!(ports[0].host_port, ports[1].host_port);
            let held = reserve(&ports).unwrap();
            // Where the kernel has no sockets of SCTP, nobody can take the port.
            assert!(held.len() == 2 || protocol == "sctp");
            assert!(held.is_empty() || reserve(&ports[1..]).is_err());
        }
    }

    #[test]
    fn of_a_range_the_first_free_port_is_chosen() {
        // Two in a row that are free, and the first of them taken by another program.
        let (other, first) = std::iter::repeat_with(|| {
            let socket = TcpListener::bind("127.0.0.1:0").unwrap();
            let port = socket.local_addr().unwrap().port();
            (socket, port)
        })
        .find(|(_, port)| {
            let free = |port| TcpListener::bind(("127.0.0.1", port)).is_ok();
            *port < 65000 && (1..=3).all(|next| free(port + next))
        })
        .unwrap();
        let any = PortMapping {
            among: Some((first, first + 3)),
            ..loopback(0, Protocol::Tcp)
        };
        let leased = vec![any.at(first + 1)];
        // A later one has a number of its own: that is not to be had either.
        let mut mappings = [any, loopback(first + 2, Protocol::Tcp)];
        choose_free_ports(mappings.iter_mut(), leased.clone()).unwrap();
        assert_eq!(mappings[0], any.at(first + 3));
        let mut mappings = [any, any, any];
        let error = choose_free_ports(mappings.iter_mut(), leased).unwrap_err();
        assert!(matches!(error, Error::NoFreePort { .. }), "{error:?}");
        drop(other);
    }

    #[test]
    fn an_address_of_another_host_cannot_be_published_on() {
        let mapping = PortMapping {
            host_ip: Some([203, 0, 113, 9].into()),
            ..loopback(8080, Protocol::Tcp)
        };
        let error = reserve(&[mapping]).unwrap_err();
        assert!(
            matches!(
                error,
                Error::Port {
                    source: Errno::ADDRNOTAVAIL,
                    ..
                }
            ),
            "{error:?}"
        );
    }
}
