//! Keeping published ports from everyone else.
//!
//! Packets for a published port never reach a socket of the host: DNAT comes first. The
//! socket is there so that a port in use is an error before anything starts, and so that
//! nobody takes it later.

use std::net::SocketAddrV4;
use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::net::{
    AddressFamily, SocketFlags, SocketType, bind, getsockname, listen, socket_with, sockopt,
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
    mappings.iter().map(take).collect()
}

fn take(mapping: &PortMapping) -> Result<OwnedFd, Error> {
    let result = match mapping.protocol {
        Protocol::Tcp => tcp(mapping).and_then(|socket| listen(&socket, 0).map(|()| socket)),
        Protocol::Udp => udp(mapping),
    };
    result.map_err(|errno| match errno {
        Errno::ADDRINUSE => Error::PortInUse {
            port: mapping.host_port,
            protocol: mapping.protocol,
            holder: holder::find(mapping),
        },
        source => Error::Port {
            mapping: *mapping,
            source,
        },
    })
}

fn tcp(mapping: &PortMapping) -> rustix::io::Result<OwnedFd> {
    let socket = socket_with(
        AddressFamily::INET,
        SocketType::STREAM,
        SocketFlags::CLOEXEC,
        None,
    )?;
    // Connections of a former server may linger in TIME_WAIT for a minute. They do not
    // make the port one in use.
    sockopt::set_socket_reuseaddr(&socket, true)?;
    bind(&socket, &address(mapping))?;
    Ok(socket)
}

fn udp(mapping: &PortMapping) -> rustix::io::Result<OwnedFd> {
    let socket = socket_with(
        AddressFamily::INET,
        SocketType::DGRAM,
        SocketFlags::CLOEXEC,
        None,
    )?;
    bind(&socket, &address(mapping))?;
    Ok(socket)
}

fn address(mapping: &PortMapping) -> SocketAddrV4 {
    SocketAddrV4::new(mapping.host_ip, mapping.host_port)
}

/// Puts a free host port in place of every 0. `taken` are ports that are leased and
/// perhaps not reserved yet.
pub(crate) fn choose_free_ports<'a>(
    mappings: impl Iterator<Item = &'a mut PortMapping>,
    mut taken: Vec<PortMapping>,
) -> Result<(), Error> {
    // Kept to the end, or the kernel may give the same port twice.
    let mut sockets = Vec::new();
    for mapping in mappings {
        while mapping.host_port == 0 {
            let (socket, port) = any_port(mapping).map_err(|source| Error::Port {
                mapping: *mapping,
                source,
            })?;
            sockets.push(socket);
            let candidate = PortMapping {
                host_port: port,
                ..*mapping
            };
            if !taken.iter().any(|other| other.conflicts(&candidate)) {
                *mapping = candidate;
            }
        }
        taken.push(*mapping);
    }
    Ok(())
}

fn any_port(mapping: &PortMapping) -> rustix::io::Result<(OwnedFd, u16)> {
    let socket = match mapping.protocol {
        Protocol::Tcp => tcp(mapping)?,
        Protocol::Udp => udp(mapping)?,
    };
    let bound = SocketAddrV4::try_from(getsockname(&socket)?)?;
    Ok((socket, bound.port()))
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, TcpListener};

    use super::*;

    fn loopback(host_port: u16, protocol: Protocol) -> PortMapping {
        PortMapping {
            host_ip: Ipv4Addr::LOCALHOST,
            host_port,
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
        assert!(TcpListener::bind(address(&mapping)).is_err());
    }

    #[test]
    fn an_address_of_another_host_cannot_be_published_on() {
        let mapping = PortMapping {
            host_ip: Ipv4Addr::new(203, 0, 113, 9),
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
