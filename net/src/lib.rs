//! Container networks without netlink code: one bridge per network, a veth pair per
//! container, addresses and routes, NAT, published ports, isolation.
//!
//! ioctls do what the kernel has an ioctl for. One `ip -batch -` makes all veth pairs,
//! one `nft -f -` replaces all rules of a network atomically, and neither is on the
//! critical path: both start early and are waited for late. A ruleset that the kernel
//! has already starts no process at all.
//!
//! ```no_run
//! # fn main() -> Result<(), coop_net::Error> {
//! # let (pid_of_web, pid_of_db) = (rustix::process::getpid(), rustix::process::getpid());
//! use coop_net::{LeaseRequest, LinkBatch, NetworkSpec, Networks, PortMapping};
//!
//! let networks = Networks::new("/run/coop/networks");
//! let leases = networks.lease(
//!     &NetworkSpec::new("shop"),
//!     &[
//!         LeaseRequest {
//!             container: "web".into(),
//!             ports: PortMapping::parse("8080:80")?,
//!             ..LeaseRequest::default()
//!         },
//!         LeaseRequest { container: "db".into(), ..LeaseRequest::default() },
//!     ],
//! )?;
//! let held = coop_net::reserve(&leases[0].ports)?; // an error when 8080 is in use
//! networks.ensure_bridge("shop")?;
//! let rules = networks.apply_rules("shop")?; // `nft` works while we go on
//! let mut links = LinkBatch::spawn()?; // and `ip` loads
//! let host = coop_net::HostSocket::open()?;
//!
//! // Clone the containers; each waits in its network namespace. Then:
//! links.add(&leases[0], pid_of_web)?;
//! links.add(&leases[1], pid_of_db)?;
//! links.commit()?;
//! rules.wait()?;
//! // Each container: coop_net::configure(&[lease], &host)?
//!
//! networks.release_all("shop")?; // links, rules, bridge, files: all gone
//! # drop((held, host));
//! # Ok(())
//! # }
//! ```
//!
//! State is plain files below a directory of the caller's ([`Networks`]), and every undo
//! works by value, so that another process can clean up after one that was killed.

mod allocate;
mod apply;
mod batch;
mod bridge;
mod create;
#[cfg(feature = "dns")]
pub mod dns;
mod error;
mod files;
mod firewall;
mod forwarding;
#[doc(hidden)]
pub mod fuzzing;
mod guest;
mod holder;
mod home;
mod ipv6;
mod lease;
mod mac;
mod naming;
mod networks;
mod partition;
mod pool;
mod pool6;
mod ports;
mod probe;
mod relay;
mod release;
mod reserve;
mod rules;
mod shape;
mod spec;
mod store;
mod subnet;
mod subnet6;
mod sys;
mod sys6;
mod tool;
mod way_out;

pub use apply::PendingRules;
pub use batch::LinkBatch;
pub use error::Error;
pub use files::{HostsEntry, host_resolv_conf, hosts_file, resolv_conf};
pub use firewall::{Firewall, Obstacle, obstacles};
pub use guest::{HostSocket, configure, connect, loopback_up, reroute};
pub use holder::Holder;
pub use ipv6::trust_all_addresses;
pub use lease::{Ipv6Lease, Lease, LeaseRequest, default_routes};
pub use mac::{Mac, MacError};
pub use naming::is_link;
pub use networks::Networks;
pub use partition::Partition;
pub use ports::{ParseError, PortMapping, Protocol, ProtocolError};
pub use relay::{Relay, RelayError, return_path};
pub use release::Finding;
pub use reserve::reserve;
pub use shape::{Percent, Rate, Shape, ShapeError, Shaped, shape};
pub use spec::{DEFAULT_MTU, Ipv6Spec, Ipv6Subnet, Network, NetworkSpec};
pub use subnet::{Ipv4Net, SubnetError};
pub use subnet6::Ipv6Net;
pub use tool::find_tools;
pub use way_out::{OpenWayOut, WayOut};

/// The README's example compiles, too.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
