//! Making the host forward packets for its containers and for nobody else.
//!
//! When `net.ipv4.ip_forward` is on, there is nothing to do. When it is off, turning it
//! on would make the host a router between all of its networks, present and future, and
//! forbidding that again would break whoever wants it later (a Docker that comes up
//! after us, say). So it stays off. The kernel asks the interface that a packet comes in
//! by (`net.ipv4.conf.IFACE.forwarding`), and only the interfaces that are there are
//! opened, each with a rule that drops new connections that came in by it, unless
//! someone's DNAT sent them on. When the last network goes, they are closed again.
//!
//! IPv6 is the same with `force_forwarding` (Linux 6.17). Before, there is but one switch,
//! `net.ipv6.conf.all.forwarding`: it is turned on, with the same rules, and an interface that
//! listens to routers is told to go on listening (`accept_ra` 2), which it would no more.
//!
//! Limit: an interface that appears later is opened the next time that rules are
//! applied, not at once.

mod ipv6;

use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::{Error, errno, state};
use crate::naming;
use crate::rules;
use crate::store::{self, Lock, Store};

/// The interfaces that forward only because of us. Its name cannot be a network's.
const RECORD: &str = ".forwarding.json";
/// Taken after the lock of a network, never before.
const LOCK: &str = ".lock";

const DEVICES: &str = "/proc/thread-self/net/dev";

#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Record {
    interfaces: Vec<String>,
    #[serde(default)]
    ipv6: ipv6::Record,
}

/// The interfaces that forward only because of us.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Opened {
    /// IPv4.
    pub(crate) v4: Vec<String>,
    /// IPv6.
    pub(crate) v6: Vec<String>,
    /// Whether each interface forwards IPv6 on its own, or the switch for all is turned.
    pub(crate) ipv6_by_interface: bool,
    /// Those that listen to routers.
    pub(crate) listening: Vec<String>,
}

/// Locks what all networks of a state directory share.
pub(crate) fn lock(directory: &Path) -> Result<Lock, Error> {
    Lock::take(&directory.join(LOCK))
}

/// The interfaces to open, which the rules must guard first; recorded before anything
/// is done with them.
pub(crate) fn plan(directory: &Path, with_ipv6: bool) -> Result<Opened, Error> {
    let v4_needed = !is_on("ipv4", "all")?;
    let path = directory.join(RECORD);
    if !v4_needed && !with_ipv6 && !path.exists() {
        return Ok(Opened::default());
    }
    let _lock = lock(directory)?;
    let before: Record = store::read(&path)?.unwrap_or_default();
    let mut record = before.clone();
    let bridges = bridges(directory)?;
    let all = interfaces()?;
    let others = has_other_bridge(&all, &bridges);
    let ours = |name: &String| name.starts_with(naming::PREFIX) || bridges.contains(name);
    let strangers: Vec<String> = { all.into_iter() }
        .filter(|name| name != "lo" && !ours(name) && can_name(name))
        .collect();
    if v4_needed {
        for name in &strangers {
            // An interface that forwards while forwarding is off was opened by its owner, or
            // by a Coop with another state directory: then it is ours to guard as well.
            if !record.interfaces.contains(name) && (!is_on("ipv4", name)? || others) {
                record.interfaces.push(name.clone());
            }
        }
        record.interfaces.sort();
    }
    if with_ipv6 {
        ipv6::plan(&mut record.ipv6, &strangers, others)?;
    }
    if record != before {
        store::write(&path, &record)?;
    }
    Ok(Opened {
        v4: if v4_needed {
            record.interfaces
        } else {
            Vec::new()
        },
        ipv6_by_interface: record.ipv6.by_interface,
        listening: record.ipv6.listening,
        v6: record.ipv6.interfaces,
    })
}

fn can_name(name: &str) -> bool {
    let can = rules::can_name(name);
    if !can {
        log::warn!(
            "interface {name:?} cannot be named in a rule: containers are not reachable through it"
        );
    }
    can
}

/// Turns forwarding on for what was planned; an interface that has gone needs none.
pub(crate) fn open(opened: &Opened) -> Result<(), Error> {
    { opened.v4.iter() }.try_for_each(|name| set("ipv4", name, "forwarding", "1"))?;
    ipv6::open(opened)
}

