//! The process that holds the network namespace of a user's networks.
//!
//! Everything that it makes goes with it: the namespace with all that is in it, unless a
//! supervisor holds that too; the way out, whose program is killed by the kernel at the keeper's
//! death; the ports, which are its descriptors. What stays of one that was killed are files in
//! its directory, which the next one replaces. A lock on one of them says who lives.

mod way_out;

use std::collections::BTreeMap;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use coop_launcher::helper;
use coop_launcher::store::Lock;
use coop_net::Relay;
use coop_ns::{Handle, Namespace, Namespaces};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags};
use rustix::net::{SocketFlags, accept_with, bind, listen};

use self::way_out::WayOutKeeper;
use super::packet::{self, Answer, Request, SOCKET};

/// The namespace, for the program that makes the way out; mounted for it alone.
const NAMESPACE: &str = "netns";
const LOCK: &str = "lock";
const LOG: &str = "log";

/// While nobody is connected and containers live all the same, because their supervisor was
/// killed, it is looked so often whether they still do.
const LOOK: Duration = Duration::from_millis(500);

/// Starts a keeper, which is connected to by the socket that this gives. It keeps `namespace`,
/// or a new one.
pub(super) fn start(dir: &Path, namespace: Option<&OwnedFd>) -> Result<OwnedFd> {
    let (ours, theirs) = rustix::net::socketpair(
        rustix::net::AddressFamily::UNIX,
        rustix::net::SocketType::SEQPACKET,
        SocketFlags::CLOEXEC,
        None,
    )
    .context("make a socket for the keeper of this user's networks")?;
    let fds: Vec<_> = namespace
        .iter()
        .map(|namespace| namespace.as_fd())
        .collect();
    packet::send(&ours, &Request::Begin, &fds)?;
    // It ends by itself; nobody waits for it.
    drop(helper::start(&theirs, |socket| work(dir, socket))?);
    Ok(ours)
}

fn work(dir: &Path, socket: &OwnedFd) -> i32 {
    let Ok(first) = socket.try_clone() else {
        return 1;
    };
    match keep(dir, first) {
        Ok(()) => 0,
        Err(error) => {
            let error = format!("{error:#}");
            log::error!("{error}");
            let _ = packet::send(socket, &Answer::Failed { error }, &[]);
            1
        }
    }
}

fn keep(dir: &Path, first: OwnedFd) -> Result<()> {
    coop_launcher::store::make_private_dir(dir)?;
    leave_terminal(dir)?;
    let Some(lock) = Lock::try_file(&dir.join(LOCK))? else {
        return packet::send(&first, &Answer::Busy, &[]);
    };
    lock.record_owner()?;
    fault("lock")?;
    let kept = keep_locked(dir, first);
    fault("tidy")?;
    let tidied = tidy_up(dir, &lock);
    drop(lock);
    kept.and(tidied)
}

/// Removes what a keeper that was killed has left, unless another one lives.
pub(super) fn tidy(dir: &Path) -> Result<()> {
    if !dir.exists() {
        return Ok(());
    }
    match Lock::try_file(&dir.join(LOCK))? {
        Some(lock) => tidy_up(dir, &lock),
        None => Ok(()),
    }
}

/// Removes the directory, the lock last: until then nobody else may begin.
fn tidy_up(dir: &Path, lock: &Lock) -> Result<()> {
    remove_file(&dir.join(SOCKET))?;
    Handle::remove(&dir.join(NAMESPACE))?;
    remove_file(&dir.join(LOG))?;
    remove_file(lock.path())?;
    // Who begins now has it again.
    let _ = std::fs::remove_dir(dir);
    Ok(())
}

/// A point at which a test can stop the keeper.
fn fault(step: &str) -> Result<()> {
    coop_launcher::fault::point("keeper", step).map_err(anyhow::Error::from_boxed)
}

fn keep_locked(dir: &Path, first: OwnedFd) -> Result<()> {
    remove_file(&dir.join(SOCKET))?;
    // For its mounts: what is mounted here is seen by nobody else.
    coop_ns::unshare(Namespaces::MOUNT)?;
    Handle::remove(&dir.join(NAMESPACE))?;
    let begun = packet::receive::<Request>(&first)?;
    let given = begun.and_then(|(_, fds)| fds.into_iter().next());
    // It stays in the host's network namespace, which this thread leaves for good.
    let way_out = WayOutKeeper::start(dir.join(NAMESPACE))?;
    match given {
        Some(namespace) => super::enter(&namespace)?,
        None => make_namespace()?,
    }
    fault("namespace")?;
    let namespace = Handle::open_path("/proc/thread-self/ns/net", Namespace::Net)?;
    namespace.persist(&dir.join(NAMESPACE))?;
    fault("mount")?;
    let listener = listener(dir)?;
    fault("listen")?;
    way_out.open();
    let mut keeper = Keeper {
        namespace,
        listener,
        way_out,
        relay: Relay::new()?,
        clients: BTreeMap::new(),
        next: 0,
        published: BTreeMap::new(),
    };
    keeper.greet(first);
    fault("serve")?;
    keeper.serve()
}

