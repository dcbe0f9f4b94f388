//! The container's side: a few ioctls in its own network namespace.
//!
//! No process, no thread, nothing but a socket: fit for a forked child before its exec.

use std::net::{IpAddr, Ipv4Addr};

use rustix::process::Pid;

use crate::error::{Error, interface};
use crate::home::Home;
use crate::ipv6;
use crate::lease::{Lease, default_routes};
use crate::sys::Control;

const LOOPBACK: &str = "lo";

/// The netmask of 169.254.0.0/16 (RFC 3927).
const LINK_LOCAL_MASK: Ipv4Addr = Ipv4Addr::new(255, 255, 0, 0);

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
    route(&control, leases)?;
    for lease in leases {
        settle(&control, lease, host)?;
    }
    Ok(())
}

fn bring_up(control: &Control, lease: &Lease) -> Result<(), Error> {
    let name = lease.interface.as_str();
    if let Some(own) = lease.ipv6 {
        let mut addresses = vec![(own.address, own.prefix_len)];
        for address in &lease.link_local {
            if let IpAddr::V6(address) = address {
                addresses.push((*address, 64));
            }
        }
        ipv6::bring_up(control, name, &addresses)?;
    }
    set_address(control, name, lease.address, lease.subnet().netmask())?;
    let local = { lease.link_local.iter() }.filter_map(|address| match address {
        IpAddr::V4(address) => Some(*address),
        IpAddr::V6(_) => None,
    });
    for (number, address) in local.enumerate() {
        // Its label: an interface has one address of each.
        let label = format!("{name}:{number}");
        set_address(control, &label, address, LINK_LOCAL_MASK)?;
    }
    control.set_up(name).map_err(interface("bring up", name))
}

fn set_address(
    control: &Control,
    name: &str,
    address: Ipv4Addr,
    netmask: Ipv4Addr,
) -> Result<(), Error> {
    control
        .set_address(name, address)
        .map_err(interface("set the address", name))?;
    control
        .set_netmask(name, netmask)
        .map_err(interface("set the netmask", name))
}

/// The default routes, by the leases that [`default_routes`] says.
fn route(control: &Control, leases: &[Lease]) -> Result<(), Error> {
    let (v4, v6) = default_routes(leases.iter());
    if let Some(lease) = v4 {
        let name = lease.interface.as_str();
        control
            .add_default_route(name, lease.gateway)
            .map_err(interface("set the default route", name))?;
    }
    if let Some((lease, own)) = v6.and_then(|lease| Some((lease, lease.ipv6?))) {
        ipv6::add_default_route(control, &lease.interface, own.gateway)?;
    }
    Ok(())
}

/// Gives a container that runs one more place, and routes anew by all of `leases`, of which it
/// is one. To be called in the host's network namespace, after the link is there; the thread
/// goes to the namespace of `pid` and comes back.
///
/// # Errors
/// As [`configure`]; [`Error::Namespace`].
pub fn connect(pid: Pid, new: &Lease, leases: &[Lease]) -> Result<(), Error> {
    let host = HostSocket::open()?;
    Home::open()?.within(pid, || {
        let control = open()?;
        bring_up(&control, new)?;
        reroute_here(&control, leases)?;
        settle(&control, new, &host)
    })
}

/// Routes a container that runs anew by these leases, after another one has gone.
///
/// # Errors
/// [`Error::Interface`] with the step; [`Error::Namespace`].
pub fn reroute(pid: Pid, leases: &[Lease]) -> Result<(), Error> {
    Home::open()?.within(pid, || reroute_here(&open()?, leases))
}

fn reroute_here(control: &Control, leases: &[Lease]) -> Result<(), Error> {
    for lease in leases {
        let name = lease.interface.as_str();
        control
            .remove_default_route(name)
            .map_err(interface("remove the default route", name))?;
        if lease.ipv6.is_some() {
            ipv6::remove_default_route(control, name)?;
        }
    }
    route(control, leases)
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
