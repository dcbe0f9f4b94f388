//! Network namespaces as threads: each has its own, and does what it is told. A thread
//! in a namespace is enough of a container for `ip`, which finds it by its thread id,
//! and enough of a host for the crate, which looks at `/proc/thread-self`.
#![allow(dead_code, clippy::unwrap_used)]

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::Duration;

use coop_net::{
    HostSocket, Ipv6Spec, Lease, LeaseRequest, LinkBatch, NetworkSpec, Networks, PortMapping,
};
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketType, ipproto, recv, sendto, socket, sockopt,
};
use rustix::process::Pid;
use rustix::thread::{UnshareFlags, gettid, unshare_unsafe};

/// Long enough for a packet on a busy machine, short enough to wait for one that must
/// not come. A machine for which `COOP_TEST_TIMEOUT` is set is an emulated one.
fn patience() -> Duration {
    match std::env::var_os("COOP_TEST_TIMEOUT") {
        Some(_) => Duration::from_secs(6),
        None => Duration::from_millis(700),
    }
}

pub(crate) fn is_root(test: &str) -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        eprintln!("{test}: skipped: network namespaces need root");
    }
    root
}

type Job = Box<dyn FnOnce() + Send>;

/// A network namespace.
pub(crate) struct Ns {
    pub(crate) pid: Pid,
    jobs: Option<Sender<Job>>,
    thread: Option<thread::JoinHandle<()>>,
    stop: Arc<AtomicBool>,
}

impl Ns {
    pub(crate) fn new() -> Self {
        let (jobs, work) = channel::<Job>();
        let (born, wait) = channel();
        let thread = thread::spawn(move || {
            // SAFETY: a network namespace of its own takes no descriptor and no memory
            // away from the other threads.
            unsafe { unshare_unsafe(UnshareFlags::NEWNET) }.unwrap();
            born.send(gettid()).unwrap();
            for job in work {
                job();
            }
        });
        let pid = wait.recv().unwrap();
        Self {
            pid,
            jobs: Some(jobs),
            thread: Some(thread),
            stop: Arc::default(),
        }
    }

