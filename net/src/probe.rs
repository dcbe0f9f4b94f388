//! Asking the kernel which ruleset it has, without netlink and without a process.
//!
//! Each table of Coop drops, on its way out of the host, a datagram to the discard port
//! of 127.0.0.1 that carries one of two 64-bit marks: one stands for the table, one for
//! its exact content. A send that fails with `EPERM` is the kernel's word that the rule
//! is there. It costs three system calls, while a hash in a file would be wrong after
//! someone's `nft flush ruleset`. The rule sits in a `nat` chain, which only the first
//! packet of a connection walks through.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddrV4};

use rustix::io::Errno;
use rustix::net::{AddressFamily, SendFlags, SocketFlags, SocketType, sendto, socket_with};

use crate::naming;

/// Where the datagram goes when no rule stops it.
pub(crate) const ADDRESS: Ipv4Addr = Ipv4Addr::LOCALHOST;
/// The discard service (RFC 863).
pub(crate) const PORT: u16 = 9;

/// A 64-bit mark, the payload of the datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Mark(u64);

/// What the kernel answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    /// A rule with this mark exists.
    Present,
    /// There is none.
    Absent,
    /// The host's loopback is down, or there is no memory: better assume the worst.
    Unknown,
}

impl Mark {
    pub(crate) fn of(parts: &[&[u8]]) -> Self {
        Self(naming::hash(parts))
    }

    /// Asks whether a rule with this mark exists in the current network namespace.
    pub(crate) fn ask(self) -> Answer {
        let send = || {
            let socket = socket_with(
                AddressFamily::INET,
                SocketType::DGRAM,
                SocketFlags::CLOEXEC,
                None,
            )?;
            sendto(
                &socket,
                &self.0.to_be_bytes(),
                SendFlags::empty(),
                &SocketAddrV4::new(ADDRESS, PORT),
            )
        };
        match send() {
            Err(Errno::PERM) => Answer::Present,
            Ok(_) => Answer::Absent,
            Err(_) => Answer::Unknown,
        }
    }
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#018x}", self.0)
    }
}
