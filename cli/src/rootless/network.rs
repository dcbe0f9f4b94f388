//! Networks of an ordinary user.
//!
//! A bridge of the host is out of its reach, so the user has a network namespace: bridges, links
//! and rules of all of its networks are in there, made by the same code as those of root. It is
//! one for all stacks of a user and not one for each: a network is the user's, and stacks may
//! share it (`external: true`, `coop network connect`); one program makes the way out for all of
//! them; and single containers have one network `bridge`, as with root.
//!
//! The namespace is held by a process, the *keeper* ([`keeper`]), which is begun with the first
//! container that has a network and ends with the last. It keeps the way out open (`pasta`, or
//! `slirp4netns`) and passes on what comes to published ports ([`coop_net::Relay`]). Supervisors
//! are connected to it as long as they live, and have the namespace open as well: if the keeper
//! is killed, the next one goes on with it.
//!
//! Commands and supervisors stay in the host's network namespace, for there is no way back into
//! it. What has to be done in the other one is done by a thread that enters it, does it, and
//! ends ([`Place::run`]).

mod keeper;
mod packet;

use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use coop_net::{Lease, Protocol};
use coop_ns::Namespaces;
use rustix::fs::{Mode, OFlags};
use rustix::process::{Pid, getpid};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use self::packet::{Answer, Published, Request};
use super::Rootless;

/// Why an ordinary user has no networks on this host.
#[derive(Debug)]
pub(super) struct Missing {
    pub(super) what: String,
    pub(super) help: String,
}

/// The device by which programs make network interfaces.
const TUN: &str = "/dev/net/tun";

/// Looks for what networks are made with.
pub(super) fn check_tools() -> Result<(), Missing> {
    if let Err(error) = coop_net::WayOut::find() {
        let is_way_out = matches!(&error, coop_net::Error::MissingTool { tool: "pasta", .. });
        return Err(if is_way_out {
            Missing {
                what: "neither pasta nor slirp4netns is installed".to_owned(),
                help: "install the package passt, or slirp4netns".to_owned(),
            }
        } else {
            Missing {
                what: error.to_string(),
                help: "install the packages iproute2, nftables and passt".to_owned(),
            }
        });
    }
    let flags = OFlags::RDWR | OFlags::CLOEXEC;
    match rustix::fs::open(TUN, flags, Mode::empty()) {
        Ok(_) => Ok(()),
        Err(errno) => Err(Missing {
            what: format!("{TUN} cannot be opened: {errno}"),
            help: format!("as root: modprobe tun; chmod 666 {TUN}"),
        }),
    }
}

/// Where the kernel objects of networks are.
#[derive(Debug, Clone)]
pub(crate) enum Place {
    /// In the network namespace of this process.
    Here,
    /// In another one.
    There(Arc<OwnedFd>),
    /// In none: there are no such objects.
    Nowhere,
}

impl Place {
    /// Does `work` there. Sockets that it opens and programs that it starts stay there.
    pub(crate) fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T> {
        match self {
            Self::Here => Ok(work()),
            Self::There(namespace) => by_thread(|| enter(namespace), work),
            // In a new namespace, which ends with the thread, everything is gone already.
            Self::Nowhere => by_thread(
                || {
                    coop_ns::unshare(Namespaces::NET)?;
                    Ok(coop_net::loopback_up()?)
                },
                work,
            ),
        }
    }
}

fn enter(namespace: &OwnedFd) -> Result<()> {
    move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))
        .context("enter the network namespace of this user's networks")
}

/// Does `work` in a thread of its own, which is gone when this returns.
fn by_thread<T: Send>(
    enter: impl FnOnce() -> Result<()> + Send,
    work: impl FnOnce() -> T + Send,
) -> Result<T> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new()
            .name("network".to_owned())
            .spawn_scoped(scope, || {
                enter()?;
                Ok(work())
            })
            .context("start a thread for the network namespace")?;
        thread
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// A connection to the keeper.
#[derive(Debug)]
pub(super) struct Connection {
    socket: OwnedFd,
    namespace: Arc<OwnedFd>,
    /// A forked supervisor makes one of its own.
    owner: Pid,
}

/// How often one is tried that is just going.
const TRIES: u32 = 200;
const PAUSE: Duration = Duration::from_millis(10);

