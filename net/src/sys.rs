//! The ioctls on network interfaces that rustix lacks, behind typed calls.
//!
//! See netdevice(7). All of them act on the network namespace of the calling thread at
//! the time of [`Control::open`].

pub(crate) mod relay;

use std::ffi::{c_char, c_int, c_short, c_ulong, c_ushort, c_void};
use std::net::Ipv4Addr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::Command;

use rustix::io::{Errno, FdFlags, Result, fcntl_setfd};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};

use crate::mac::Mac;

// linux/sockios.h and linux/ethtool.h; the libc crate has them only for some targets.
const SIOCBRADDBR: c_ulong = 0x89a0;
const SIOCBRDELBR: c_ulong = 0x89a1;
const ETHTOOL_GDRVINFO: u32 = 0x3;
const ETHTOOL_GLINK: u32 = 0xa;

/// A socket to send interface ioctls through.
#[derive(Debug)]
pub(crate) struct Control(OwnedFd);

/// `struct ethtool_value` of linux/ethtool.h.
#[repr(C)]
struct Value {
    cmd: u32,
    data: u32,
}

/// `struct ethtool_drvinfo` of linux/ethtool.h.
#[repr(C)]
struct DriverInfo {
    cmd: u32,
    driver: [u8; 32],
    rest: [u8; 160],
}

/// `struct rtentry` of linux/route.h, which the libc crate has only for some targets.
#[repr(C)]
struct RouteEntry {
    pad1: c_ulong,
    dst: libc::sockaddr,
    gateway: libc::sockaddr,
    genmask: libc::sockaddr,
    flags: c_ushort,
    pad2: c_short,
    pad3: c_ulong,
    pad4: *mut c_void,
    metric: c_short,
    dev: *mut c_char,
    mtu: c_ulong,
    window: c_ulong,
    irtt: c_ushort,
}

impl Control {
    pub(crate) fn open() -> Result<Self> {
        socket_with(
            AddressFamily::INET,
            SocketType::DGRAM,
            SocketFlags::CLOEXEC,
            None,
        )
        .map(Self)
    }

    /// Makes a bridge; `EEXIST` when an interface of that name exists.
    pub(crate) fn add_bridge(&self, name: &str) -> Result<()> {
        let mut request = request(name)?;
        self.ioctl(SIOCBRADDBR, request.ifr_name.as_mut_ptr().cast())
    }

    /// Removes a bridge that is down; its ports become free.
    pub(crate) fn delete_bridge(&self, name: &str) -> Result<()> {
        let mut request = request(name)?;
        self.ioctl(SIOCBRDELBR, request.ifr_name.as_mut_ptr().cast())
    }

    /// The index of an interface, `None` when there is none of that name.
    pub(crate) fn index(&self, name: &str) -> Result<Option<c_int>> {
        let mut request = request(name)?;
        match self.interface(libc::SIOCGIFINDEX, &mut request) {
            // SAFETY: SIOCGIFINDEX fills this member of the union.
            Ok(()) => Ok(Some(unsafe { request.ifr_ifru.ifru_ifindex })),
            Err(Errno::NODEV) => Ok(None),
            Err(errno) => Err(errno),
        }
    }

    /// The IPv4 address and netmask of an interface, `None` when it has none.
    pub(crate) fn address(&self, name: &str) -> Result<Option<(Ipv4Addr, Ipv4Addr)>> {
        let read = |operation| {
            let mut request = request(name)?;
            match self.interface(operation, &mut request) {
                // SAFETY: both operations fill this member of the union.
                Ok(()) => Ok(Some(from_sockaddr(unsafe { request.ifr_ifru.ifru_addr }))),
                Err(Errno::ADDRNOTAVAIL) => Ok(None),
                Err(errno) => Err(errno),
            }
        };
        let address = read(libc::SIOCGIFADDR)?;
        Ok(address.zip(read(libc::SIOCGIFNETMASK)?))
    }

    /// Gives the interface its first address; the netmask becomes that of its class.
    pub(crate) fn set_address(&self, name: &str, address: Ipv4Addr) -> Result<()> {
        let mut request = request(name)?;
        request.ifr_ifru.ifru_addr = to_sockaddr(address);
        self.interface(libc::SIOCSIFADDR, &mut request)
    }