/// Goes on without the terminal and the pipes of the command that has started it, which others
/// may wait for the end of.
fn leave_terminal(dir: &Path) -> Result<()> {
    let _ = rustix::process::chdir("/");
    let null = rustix::fs::open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())
        .context("open /dev/null")?;
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::APPEND | OFlags::CLOEXEC;
    // Where nothing can be written, nothing can be said.
    let words = rustix::fs::open(dir.join(LOG), flags, Mode::RUSR | Mode::WUSR);
    rustix::stdio::dup2_stdin(&null)?;
    rustix::stdio::dup2_stdout(&null)?;
    rustix::stdio::dup2_stderr(words.as_ref().unwrap_or(&null))?;
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    let raised = rustix::process::Rlimit {
        current: limit.maximum,
        ..limit
    };
    // Each connection takes six descriptors.
    let _ = rustix::process::setrlimit(rustix::process::Resource::Nofile, raised);
    Ok(())
}

/// A new network namespace, in which packets may pass from one network out.
fn make_namespace() -> Result<()> {
    coop_ns::unshare(Namespaces::NET)?;
    coop_net::loopback_up()?;
    // All of it is the user's: what passes is for the rules to say.
    for (path, may_be_missing) in [
        ("/proc/sys/net/ipv4/ip_forward", false),
        ("/proc/sys/net/ipv6/conf/all/forwarding", true),
        ("/proc/sys/net/ipv6/conf/default/forwarding", true),
    ] {
        match std::fs::write(path, "1") {
            Err(error) if may_be_missing && error.kind() == std::io::ErrorKind::NotFound => {}
            result => result.with_context(|| format!("write 1 to {path}"))?,
        }
    }
    Ok(coop_net::return_path()?)
}

fn listener(dir: &Path) -> Result<OwnedFd> {
    let failed = || format!("listen in {}", dir.display());
    let socket = packet::seqpacket(SocketFlags::NONBLOCK).with_context(failed)?;
    let (address, _dir) = packet::address(dir).with_context(failed)?;
    bind(&socket, &address).with_context(failed)?;
    listen(&socket, 64).with_context(failed)?;
    Ok(socket)
}

fn remove_file(path: &Path) -> Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("remove {}", path.display()))
        }
        _ => Ok(()),
    }
}

struct Keeper {
    namespace: Handle,
    listener: OwnedFd,
    way_out: WayOutKeeper,
    relay: Relay,
    clients: BTreeMap<u64, Client>,
    next: u64,
    /// Containers with published ports.
    published: BTreeMap<String, Publisher>,
}

struct Client {
    socket: OwnedFd,
    /// The way out was not known yet when it came.
    waits: bool,
}

struct Publisher {
    /// The host's end of its link: gone when the container is.
    link: String,
    /// The supervisor that looks after it.
    client: Option<u64>,
}

impl Keeper {
    /// Until nobody needs it.
    fn serve(&mut self) -> Result<()> {
        loop {
            if self.clients.is_empty() && !has_links() && !self.accept() {
                return Ok(());
            }
            let (new, relayed, way_out, heard) = self.wait()?;
            if relayed {
                self.relay.turn()?;
            }
            if way_out {
                self.way_out.acknowledge();
                self.welcome();
            }
            for id in heard {
                self.hear(id);
            }
            if new {
                self.accept();
            }
            self.forget_gone();
        }
    }