    /// Runs `job` in the namespace.
    pub(crate) fn run<T: Send + 'static>(&self, job: impl FnOnce() -> T + Send + 'static) -> T {
        let (done, result) = channel();
        let job = move || done.send(catch_unwind(AssertUnwindSafe(job))).unwrap();
        self.jobs.as_ref().unwrap().send(Box::new(job)).unwrap();
        result
            .recv()
            .unwrap()
            .unwrap_or_else(|panic| resume_unwind(panic))
    }

    /// Runs `ip`, `nft` and the like in the namespace.
    pub(crate) fn sh(&self, command: &str) -> String {
        let command = command.to_owned();
        self.run(move || {
            let output = Command::new("/bin/sh")
                .args(["-ec", &command])
                .output()
                .unwrap();
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            assert!(
                output.status.success(),
                "{command}: {}",
                String::from_utf8_lossy(&output.stderr)
            );
            text
        })
    }

    /// Answers every TCP connection and UDP datagram to `port` with its own name and the
    /// address that the other one has, as seen here.
    pub(crate) fn serve(&self, name: &'static str, address: &str, port: u16) {
        let address: IpAddr = address.parse().unwrap();
        let stop = self.stop.clone();
        self.run(move || {
            let tcp = TcpListener::bind((address, port)).unwrap();
            let udp = UdpSocket::bind((address, port)).unwrap();
            tcp.set_nonblocking(true).unwrap();
            udp.set_read_timeout(Some(Duration::from_millis(5)))
                .unwrap();
            // A thread starts in the namespace of the one that makes it.
            thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    if let Ok((mut peer, from)) = tcp.accept() {
                        let _ = write!(peer, "{name} sees {}", from.ip());
                    }
                    let mut buffer = [0; 16];
                    if let Ok((_, from)) = udp.recv_from(&mut buffer) {
                        let _ = udp.send_to(format!("{name} sees {}", from.ip()).as_bytes(), from);
                    }
                }
            });
        });
    }

    /// Connects by TCP; the answer, `None` when there is no way.
    pub(crate) fn tcp(&self, address: &str, port: u16) -> Option<String> {
        let address: IpAddr = address.parse().unwrap();
        self.run(move || {
            let mut stream =
                TcpStream::connect_timeout(&SocketAddr::new(address, port), patience()).ok()?;
            stream.set_read_timeout(Some(patience())).unwrap();
            let mut text = String::new();
            stream.read_to_string(&mut text).ok()?;
            Some(text)
        })
    }

    /// Sends a datagram; the answer, `None` when there is none.
    pub(crate) fn udp(&self, address: &str, port: u16) -> Option<String> {
        let address: IpAddr = address.parse().unwrap();
        self.run(move || {
            let any = if address.is_ipv4() {
                "0.0.0.0:0"
            } else {
                "[::]:0"
            };
            let socket = UdpSocket::bind(any).unwrap();
            socket.set_read_timeout(Some(patience())).unwrap();
            socket.connect((address, port)).ok()?;
            socket.send(b"hello").ok()?;
            let mut buffer = [0; 64];
            let length = socket.recv(&mut buffer).ok()?;
            Some(String::from_utf8_lossy(&buffer[..length]).into_owned())
        })
    }

    /// Whether an ICMP echo request is answered.
    pub(crate) fn ping(&self, address: &str) -> bool {
        let address: Ipv4Addr = address.parse().unwrap();
        self.run(move || {
            let socket = socket(AddressFamily::INET, SocketType::RAW, Some(ipproto::ICMP)).unwrap();
            sockopt::set_socket_timeout(&socket, sockopt::Timeout::Recv, Some(patience())).unwrap();
            // Type 8, code 0, checksum, id 0x1234, sequence 1.
            let echo = [8, 0, 0xe5, 0xca, 0x12, 0x34, 0, 1];
            if sendto(
                &socket,
                &echo,
                SendFlags::empty(),
                &SocketAddr::new(address.into(), 0),
            )
            .is_err()
            {
                return false;
            }
            let mut packet = [0; 64];
            while let Ok((length, _)) = recv(&socket, &mut packet, RecvFlags::empty()) {
                // An IP header without options comes first; type 0 is the reply.
                if length >= 28
                    && packet[12..16] == address.octets()
                    && packet[20] == 0
                    && packet[24..26] == [0x12, 0x34]
                {
                    return true;
                }
            }
            false
        })
    }
}

impl Drop for Ns {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        drop(self.jobs.take());
        let _ = self.thread.take().map(thread::JoinHandle::join);
    }
}

/// A host with a state directory, and a machine elsewhere that knows nothing of
/// containers.
///
/// ```text
/// outside 203.0.113.1 --- 203.0.113.2 uplink, host
/// ```
pub(crate) struct World {
    pub(crate) host: Ns,
    pub(crate) outside: Ns,
    pub(crate) directory: tempfile::TempDir,
}

pub(crate) const OUTSIDE: &str = "203.0.113.1";
pub(crate) const HOST: &str = "203.0.113.2";
pub(crate) const OUTSIDE6: &str = "2001:db8::1";
pub(crate) const HOST6: &str = "2001:db8::2";

impl World {
    pub(crate) fn new() -> Self {
        let (host, outside) = (Ns::new(), Ns::new());
        let pid = outside.pid.as_raw_pid();
        host.sh(&format!(
            "ip link set lo up
             ip link add uplink type veth peer name wire netns {pid}
             ip addr add {HOST}/24 dev uplink
             ip link set uplink up
             ip route add default via {OUTSIDE}
             echo 0 > /proc/sys/net/ipv4/ip_forward"
        ));
        outside.sh(&format!(
            "ip link set lo up
             ip addr add {OUTSIDE}/24 dev wire
             ip link set wire up"
        ));
        Self {
            host,
            outside,
            directory: tempfile::tempdir().unwrap(),
        }
    }

    /// Gives the wire between the two IPv6.
    pub(crate) fn with_ipv6(self) -> Self {
        self.host.sh(&format!(
            "ip addr add {HOST6}/64 dev uplink nodad; ip route add default via {OUTSIDE6}"
        ));
        self.outside
            .sh(&format!("ip addr add {OUTSIDE6}/64 dev wire nodad"));
        self
    }