impl Connection {
    /// The keeper that lives, or a new one: for `namespace`, when its former one has gone.
    ///
    /// `say` is told when there is no way out.
    fn make(dir: &Path, namespace: Option<&OwnedFd>, say: impl Fn(&str)) -> Result<Self> {
        for _ in 0..TRIES {
            let socket = match packet::connect(dir)? {
                Some(socket) => socket,
                None => keeper::start(dir, namespace)?,
            };
            if let Some(connection) = Self::welcomed(socket, &say)? {
                return Ok(connection);
            }
            std::thread::sleep(PAUSE);
        }
        bail!("the keeper of this user's networks neither starts nor ends")
    }

    /// The keeper that lives.
    fn existing(dir: &Path) -> Result<Option<Self>> {
        match packet::connect(dir)? {
            Some(socket) => Self::welcomed(socket, &|_| ()),
            None => Ok(None),
        }
    }

    /// None: it is just going, or another one is.
    fn welcomed(socket: OwnedFd, say: &dyn Fn(&str)) -> Result<Option<Self>> {
        packet::set_patience(&socket)?;
        let Some((answer, fds)) = packet::receive::<Answer>(&socket)? else {
            return Ok(None);
        };
        match (answer, fds.into_iter().next()) {
            (Answer::Welcome { way_out }, Some(namespace)) => {
                if let Err(words) = way_out {
                    say(&words);
                }
                Ok(Some(Self {
                    socket,
                    namespace: Arc::new(namespace),
                    owner: getpid(),
                }))
            }
            (Answer::Failed { error }, _) => bail!("make this user's network: {error}"),
            _ => Ok(None),
        }
    }

    /// Whether it is this process's own, and not the one that it was forked from's.
    fn is_own(&self) -> bool {
        self.owner == getpid()
    }

    /// Whether the keeper lives.
    fn is_good(&self) -> bool {
        !packet::is_closed(&self.socket)
    }

    /// Has the keeper pass on what comes to these sockets, one or more for each port of the
    /// lease.
    fn publish(&self, lease: &Lease, sockets: &[(Published, OwnedFd)]) -> Result<()> {
        for part in sockets.chunks(packet::MOST_FDS) {
            let (ports, fds): (Vec<_>, Vec<_>) = { part.iter() }
                .map(|(port, socket)| (*port, socket.as_fd()))
                .unzip();
            let request = Request::Publish {
                container: lease.container.clone(),
                link: lease.host_interface.clone(),
                ports,
            };
            self.ask(&request, &fds)?;
        }
        Ok(())
    }

    /// Takes over the published ports of a container. Says whether the keeper has them.
    fn claim(&self, container: &str) -> Result<bool> {
        let container = container.to_owned();
        self.ask(&Request::Claim { container }, &[])
    }

    /// Gives up the published ports of a container.
    fn withdraw(&self, container: &str) -> Result<()> {
        let container = container.to_owned();
        self.ask(&Request::Withdraw { container }, &[]).map(drop)
    }

    fn ask(&self, request: &Request, fds: &[std::os::fd::BorrowedFd<'_>]) -> Result<bool> {
        packet::send(&self.socket, request, fds)?;
        match packet::receive::<Answer>(&self.socket)? {
            Some((Answer::Done { held }, _)) => Ok(held),
            Some((Answer::Failed { error }, _)) => bail!("{error}"),
            Some(_) | None => bail!("the keeper of this user's networks has gone"),
        }
    }
}

impl Rootless {
    /// Where this user's networks are, which is made if it is not there.
    pub(crate) fn networks(&self) -> Result<Place> {
        let mut connection = self.network.borrow_mut();
        let connection = match connection.take().filter(Connection::is_own) {
            Some(good) if good.is_good() => connection.insert(good),
            former => {
                let namespace = former.as_ref().map(|it| &*it.namespace);
                connection.insert(Connection::make(&self.network_dir(), namespace, |words| {
                    self.say(
                        "way out",
                        &format!("containers reach one another, and nothing else: {words}"),
                    );
                })?)
            }
        };
        Ok(Place::There(Arc::clone(&connection.namespace)))
    }

