//! IPv6 on an interface, usable as soon as the interface is up.
//!
//! The kernel uses a new address only after it has asked the link for a second or two whether
//! somebody else has it (duplicate address detection, RFC 4862). Here nobody has: the addresses
//! are leased. No ioctl can say so, only a setting can (`accept_dad`), which an interface takes
//! over when it is made.

use std::fs;
use std::net::Ipv6Addr;
use std::path::PathBuf;
use std::thread::sleep;
use std::time::Duration;

use rustix::io::Errno;

use crate::error::{Error, errno, interface};
use crate::sys::Control;
use crate::sys6::{Control6, is_usable};

/// How long the kernel may take: its work queue has to run.
const PATIENCE: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_micros(200);

/// The setting: an interface asks when its own one or that of all is not 0.
const DETECTION: &str = "accept_dad";

/// Has the interfaces that are made from now on in this network namespace ask nobody about their
/// addresses. Of a container, its own `/proc/sys` may be read-only: the host does it, from
/// there.
///
/// # Errors
/// [`Error::Sysctl`].
pub fn trust_all_addresses() -> Result<(), Error> {
    ["default", "all"].into_iter().try_for_each(trust_addresses)
}

/// Has an interface ask nobody about its addresses.
pub(crate) fn trust_addresses(name: &str) -> Result<(), Error> {
    let path: PathBuf = ["/proc/sys/net/ipv6/conf", name, DETECTION]
        .iter()
        .collect();
    fs::write(&path, "0").map_err(|error| Error::Sysctl {
        path,
        value: "0",
        source: errno(&error),
    })
}

/// Gives the interface addresses with their network bits, and brings it up.
pub(crate) fn bring_up(
    control: &Control,
    name: &str,
    addresses: &[(Ipv6Addr, u8)],
) -> Result<(), Error> {
    let index = index(control, name)?;
    let control6 = open(name)?;
    for (address, prefix_len) in addresses {
        control6
            .add_address(index, *address, *prefix_len)
            .map_err(interface("set the IPv6 address", name))?;
    }
    control.set_up(name).map_err(interface("bring up", name))?;
    // An address of the link alone needs the interface for a name.
    let global = { addresses.iter() }.filter(|(address, _)| !address.is_unicast_link_local());
    for (address, _) in global {
        wait_for(*address).map_err(interface("wait for the IPv6 address", name))?;
    }
    Ok(())
}

fn wait_for(address: Ipv6Addr) -> Result<(), Errno> {
    let tries = PATIENCE.as_micros() / PAUSE.as_micros();
    for _ in 0..tries {
        if is_usable(address)? {
            return Ok(());
        }
        sleep(PAUSE);
    }
    Err(Errno::TIMEDOUT)
}

/// Adds the default route by an interface that is up.
pub(crate) fn add_default_route(
    control: &Control,
    name: &str,
    gateway: Ipv6Addr,
) -> Result<(), Error> {
    let index = index(control, name)?;
    open(name)?
        .add_default_route(index, gateway)
        .map_err(interface("set the IPv6 default route", name))
}

/// Removes the default route by an interface.
pub(crate) fn remove_default_route(control: &Control, name: &str) -> Result<(), Error> {
    let index = index(control, name)?;
    open(name)?
        .remove_default_route(index)
        .map_err(interface("remove the IPv6 default route", name))
}

fn open(name: &str) -> Result<Control6, Error> {
    Control6::open().map_err(interface("open a socket for IPv6 ioctls", name))
}

fn index(control: &Control, name: &str) -> Result<i32, Error> {
    let index = control.index(name);
    index
        .and_then(|index| index.ok_or(Errno::NODEV))
        .map_err(interface("look up the index", name))
}
