//! The container's side: a few ioctls in its own network namespace.
//!
//! No process, no thread, nothing but a socket: fit for a forked child before its exec.

use crate::error::{Error, interface};
use crate::spec::Lease;
use crate::sys::Control;

const LOOPBACK: &str = "lo";

/// A socket of the host's network namespace, opened there and passed on to the child by
/// the clone. It lets the child wait for the far end of its link; that takes no
/// privilege, and gives none.
#[derive(Debug)]
pub struct HostSocket(Control);

impl HostSocket {
    /// Opens the socket, closed on exec. The calling thread must be in the host's network
    /// namespace. One is enough for any number of containers.
    ///
    /// # Errors
    /// [`Error::Interface`].
    pub fn open() -> Result<Self, Error> {
        open().map(Self)
    }
}

/// Gives the container its place: loopback, address, netmask, up, default route. To be
/// called in the container's network namespace, as root of the user namespace that owns
/// it, after [`LinkBatch::commit`](crate::LinkBatch::commit).
///
/// When it returns, the first packet gets through.
///
/// # Errors
/// [`Error::Interface`] with the step; `ENODEV` when the link is not there.
pub fn configure(lease: &Lease, host: &HostSocket) -> Result<(), Error> {
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
    if !lease.internal {
        control
            .add_default_route(name, lease.gateway)
            .map_err(interface("set the default route", name))?;
    }
    // Now both ends are up, which the kernel tells the bridge by a work queue. Until that
    // has run, the bridge drops what comes and goes here, and a connection made in that
    // moment waits a second for its second try.
    for (control, name) in [
        (&control, name),
        (&host.0, &lease.host_interface),
        (&host.0, &lease.bridge),
    ] {
        control
            .settle(name)
            .map_err(interface("wait for the link", name))?;
    }
    Ok(())
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