    /// Where this user's networks are now. What a killed keeper has left is removed, when no other
    /// one has followed it.
    pub(crate) fn networks_now(&self) -> Result<Place> {
        let mut connection = self.network.borrow_mut();
        if !{ connection.iter() }.any(|it| it.is_own() && it.is_good()) {
            let dir = self.network_dir();
            *connection = Connection::existing(&dir)?;
            if connection.is_none()
                && let Err(error) = keeper::tidy(&dir)
            {
                log::warn!("{}: {error:#}", dir.display());
            }
        }
        Ok(match &*connection {
            Some(connection) => Place::There(Arc::clone(&connection.namespace)),
            None => Place::Nowhere,
        })
    }

    /// Lends the connection to the keeper, when there is one.
    pub(crate) fn with_keeper(&self, work: impl FnOnce(&OwnedFd)) {
        if let Some(connection) = &*self.network.borrow() {
            work(&connection.socket);
        }
    }

    /// Whether the keeper that this process is connected to lives no more.
    pub(crate) fn has_lost_keeper(&self) -> bool {
        let connection = self.network.borrow();
        { connection.iter() }.any(|it| it.is_own() && !it.is_good())
    }

    fn network_dir(&self) -> PathBuf {
        self.dirs.run.join("rootless-network")
    }

    /// Has the keeper of the networks pass on what comes to a container's published ports.
    pub(crate) fn publish(&self, leases: &[&Lease]) -> Result<()> {
        let Some(lease) = leases.iter().find(|lease| !lease.ports.is_empty()) else {
            return Ok(());
        };
        self.networks()?;
        let connection = self.network.borrow();
        let connection = connection.as_ref().context("no connection to the keeper")?;
        // Those of a former run whose end nobody has seen.
        connection.withdraw(&lease.container)?;
        for lease in leases {
            connection.publish(lease, &reserve(lease)?)?;
        }
        Ok(())
    }

    /// Takes over a container whose supervisor has gone, with its published ports.
    pub(crate) fn adopt(&self, leases: &[&Lease]) -> Result<()> {
        let Some(lease) = leases.first() else {
            return Ok(());
        };
        self.networks()?;
        let held = match &*self.network.borrow() {
            Some(connection) => connection.claim(&lease.container)?,
            None => false,
        };
        if held { Ok(()) } else { self.publish(leases) }
    }

    /// Gives up the published ports of a container that has ended.
    pub(crate) fn withdraw(&self, container: &str) {
        if let Some(connection) = &*self.network.borrow()
            && connection.is_own()
            && let Err(error) = connection.withdraw(container)
        {
            log::warn!("published ports: {error:#}");
        }
    }
}

/// The sockets that keep a lease's ports, and where each of them leads.
fn reserve(lease: &Lease) -> Result<Vec<(Published, OwnedFd)>> {
    let mut sockets = Vec::with_capacity(lease.ports.len());
    for port in &lease.ports {
        let address = port.address();
        let own = lease
            .addresses()
            .find(|own| own.is_ipv4() == address.is_ipv4());
        let target = own.unwrap_or(lease.address.into());
        let published = Published {
            protocol: port.protocol,
            target: (target, port.container_port).into(),
        };
        if port.protocol == Protocol::Sctp {
            bail!("publish port {port}: SCTP is for root only");
        }
        let reserved = coop_net::reserve(std::slice::from_ref(port));
        let reserved = reserved.map_err(|error| privileged(port.host_port, error))?;
        sockets.extend(reserved.into_iter().map(|socket| (published, socket)));
    }
    Ok(sockets)
}

/// The first port that everybody may have.
const FIRST_PORT: &str = "net.ipv4.ip_unprivileged_port_start";

/// Adds to an error that a port is root's how it can be had.
pub(crate) fn privileged(port: u16, error: coop_net::Error) -> anyhow::Error {
    let is_denied = matches!(
        &error,
        coop_net::Error::Port { source, .. } if *source == rustix::io::Errno::ACCESS
    );
    if !is_denied {
        return error.into();
    }
    anyhow::anyhow!(
        "{error}: ports below 1024 are for root only\n  help: publish another one, such as {}, or \
         as root: sysctl {FIRST_PORT}={port}",
        8000 + u32::from(port)
    )
}
