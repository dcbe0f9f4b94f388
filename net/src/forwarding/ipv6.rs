//! The IPv6 side: see the module above.

use serde::{Deserialize, Serialize};

use super::{Opened, is_on, read, set};
use crate::error::Error;

/// The setting of one interface; absent before Linux 6.17.
const BY_INTERFACE: &str = "force_forwarding";

/// What was opened, and how.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    /// The interfaces that forward only because of us.
    pub(super) interfaces: Vec<String>,
    /// Whether each was opened on its own.
    pub(super) by_interface: bool,
    /// Those that listened to routers, and are told to go on.
    pub(super) listening: Vec<String>,
}

impl Record {
    fn is_ours(&self) -> bool {
        !self.interfaces.is_empty()
    }
}

/// Plans to have these interfaces forward, unless all do already, and not because of us.
pub(super) fn plan(record: &mut Record, strangers: &[String], others: bool) -> Result<(), Error> {
    if is_on("ipv6", "all")? && !record.is_ours() && !others {
        return Ok(());
    }
    if !record.is_ours() {
        record.by_interface = read("ipv6", "all", BY_INTERFACE)?.is_some();
    }
    for name in strangers {
        if record.interfaces.contains(name) {
            continue;
        }
        record.interfaces.push(name.clone());
        if !record.by_interface && read("ipv6", name, "accept_ra")?.as_deref() == Some("1") {
            record.listening.push(name.clone());
        }
    }
    record.interfaces.sort();
    Ok(())
}

pub(super) fn open(opened: &Opened) -> Result<(), Error> {
    if opened.v6.is_empty() {
        return Ok(());
    }
    if opened.ipv6_by_interface {
        return { opened.v6.iter() }.try_for_each(|name| set("ipv6", name, BY_INTERFACE, "1"));
    }
    // Before: what an interface has heard from routers is forgotten by the switch.
    { opened.listening.iter() }.try_for_each(|name| set("ipv6", name, "accept_ra", "2"))?;
    if is_on("ipv6", "all")? {
        return Ok(());
    }
    set("ipv6", "all", "forwarding", "1")
}

pub(super) fn close(record: &Record) -> Result<(), Error> {
    if record.by_interface {
        return { record.interfaces.iter() }
            .try_for_each(|name| set("ipv6", name, BY_INTERFACE, "0"));
    }
    if record.is_ours() {
        set("ipv6", "all", "forwarding", "0")?;
        { record.listening.iter() }.try_for_each(|name| set("ipv6", name, "accept_ra", "1"))?;
    }
    Ok(())
}
