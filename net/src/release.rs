//! Taking networks down. Every call here is an undo: by value, and done again without
//! harm by whoever finds the work of a killed process.

use std::collections::BTreeSet;
use std::fmt;

use crate::apply::{self, Applied};
use crate::batch;
use crate::bridge;
use crate::error::Error;
use crate::forwarding;
use crate::lease::Lease;
use crate::naming;
use crate::networks::Networks;
use crate::spec::check_name;
use crate::store::{Lock, Store};

impl Networks {
    /// Undoes [`lease`](Self::lease) and everything that followed from it for one
    /// container: its link, its published ports, its lease, in that order. With the last
    /// lease go bridge, rules and directory of the network.
    ///
    /// Succeeds when it is all gone already.
    ///
    /// # Errors
    /// The first step that failed; the lease is still there, so that the call can be
    /// repeated.
    pub fn release(&self, network: &str, container: &str) -> Result<(), Error> {
        self.release_several(network, &[container])
    }

    /// [`release`](Self::release) for several containers of a network: one `nft`, and one `ip` if
    /// a link is still there. What it costs depends on how many go, and not on how many stay,
    /// unless one of those that go publishes a port.
    ///
    /// # Errors
    /// The first step that failed; the leases are still there, so that the call can be repeated.
    pub fn release_several(&self, network: &str, containers: &[&str]) -> Result<(), Error> {
        for container in containers {
            check_name("container", container)?;
        }
        let store = self.store(network)?;
        let link = |name: &&str| naming::host_interface(self.directory(), network, name);
        let links: Vec<String> = containers.iter().map(link).collect();
        let links: Vec<&str> = links.iter().map(String::as_str).collect();
        let Some(lock) = store.lock_existing()? else {
            return self.sweep(network, &links);
        };
        let going: BTreeSet<&str> = containers.iter().copied().collect();
        if !store.has_lease_beside(&going)? {
            return self.tear_down(network, &store, &lock, &links);
        }
        let (mut departed, mut published) = (Vec::new(), false);
        for container in containers {
            if let Some(lease) = store.lease(container)? {
                published |= !lease.ports.is_empty();
                departed.push(lease.host_interface);
            }
        }
        store.depart(&departed)?;
        let pending = match store.network()? {
            Some(known) if published => {
                let mut stay: Vec<Lease> = store.leases()?;
                stay.retain(|lease| !going.contains(lease.container.as_str()));
                let applied = Applied {
                    network: known,
                    leases: stay,
                    store: &store,
                    lock: &lock,
                };
                Some(apply::start(self.directory(), vec![applied])?)
            }
            _ => None,
        };
        // `nft` works meanwhile.
        batch::remove_links(&links)?;
        pending.map_or(Ok(()), apply::PendingRules::wait_rules)?;
        containers
            .iter()
            .try_for_each(|name| store.remove_lease(name))
    }

    /// [`release`](Self::release) for all containers of a network at once: one `nft`, and
    /// one `ip` if a link is still there.
    ///
    /// # Errors
    /// The first step that failed; the call can be repeated.
    pub fn release_all(&self, network: &str) -> Result<(), Error> {
        let store = self.store(network)?;
        match store.lock_existing()? {
            None => self.sweep(network, &[]),
            Some(lock) => self.tear_down(network, &store, &lock, &[]),
        }
    }

    /// Removes a network that has no containers, whoever made it; succeeds when it is gone.
    ///
    /// # Errors
    /// [`Error::InUse`] when it has some, or the first step that failed.
    pub fn remove(&self, network: &str) -> Result<(), Error> {
        let store = self.store(network)?;
        let Some(lock) = store.lock_existing()? else {
            return self.sweep(network, &[]);
        };
        let leases = store.leases()?;
        if !leases.is_empty() {
            return Err(Error::InUse {
                network: network.to_owned(),
                containers: leases.into_iter().map(|lease| lease.container).collect(),
            });
        }
        self.take_down(network, &store, &lock, &[])?;
        forwarding::leave(self.directory(), network, &store)
    }

    /// All of it goes, but the record of a network that is kept.
    fn tear_down(
        &self,
        network: &str,
        store: &Store,
        lock: &Lock,
        links: &[&str],
    ) -> Result<(), Error> {
        self.take_down(network, store, lock, links)?;
        // Last: as long as something is left to do, the directory says what.
        if store.network()?.is_some_and(|network| network.kept) {
            return forwarding::rest(self.directory(), network, store);
        }
        forwarding::leave(self.directory(), network, store)
    }

