//! A name server for the containers of networks: DNS at each network's gateway.
//!
//! It answers names of containers, and their addresses in reverse, and asks the host's name
//! servers for the rest. It runs in one thread of the caller's, turned by its event loop, and
//! `hickory-proto` is all it takes: no runtime, no resolver.
//!
//! ```no_run
//! use coop_net::dns::{AllHealthy, NameServer};
//! use rustix::event::{PollFd, PollFlags, poll};
//!
//! # fn serve(networks: &coop_net::Networks) -> Result<(), Box<dyn std::error::Error>> {
//! let mut server = NameServer::new(networks)?;
//! if server.serve("shop")? {
//!     networks.apply_rules("shop")?.wait()?; // they lead from port 53 to the server
//! }
//! loop {
//!     // In earnest, with `server.deadline()` for a timeout.
//!     poll(&mut [PollFd::new(&server, PollFlags::IN)], None)?;
//!     server.turn(&AllHealthy); // or what you know of your containers
//! }
//! # }
//! ```
//!
//! ```text
//! message.rs     queries and answers         zone.rs        the names of one network
//! relayed.rs     answers of name servers     answer.rs      what they say to a query
//! cache.rs       those that are kept         registry.rs    zones from leases, as they change
//! exchange.rs    one question to servers     forwarder.rs   all questions under way
//! resolvers.rs   the host's name servers     sockets.rs     listening and asking
//! connection.rs  a client's, by TCP          listener.rs    where it listens
//! respond.rs     what a client is told       turns.rs       which replica comes first
//! server.rs      what is done when a socket is ready
//! ```
//!
//! **Several at a time.** Any number of processes may serve one network. They share the port
//! (`SO_REUSEPORT`), the kernel gives each query to one of them, and all read the same leases.
//! When one ends, the kernel has its share go to the others.
//!
//! **What a container can do to it.** Nothing that is asked makes it wait or grow: there are
//! limits on the questions under way, those of one client, connections, what is kept, and what
//! is done in one turn. What is beyond is dropped, and asked again by whoever means it.

mod answer;
mod cache;
mod connection;
mod exchange;
mod forwarder;
pub(crate) mod fuzzing;
mod listener;
mod message;
mod registry;
mod relayed;
mod resolvers;
mod respond;
mod server;
mod sockets;
#[cfg(test)]
mod tests;
mod turns;
mod zone;

use std::net::IpAddr;
use std::rc::Rc;

pub use self::listener::{Gateways, open};
pub use self::server::NameServer;
pub use self::zone::{Member, Standing, Zone};

/// What the name server asks about containers, by id. An answer is used for the queries that have
/// come by then.
pub trait Containers {
    /// How fit a container is to be named.
    fn standing(&self, id: &str) -> Standing;

    /// What a container is called, when its address is looked up; none: the first of its names.
    fn name(&self, _id: &str) -> Option<String> {
        None
    }

    /// Where the names of a container come from, when it asks.
    fn resolution(&self, _id: &str) -> Rc<Resolution> {
        Rc::default()
    }
}

/// Where the names of one container come from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Resolution {
    /// Its networks: the first one that knows a name has it. The one that it asks from need not
    /// be here.
    pub networks: Vec<String>,
    /// Name servers in place of the host's; none: the host's.
    pub servers: Vec<IpAddr>,
    /// Names that it alone uses, and the names that they stand for.
    pub aliases: Vec<(String, String)>,
}

/// Every container runs and is healthy: for who has no better knowledge.
#[derive(Debug, Clone, Copy, Default)]
pub struct AllHealthy;

impl Containers for AllHealthy {
    fn standing(&self, _id: &str) -> Standing {
        Standing::Healthy
    }
}