    /// What there is to do: a client that comes, packets, news of the way out, clients that say
    /// something.
    fn wait(&self) -> Result<(bool, bool, bool, Vec<u64>)> {
        let mut fds = vec![
            PollFd::new(&self.listener, PollFlags::IN),
            PollFd::new(&self.relay, PollFlags::IN),
            PollFd::new(&self.way_out, PollFlags::IN),
        ];
        for client in self.clients.values() {
            fds.push(PollFd::new(&client.socket, PollFlags::IN));
        }
        let alone =
            self.clients.is_empty() || self.published.values().any(|it| it.client.is_none());
        let look = alone.then_some(LOOK);
        let pause = { [self.relay.pause(), look].into_iter() }.flatten().min();
        let pause = pause.and_then(|pause| Timespec::try_from(pause).ok());
        match poll(&mut fds, pause.as_ref()) {
            Err(rustix::io::Errno::INTR) => return Ok((false, true, false, Vec::new())),
            ready => ready.context("wait for something to do")?,
        };
        let is_ready = |at: usize| !fds[at].revents().is_empty();
        let heard = { self.clients.keys().enumerate() }
            .filter(|(at, _)| is_ready(at + 3))
            .map(|(_, id)| *id);
        // The relay has work of its own at times, so it is always asked.
        Ok((is_ready(0), true, is_ready(2), heard.collect()))
    }

    /// Whether somebody has come.
    fn accept(&mut self) -> bool {
        let mut came = false;
        while let Ok(socket) = accept_with(&self.listener, SocketFlags::CLOEXEC) {
            came = true;
            self.greet(socket);
        }
        came
    }

    fn greet(&mut self, socket: OwnedFd) {
        self.next += 1;
        let client = Client {
            socket,
            waits: true,
        };
        self.clients.insert(self.next, client);
        self.welcome();
    }

    /// Tells those who wait how it is about the way out, when that is known.
    fn welcome(&mut self) {
        let Some(way_out) = self.way_out.status() else {
            return;
        };
        let answer = Answer::Welcome { way_out };
        for client in self.clients.values_mut().filter(|client| client.waits) {
            client.waits = false;
            // One that has gone is seen to have when it is read from.
            let _ = packet::send(&client.socket, &answer, &[self.namespace.as_fd()]);
        }
    }

    fn hear(&mut self, id: u64) {
        let Some(client) = self.clients.get(&id) else {
            return;
        };
        let answer = match packet::receive::<Request>(&client.socket) {
            Ok(Some((request, fds))) => match self.act(id, request, fds) {
                Ok(held) => Answer::Done { held },
                Err(error) => Answer::Failed {
                    error: format!("{error:#}"),
                },
            },
            Ok(None) => return self.forget(id),
            Err(error) => {
                log::warn!("{error:#}");
                return self.forget(id);
            }
        };
        let sent = self
            .clients
            .get(&id)
            .map(|client| packet::send(&client.socket, &answer, &[]));
        if !matches!(sent, Some(Ok(()))) {
            self.forget(id);
        }
    }

    fn act(&mut self, id: u64, request: Request, fds: Vec<OwnedFd>) -> Result<bool> {
        match request {
            Request::Begin => Ok(false),
            Request::Publish {
                container,
                link,
                ports,
            } => {
                anyhow::ensure!(ports.len() == fds.len(), "ports without sockets");
                for (port, socket) in ports.into_iter().zip(fds) {
                    self.relay
                        .publish(&container, port.protocol, socket, port.target)?;
                }
                let client = Some(id);
                self.published.insert(container, Publisher { link, client });
                Ok(true)
            }
            Request::Claim { container } => {
                let publisher = self.published.get_mut(&container);
                Ok(publisher.is_some_and(|publisher| {
                    publisher.client = Some(id);
                    true
                }))
            }
            Request::Withdraw { container } => {
                self.relay.withdraw(&container);
                Ok(self.published.remove(&container).is_some())
            }
        }
    }

    /// A client has gone, killed perhaps: its containers keep their ports.
    fn forget(&mut self, id: u64) {
        self.clients.remove(&id);
        for publisher in self.published.values_mut() {
            publisher.client.take_if(|client| *client == id);
        }
    }

    /// Takes the ports of containers that have gone, and whose supervisor has.
    fn forget_gone(&mut self) {
        if self.published.values().all(|it| it.client.is_some()) {
            return;
        }
        let links = links();
        let relay = &mut self.relay;
        self.published.retain(|container, publisher| {
            let stays = publisher.client.is_some() || links.contains(&publisher.link);
            if !stays {
                relay.withdraw(container);
            }
            stays
        });
    }
}

/// The interfaces of this thread's network namespace.
fn links() -> Vec<String> {
    let text = std::fs::read_to_string("/proc/thread-self/net/dev").unwrap_or_default();
    let names = text.lines().skip(2).filter_map(|line| line.split_once(':'));
    names.map(|(name, _)| name.trim().to_owned()).collect()
}

/// Whether a container lives: links go with their containers.
fn has_links() -> bool {
    links().iter().any(|link| coop_net::is_link(link))
}
