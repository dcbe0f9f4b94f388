//! What can go wrong, one variant per step.

mod at;

use std::net::{IpAddr, Ipv6Addr};
use std::path::PathBuf;

use rustix::io::Errno;

pub(crate) use self::at::{errno, interface, state};
use crate::holder::Holder;
use crate::mac::Mac;
use crate::ports::{PortMapping, Protocol};
use crate::subnet::Ipv4Net;
use crate::subnet6::Ipv6Net;

/// A step of this crate that failed.
///
/// The text names the step and its object; the kernel's errno, where there is one, is
/// the [`source`](std::error::Error::source) and is not repeated in the text.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A network, container or bridge name that cannot be a file or interface name.
    #[error("invalid {what} name {name:?}: {reason}")]
    InvalidName {
        /// `network`, `container` or `bridge`.
        what: &'static str,
        /// The name as given.
        name: String,
        /// What a valid name looks like.
        reason: &'static str,
    },
    /// A subnet that leaves no room for a gateway and a container.
    #[error("network {network}: subnet {subnet} is unusable: the prefix must be from /8 to /30")]
    SubnetSize {
        /// The network.
        network: String,
        /// The subnet asked for.
        subnet: Ipv4Net,
    },
    /// A subnet asked for by name that would hide a route of the host or another network.
    #[error(
        "network {network}: subnet {subnet} overlaps with {with}, which is in use on this host"
    )]
    SubnetOverlaps {
        /// The network.
        network: String,
        /// The subnet asked for.
        subnet: String,
        /// The route, address or network in the way.
        with: String,
    },
    /// An IPv6 subnet that leaves no room for a gateway and a container.
    #[error("network {network}: subnet {subnet} is unusable: the prefix must be from /8 to /126")]
    Subnet6Size {
        /// The network.
        network: String,
        /// The subnet asked for.
        subnet: Ipv6Net,
    },
    /// A gateway, range or reserved address that the subnet does not have.
    #[error(
        "network {network}: {what} {address} is not in its subnet {subnet}, or of another use there"
    )]
    Outside {
        /// The network.
        network: String,
        /// What it is.
        what: &'static str,
        /// The address or range.
        address: String,
        /// The subnet.
        subnet: String,
    },
    /// Every subnet of the pool overlaps with a route of the host.
    #[error("network {network}: no free subnet left: give one with `subnet`")]
    PoolExhausted {
        /// The network.
        network: String,
    },
    /// Every address of the subnet is leased.
    #[error(
        "network {network}: no free address left in {subnet}\n  help: take its containers down and bring all of them up in one go, which gives the network a subnet of their number, or choose a larger one (`ipam`)"
    )]
    SubnetFull {
        /// The network.
        network: String,
        /// Its subnet.
        subnet: Ipv4Net,
    },
    /// More containers than a bridge can have ports, whatever the subnet's size.
    #[error(
        "network {network}: {containers} containers, but a bridge of the kernel has no more than {most} ports\n  help: spread them over several networks, or give those that need no network `network_mode: none`"
    )]
    BridgeFull {
        /// The network.
        network: String,
        /// How many containers it would have.
        containers: usize,
        /// How many it can have.
        most: usize,
    },
    /// A fixed address outside of the subnet, or its network, gateway or broadcast address.
    #[error(
        "container {container}: address {address} is not a host address of {subnet}, the subnet of network {network}"
    )]
    AddressOutside {
        /// The network.
        network: String,
        /// The container that asked.
        container: String,
        /// The address it asked for.
        address: IpAddr,
        /// The subnet of the network.
        subnet: String,
    },
    /// A fixed address that another container has.
    #[error("container {container}: address {address} of network {network} is leased to {holder}")]
    AddressTaken {
        /// The network.
        network: String,
        /// The container that asked.
        container: String,
        /// The address it asked for.
        address: IpAddr,
        /// The container that has it.
        holder: String,
    },
    /// A fixed IPv6 address in a network without IPv6.
    #[error(
        "container {container}: network {network} has no IPv6, so no address {address}\n  help: enable_ipv6: true for the network"
    )]
    NoIpv6 {
        /// The network.
        network: String,
        /// The container that asked.
        container: String,
        /// The address it asked for.
        address: Ipv6Addr,
    },
    /// A network with IPv6 on a host without.
    #[error("network {network}: this host's kernel has no IPv6 (enable_ipv6)")]
    NoIpv6Here {
        /// The network.
        network: String,
    },
    /// Every IPv6 address near the start of the subnet is leased.
    #[error("network {network}: no free address left in {subnet}")]
    Subnet6Full {
        /// The network.
        network: String,
        /// Its subnet, or the range in it.
        subnet: Ipv6Net,
    },
    /// A hardware address that no single interface can have.
    #[error("container {container}: {mac} is not the hardware address of one interface")]
    InvalidMac {
        /// The container that asked.
        container: String,
        /// The address.
        mac: Mac,
    },
    /// A hardware address that another container of the network has.
    #[error(
        "container {container}: hardware address {mac} is that of {holder} in network {network}"
    )]
    MacTaken {
        /// The network.
        network: String,
        /// The container that asked.
        container: String,
        /// The address.
        mac: Mac,
        /// The container that has it.
        holder: String,
    },
    /// A name that the container's end of a link cannot have.
    #[error(
        "container {container}: invalid interface name {name:?}: use up to 15 letters, digits, '_', '.' and '-', and start with a letter or digit"
    )]
    InvalidInterface {
        /// The container that asked.
        container: String,
        /// The name.
        name: String,
    },
    /// A port published on an IPv6 address of the host, for a container without IPv6.
    #[error(
        "container {container}: cannot publish port {mapping}: network {network} has no IPv6\n  help: enable_ipv6: true for the network"
    )]
    PortWithoutIpv6 {
        /// The network.
        network: String,
        /// The container that asked.
        container: String,
        /// What it asked for.
        mapping: PortMapping,
    },
    /// Two containers of one network publish the same host port.
    #[error("container {container}: port {mapping} is published by container {holder} too")]
    PublishedTwice {
        /// The container that asked.
        container: String,
        /// What it asked for.
        mapping: PortMapping,
        /// The container that has it.
        holder: String,
    },
    /// A network without a way out cannot have a way in.
    #[error("container {container}: cannot publish port {mapping}: network {network} is internal")]
    InternalPort {
        /// The network.
        network: String,
        /// The container that asked.
        container: String,
        /// What it asked for.
        mapping: PortMapping,
    },
    /// The network exists with other settings and has leases.
    #[error(
        "network {network} is in use with another {setting}: {have} and not {want}\n  help: take its containers down first, or ask for it as it is"
    )]
    Differs {
        /// The network.
        network: String,
        /// The setting that differs.
        setting: &'static str,
        /// As it is.
        have: String,
        /// As asked for.
        want: String,
    },
    /// There is a network of that name.
    #[error("network with name {network} already exists")]
    Exists {
        /// The network.
        network: String,
    },
    /// A network that is to go has containers.
    #[error("network {network} has active endpoints: {}", containers.join(", "))]
    InUse {
        /// The network.
        network: String,
        /// Its containers.
        containers: Vec<String>,
    },
    /// No such network in this state directory.
    #[error("no network {network} in {}", directory.display())]
    NoNetwork {
        /// The network.
        network: String,
        /// The state directory.
        directory: PathBuf,
    },
    /// A file of the state directory could not be read, written or locked.
    #[error("cannot {operation} {}", path.display())]
    State {
        /// What was tried.
        operation: &'static str,
        /// On which file.
        path: PathBuf,
        /// The kernel's answer.
        #[source]
        source: Errno,
    },
    /// A file of the state directory does not hold what it should.
    #[error("cannot make sense of {}", path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// The parser's answer.
        #[source]
        source: serde_json::Error,
    },
    /// An ioctl on a network interface failed.
    #[error("cannot {operation} of interface {interface}")]
    Interface {
        /// What was tried, for example `set the address`.
        operation: &'static str,
        /// On which interface.
        interface: String,
        /// The kernel's answer.
        #[source]
        source: Errno,
    },
    /// The name asked for the bridge belongs to something else.
    #[error(
        "network {network}: interface {bridge} exists and is {what}: choose another bridge name"
    )]
    BridgeForeign {
        /// The network.
        network: String,
        /// The interface.
        bridge: String,
        /// What it is instead.
        what: String,
    },
    /// A file below `/proc/sys/net` could not be read or written.
    #[error("cannot set {} to {value}", path.display())]
    Sysctl {
        /// The file.
        path: PathBuf,
        /// The value for it.
        value: &'static str,
        /// The kernel's answer.
        #[source]
        source: Errno,
    },
    /// The network namespace of a container could not be entered.
    #[error("cannot enter {}", path.display())]
    Namespace {
        /// What leads there.
        path: PathBuf,
        /// The kernel's answer.
        #[source]
        source: Errno,
    },
    /// A port published on the loopback address of IPv6.
    #[error(
        "container {container}: cannot publish port {mapping}: the kernel sends nothing on from ::1\n  help: publish it on 127.0.0.1"
    )]
    PortOnLoopback6 {
        /// The container that asked.
        container: String,
        /// What it asked for.
        mapping: PortMapping,
    },
    /// The kernel's routes could not be read, so no subnet can be called free.
    #[error("cannot read {path}")]
    Routes {
        /// The file.
        path: &'static str,
        /// The kernel's answer.
        #[source]
        source: Errno,
    },
    /// A tool that this crate needs is not installed.
    #[error("{tool} is not installed: install the package {package} (name on Debian)")]
    MissingTool {
        /// The tool.
        tool: &'static str,
        /// The Debian package that has it.
        package: &'static str,
    },
    /// A tool could not be started, fed or waited for.
    #[error("cannot {operation} {tool}")]
    Tool {
        /// `start`, `feed`, `wait for`.
        operation: &'static str,
        /// The tool.
        tool: &'static str,
        /// The kernel's answer.
        #[source]
        source: Errno,
    },
    /// `nft` refused the rules.
    #[error("network {network}: nft refused the rules: {message}")]
    Rules {
        /// The network.
        network: String,
        /// What `nft` printed.
        message: String,
    },
    /// `ip` could not make the link of a container.
    #[error("container {container}: ip could not make the link {interface}: {message}")]
    Link {
        /// The container.
        container: String,
        /// The host end of the link.
        interface: String,
        /// What `ip` printed.
        message: String,
    },
    /// `tc` could not make a link worse.
    #[error("shape link {interface} of container {container}: tc failed: {message}{}", missing(*module))]
    Shape {
        /// The container.
        container: String,
        /// The interface.
        interface: String,
        /// What `tc` printed.
        message: String,
        /// The kernel's module that is missing, when that is the reason.
        module: Option<&'static str>,
    },
    /// `ip` failed, and not at the command for one container.
    #[error("ip failed: {message}")]
    Links {
        /// What `ip` printed.
        message: String,
    },
    /// A published port is in use.
    #[error("cannot publish port {port}/{protocol}: address already in use{}", held_by(holder.as_ref()))]
    PortInUse {
        /// The host port.
        port: u16,
        /// Its protocol.
        protocol: Protocol,
        /// Who has it, when `/proc` tells.
        holder: Option<Holder>,
    },
    /// A published port cannot be bound for another reason: no permission, or an
    /// address that this host does not have.
    #[error("cannot publish port {mapping}")]
    Port {
        /// What was asked for.
        mapping: PortMapping,
        /// The kernel's answer.
        #[source]
        source: Errno,
    },
    /// Of a range of ports of which one is to be published all are in use.
    #[error(
        "cannot publish port {mapping}: all of them are in use\n  help: stop who has one of them, or publish a larger range"
    )]
    NoFreePort {
        /// What was asked for.
        mapping: PortMapping,
    },
    /// A published port as written makes no sense.
    #[error(transparent)]
    PortSyntax(#[from] crate::ports::ParseError),
    /// The name server of a network could not listen at its gateway.
    #[cfg(feature = "dns")]
    #[error("network {network}: cannot answer DNS queries at {address}")]
    NameServer {
        /// The network.
        network: String,
        /// The gateway's address and port.
        address: std::net::SocketAddr,
        /// The kernel's answer: `EADDRINUSE` when another name server has the port.
        #[source]
        source: Errno,
    },
}

fn held_by(holder: Option<&Holder>) -> String {
    holder.map_or_else(String::new, |holder| format!(", held by {holder}"))
}

/// How a module of the kernel is had.
fn missing(module: Option<&str>) -> String {
    module.map_or_else(String::new, |module| {
        format!(
            "\n  help: the kernel has no {module}: modprobe {module}, which may be in the package \
             linux-modules-extra-$(uname -r) or kernel-modules-extra"
        )
    })
}
