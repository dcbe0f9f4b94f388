//! Coop as an ordinary user.
//!
//! Before a command does its work it enters a user namespace, in which the user is root, and a
//! mount namespace of its own: from there on the code is the same as for the host's root. All
//! commands of a user share one user namespace as long as any process is in it, for rights over
//! a container come with the namespace that it was made in.
//!
//! What remains of the difference is data: where state lives ([`Rootless::dirs`]), which ids
//! there are ([`Rootless::id_maps`]), and what a plan cannot have ([`plan`]).

mod holders;
mod map;
mod namespace;
pub(crate) mod network;
pub(crate) mod plan;
mod trust;

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context, Result};
use coop_launcher::store::{Dirs, StoreError};
use coop_ns::{IdMaps, Namespaces};
use rustix::process::{Pid, Uid, getegid, geteuid};

/// How a `coop` that another one has started in its namespaces knows the user: its user id.
const INSIDE: &str = "COOP_ROOTLESS_UID";

/// An ordinary user, in the namespaces that make it root there.
#[derive(Debug)]
pub(crate) struct Rootless {
    /// Where its state lives.
    pub dirs: Dirs,
    /// The user, as the host knows it.
    pub uid: Uid,
    id_maps: IdMaps,
    told: RefCell<BTreeSet<&'static str>>,
    network: RefCell<Option<network::Connection>>,
}

/// Enters the user's namespaces, unless the user is root: before anything else is done.
pub(crate) fn enter(root: Option<&Path>) -> Result<Option<Rootless>> {
    let uid = geteuid();
    if uid.is_root() {
        return inside(root);
    }
    let dirs = dirs(root, uid)?;
    trust::check(root, &dirs, uid)?;
    namespace::enter(&dirs, uid, getegid())?;
    coop_ns::unshare(Namespaces::MOUNT)
        .map_err(|error| namespace::refused(&error))
        .context("make a mount namespace")?;
    Rootless::here(dirs, uid).map(Some)
}

/// Root of a user namespace is an ordinary user only if a `coop` of that user says so: the root
/// of a virtual machine or a system container looks the same.
fn inside(root: Option<&Path>) -> Result<Option<Rootless>> {
    let Some(uid) = std::env::var(INSIDE).ok().and_then(|uid| uid.parse().ok()) else {
        return Ok(None);
    };
    // The variable may have come with `sudo -E`: the host's root must not believe a user's files.
    if !is_root_for(uid) {
        return Ok(None);
    }
    let uid = Uid::from_raw(uid);
    Rootless::here(dirs(root, uid)?, uid).map(Some)
}

/// Whether root of this user namespace is that user outside.
fn is_root_for(uid: u32) -> bool {
    let map = std::fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    let first: Vec<_> = map.split_ascii_whitespace().take(2).collect();
    uid != 0 && matches!(first[..], ["0", outside] if outside.parse() == Ok(uid))
}

fn dirs(root: Option<&Path>, uid: Uid) -> Result<Dirs> {
    let dirs = match root {
        Some(_) => Dirs::discover(root),
        None => Dirs::of_user(uid),
    };
    dirs.map_err(|error| match error {
        error @ StoreError::NoRuntimeDir { .. } => anyhow::anyhow!(
            "{error}\n  help: log in as this user (su and sudo do not), or name a directory: \
             --root DIR"
        ),
        error @ StoreError::NoDataDir => {
            anyhow::anyhow!("{error}\n  help: set HOME, or name a directory: --root DIR")
        }
        error => error.into(),
    })
}

impl Rootless {
    fn here(dirs: Dirs, uid: Uid) -> Result<Self> {
        Ok(Self {
            dirs,
            uid,
            id_maps: IdMaps::identity()?,
            told: RefCell::default(),
            network: RefCell::default(),
        })
    }

    /// How ids of a container map to those of this user's namespace: each to itself.
    ///
    /// Layers and volumes cannot be id-mapped without the host's root, so all containers of a
    /// user have the same ids. The user namespace that each has is for its capabilities: they
    /// reach nothing outside of it.
    pub(crate) fn id_maps(&self) -> IdMaps {
        self.id_maps.clone()
    }

    /// The user's group, as the host knows it.
    pub(crate) fn gid(&self) -> u32 {
        // What the namespace's group 0 is outside: the first line of the map.
        let map = std::fs::read_to_string("/proc/self/gid_map").unwrap_or_default();
        let outside = map.split_ascii_whitespace().nth(1);
        outside
            .and_then(|id| id.parse().ok())
            .unwrap_or(self.uid.as_raw())
    }

    /// How many group ids there are, counted from 0.
    pub(crate) fn groups(&self) -> u32 {
        self.id_maps.gids.iter().map(|line| line.size).sum()
    }

    /// Whether there is more than the user's own id.
    pub(crate) fn has_ranges(&self) -> bool {
        self.groups() > 1 && self.id_maps.uids.iter().map(|line| line.size).sum::<u32>() > 1
    }

    /// The variable by which a further `coop`, started in these namespaces, knows its user.
    pub(crate) fn variable(&self) -> (&'static str, String) {
        (INSIDE, self.uid.as_raw().to_string())
    }

    /// Says what a container lacks, once for each command. `what` tells such words apart.
    fn say(&self, what: &'static str, words: &str) {
        if self.told.borrow_mut().insert(what) {
            log::warn!("{words}");
        }
    }

    /// Says what this user lacks, once until the user logs out: it is so for every container.
    fn say_once(&self, what: &'static str, words: &str) {
        let mark = self.dirs.run.join(format!("said-{what}"));
        if std::fs::File::create_new(mark).is_ok() {
            self.say(what, words);
        }
    }
}

/// The process by which the namespaces of a container are found, whose first process is `init`.
///
/// An init of Coop's own (`init: true`) is a copy of Coop, which nobody may look into: for the
/// host's root it is no obstacle, but here the program that it started stands for it.
pub(crate) fn reachable(init: Pid) -> Pid {
    if coop_ns::Handle::open(init, coop_ns::Namespace::Pid).is_ok() {
        return init;
    }
    let pid = init.as_raw_nonzero();
    let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
    let first = children.unwrap_or_default();
    let first = first.split_ascii_whitespace().next();
    first
        .and_then(|pid| Pid::from_raw(pid.parse().ok()?))
        .unwrap_or(init)
}