    pub(crate) fn networks(&self) -> Networks {
        Networks::new(self.directory.path().join("networks"))
    }

    /// Calls `job` with the networks, on the host.
    pub(crate) fn with<T: Send + 'static>(
        &self,
        job: impl FnOnce(Networks) -> T + Send + 'static,
    ) -> T {
        let networks = self.networks();
        self.host.run(move || job(networks))
    }

    /// Brings up a network with containers, as a launcher would.
    pub(crate) fn up(&self, spec: &NetworkSpec, requests: &[LeaseRequest]) -> Vec<Container> {
        let namespaces: Vec<Ns> = requests.iter().map(|_| Ns::new()).collect();
        let pids: Vec<Pid> = namespaces.iter().map(|ns| ns.pid).collect();
        let (spec, requests) = (spec.clone(), requests.to_vec());
        let leases = self.with(move |networks| {
            let leases = networks.lease(&spec, &requests).unwrap();
            networks.ensure_bridge(&spec.name).unwrap();
            let rules = networks.apply_rules(&spec.name).unwrap();
            let mut links = LinkBatch::spawn().unwrap();
            for (lease, pid) in leases.iter().zip(pids) {
                links.add(lease, pid).unwrap();
            }
            links.commit().unwrap();
            rules.wait().unwrap();
            leases
        });
        let host = Arc::new(self.host.run(HostSocket::open).unwrap());
        namespaces
            .into_iter()
            .zip(leases)
            .map(|(ns, lease)| {
                let own = lease.clone();
                let host = host.clone();
                ns.run(move || coop_net::configure(std::slice::from_ref(&own), &host))
                    .unwrap();
                Container { ns, lease }
            })
            .collect()
    }

    /// Everything about the host's network that Coop could leave behind.
    pub(crate) fn trace(&self) -> String {
        let mut text = self.host.sh(
            // Without what the kernel changes by itself: carrier, and IPv6 that follows it.
            "ip -o link | sed 's/^[0-9]*: //; s/NO-CARRIER,//; s/,LOWER_UP//; s/ state [A-Z]*//'
             ip -4 -o addr; ip -4 route show table all | sed 's/ linkdown//'; nft list ruleset
             cd /proc/sys/net/ipv4/conf; grep . */forwarding */route_localnet",
        );
        for entry in walk(&self.directory.path().join("networks")) {
            text.extend([entry.as_str(), "\n"]);
        }
        text
    }
}

fn walk(directory: &std::path::Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(directory) else {
        return Vec::new();
    };
    entries
        .flatten()
        .flat_map(|entry| {
            let mut below = walk(&entry.path());
            below.push(entry.path().display().to_string());
            below
        })
        .collect()
}

pub(crate) struct Container {
    pub(crate) ns: Ns,
    pub(crate) lease: Lease,
}

impl Container {
    pub(crate) fn address(&self) -> String {
        self.lease.address.to_string()
    }

    pub(crate) fn address6(&self) -> String {
        self.lease.ipv6.unwrap().address.to_string()
    }
}

pub(crate) fn spec(name: &str) -> NetworkSpec {
    NetworkSpec::new(name)
}

/// A network with IPv6.
pub(crate) fn spec6(name: &str) -> NetworkSpec {
    NetworkSpec {
        ipv6: Some(Ipv6Spec::default()),
        ..NetworkSpec::new(name)
    }
}

pub(crate) fn ask(container: &str, ports: &str) -> LeaseRequest {
    LeaseRequest {
        container: container.into(),
        ports: ports
            .split_whitespace()
            .flat_map(|text| PortMapping::parse(text).unwrap())
            .collect(),
        ..LeaseRequest::default()
    }
}

/// The answer of [`Ns::serve`], to compare with that of [`Ns::tcp`].
#[allow(clippy::unnecessary_wraps)]
pub(crate) fn sees(name: &str, address: &str) -> Option<String> {
    Some(format!("{name} sees {address}"))
}