    /// Sets the netmask of the first address, and the broadcast address with it.
    pub(crate) fn set_netmask(&self, name: &str, netmask: Ipv4Addr) -> Result<()> {
        let mut request = request(name)?;
        request.ifr_ifru.ifru_netmask = to_sockaddr(netmask);
        self.interface(libc::SIOCSIFNETMASK, &mut request)
    }

    pub(crate) fn set_mtu(&self, name: &str, mtu: u32) -> Result<()> {
        let mut request = request(name)?;
        request.ifr_ifru.ifru_mtu = c_int::try_from(mtu).map_err(|_| Errno::INVAL)?;
        self.interface(libc::SIOCSIFMTU, &mut request)
    }

    pub(crate) fn set_mac(&self, name: &str, mac: Mac) -> Result<()> {
        let mut request = request(name)?;
        let mut address = to_sockaddr(Ipv4Addr::UNSPECIFIED);
        address.sa_family = libc::ARPHRD_ETHER;
        for (to, from) in address.sa_data.iter_mut().zip(mac.0) {
            *to = from as c_char;
        }
        request.ifr_ifru.ifru_hwaddr = address;
        self.interface(libc::SIOCSIFHWADDR, &mut request)
    }

    pub(crate) fn is_up(&self, name: &str) -> Result<bool> {
        Ok(self.flags(name)? & IFF_UP != 0)
    }

    pub(crate) fn set_up(&self, name: &str) -> Result<()> {
        self.set_flags(name, self.flags(name)? | IFF_UP)
    }

    pub(crate) fn set_down(&self, name: &str) -> Result<()> {
        self.set_flags(name, self.flags(name)? & !IFF_UP)
    }

    /// Adds `default via gateway dev name`.
    pub(crate) fn add_default_route(&self, name: &str, gateway: Ipv4Addr) -> Result<()> {
        let flags = libc::RTF_UP | libc::RTF_GATEWAY;
        self.default_route(libc::SIOCADDRT, name, gateway, flags)
    }

    fn default_route(
        &self,
        operation: c_ulong,
        name: &str,
        gateway: Ipv4Addr,
        flags: c_ushort,
    ) -> Result<()> {
        let mut device = request(name)?;
        let any = to_sockaddr(Ipv4Addr::UNSPECIFIED);
        let mut route = RouteEntry {
            pad1: 0,
            dst: any,
            gateway: to_sockaddr(gateway),
            genmask: any,
            flags,
            pad2: 0,
            pad3: 0,
            pad4: std::ptr::null_mut(),
            metric: 0,
            // `device` outlives the call below, which is all that reads this pointer.
            dev: device.ifr_name.as_mut_ptr(),
            mtu: 0,
            window: 0,
            irtt: 0,
        };
        self.ioctl(operation, (&raw mut route).cast())
    }

    /// Whether the link has a carrier, after everything that a change of the carrier
    /// leads to has been done: the kernel's `ethtool_op_get_link` does not wait for its
    /// work queue (`linkwatch_sync_dev`). No privilege is needed.
    pub(crate) fn settle(&self, name: &str) -> Result<bool> {
        let mut value = Value {
            cmd: ETHTOOL_GLINK,
            data: 0,
        };
        let mut request = request(name)?;
        request.ifr_ifru.ifru_data = (&raw mut value).cast();
        self.interface(libc::SIOCETHTOOL, &mut request)?;
        Ok(value.data != 0)
    }

    /// The name of the driver of an interface: `bridge`, `veth`, `virtio_net`, …
    pub(crate) fn driver(&self, name: &str) -> Result<String> {
        let mut info = DriverInfo {
            cmd: ETHTOOL_GDRVINFO,
            driver: [0; 32],
            rest: [0; 160],
        };
        let mut request = request(name)?;
        request.ifr_ifru.ifru_data = (&raw mut info).cast();
        self.interface(libc::SIOCETHTOOL, &mut request)?;
        let end = info
            .driver
            .iter()
            .position(|&byte| byte == 0)
            .unwrap_or(info.driver.len());
        Ok(String::from_utf8_lossy(&info.driver[..end]).into_owned())
    }

