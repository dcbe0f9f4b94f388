//! The ioctls on IPv6 addresses and routes: see ipv6(7).

use std::ffi::{c_int, c_ulong, c_void};
use std::net::{Ipv6Addr, SocketAddrV6};
use std::os::fd::{AsFd, OwnedFd};

use rustix::io::{Errno, Result};
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, socket_with};

use crate::sys::ioctl;

/// A socket to send IPv6 ioctls through.
#[derive(Debug)]
pub(crate) struct Control6(OwnedFd);

/// `struct in6_ifreq` of `linux/ipv6.h`.
#[repr(C)]
struct AddressRequest {
    address: [u8; 16],
    prefix_len: u32,
    index: c_int,
}

/// `struct in6_rtmsg` of `linux/ipv6_route.h`.
#[repr(C)]
struct RouteRequest {
    dst: [u8; 16],
    src: [u8; 16],
    gateway: [u8; 16],
    kind: u32,
    dst_len: u16,
    src_len: u16,
    metric: u32,
    info: c_ulong,
    flags: u32,
    index: c_int,
}

/// The metric that the kernel gives a route without one: `IP6_RT_PRIO_USER`.
const METRIC: u32 = 1024;

fn socket() -> Result<OwnedFd> {
    socket_with(
        AddressFamily::INET6,
        SocketType::DGRAM,
        SocketFlags::CLOEXEC,
        None,
    )
}

impl Control6 {
    pub(crate) fn open() -> Result<Self> {
        socket().map(Self)
    }

    /// Gives the interface one more address; fine when it has it.
    pub(crate) fn add_address(
        &self,
        index: c_int,
        address: Ipv6Addr,
        prefix_len: u8,
    ) -> Result<()> {
        let mut request = AddressRequest {
            address: address.octets(),
            prefix_len: prefix_len.into(),
            index,
        };
        match self.ioctl(libc::SIOCSIFADDR, (&raw mut request).cast()) {
            Err(Errno::EXIST) => Ok(()),
            other => other,
        }
    }

    /// Adds `default via gateway`.
    pub(crate) fn add_default_route(&self, index: c_int, gateway: Ipv6Addr) -> Result<()> {
        let flags = libc::RTF_UP | libc::RTF_GATEWAY;
        self.default_route(libc::SIOCADDRT, index, gateway, flags)
    }

    /// Removes the default route by this interface; fine when there is none.
    pub(crate) fn remove_default_route(&self, index: c_int) -> Result<()> {
        let any = Ipv6Addr::UNSPECIFIED;
        match self.default_route(libc::SIOCDELRT, index, any, libc::RTF_UP) {
            Err(Errno::SRCH) => Ok(()),
            other => other,
        }
    }

    fn default_route(
        &self,
        operation: c_ulong,
        index: c_int,
        gateway: Ipv6Addr,
        flags: u16,
    ) -> Result<()> {
        let mut request = RouteRequest {
            dst: [0; 16],
            src: [0; 16],
            gateway: gateway.octets(),
            kind: 0,
            dst_len: 0,
            src_len: 0,
            metric: METRIC,
            info: 0,
            flags: flags.into(),
            index,
        };
        self.ioctl(operation, (&raw mut request).cast())
    }

    fn ioctl(&self, operation: c_ulong, argument: *mut c_void) -> Result<()> {
        // SAFETY: every caller in this file passes a pointer to the live structure that
        // `operation` reads, with the layout the kernel expects.
        unsafe { ioctl(self.0.as_fd(), operation, argument) }
    }
}

/// Whether this host has the address, and may use it: not while the kernel still asks whether
/// somebody else has it (RFC 4862, 5.4).
pub(crate) fn is_usable(address: Ipv6Addr) -> Result<bool> {
    match bind(&socket()?, &SocketAddrV6::new(address, 0, 0, 0)) {
        Ok(()) => Ok(true),
        Err(Errno::ADDRNOTAVAIL) => Ok(false),
        Err(errno) => Err(errno),
    }
}
