//! Asking the kernel which rules it has, without netlink and without a process.
//!
//! Each table of Coop drops, on its way out of the host, a datagram to the discard port of the
//! loopback that carries a mark. A send that fails with `EPERM` is the kernel's word that the
//! rule is there. It costs three system calls, while a hash in a file would be wrong after
//! someone's `nft flush ruleset`. The rules sit in a `nat` chain, which only the first packet
//! of a connection walks through. So each question has to be one: it comes from any of the 16
//! million addresses of the loopback, since a port alone would soon be one from which the same was
//! asked within the 30 seconds for which the kernel remembers it, and then no rule is looked at.
//!
//! - A [`Mark`] is the datagram's 64 bits: one stands for the table, one for all of its content
//!   that is the network's.
//! - An [`EndMark`] is the datagram's source and destination, which is what an nft set can hold:
//!   it stands for the rules of one container's link, and the set is added to as containers
//!   come, without anything being replaced.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddrV4};

use rustix::io::Errno;
use rustix::net::{AddressFamily, SendFlags, SocketFlags, SocketType, bind, sendto, socket_with};
use rustix::rand::{GetRandomFlags, getrandom};

use crate::naming;

/// Where the datagram goes when no rule stops it.
pub(crate) const ADDRESS: Ipv4Addr = Ipv4Addr::LOCALHOST;
/// The discard service (RFC 863).
pub(crate) const PORT: u16 = 9;

/// A 64-bit mark, the payload of the datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Mark(u64);

/// A mark of a link's rules: two addresses of the loopback.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct EndMark {
    from: Ipv4Addr,
    to: Ipv4Addr,
}

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
        match any_address() {
            Ok(from) => ask(from, ADDRESS, &self.0.to_be_bytes()),
            Err(_) => Answer::Unknown,
        }
    }
}

impl EndMark {
    pub(crate) fn of(parts: &[&[u8]]) -> Self {
        let hash = naming::hash(parts).to_be_bytes();
        Self {
            from: loopback([hash[1], hash[2], hash[3]]),
            to: loopback([hash[5], hash[6], hash[7]]),
        }
    }

    /// As [`Mark::ask`].
    pub(crate) fn ask(self) -> Answer {
        ask(self.from, self.to, &[])
    }
}

/// An address of the loopback: neither the network's own nor its broadcast address.
fn loopback([a, b, c]: [u8; 3]) -> Ipv4Addr {
    Ipv4Addr::new(127, a, b, c % 254 + 1)
}

fn any_address() -> Result<Ipv4Addr, Errno> {
    let mut bytes = [0; 3];
    getrandom(&mut bytes, GetRandomFlags::empty())?;
    Ok(loopback(bytes))
}

/// Whether the answers mean anything. They do not where somebody else's rules drop the question
/// as well: on a host that lets out nothing but what it knows, all marks would seem to be there.
pub(crate) fn is_answer_to_be_believed() -> bool {
    const NOBODYS: &[&[u8]] = &[b"nobody has this mark"];
    Mark::of(NOBODYS).ask() != Answer::Present && EndMark::of(NOBODYS).ask() != Answer::Present
}

fn ask(from: Ipv4Addr, to: Ipv4Addr, payload: &[u8]) -> Answer {
    let send = || {
        let socket = socket_with(
            AddressFamily::INET,
            SocketType::DGRAM,
            SocketFlags::CLOEXEC,
            None,
        )?;
        bind(&socket, &SocketAddrV4::new(from, 0))?;
        let to = SocketAddrV4::new(to, PORT);
        sendto(&socket, payload, SendFlags::empty(), &to)
    };
    match send() {
        Err(Errno::PERM) => Answer::Present,
        Ok(_) => Answer::Absent,
        Err(_) => Answer::Unknown,
    }
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#018x}", self.0)
    }
}

impl fmt::Display for EndMark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} . {}", self.from, self.to)
    }
}
