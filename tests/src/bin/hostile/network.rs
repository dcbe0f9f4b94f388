//! The host's network, and other containers.

use std::fs;
use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr as UnixAddr, UnixStream};
use std::time::Duration;

use crate::{Attack, Attempt, Denied, attack, word};

pub(crate) const ATTACKS: &[Attack] = &[
    attack("see-link", see_link),
    attack("connect", connect),
    attack("abstract-socket", abstract_socket),
    attack("set-link-down", set_link_down),
    attack("read-rules", read_rules),
    attack("shared-memory", shared_memory),
];

/// An interface of the host. Not by `/sys/class/net`, which shows the namespace that it was
/// mounted in.
fn see_link(words: &[String]) -> Attempt {
    let links = fs::read_to_string("/proc/net/dev")?;
    let name = format!("{}:", word(words, 0)?);
    if links.lines().any(|line| line.trim().starts_with(&name)) {
        return Ok(format!("there is {name}"));
    }
    Err(Denied::of("not there"))
}

fn connect(words: &[String]) -> Attempt {
    let address: SocketAddr = word(words, 0)?
        .parse()
        .map_err(|_| Denied::of("a word that is no address"))?;
    // What is dropped on the way is never answered.
    match TcpStream::connect_timeout(&address, Duration::from_secs(3)) {
        Ok(_) => Ok("connected".into()),
        Err(error) if error.kind() == ErrorKind::TimedOut => Err(Denied::of("no answer")),
        Err(error) => Err(error.into()),
    }
}

/// One that has a name in the network namespace, and no file (CVE-2020-15257).
fn abstract_socket(words: &[String]) -> Attempt {
    let address = UnixAddr::from_abstract_name(word(words, 0)?)?;
    UnixStream::connect_addr(&address)?;
    Ok("connected".into())
}

/// `RTM_SETLINK`: takes the loopback interface down.
fn set_link_down(_: &[String]) -> Attempt {
    const LOOPBACK: i32 = 1;
    let mut body = vec![0_u8; 16];
    body[4..8].copy_from_slice(&LOOPBACK.to_ne_bytes());
    // Of the flags, only this one is meant, and it is off.
    body[12..16].copy_from_slice(&(libc::IFF_UP as u32).to_ne_bytes());
    ask(libc::NETLINK_ROUTE, libc::RTM_SETLINK, &body)?;
    Ok("the loopback interface is down".into())
}

/// `NFT_MSG_GETGEN`: the generation of the namespace's rules.
fn read_rules(_: &[String]) -> Attempt {
    const NFNL_SUBSYS_NFTABLES: u16 = 10;
    const NFT_MSG_GETGEN: u16 = 16;
    let kind = NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETGEN;
    ask(libc::NETLINK_NETFILTER, kind, &[0, 0, 0, 0])?;
    Ok("nf_tables answers".into())
}

/// Sends one netlink message, and reads what the kernel says of it.
fn ask(protocol: i32, kind: u16, body: &[u8]) -> Result<(), Denied> {
    let flags = libc::SOCK_RAW | libc::SOCK_CLOEXEC;
    // SAFETY: only numbers are passed.
    let socket = unsafe { libc::socket(libc::AF_NETLINK, flags, protocol) };
    if socket < 0 {
        return Err(io::Error::last_os_error().into());
    }
    // SAFETY: the descriptor was made just now, and is nobody else's.
    let socket = unsafe { OwnedFd::from_raw_fd(socket) };

    let length = u32::try_from(16 + body.len()).map_err(|_| Denied::of("too long"))?;
    let flags = (libc::NLM_F_REQUEST | libc::NLM_F_ACK) as u16;
    let mut message = Vec::new();
    message.extend(length.to_ne_bytes());
    message.extend(kind.to_ne_bytes());
    message.extend(flags.to_ne_bytes());
    message.extend([0; 8]);
    message.extend(body);
    rustix::io::write(&socket, &message)?;

    let mut answer = [0_u8; 4096];
    // SAFETY: the buffer is as long as it is said to be.
    let length = unsafe {
        libc::recv(
            socket.as_raw_fd(),
            answer.as_mut_ptr().cast(),
            answer.len(),
            0,
        )
    };
    if length < 20 {
        return Err(io::Error::last_os_error().into());
    }
    let is_error = u16::from_ne_bytes([answer[4], answer[5]]) == libc::NLMSG_ERROR as u16;
    let errno = i32::from_ne_bytes([answer[16], answer[17], answer[18], answer[19]]);
    if is_error && errno != 0 {
        return Err(io::Error::from_raw_os_error(-errno).into());
    }
    Ok(())
}

/// System V shared memory of the host.
fn shared_memory(words: &[String]) -> Attempt {
    let key = crate::number(words, 0)?;
    // SAFETY: only numbers are passed.
    let id = unsafe { libc::shmget(key, 0, 0) };
    if id < 0 {
        return Err(io::Error::last_os_error().into());
    }
    Ok(format!("segment {id}"))
}
