//! What a relay of published ports needs of sockets and rustix lacks.

use std::ffi::{c_int, c_void};
use std::mem::{MaybeUninit, size_of, size_of_val};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use rustix::io::{Errno, Result};

/// Who has sent a datagram, and to which address of this host: answers come from there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Met {
    pub(crate) client: SocketAddr,
    here: Option<Here>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Here {
    V4(Ipv4Addr),
    V6(Ipv6Addr, u32),
}

/// Room for the control message with an IPv4 or IPv6 destination, aligned as it has to be.
#[repr(C, align(8))]
struct Control([u8; 64]);

/// Lets the socket have addresses that are not this host's: `IP_TRANSPARENT` of ip(7). Takes
/// `CAP_NET_ADMIN` in the user namespace of the socket's network namespace.
pub(crate) fn set_transparent(socket: &OwnedFd, is_v6: bool) -> Result<()> {
    let (level, name) = if is_v6 {
        (libc::SOL_IPV6, libc::IPV6_TRANSPARENT)
    } else {
        (libc::SOL_IP, libc::IP_TRANSPARENT)
    };
    set_int(socket, level, name, 1)
}

/// Marks what the socket sends: `SO_MARK` of socket(7).
pub(crate) fn set_mark(socket: &OwnedFd, mark: u32) -> Result<()> {
    set_int(socket, libc::SOL_SOCKET, libc::SO_MARK, mark.cast_signed())
}

/// Has the kernel tell where each datagram was sent to.
pub(crate) fn tell_destinations(socket: &OwnedFd) -> Result<()> {
    match rustix::net::sockopt::socket_domain(socket)? {
        rustix::net::AddressFamily::INET6 => {
            // One that has both kinds is told of both.
            let _ = set_int(socket, libc::SOL_IP, libc::IP_PKTINFO, 1);
            set_int(socket, libc::SOL_IPV6, libc::IPV6_RECVPKTINFO, 1)
        }
        _ => set_int(socket, libc::SOL_IP, libc::IP_PKTINFO, 1),
    }
}

fn set_int(socket: impl AsFd, level: c_int, name: c_int, value: c_int) -> Result<()> {
    // SAFETY: the option is an int, and the kernel reads as much from `value`, which is one.
    let result = unsafe {
        libc::setsockopt(
            socket.as_fd().as_raw_fd(),
            level,
            name,
            (&raw const value).cast(),
            size_of::<c_int>() as libc::socklen_t,
        )
    };
    if result == 0 {
        Ok(())
    } else {
        Err(last_error())
    }
}

fn last_error() -> Errno {
    Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::IO)
}

/// One datagram, without waiting. `None`: its sender has no internet address.
pub(crate) fn receive_from(socket: &OwnedFd, buffer: &mut [u8]) -> Result<Option<(usize, Met)>> {
    // SAFETY: zeroes are a valid address of no family.
    let mut name: libc::sockaddr_storage = unsafe { std::mem::zeroed() };
    let mut control = Control([0; 64]);
    let mut part = libc::iovec {
        iov_base: buffer.as_mut_ptr().cast(),
        iov_len: buffer.len(),
    };
    // SAFETY: zeroes are a valid, empty message header.
    let mut message: libc::msghdr = unsafe { MaybeUninit::zeroed().assume_init() };
    message.msg_name = (&raw mut name).cast();
    message.msg_namelen = size_of_val(&name) as libc::socklen_t;
    message.msg_iov = &raw mut part;
    message.msg_iovlen = 1;
    message.msg_control = control.0.as_mut_ptr().cast();
    message.msg_controllen = control.0.len() as _;
    // SAFETY: name, part and control are writable for the lengths that the header says, and
    // live past the call.
    let length = unsafe {
        libc::recvmsg(
            socket.as_raw_fd(),
            &raw mut message,
            libc::MSG_DONTWAIT | libc::MSG_CMSG_CLOEXEC,
        )
    };
    let Ok(length) = usize::try_from(length) else {
        return Err(last_error());
    };
    let Some(client) = address(&name) else {
        return Ok(None);
    };
    let here = here(&message);
    Ok(Some((length, Met { client, here })))
}

fn address(name: &libc::sockaddr_storage) -> Option<SocketAddr> {
    match c_int::from(name.ss_family) {
        libc::AF_INET => {
            // SAFETY: the family says that this is what the storage has, which is large enough
            // and aligned for all of them.
            let it = unsafe { &*(&raw const *name).cast::<libc::sockaddr_in>() };
            let ip = Ipv4Addr::from(u32::from_be(it.sin_addr.s_addr));
            Some(SocketAddrV4::new(ip, u16::from_be(it.sin_port)).into())
        }
        libc::AF_INET6 => {
            // SAFETY: as above.
            let it = unsafe { &*(&raw const *name).cast::<libc::sockaddr_in6>() };
            let ip = Ipv6Addr::from(it.sin6_addr.s6_addr);
            let port = u16::from_be(it.sin6_port);
            Some(SocketAddrV6::new(ip, port, 0, it.sin6_scope_id).into())
        }
        _ => None,
    }
}