    /// Removes what is in the kernel.
    fn take_down(
        &self,
        network: &str,
        store: &Store,
        lock: &Lock,
        links: &[&str],
    ) -> Result<(), Error> {
        let bridge = match store.network()? {
            None => Some(naming::bridge(self.directory(), network)),
            Some(known) if bridge::is_ours(&known, store, self.directory()) => Some(known.bridge),
            Some(_) => None,
        };
        let leases = store.leases()?;
        let mut links: BTreeSet<&str> = links.iter().copied().collect();
        links.extend(leases.iter().map(|lease| lease.host_interface.as_str()));
        self.remove_kernel_objects(network, bridge.as_deref(), &links, Some(lock))
    }

    /// For a network without a directory: removes what a process may have left that
    /// worked on another state of it.
    fn sweep(&self, network: &str, links: &[&str]) -> Result<(), Error> {
        let bridge = naming::bridge(self.directory(), network);
        self.remove_kernel_objects(
            network,
            Some(&bridge),
            &links.iter().copied().collect(),
            None,
        )?;
        let store = self.store(network)?;
        if store.is_half_removed() {
            return forwarding::leave(self.directory(), network, &store);
        }
        Ok(())
    }

    fn remove_kernel_objects(
        &self,
        network: &str,
        bridge: Option<&str>,
        links: &BTreeSet<&str>,
        lock: Option<&Lock>,
    ) -> Result<(), Error> {
        let bridge = match bridge {
            Some(bridge) if bridge::exists(bridge)? => Some(bridge),
            _ => None,
        };
        if let Some(bridge) = bridge {
            // No packet passes any more, so it does not matter that the rules go first.
            bridge::close(bridge)?;
        }
        let nft = apply::remove(self.directory(), network, lock)?;
        let links: Vec<&str> = links.iter().copied().collect();
        batch::remove_links(&links)?;
        // Side by side: both wait for RCU grace periods, the bridge for two long ones.
        let removed = bridge.map_or(Ok(()), bridge::remove);
        if let Some(nft) = nft {
            nft.wait(network)?;
        }
        removed
    }

    /// Compares the state directory with the kernel. `is_live` says whether a container
    /// exists. An empty result means that all is well.
    ///
    /// # Errors
    /// Errors of the state directory, and ioctls that failed.
    pub fn check(&self, is_live: impl Fn(&str) -> bool) -> Result<Vec<Finding>, Error> {
        let mut findings = Vec::new();
        for name in crate::store::names(self.directory())?
            .into_iter()
            .filter(|name| !name.starts_with('.'))
        {
            let store = self.store(&name)?;
            let leases = store.leases()?;
            let known = store.network()?;
            if leases.is_empty() && known.as_ref().is_some_and(|network| network.kept) {
                continue;
            }
            let Some(network) = known.filter(|_| !leases.is_empty()) else {
                findings.push(Finding::Empty { network: name });
                continue;
            };
            let (live, dead): (Vec<_>, Vec<_>) = leases
                .into_iter()
                .partition(|lease| is_live(&lease.container));
            findings.extend(dead.into_iter().map(|lease| Finding::Lease {
                network: name.clone(),
                container: lease.container,
            }));
            if live.is_empty() {
                continue;
            }
            if !Self::bridge_is_up(&network.bridge)? {
                findings.push(Finding::NoBridge {
                    network: name.clone(),
                    bridge: network.bridge,
                });
            }
            if apply::has_table(self.directory(), &name) == Some(false) {
                findings.push(Finding::NoRules { network: name });
            }
        }
        Ok(findings)
    }
}

/// A difference between the state directory and the kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Finding {
    /// A network without leases: its creation or removal was interrupted.
    /// [`Networks::release_all`] removes it.
    Empty {
        /// The network.
        network: String,
    },
    /// A lease of a container that does not exist. [`Networks::release`] removes it.
    Lease {
        /// The network.
        network: String,
        /// The container.
        container: String,
    },
    /// The bridge is missing or down. [`Networks::ensure_bridge`] makes it, but links of
    /// running containers do not come back.
    NoBridge {
        /// The network.
        network: String,
        /// Its bridge.
        bridge: String,
    },
    /// Someone removed the rules. [`Networks::apply_rules`] restores them.
    NoRules {
        /// The network.
        network: String,
    },
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty { network } => write!(f, "network {network} has no containers"),
            Self::Lease { network, container } => {
                write!(
                    f,
                    "network {network} has an address for container {container}, which does not exist"
                )
            }
            Self::NoBridge { network, bridge } => {
                write!(f, "bridge {bridge} of network {network} is not up")
            }
            Self::NoRules { network } => write!(f, "the rules of network {network} are missing"),
        }
    }
}
