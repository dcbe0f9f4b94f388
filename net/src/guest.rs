//! The container's side: a few ioctls in its own network namespace.
//!
//! No process, no thread, nothing but a socket: fit for a forked child before its exec.

use crate::error::{Error, interface};
use crate::lease::{Lease, default_routes};
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

/// Gives the container its places, one for each of its networks: loopback, and for each link
/// address, netmask, up; then the default route. To be called in the container's network
/// namespace, as root of the user namespace that owns it, after
/// [`LinkBatch::commit`](crate::LinkBatch::commit).
///
/// When it returns, the first packet gets through.
///
/// # Errors
/// [`Error::Interface`] with the step; `ENODEV` when the link is not there.
pub fn configure(leases: &[Lease], host: &HostSocket) -> Result<(), Error> {
    let control = open()?;
    control
        .set_up(LOOPBACK)
        .map_err(interface("bring up", LOOPBACK))?;
    for lease in leases {
        bring_up(&control, lease)?;
    }
    let (v4, _) = default_routes(leases.iter());
    if let Some(lease) = v4 {
        let name = lease.interface.as_str();
        control
            .add_default_route(name, lease.gateway)
            .map_err(interface("set the default route", name))?;
    }
    for lease in leases {
        settle(&control, lease, host)?;
    }
    Ok(())
}

fn bring_up(control: &Control, lease: &Lease) -> Result<(), Error> {
    let name = lease.interface.as_str();
    control
        .set_address(name, lease.address)
        .map_err(interface("set the address", name))?;
    control
        .set_netmask(name, lease.subnet().netmask())
        .map_err(interface("set the netmask", name))?;
    control.set_up(name).map_err(interface("bring up", name))
}

/// Now both ends are up, which the kernel tells the bridge by a work queue. Until that has run,
/// the bridge drops what comes and goes here, and a connection made in that moment waits a
/// second for its second try.
fn settle(control: &Control, lease: &Lease, host: &HostSocket) -> Result<(), Error> {
    for (control, name) in [
        (control, &lease.interface),
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