/// Removes the files of a network, and when it is the last one of the state directory,
/// undoes [`open`].
pub(crate) fn leave(directory: &Path, network: &str, store: &Store) -> Result<(), Error> {
    let _lock = lock(directory)?;
    let mut others = others(directory, network)?;
    if !is_any_busy(directory, &others)? {
        close(directory)?;
    }
    store.remove()?;
    // One that goes at this moment waits for the lock.
    others.retain(|name| directory.join(name).exists());
    if others.is_empty() {
        remove_file(&directory.join(LOCK))?;
    }
    Ok(())
}

/// Removes the leases of a network that stays, and when no other one has any, undoes [`open`].
pub(crate) fn rest(directory: &Path, network: &str, store: &Store) -> Result<(), Error> {
    let _lock = lock(directory)?;
    if !is_any_busy(directory, &others(directory, network)?)? {
        close(directory)?;
    }
    store.remove_leases()
}

/// The names of the other networks.
fn others(directory: &Path, network: &str) -> Result<Vec<String>, Error> {
    let mut names = store::names(directory)?;
    names.retain(|name| !name.starts_with('.') && name != network);
    Ok(names)
}

/// Whether one of these networks has a lease.
fn is_any_busy(directory: &Path, networks: &[String]) -> Result<bool, Error> {
    for network in networks {
        if Store::new(directory, network).has_lease_beside(&BTreeSet::new())? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Turns forwarding off on the interfaces that forward because of us.
fn close(directory: &Path) -> Result<(), Error> {
    let path = directory.join(RECORD);
    let Some(record) = store::read::<Record>(&path)? else {
        return Ok(());
    };
    // Another Coop guards the same interfaces.
    if !has_other_bridge(&interfaces()?, &bridges(directory)?) {
        // Or someone else wants forwarding by now.
        if !is_on("ipv4", "all")? {
            { record.interfaces.iter() }
                .try_for_each(|name| set("ipv4", name, "forwarding", "0"))?;
        }
        ipv6::close(&record.ipv6)?;
    }
    remove_file(&path)
}

fn remove_file(path: &Path) -> Result<(), Error> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(state("remove", path)(error)),
        _ => Ok(()),
    }
}

/// The bridges of the networks of this state directory.
fn bridges(directory: &Path) -> Result<Vec<String>, Error> {
    let mut bridges = Vec::new();
    for name in store::names(directory)?
        .iter()
        .filter(|name| !name.starts_with('.'))
    {
        bridges.push(naming::bridge(directory, name));
        bridges.extend(
            Store::new(directory, name)
                .network()?
                .map(|network| network.bridge),
        );
    }
    Ok(bridges)
}

/// Whether a Coop with another state directory is at work.
fn has_other_bridge(all: &[String], ours: &[String]) -> bool {
    let prefix = format!("{}-", naming::PREFIX);
    all.iter()
        .any(|name| name.starts_with(&prefix) && !ours.contains(name))
}

fn interfaces() -> Result<Vec<String>, Error> {
    let text = fs::read_to_string(DEVICES).map_err(|error| Error::Routes {
        path: DEVICES,
        source: errno(&error),
    })?;
    // Two lines of heading, then `  NAME: bytes packets …`; a name has no colon.
    Ok(text
        .lines()
        .skip(2)
        .filter_map(|line| line.split_once(':'))
        .map(|(name, _)| name.trim().to_owned())
        .collect())
}

fn path(family: &str, name: &str, key: &str) -> PathBuf {
    ["/proc/sys/net", family, "conf", name, key]
        .iter()
        .collect()
}

fn is_on(family: &str, name: &str) -> Result<bool, Error> {
    Ok(read(family, name, "forwarding")?.is_some_and(|value| value != "0"))
}

/// A setting of an interface, `None` when there is none such.
fn read(family: &str, name: &str, key: &str) -> Result<Option<String>, Error> {
    let path = path(family, name, key);
    match fs::read_to_string(&path) {
        Ok(text) => Ok(Some(text.trim().to_owned())),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(state("read", &path)(error)),
    }
}

fn set(family: &str, name: &str, key: &str, value: &'static str) -> Result<(), Error> {
    let path = path(family, name, key);
    match fs::write(&path, value) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(Error::Sysctl {
            path,
            value,
            source: errno(&error),
        }),
        _ => Ok(()),
    }
}