/// The destination that the kernel has told.
fn here(message: &libc::msghdr) -> Option<Here> {
    // SAFETY: the header is the kernel's answer: its control messages are within the buffer
    // that it points to, which is alive.
    let mut header = unsafe { libc::CMSG_FIRSTHDR(message) };
    while !header.is_null() {
        // SAFETY: not null, and within the buffer; see above.
        let (kind, data) = unsafe {
            (
                ((*header).cmsg_level, (*header).cmsg_type),
                libc::CMSG_DATA(header),
            )
        };
        match kind {
            (libc::SOL_IP, libc::IP_PKTINFO) => {
                // SAFETY: a message of this kind has this content; it need not be aligned.
                let info = unsafe { data.cast::<libc::in_pktinfo>().read_unaligned() };
                return Some(Here::V4(u32::from_be(info.ipi_addr.s_addr).into()));
            }
            (libc::SOL_IPV6, libc::IPV6_PKTINFO) => {
                // SAFETY: as above.
                let info = unsafe { data.cast::<libc::in6_pktinfo>().read_unaligned() };
                let index = info.ipi6_ifindex;
                return Some(Here::V6(info.ipi6_addr.s6_addr.into(), index));
            }
            _ => {}
        }
        // SAFETY: as for the first one.
        header = unsafe { libc::CMSG_NXTHDR(message, header) };
    }
    None
}

/// Sends one datagram to who was met, from the address at which it was met, without waiting.
pub(crate) fn send_to(socket: &OwnedFd, bytes: &[u8], met: &Met) -> Result<()> {
    let name = rustix::net::SocketAddrAny::from(met.client);
    let mut control = Control([0; 64]);
    let mut part = libc::iovec {
        // The kernel only reads it.
        iov_base: bytes.as_ptr().cast_mut().cast(),
        iov_len: bytes.len(),
    };
    // SAFETY: zeroes are a valid, empty message header.
    let mut message: libc::msghdr = unsafe { MaybeUninit::zeroed().assume_init() };
    message.msg_name = name.as_ptr().cast_mut().cast::<c_void>();
    message.msg_namelen = name.addr_len();
    message.msg_iov = &raw mut part;
    message.msg_iovlen = 1;
    match met.here {
        Some(Here::V4(here)) => {
            let info = libc::in_pktinfo {
                ipi_ifindex: 0,
                ipi_spec_dst: libc::in_addr {
                    s_addr: u32::from(here).to_be(),
                },
                ipi_addr: libc::in_addr { s_addr: 0 },
            };
            put(
                &mut message,
                &mut control,
                (libc::SOL_IP, libc::IP_PKTINFO),
                info,
            );
        }
        Some(Here::V6(here, index)) => {
            let info = libc::in6_pktinfo {
                ipi6_addr: libc::in6_addr {
                    s6_addr: here.octets(),
                },
                ipi6_ifindex: index as _,
            };
            put(
                &mut message,
                &mut control,
                (libc::SOL_IPV6, libc::IPV6_PKTINFO),
                info,
            );
        }
        None => {}
    }
    let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
    // SAFETY: name, part and control are readable for the lengths that the header says, and
    // live past the call.
    let sent = unsafe { libc::sendmsg(socket.as_raw_fd(), &raw const message, flags) };
    if sent < 0 { Err(last_error()) } else { Ok(()) }
}

/// Makes `info` the only control message.
fn put<T>(
    message: &mut libc::msghdr,
    control: &mut Control,
    (level, kind): (c_int, c_int),
    info: T,
) {
    let size = size_of::<T>() as u32;
    // SAFETY: arithmetic on a number.
    let (space, length) = unsafe { (libc::CMSG_SPACE(size), libc::CMSG_LEN(size)) };
    debug_assert!(space as usize <= control.0.len());
    message.msg_control = control.0.as_mut_ptr().cast();
    message.msg_controllen = space as _;
    // SAFETY: the buffer is aligned and has room for one message of this size: the largest is
    // an IPv6 destination, 20 bytes after a header of 16.
    unsafe {
        let header = libc::CMSG_FIRSTHDR(message);
        (*header).cmsg_level = level;
        (*header).cmsg_type = kind;
        (*header).cmsg_len = length as _;
        libc::CMSG_DATA(header).cast::<T>().write_unaligned(info);
    }
}
