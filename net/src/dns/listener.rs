//! Where the name server listens: at each gateway of a network.

use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};
use std::time::Instant;

use super::server::{IN, NameServer, Token, free_place, watch};
use super::sockets;
use crate::error::{Error, errno};
use crate::networks::Networks;
use crate::spec::Network;

/// The port at which the name server listens, unless somebody else does. No program is known to
/// use it, and it is none that the kernel gives away by itself.
const PORT: u16 = 20053;
/// So many others are tried.
const TRIES: usize = 16;

/// The sockets at one address.
#[derive(Debug)]
pub(super) struct Listener {
    pub(super) network: String,
    pub(super) address: SocketAddr,
    pub(super) serial: u64,
    pub(super) datagrams: UdpSocket,
    pub(super) connections: TcpListener,
    /// No connection is accepted before.
    pub(super) rests_until: Option<Instant>,
}

/// The sockets of all gateways of a network.
type Sockets = Vec<(SocketAddr, UdpSocket, TcpListener)>;

/// The gateways of a network, listened at by [`open`].
#[derive(Debug)]
pub struct Gateways {
    network: String,
    sockets: Sockets,
    is_new: bool,
}

/// Listens at the gateways of a network, in the calling thread's network namespace, for
/// [`NameServer::serve_at`].
///
/// It does not listen at port 53, which another name server of the host may have at all
/// addresses, and which a container may publish: the network's rules lead from there to the
/// port that is chosen here.
///
/// # Errors
/// [`Error::NoNetwork`]; [`Error::NameServer`] when no port can be had; errors of the state
/// directory.
pub fn open(networks: &Networks, network: &str) -> Result<Gateways, Error> {
    let gateways = |sockets, is_new| Gateways {
        network: network.to_owned(),
        sockets,
        is_new,
    };
    let store = networks.store(network)?;
    let known = networks.known(network, &store)?;
    if let Some(port) = known.name_port
        && let Ok(sockets) = listen(&known, port)
    {
        return Ok(gateways(sockets, false));
    }
    // Under the lock: all who serve this network share one port.
    let (store, _lock) = networks.locked(network)?;
    let mut known = networks.known(network, &store)?;
    let recorded = known.name_port;
    let (port, sockets) = choose(&known, recorded).map_err(|source| Error::NameServer {
        network: network.to_owned(),
        address: SocketAddr::new(known.gateway.into(), PORT),
        source: errno(&source),
    })?;
    if recorded != Some(port) {
        known.name_port = Some(port);
        store.write_network(&known)?;
    }
    Ok(gateways(sockets, recorded != Some(port)))
}

impl NameServer {
    /// Answers at the gateways of a network from now on, in the calling thread's network
    /// namespace. Nothing is done for one that is served already.
    ///
    /// Rules have to be [applied](crate::Networks::apply_rules) when this says that its port is
    /// new.
    ///
    /// # Errors
    /// As [`open`].
    pub fn serve(&mut self, network: &str) -> Result<bool, Error> {
        if self.serves(network)? {
            return Ok(false);
        }
        self.serve_at(open(&self.networks, network)?)
    }

    /// Whether a network is served as it is now.
    ///
    /// # Errors
    /// [`Error::NoNetwork`]; errors of the state directory.
    pub fn serves(&self, network: &str) -> Result<bool, Error> {
        let store = self.networks.store(network)?;
        let known = self.networks.known(network, &store)?;
        let port = known.name_port;
        Ok(port.is_some_and(|port| self.is_served(&known, port)))
    }

    /// As [`serve`](Self::serve), at gateways that are listened at already.
    ///
    /// # Errors
    /// [`Error::NameServer`].
    pub fn serve_at(&mut self, gateways: Gateways) -> Result<bool, Error> {
        self.add(&gateways.network, gateways.sockets)?;
        Ok(gateways.is_new)
    }

    fn is_served(&self, network: &Network, port: u16) -> bool {
        network.gateways().all(|gateway| {
            let address = SocketAddr::new(gateway, port);
            let mut listeners = self.listeners.iter().flatten();
            listeners.any(|it| it.network == network.name && it.address == address)
        })
    }

    fn add(&mut self, network: &str, sockets: Sockets) -> Result<(), Error> {
        for (address, datagrams, connections) in sockets {
            // One of before, of this network or of one that had its addresses, knows other names.
            for slot in &mut self.listeners {
                if slot
                    .as_ref()
                    .is_some_and(|it| it.address.ip() == address.ip())
                {
                    *slot = None;
                }
            }
            let number = free_place(&mut self.listeners);
            watch(&self.epoll, &datagrams, Token::Datagrams(number), IN)
                .and_then(|()| watch(&self.epoll, &connections, Token::Listener(number), IN))
                .map_err(|source| Error::NameServer {
                    network: network.to_owned(),
                    address,
                    source,
                })?;
            self.serial += 1;
            self.listeners[number] = Some(Listener {
                network: network.to_owned(),
                address,
                serial: self.serial,
                datagrams,
                connections,
                rests_until: None,
            });
        }
        Ok(())
    }
}

/// Listens at all gateways: at the port that is on record, at the usual one, or at any.
fn choose(network: &Network, recorded: Option<u16>) -> io::Result<(u16, Sockets)> {
    for port in recorded.into_iter().chain([PORT]) {
        if let Ok(sockets) = listen(network, port) {
            return Ok((port, sockets));
        }
    }
    let mut tries = 0;
    loop {
        tries += 1;
        // One that is free for datagrams at one address: mostly it is free for all.
        let port = sockets::free_port(IpAddr::from(network.gateway))?;
        match listen(network, port) {
            Ok(sockets) => return Ok((port, sockets)),
            Err(error) if tries == TRIES => return Err(error),
            Err(_) => {}
        }
    }
}

fn listen(network: &Network, port: u16) -> io::Result<Sockets> {
    let addresses = network
        .gateways()
        .map(|gateway| SocketAddr::new(gateway, port));
    addresses
        .map(|address| {
            let (datagrams, connections) = sockets::listen_on(address)?;
            Ok((address, datagrams, connections))
        })
        .collect()
}
