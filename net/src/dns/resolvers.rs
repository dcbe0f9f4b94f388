//! The name servers of the host: `resolv.conf(5)`.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV6};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use crate::sys::Control;

/// The port of every name server.
pub(super) const PORT: u16 = 53;

/// The stub of systemd-resolved.
const STUB: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 53));
/// Where systemd-resolved writes the servers that it asks itself.
const BEHIND_STUB: &str = "/run/systemd/resolve/resolv.conf";

/// Who is asked, in this order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Resolvers {
    pub(super) servers: Rc<[SocketAddr]>,
    /// How long one is waited for.
    pub(super) timeout: Duration,
    /// How often each is asked.
    pub(super) attempts: u32,
}

/// A client asks again after five seconds: there is time for a second server before.
const TIMEOUT: Duration = Duration::from_secs(2);
const ATTEMPTS: u32 = 2;
/// As many as are of any use.
const SERVERS: usize = 8;

impl Default for Resolvers {
    fn default() -> Self {
        Self {
            servers: Rc::new([]),
            timeout: TIMEOUT,
            attempts: ATTEMPTS,
        }
    }
}

impl Resolvers {
    /// These servers, in place of the host's.
    pub(super) fn of(servers: impl Iterator<Item = IpAddr>) -> Self {
        Self {
            servers: { servers.take(SERVERS) }
                .map(|server| SocketAddr::new(server, PORT))
                .collect(),
            ..Self::default()
        }
    }

    /// What the text of a `resolv.conf` says. `scope` is the number of an interface.
    pub(super) fn parse(text: &str, scope: &dyn Fn(&str) -> Option<u32>) -> Self {
        let (mut servers, mut resolvers) = (Vec::new(), Self::default());
        for line in text.lines() {
            let mut words = line.split_whitespace();
            match words.next() {
                Some("nameserver") => {
                    servers.extend(words.next().and_then(|word| server(word, scope)));
                }
                Some("options") => words.for_each(|word| resolvers.option(word)),
                _ => {}
            }
        }
        servers.truncate(SERVERS);
        Self {
            servers: servers.into(),
            ..resolvers
        }
    }

    fn option(&mut self, word: &str) {
        let Some((name, Ok(number))) = word.split_once(':').map(|(n, v)| (n, v.parse::<u32>()))
        else {
            return;
        };
        match name {
            "timeout" => self.timeout = TIMEOUT.min(Duration::from_secs(number.max(1).into())),
            "attempts" => self.attempts = number.clamp(1, 3),
            _ => {}
        }
    }
}

fn server(word: &str, scope: &dyn Fn(&str) -> Option<u32>) -> Option<SocketAddr> {
    if let Some((address, interface)) = word.split_once('%') {
        let scope = interface.parse().ok().or_else(|| scope(interface))?;
        let address = address.parse().ok()?;
        return Some(SocketAddrV6::new(address, PORT, 0, scope).into());
    }
    let address: IpAddr = word.parse().ok()?;
    Some(SocketAddr::new(address, PORT))
}

/// The host's name servers, read again when the file is another one: a laptop changes its
/// network, a tunnel comes up.
#[derive(Debug)]
pub(super) struct HostResolvers {
    path: PathBuf,
    stamp: Option<(u64, i64, i64)>,
    resolvers: Resolvers,
}

impl HostResolvers {
    pub(super) fn new() -> Self {
        Self {
            path: "/etc/resolv.conf".into(),
            stamp: None,
            resolvers: Resolvers::default(),
        }
    }

    /// The servers as the file has them now, and whether that is news.
    pub(super) fn now(&mut self) -> (&Resolvers, bool) {
        let stamp = { fs::metadata(&self.path).ok() }
            .map(|state| (state.ino(), state.mtime(), state.mtime_nsec()));
        let is_news = stamp != self.stamp;
        if is_news {
            self.stamp = stamp;
            self.resolvers = read(&self.path, Path::new(BEHIND_STUB));
        }
        (&self.resolvers, is_news)
    }
}

/// No file, no servers. `behind` is the file of those behind the stub of systemd-resolved.
fn read(path: &Path, behind: &Path) -> Resolvers {
    let parse = |path: &Path| {
        let text = fs::read_to_string(path).unwrap_or_default();
        Resolvers::parse(&text, &interface)
    };
    let resolvers = parse(path);
    let is_stub = |server: &SocketAddr| server.ip() == STUB;
    if !resolvers.servers.iter().any(is_stub) {
        return resolvers;
    }
    // The stub knows which link's server knows what. Those behind it are asked when it is down.
    let behind = parse(behind);
    let servers = { resolvers.servers.iter().chain(&*behind.servers) }.copied();
    Resolvers {
        servers: servers.take(SERVERS).collect(),
        ..resolvers
    }
}

fn interface(name: &str) -> Option<u32> {
    let index = Control::open().ok()?.index(name).ok()??;
    index.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_and_options_of_the_host() {
        let text = "# by hand\nnameserver 192.0.2.1\nnameserver ::1 # here\nnameserver fe80::1%eth0\n\
                    nameserver fe80::2%7\nnameserver nonsense\nnameserver\nsearch example.org\n\
                    options timeout:1 attempts:9 rotate timeout:x\n";
        let resolvers = Resolvers::parse(text, &|name| (name == "eth0").then_some(4));
        let servers: Vec<_> = resolvers.servers.iter().map(ToString::to_string).collect();
        assert_eq!(
            servers,
            [
                "192.0.2.1:53",
                "[::1]:53",
                "[fe80::1%4]:53",
                "[fe80::2%7]:53"
            ]
        );
        assert_eq!(resolvers.timeout, Duration::from_secs(1));
        assert_eq!(resolvers.attempts, 3);
        let slow = Resolvers::parse("options timeout:30", &|_| None);
        assert_eq!(slow.timeout, TIMEOUT, "before the client gives up");
    }

    #[test]
    fn those_behind_the_stub_are_asked_when_it_does_not_answer() {
        let directory = tempfile::tempdir().unwrap();
        let [path, behind] = ["stub", "behind"].map(|name| directory.path().join(name));
        let servers = |text: &str| {
            fs::write(&path, text).unwrap();
            let servers = read(&path, &behind).servers;
            servers
                .iter()
                .map(|it| it.ip().to_string())
                .collect::<Vec<_>>()
        };
        let stub = "nameserver 127.0.0.53\noptions edns0 trust-ad\n";
        assert_eq!(servers(stub), ["127.0.0.53"]);
        fs::write(&behind, "nameserver 192.0.2.1\nnameserver 192.0.2.2\n").unwrap();
        assert_eq!(servers(stub), ["127.0.0.53", "192.0.2.1", "192.0.2.2"]);
        assert_eq!(
            servers("nameserver 127.0.0.1"),
            ["127.0.0.1"],
            "another one of the host's"
        );
    }

    #[test]
    fn a_file_that_changes_is_read_again() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("resolv.conf");
        let mut host = HostResolvers {
            path: path.clone(),
            ..HostResolvers::new()
        };
        assert!(host.now().0.servers.is_empty());
        let replace = |text: &str| {
            fs::write(path.with_extension("new"), text).unwrap();
            fs::rename(path.with_extension("new"), &path).unwrap();
        };
        replace("nameserver 192.0.2.1");
        let (resolvers, is_news) = host.now();
        assert_eq!((resolvers.servers.len(), is_news), (1, true));
        assert!(!host.now().1);
        replace("");
        let (resolvers, is_news) = host.now();
        assert_eq!((resolvers.servers.len(), is_news), (0, true));
    }
}
