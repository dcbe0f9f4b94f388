//! The bridge of a network, all by ioctl and `/proc/sys`.

use std::fs;
use std::path::{Path, PathBuf};

use rustix::io::Errno;

use crate::apply::control;
use crate::error::{Error, errno, interface};
use crate::forwarding::Opened;
use crate::ipv6;
use crate::mac::Mac;
use crate::naming;
use crate::spec::Network;
use crate::store::Store;
use crate::sys::Control;
use crate::sys6::is_usable;

/// Makes the bridge of `network` and brings it up, or finishes what was begun.
///
/// A bridge with a derived name is Coop's by its name. One with a name that somebody
/// chose is Coop's when Coop made it, which is noted in `store` before.
pub(crate) fn ensure(network: &Network, store: &Store, directory: &Path) -> Result<(), Error> {
    let name = network.bridge.as_str();
    let control = control(name)?;
    let exists = control
        .index(name)
        .map_err(interface("look up the index", name))?
        .is_some();
    let derived = is_derived(network, directory);
    if !exists && !derived {
        store.own_bridge()?;
    }
    if exists {
        check_kind(&control, network)?;
        if !derived && !store.owns_bridge() {
            return Err(foreign(
                network,
                "a bridge that Coop did not make".to_owned(),
            ));
        }
        if is_complete(&control, network)? {
            return Ok(());
        }
    } else {
        control
            .add_bridge(name)
            .map_err(interface("make the bridge", name))?;
    }
    // Without an address of its own a bridge takes the lowest of its ports: it would
    // change whenever a container comes or goes, and every neighbour cache be wrong.
    control
        .set_mac(name, Mac::for_address(network.gateway))
        .map_err(interface("set the hardware address", name))?;
    control
        .set_mtu(name, network.mtu)
        .map_err(interface("set the MTU", name))?;
    control
        .set_address(name, network.gateway)
        .map_err(interface("set the address", name))?;
    control
        .set_netmask(name, network.subnet.netmask())
        .map_err(interface("set the netmask", name))?;
    let Some(own) = network.ipv6 else {
        // A network without IPv6 has no IPv6 link-local back door to the host's services.
        // The file is missing on a kernel without IPv6.
        set("ipv6", name, "disable_ipv6", "1").or_else(missing_is_fine)?;
        return control.set_up(name).map_err(interface("bring up", name));
    };
    // The router of this network is this host, whatever a container says.
    for (key, value) in [("disable_ipv6", "0"), ("accept_ra", "0"), ("autoconf", "0")] {
        set("ipv6", name, key, value).map_err(|error| without_ipv6(network, error))?;
    }
    ipv6::trust_addresses(name)?;
    ipv6::bring_up(&control, name, &[(own.gateway, own.subnet.prefix_len())])
}

/// Lets packets through the bridge, once its rules are in force.
pub(crate) fn open(network: &Network, opened: &Opened, loopback: bool) -> Result<(), Error> {
    let name = network.bridge.as_str();
    let forward = if network.internal { "0" } else { "1" };
    set("ipv4", name, "forwarding", forward)?;
    if network.ipv6.is_some() && opened.ipv6_by_interface {
        set("ipv6", name, "force_forwarding", forward)?;
    }
    if loopback {
        // Packets of the host to 127.0.0.1 go to a container, and its answers come back.
        set("ipv4", name, "route_localnet", "1")?;
    }
    Ok(())
}

/// Stops all traffic of the bridge; fine when it does not exist.
pub(crate) fn close(name: &str) -> Result<(), Error> {
    control(name)?
        .set_down(name)
        .or_else(|errno| absent(errno).map_err(interface("take down", name)))
}

/// Removes the bridge, which must be down; fine when it does not exist.
pub(crate) fn remove(name: &str) -> Result<(), Error> {
    control(name)?
        .delete_bridge(name)
        .or_else(|errno| absent(errno).map_err(interface("remove the bridge", name)))
}

/// Whether there is a bridge of that name.
pub(crate) fn exists(name: &str) -> Result<bool, Error> {
    let control = control(name)?;
    let index = control
        .index(name)
        .map_err(interface("look up the index", name))?;
    Ok(index.is_some() && control.driver(name) == Ok("bridge".to_owned()))
}

fn absent(errno: Errno) -> Result<(), Errno> {
    if matches!(errno, Errno::NODEV | Errno::NXIO) {
        Ok(())
    } else {
        Err(errno)
    }
}

/// Whether the name of the bridge is the one that nobody chose.
fn is_derived(network: &Network, directory: &Path) -> bool {
    network.bridge == naming::bridge(directory, &network.name)
}

/// Whether the bridge goes with the network.
pub(crate) fn is_ours(network: &Network, store: &Store, directory: &Path) -> bool {
    is_derived(network, directory) || store.owns_bridge()
}

fn check_kind(control: &Control, network: &Network) -> Result<(), Error> {
    let driver = control
        .driver(&network.bridge)
        .unwrap_or_else(|_| "unknown".to_owned());
    if driver == "bridge" {
        Ok(())
    } else {
        Err(foreign(network, format!("not a bridge (driver {driver})")))
    }
}

fn foreign(network: &Network, what: String) -> Error {
    Error::BridgeForeign {
        network: network.name.clone(),
        bridge: network.bridge.clone(),
        what,
    }
}

fn is_complete(control: &Control, network: &Network) -> Result<bool, Error> {
    let name = network.bridge.as_str();
    let address = control
        .address(name)
        .map_err(interface("read the address", name))?;
    let wanted = (network.gateway, network.subnet.netmask());
    let has_ipv6 = network
        .ipv6
        .is_none_or(|own| is_usable(own.gateway) == Ok(true));
    // Bringing it up is the last step.
    Ok(address == Some(wanted)
        && has_ipv6
        && control
            .is_up(name)
            .map_err(interface("read the flags", name))?)
}

fn set(family: &str, name: &str, key: &str, value: &'static str) -> Result<(), Error> {
    let path: PathBuf = ["/proc/sys/net", family, "conf", name, key]
        .iter()
        .collect();
    fs::write(&path, value).map_err(|error| Error::Sysctl {
        path,
        value,
        source: errno(&error),
    })
}

fn without_ipv6(network: &Network, error: Error) -> Error {
    match error {
        Error::Sysctl { source, .. } if source == Errno::NOENT => Error::NoIpv6Here {
            network: network.name.clone(),
        },
        other => other,
    }
}

fn missing_is_fine(error: Error) -> Result<(), Error> {
    match error {
        Error::Sysctl { source, .. } if source == Errno::NOENT => Ok(()),
        other => Err(other),
    }
}
