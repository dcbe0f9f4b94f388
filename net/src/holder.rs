//! Who has a port: found in `/proc/net` and `/proc/*/fd`.

use std::fmt;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::ports::{PortMapping, Protocol};

/// A process with a socket on a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// The process.
    pub pid: u32,
    /// Its name, as in `ps`.
    pub command: String,
    /// The address and port that it has bound.
    pub address: SocketAddr,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} (pid {}), listening on {}",
            self.command, self.pid, self.address
        )
    }
}

/// A line of `/proc/net/tcp` and its kin.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    address: SocketAddr,
    state: u8,
    inode: u64,
}

/// See `include/net/tcp_states.h`.
const TIME_WAIT: u8 = 6;
const LISTEN: u8 = 10;

/// The process that is in the way of `mapping`, if it can be found.
pub(crate) fn find(mapping: &PortMapping) -> Option<Holder> {
    let tables = match mapping.protocol {
        Protocol::Tcp => ["tcp", "tcp6"],
        Protocol::Udp => ["udp", "udp6"],
        // The kernel's list of those is another one.
        Protocol::Sctp => return None,
    };
    let mut entries: Vec<Entry> = tables
        .iter()
        .filter_map(|table| fs::read_to_string(format!("/proc/thread-self/net/{table}")).ok())
        .flat_map(|text| parse(&text))
        .filter(|entry| entry.state != TIME_WAIT && in_the_way(mapping, entry.address))
        .collect();
    // A listener before the connections that it accepted.
    entries.sort_by_key(|entry| entry.state != LISTEN);
    entries.iter().find_map(|entry| {
        let pid = owner(entry.inode)?;
        let command = fs::read_to_string(format!("/proc/{pid}/comm"))
            .ok()?
            .trim_end()
            .to_owned();
        Some(Holder {
            pid,
            command,
            address: entry.address,
        })
    })
}

fn in_the_way(mapping: &PortMapping, address: SocketAddr) -> bool {
    let (bound, wanted) = (address.ip().to_canonical(), mapping.address());
    // A socket on :: has the port of every IPv4 address too, unless it says otherwise.
    let everywhere = address.ip().is_unspecified() && address.is_ipv6();
    let same_family = bound.is_ipv4() == wanted.is_ipv4();
    let any = bound.is_unspecified() || wanted.is_unspecified();
    address.port() == mapping.host_port && (everywhere || bound == wanted || (same_family && any))
}

pub(crate) fn parse(text: &str) -> Vec<Entry> {
    text.lines().skip(1).filter_map(parse_line).collect()
}

/// `sl local_address rem_address st tx:rx tr:tm retrnsmt uid timeout inode …`
fn parse_line(line: &str) -> Option<Entry> {
    let mut fields = line.split_whitespace().skip(1);
    let address = parse_address(fields.next()?)?;
    let state = u8::from_str_radix(fields.nth(1)?, 16).ok()?;
    let inode = fields.nth(5)?.parse().ok()?;
    Some(Entry {
        address,
        state,
        inode,
    })
}

/// An address is printed as 32-bit words in the byte order of the machine.
fn parse_address(text: &str) -> Option<SocketAddr> {
    let (address, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let word = |start: usize| {
        let digits = address.get(start * 8..start * 8 + 8)?;
        u32::from_str_radix(digits, 16).ok().map(u32::to_ne_bytes)
    };
    let ip: IpAddr = match address.len() {
        8 => Ipv4Addr::from(word(0)?).into(),
        32 => {
            let words = [word(0)?, word(1)?, word(2)?, word(3)?];
            let mut bytes = [0; 16];
            for (to, from) in bytes.chunks_exact_mut(4).zip(words) {
                to.copy_from_slice(&from);
            }
            Ipv6Addr::from(bytes).into()
        }
        _ => return None,
    };
    Some(SocketAddr::new(ip, port))
}

/// The first process with a descriptor of the socket `inode`.
fn owner(inode: u64) -> Option<u32> {
    let wanted = format!("socket:[{inode}]");
    fs::read_dir("/proc").ok()?.flatten().find_map(|entry| {
        let pid: u32 = entry.file_name().to_str()?.parse().ok()?;
        let mut descriptors = fs::read_dir(format!("/proc/{pid}/fd")).ok()?.flatten();
        descriptors
            .any(|fd| {
                fs::read_link(fd.path()).is_ok_and(|target| target.as_os_str() == wanted.as_str())
            })
            .then_some(pid)
    })
}

#[cfg(test)]
#[cfg(target_endian = "little")]
mod tests {
    use super::*;

    const TCP: &str = "\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1 0000 100 0 0 10 0
";
    const TCP6: &str = "\
  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000000000000000000000000000:0050 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 815 1 0000 100 0 0 10 0
";

    fn mapping(text: &str) -> PortMapping {
        PortMapping::parse(text).unwrap()[0]
    }

    #[test]
    fn lines_of_proc_are_read() {
        let entry = &parse(TCP)[0];
        assert_eq!(
            (entry.address.to_string().as_str(), entry.state, entry.inode),
            ("127.0.0.1:8080", LISTEN, 4711)
        );
        assert_eq!(parse(TCP6)[0].address.to_string(), "[::]:80");
        assert_eq!(parse("heading\n 0: garbage\n\n"), []);
    }

    #[test]
    fn a_dual_stack_socket_is_in_the_way_and_another_address_is_not() {
        assert!(in_the_way(&mapping("80:80"), parse(TCP6)[0].address));
        assert!(in_the_way(&mapping("8080:80"), parse(TCP)[0].address));
        assert!(!in_the_way(
            &mapping("127.0.0.2:8080:80"),
            parse(TCP)[0].address
        ));
        assert!(!in_the_way(
            &mapping("8080:80"),
            "[::1]:8080".parse().unwrap()
        ));
        assert!(in_the_way(
            &mapping("8080:80"),
            "[::ffff:127.0.0.1]:8080".parse().unwrap()
        ));
        let of_ipv6 = mapping("[::1]:8080:80");
        assert!(in_the_way(&of_ipv6, "[::1]:8080".parse().unwrap()));
        assert!(in_the_way(&of_ipv6, "[::]:8080".parse().unwrap()));
        assert!(!in_the_way(&of_ipv6, "0.0.0.0:8080".parse().unwrap()));
    }
}
