//! The zones of networks, read from the leases and again whenever those change.
//!
//! Several processes change the leases of one network, and several answer from them. None tells
//! another: each change of a lease is a change of its directory, and one look at the directory
//! is as cheap as a query.

use std::collections::HashMap;
use std::fs;
use std::iter;
use std::net::SocketAddr;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::rc::Rc;
use std::time::{Duration, SystemTime};

use super::zone::{Member, Zone};
use crate::error::Error;
use crate::networks::Networks;

/// So many networks are remembered: those whose names are asked for.
const ZONES: usize = 64;

/// The kernel's clock for files is no finer: what is younger may change once more without
/// another time.
const TICK: Duration = Duration::from_millis(50);

/// Zones by network.
#[derive(Debug)]
pub(super) struct Registry {
    networks: Networks,
    zones: HashMap<String, Loaded>,
}

#[derive(Debug)]
struct Loaded {
    view: Option<Rc<View>>,
    stamp: Stamp,
    /// Whether a change would show in the stamp.
    is_settled: bool,
    /// When it was looked at last.
    look: u64,
}

/// A network as it is now.
#[derive(Debug)]
pub(super) struct View {
    pub(super) zone: Rc<Zone>,
    /// Where its name server listens.
    pub(super) servers: Vec<SocketAddr>,
}

/// What changes with the directory of leases, and with the network's own file.
type Stamp = [Option<(u64, i64, i64)>; 2];

impl Registry {
    pub(super) fn new(networks: Networks) -> Self {
        Self {
            networks,
            zones: HashMap::new(),
        }
    }

    /// The network as it is at this look, of which each has a number; none when there is none.
    /// `name` is what a container is called.
    ///
    /// What cannot be read is taken to be as it was, and read again at the next look; an error
    /// when it never was.
    pub(super) fn view(
        &mut self,
        network: &str,
        look: u64,
        name: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Option<Rc<View>>, Error> {
        if let Some(loaded) = self.zones.get(network)
            && loaded.look == look
        {
            return Ok(loaded.view.clone());
        }
        let directory = self.networks.directory().join(network);
        let stamp = stamp(&directory);
        if let Some(loaded) = self.zones.get_mut(network)
            && loaded.stamp == stamp
            && loaded.is_settled
        {
            loaded.look = look;
            return Ok(loaded.view.clone());
        }
        let (view, is_read) = match (self.load(network, name), self.zones.get(network)) {
            (Ok(view), _) => (view.map(Rc::new), true),
            (Err(error), Some(before)) => {
                log::debug!("names of network {network}: {error}");
                (before.view.clone(), false)
            }
            (Err(error), None) => return Err(error),
        };
        if self.zones.len() >= ZONES {
            self.zones.clear();
        }
        let loaded = Loaded {
            view: view.clone(),
            stamp,
            is_settled: is_read && is_settled(&stamp),
            look,
        };
        self.zones.insert(network.to_owned(), loaded);
        Ok(view)
    }

    fn load(
        &self,
        network: &str,
        name: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Option<View>, Error> {
        let Some(known) = self.networks.get(network)? else {
            return Ok(None);
        };
        let leases = self.networks.leases(network)?;
        let members = leases.into_iter().map(|lease| Member {
            addresses: lease.addresses().collect(),
            name: { name(&lease.container) }
                .or_else(|| lease.names.first().cloned())
                .unwrap_or_else(|| lease.container.clone()),
            names: lease.names,
            id: lease.container,
        });
        let mut subnets = vec![(known.subnet.network().into(), known.subnet.prefix_len())];
        let ipv6 = known.ipv6.map(|ipv6| ipv6.subnet);
        subnets.extend(ipv6.map(|subnet| (subnet.network().into(), subnet.prefix_len())));
        let zone = Zone::new(network, known.internal, subnets, members.collect());
        Ok(Some(View {
            zone: Rc::new(zone),
            servers: known
                .gateways()
                .zip(iter::repeat(known.name_port))
                .filter_map(|(address, port)| Some(SocketAddr::new(address, port?)))
                .collect(),
        }))
    }
}

fn stamp(directory: &Path) -> Stamp {
    ["leases", "network.json"].map(|name| {
        let state = fs::metadata(directory.join(name)).ok()?;
        Some((state.ino(), state.mtime(), state.mtime_nsec()))
    })
}

fn is_settled(stamp: &Stamp) -> bool {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let settled = now.unwrap_or_default().saturating_sub(TICK);
    stamp.iter().flatten().all(|(_, seconds, nanoseconds)| {
        let seconds = u64::try_from(*seconds).unwrap_or(u64::MAX);
        Duration::new(seconds, *nanoseconds as u32) < settled
    })
}