    fn flags(&self, name: &str) -> Result<i16> {
        let mut request = request(name)?;
        self.interface(libc::SIOCGIFFLAGS, &mut request)?;
        // SAFETY: SIOCGIFFLAGS fills this member of the union.
        Ok(unsafe { request.ifr_ifru.ifru_flags })
    }

    fn set_flags(&self, name: &str, flags: i16) -> Result<()> {
        let mut request = request(name)?;
        request.ifr_ifru.ifru_flags = flags;
        self.interface(libc::SIOCSIFFLAGS, &mut request)
    }

    fn interface(&self, operation: c_ulong, request: &mut libc::ifreq) -> Result<()> {
        self.ioctl(operation, (&raw mut *request).cast())
    }

    fn ioctl(&self, operation: c_ulong, argument: *mut c_void) -> Result<()> {
        // SAFETY: every caller in this file passes a pointer to the live structure that
        // `operation` reads or fills, with the size the kernel expects.
        unsafe { ioctl(self.0.as_fd(), operation, argument) }
    }

    /// Removes the default route by this interface; fine when there is none.
    pub(crate) fn remove_default_route(&self, name: &str) -> Result<()> {
        let any = Ipv4Addr::UNSPECIFIED;
        match self.default_route(libc::SIOCDELRT, name, any, libc::RTF_UP) {
            Err(Errno::SRCH) => Ok(()),
            other => other,
        }
    }
}

/// # Safety
/// `argument` points to the live structure that `operation` reads or fills.
pub(crate) unsafe fn ioctl(
    socket: BorrowedFd<'_>,
    operation: c_ulong,
    argument: *mut c_void,
) -> Result<()> {
    // SAFETY: as promised by the caller; the kernel checks the operation.
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), operation as _, argument) };
    if result >= 0 {
        return Ok(());
    }
    Err(Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::IO))
}

const IFF_UP: i16 = libc::IFF_UP as i16;

fn request(name: &str) -> Result<libc::ifreq> {
    // SAFETY: ifreq is an array of bytes and a union of plain data and a pointer that
    // may be null: zero is a valid value.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    // The last byte stays zero: the kernel reads the name as a C string.
    if name.is_empty() || name.len() >= request.ifr_name.len() || name.contains('\0') {
        return Err(Errno::INVAL);
    }
    for (to, from) in request.ifr_name.iter_mut().zip(name.bytes()) {
        *to = from as c_char;
    }
    Ok(request)
}

/// `struct sockaddr_in` in its generic form: two bytes of port, then the address.
fn to_sockaddr(address: Ipv4Addr) -> libc::sockaddr {
    let mut generic = libc::sockaddr {
        sa_family: libc::AF_INET as libc::sa_family_t,
        sa_data: [0; 14],
    };
    for (to, from) in generic.sa_data[2..].iter_mut().zip(address.octets()) {
        *to = from as c_char;
    }
    generic
}

fn from_sockaddr(address: libc::sockaddr) -> Ipv4Addr {
    let [_, _, a, b, c, d, ..] = address.sa_data;
    Ipv4Addr::from([a, b, c, d].map(|byte| byte as u8))
}

/// Has the program that `command` starts keep these descriptors, under their numbers.
pub(crate) fn keep_on_exec(command: &mut Command, kept: Vec<OwnedFd>) {
    let keep = move || {
        for descriptor in &kept {
            fcntl_setfd(descriptor, FdFlags::empty())?;
        }
        Ok(())
    };
    // SAFETY: between fork and exec the closure makes system calls on descriptors that it owns,
    // and nothing else: it takes no lock and no memory.
    unsafe { command.pre_exec(keep) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_survive_the_generic_form() {
        let address = Ipv4Addr::new(10, 208, 255, 1);
        assert_eq!(from_sockaddr(to_sockaddr(address)), address);
    }

    #[test]
    fn a_name_too_long_never_reaches_the_kernel() {
        assert!(matches!(request("0123456789abcdef"), Err(Errno::INVAL)));
        assert!(matches!(request(""), Err(Errno::INVAL)));
    }

    #[test]
    fn loopback_is_there_and_a_stranger_is_not() {
        let control = Control::open().unwrap();
        assert_eq!(control.index("lo"), Ok(Some(1)));
        assert_eq!(control.index("coop-none"), Ok(None));
    }
}
