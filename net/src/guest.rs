//! The container's side: a few ioctls in its own network namespace.
//!
//! No process, no thread, nothing but a socket: fit for a forked child before its exec.

use crate::error::{Error, interface};
use crate::spec::Lease;
use crate::sys::Control;

const LOOPBACK: &str = "lo";

/// Gives the container its place: loopback, address, netmask, up, default route. To be
/// called in the container's network namespace, as root of the user namespace that owns
/// it, after [`LinkBatch::commit`](crate::LinkBatch::commit).
///
/// # Errors
/// [`Error::Interface`] with the step; `ENODEV` when the link is not there.
pub fn configure(lease: &Lease) -> Result<(), Error> {
    let name = lease.interface.as_str();
    let control = open()?;
    control
        .set_up(LOOPBACK)
        .map_err(interface("bring up", LOOPBACK))?;
    control
        .set_address(name, lease.address)
        .map_err(interface("set the address", name))?;
    control
        .set_netmask(name, lease.subnet().netmask())
        .map_err(interface("set the netmask", name))?;
    control.set_up(name).map_err(interface("bring up", name))?;
    if lease.internal {
        return Ok(());
    }
    control
        .add_default_route(name, lease.gateway)
        .map_err(interface("set the default route", name))
}

/// Brings up the loopback interface, all there is in a container without a network. The
/// kernel gives it 127.0.0.1.
///
/// # Errors
/// [`Error::Interface`].
pub fn loopback_up() -> Result<(), Error> {
    open()?
        .set_up(LOOPBACK)
        .map_err(interface("bring up", LOOPBACK))
}

fn open() -> Result<Control, Error> {
    Control::open().map_err(interface("open a socket for ioctls", LOOPBACK))
}
