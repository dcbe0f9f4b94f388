//! Volumes as commands make and remove them: told of, and one command at a time, so that none
//! goes that a container is just about to have.

use std::collections::BTreeMap;

use anyhow::Result;
use coop_launcher::store::{Event, Lock};

use crate::host::Host;

/// Held by who removes volumes that nobody uses, from the look at their users to the removal,
/// and by who makes a container, from the making of its volumes until it is seen to use them.
pub(crate) fn lock(host: &Host) -> Result<Lock> {
    Ok(Lock::file(&host.store.dirs().run.join("volumes.lock"))?)
}

/// Makes a volume, by `make`, and tells of it when it is new.
pub(crate) fn make<T, E>(host: &Host, name: &str, make: impl FnOnce() -> Result<T, E>) -> Result<T>
where
    anyhow::Error: From<E>,
{
    let is_new = !host.volumes.path(name)?.exists();
    let made = make()?;
    if is_new {
        host.store.emit(&Event::of_volume(name, "create"));
    }
    Ok(made)
}

/// Makes a volume with labels; `false` when it exists already.
pub(crate) fn make_labelled(
    host: &Host,
    name: &str,
    labels: &BTreeMap<String, String>,
) -> Result<bool> {
    make(host, name, || host.volumes.create_labelled(name, labels))
}

/// Removes a volume, if it is there, with all that is in it.
pub(crate) fn remove(host: &Host, name: &str) -> Result<()> {
    let was_there = host.volumes.path(name)?.exists();
    host.volumes.remove(name)?;
    if was_there {
        host.store.emit(&Event::of_volume(name, "destroy"));
    }
    Ok(())
}
