//! What makes containers that stay: the same life, in each one's own words.

use anyhow::Result;

use super::bundle::{FIRST_ID, IDS};
use super::measure::{Cost, Words, measure, run};
use super::stand::{CGROUP, Stand};
use super::tools::Peer;

/// A program that can make a container, start it, run something in it, and remove it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Engine {
    /// Coop.
    Coop,
    /// An OCI runtime by itself: it has no images, no logs, and nobody who stays.
    Oci(Peer),
    /// Podman.
    Podman,
}

/// A program that runs until it is killed.
pub(crate) const PAUSE: [&str; 2] = ["/bin/sleep", "1000000"];

/// A program that ends at once.
pub(crate) const TRUE: [&str; 1] = ["/bin/true"];

impl Engine {
    /// All that may be there.
    pub(crate) const ALL: [Self; 5] = [
        Self::Coop,
        Self::Oci(Peer::Crun),
        Self::Oci(Peer::Runc),
        Self::Oci(Peer::Youki),
        Self::Podman,
    ];

    /// Its name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Coop => "coop",
            Self::Oci(peer) => peer.program(),
            Self::Podman => "podman",
        }
    }

    /// Whether it is installed.
    pub(crate) fn is_there(self, stand: &Stand<'_>) -> bool {
        match self {
            Self::Coop => true,
            Self::Oci(peer) => stand.tools.peer(peer).is_some(),
            Self::Podman => stand.tools.peer(Peer::Podman).is_some(),
        }
    }

    /// Runs `argv` in a new container to its end, and removes it. Writes what the command reads
    /// from disk first.
    ///
    /// # Errors
    /// When that cannot be written.
    pub(crate) fn run(self, stand: &Stand<'_>, name: &str, argv: &[&str]) -> Result<Words> {
        Ok(match self {
            Self::Coop => in_root(stand, stand.coop(&["run", "--rm"]), name).with(argv),
            Self::Oci(peer) => bundle(stand, peer, "run", name, argv)?.with([name]),
            Self::Podman => podman(stand, &["run", "--rm"], name).with(argv),
        })
    }

    /// Runs it and comes back at once.
    ///
    /// # Errors
    /// When the command's files cannot be written.
    pub(crate) fn run_detached(
        self,
        stand: &Stand<'_>,
        name: &str,
        argv: &[&str],
    ) -> Result<Words> {
        Ok(match self {
            Self::Coop => in_root(stand, stand.coop(&["run", "-d"]), name).with(argv),
            Self::Oci(peer) => bundle(stand, peer, "run", name, argv)?.with(["--detach", name]),
            Self::Podman => podman(stand, &["run", "-d"], name).with(argv),
        })
    }

    /// Makes a container and does not start it.
    ///
    /// # Errors
    /// When the command's files cannot be written.
    pub(crate) fn create(self, stand: &Stand<'_>, name: &str, argv: &[&str]) -> Result<Words> {
        Ok(match self {
            Self::Coop => in_root(stand, stand.coop(&["create"]), name).with(argv),
            Self::Oci(peer) => bundle(stand, peer, "create", name, argv)?.with([name]),
            Self::Podman => podman(stand, &["create"], name).with(argv),
        })
    }

    /// Starts what was made.
    pub(crate) fn start(self, stand: &Stand<'_>, name: &str) -> Words {
        self.words(stand, &["start", name])
    }

    /// Kills and removes a container.
    pub(crate) fn remove(self, stand: &Stand<'_>, name: &str) -> Words {
        match self {
            Self::Coop => stand.coop(&["rm", "--force", name]),
            Self::Oci(_) => self.words(stand, &["delete", "--force", name]),
            Self::Podman => self.words(stand, &["rm", "--force", "--time", "0", name]),
        }
    }

    /// Kills and removes a container, and says what that cost.
    ///
    /// Podman is asked again when it is in its own way: the helper that it leaves to clean up
    /// after a container sometimes still holds what the command wants to remove.
    ///
    /// # Errors
    /// When the container cannot be removed.
    pub(crate) fn removal(self, stand: &Stand<'_>, name: &str) -> Result<Cost> {
        let words = self.remove(stand, name);
        let tries = if self == Self::Podman { 3 } else { 1 };
        let mut cost = Cost::default();
        for _ in 1..tries {
            let done = run(&words)?;
            cost += done.cost;
            if done.status.success() {
                return Ok(cost);
            }
        }
        cost += measure(&words)?;
        Ok(cost)
    }

    /// Runs something in a running container.
    pub(crate) fn exec(self, stand: &Stand<'_>, name: &str, argv: &[&str]) -> Words {
        self.words(stand, &["exec", name]).with(argv)
    }

    fn words(self, stand: &Stand<'_>, words: &[&str]) -> Words {
        match self {
            Self::Coop => stand.coop(words),
            Self::Oci(peer) => stand.oci(peer).with(words),
            Self::Podman => stand.podman().with(words),
        }
    }
}

fn in_root(stand: &Stand<'_>, coop: Words, name: &str) -> Words {
    coop.with(["--name", name, "--network", "none", "--rootfs"])
        .with([stand.site.rootfs()])
}

fn bundle(stand: &Stand<'_>, peer: Peer, verb: &str, name: &str, argv: &[&str]) -> Result<Words> {
    let bundle = stand.bundle(name, &stand.site.rootfs(), argv)?;
    Ok(stand.oci(peer).with([verb, "--bundle"]).with([bundle]))
}

/// The options that make of Podman's default container one of Coop's.
fn podman(stand: &Stand<'_>, verb: &[&str], name: &str) -> Words {
    let ids = format!("0:{FIRST_ID}:{IDS}");
    let mut rootfs = stand.site.rootfs().into_os_string();
    rootfs.push(":O");
    stand
        .podman()
        .with(verb)
        .with(["--name", name, "--network", "none", "--cgroupns", "private"])
        .with(["--cgroup-parent", &format!("/{CGROUP}")])
        .with(["--uidmap", &ids, "--gidmap", &ids])
        .with(["--security-opt", "no-new-privileges"])
        // Its own defaults are more than a session may have.
        .with([
            "--ulimit",
            "nofile=1024:1024",
            "--ulimit",
            "nproc=1024:1024",
        ])
        .with(["--rootfs".as_ref(), rootfs.as_os_str()])
}
