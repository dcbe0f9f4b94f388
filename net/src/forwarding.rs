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
//! Limit: an interface that appears later is opened the next time that rules are
//! applied, not at once.

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

#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Record {
    interfaces: Vec<String>,
}

/// Locks what all networks of a state directory share.
pub(crate) fn lock(directory: &Path) -> Result<Lock, Error> {
    Lock::take(&directory.join(LOCK))
}

/// The interfaces to open, which the rules must guard first; recorded before anything
/// is done with them.
pub(crate) fn plan(directory: &Path) -> Result<Vec<String>, Error> {
    if is_on("all")? {
        return Ok(Vec::new());
    }
    let _lock = lock(directory)?;
    let path = directory.join(RECORD);
    let mut record: Record = store::read(&path)?.unwrap_or_default();
    let bridges = bridges(directory)?;
    let all = interfaces()?;
    let others = has_other_bridge(&all, &bridges);
    let before = record.interfaces.len();
    for name in all {
        let ours = name.starts_with(naming::PREFIX) || bridges.contains(&name);
        if name == "lo" || ours || record.interfaces.contains(&name) {
            continue;
        }
        if !rules::can_name(&name) {
            log::warn!(
                "interface {name:?} cannot be named in a rule: containers are not reachable through it"
            );
            continue;
        }
        // An interface that forwards while forwarding is off was opened by its owner, or
        // by a Coop with another state directory: then it is ours to guard as well.
        if !is_on(&name)? || others {
            record.interfaces.push(name);
        }
    }
    if record.interfaces.len() != before {
        record.interfaces.sort();
        store::write(&path, &record)?;
    }
    Ok(record.interfaces)
}

/// Turns forwarding on for `interfaces`; one that has gone needs none.
pub(crate) fn open(interfaces: &[String]) -> Result<(), Error> {
    interfaces.iter().try_for_each(|name| set(name, "1"))
}

/// Removes the files of a network, and when it is the last one of the state directory,
/// undoes [`open`].
pub(crate) fn leave(directory: &Path, network: &str, store: &Store) -> Result<(), Error> {
    let _lock = lock(directory)?;
    let is_other = |name: &String| !name.starts_with('.') && name != network;
    if store::names(directory)?.iter().any(is_other) {
        return store.remove();
    }
    close(directory)?;
    store.remove()?;
    remove_file(&directory.join(LOCK))
}

/// Turns forwarding off on the interfaces that forward because of us.
fn close(directory: &Path) -> Result<(), Error> {
    let path = directory.join(RECORD);
    let Some(record) = store::read::<Record>(&path)? else {
        return Ok(());
    };
    // Someone else wants forwarding by now, or another Coop guards the same interfaces.
    let needed = is_on("all")? || has_other_bridge(&interfaces()?, &bridges(directory)?);
    if !needed {
        record
            .interfaces
            .iter()
            .try_for_each(|name| set(name, "0"))?;
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

fn path(name: &str) -> PathBuf {
    ["/proc/sys/net/ipv4/conf", name, "forwarding"]
        .iter()
        .collect()
}

fn is_on(name: &str) -> Result<bool, Error> {
    let path = path(name);
    match fs::read_to_string(&path) {
        Ok(text) => Ok(text.trim() != "0"),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(state("read", &path)(error)),
    }
}

fn set(name: &str, value: &'static str) -> Result<(), Error> {
    let path = path(name);
    match fs::write(&path, value) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(Error::Sysctl {
            path,
            value,
            source: errno(&error),
        }),
        _ => Ok(()),
    }
}
