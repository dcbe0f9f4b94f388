//! Verbs about networks.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use clap::{Args, Subcommand};

use super::{Filter, Format, StackArgs};
use crate::stack::value::{IpNet, Label, ShapeFlag};

/// `coop network`.
#[derive(Debug, Args)]
pub(crate) struct NetworkArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: NetworkCommand,
}

/// The verbs of `coop network`.
#[derive(Debug, Subcommand)]
pub(crate) enum NetworkCommand {
    /// Create a network
    Create(NetworkCreateArgs),
    /// List networks
    #[command(visible_alias = "list")]
    Ls(NetworkLsArgs),
    /// Print all that is known of networks, as JSON
    Inspect(NetworkInspectArgs),
    /// Remove networks
    #[command(visible_alias = "remove")]
    Rm(NetworkRmArgs),
    /// Remove networks that no container uses
    Prune(NetworkPruneArgs),
    /// Connect a container to a network, running or not
    Connect(NetworkConnectArgs),
    /// Disconnect a container from a network
    Disconnect(NetworkDisconnectArgs),
    /// Cut off two services or containers from each other, until they are healed
    Partition(NetworkPartitionArgs),
    /// Let those reach each other again that were cut off [default: all]
    Heal(NetworkHealArgs),
}

/// `coop network create`.
#[derive(Debug, Args)]
#[allow(clippy::struct_excessive_bools)] // one for each flag
pub(crate) struct NetworkCreateArgs {
    /// What makes it: only bridge is there
    #[arg(short, long, value_name = "DRIVER", default_value = "bridge")]
    pub driver: String,
    /// Its addresses, one of each family [default: some that are free]
    #[arg(long, value_name = "SUBNET")]
    pub subnet: Vec<IpNet>,
    /// The address of its bridge [default: the first one]
    #[arg(long, value_name = "ADDRESS")]
    pub gateway: Vec<IpAddr>,
    /// The part of the subnet that containers get their addresses of
    #[arg(long, value_name = "SUBNET")]
    pub ip_range: Vec<IpNet>,
    /// An address that no container gets
    #[arg(long, value_name = "NAME=ADDRESS")]
    pub aux_address: Vec<String>,
    /// No way out, and no published ports
    #[arg(long)]
    pub internal: bool,
    /// With IPv6
    #[arg(long)]
    pub ipv6: bool,
    /// Every container may be connected anyway
    #[arg(long)]
    pub attachable: bool,
    /// An option, such as com.docker.network.driver.mtu=1400
    #[arg(short, long, value_name = "KEY=VALUE")]
    pub opt: Vec<String>,
    /// Who gives out the addresses: only default is there
    #[arg(long, value_name = "DRIVER", default_value = "default")]
    pub ipam_driver: String,
    /// A label
    #[arg(long, value_name = "KEY=VALUE")]
    pub label: Vec<Label>,
    /// Its name
    #[arg(value_name = "NAME")]
    pub name: String,
}

/// `coop network ls`.
#[derive(Debug, Args)]
pub(crate) struct NetworkLsArgs {
    /// Only some: dangling=true|false, driver=NAME, id=ID, label=KEY[=VALUE], name=TEXT, scope=local, type=custom|builtin
    #[arg(short, long, value_name = "KEY=VALUE")]
    pub filter: Vec<Filter>,
    /// Do not cut the ids
    #[arg(long)]
    pub no_trunc: bool,
    /// Print only the ids
    #[arg(short, long)]
    pub quiet: bool,
    /// How to print it: table, json, or a Go template
    #[arg(long, value_name = "FORMAT", default_value_t)]
    pub format: Format,
}

/// `coop network inspect`.
#[derive(Debug, Args)]
pub(crate) struct NetworkInspectArgs {
    /// How to print it: json, or a Go template
    #[arg(short, long, value_name = "FORMAT")]
    pub format: Option<Format>,
    /// Networks
    #[arg(value_name = "NETWORK", required = true)]
    pub names: Vec<String>,
}

/// `coop network rm`.
#[derive(Debug, Args)]
pub(crate) struct NetworkRmArgs {
    /// A network that does not exist is no error
    #[arg(short, long)]
    pub force: bool,
    /// Networks
    #[arg(value_name = "NETWORK", required = true)]
    pub names: Vec<String>,
}

/// `coop network prune`.
#[derive(Debug, Args)]
pub(crate) struct NetworkPruneArgs {
    /// Only some: label=KEY[=VALUE], label!=KEY[=VALUE]
    #[arg(long, value_name = "KEY=VALUE")]
    pub filter: Vec<Filter>,
    /// Do not ask
    #[arg(short, long)]
    pub force: bool,
}

/// `coop network connect`.
#[derive(Debug, Args)]
pub(crate) struct NetworkConnectArgs {
    /// One more name of the container in this network
    #[arg(long, value_name = "NAME")]
    pub alias: Vec<String>,
    /// Its IPv4 address there
    #[arg(long, value_name = "ADDRESS")]
    pub ip: Option<Ipv4Addr>,
    /// Its IPv6 address there
    #[arg(long, value_name = "ADDRESS")]
    pub ip6: Option<Ipv6Addr>,
    /// A further address, of the link alone
    #[arg(long, value_name = "ADDRESS")]
    pub link_local_ip: Vec<IpAddr>,
    /// How bad its link is, such as rate=10mbit,delay=20ms,jitter=5ms,loss=1%
    #[arg(long, value_name = "SHAPE")]
    pub x_net: Option<ShapeFlag>,
    /// Of its networks, the one with the highest number has the default route
    #[arg(
        long,
        value_name = "NUMBER",
        default_value_t = 0,
        allow_negative_numbers = true
    )]
    pub gw_priority: i32,
    /// The network
    #[arg(value_name = "NETWORK")]
    pub network: String,
    /// The container
    #[arg(value_name = "CONTAINER")]
    pub container: String,
}

/// `coop network disconnect`.
#[derive(Debug, Args)]
pub(crate) struct NetworkDisconnectArgs {
    /// A container that is not connected is no error
    #[arg(short, long)]
    pub force: bool,
    /// The network
    #[arg(value_name = "NETWORK")]
    pub network: String,
    /// The container
    #[arg(value_name = "CONTAINER")]
    pub container: String,
}

/// `coop network partition`.
#[derive(Debug, Args)]
pub(crate) struct NetworkPartitionArgs {
    #[command(flatten)]
    pub stack: StackArgs,
    /// A service of the stack, or a container
    #[arg(value_name = "A")]
    pub one: String,
    /// Another one
    #[arg(value_name = "B")]
    pub other: String,
}

/// `coop network heal`.
#[derive(Debug, Args)]
pub(crate) struct NetworkHealArgs {
    #[command(flatten)]
    pub stack: StackArgs,
    /// A service of the stack, or a container
    #[arg(value_name = "A", requires = "other")]
    pub one: Option<String>,
    /// Another one
    #[arg(value_name = "B")]
    pub other: Option<String>,
}
