//! The networks of a state directory.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::allocate::allocate;
use crate::apply::{self, Applied, PendingRules};
use crate::bridge;
use crate::create;
use crate::error::{Error, interface};
use crate::forwarding;
use crate::lease::{Lease, LeaseRequest};
use crate::pool;
use crate::reserve;
use crate::spec::{Network, NetworkSpec, check_bridge, check_name};
use crate::store::{self, Lock, Store};

/// The networks whose state is in one directory, such as `/run/coop/networks`:
///
/// ```text
/// NAME/network.json                subnet, bridge, ...
/// NAME/leases/CONTAINER.json       one per container
/// NAME/lock                        flock, held by `nft` too
/// NAME/made-bridge                 the bridge has a chosen name, and Coop made it
/// .forwarding.json, .lock          interfaces opened for all networks
/// ```
///
/// Every call takes the lock that it needs, and none keeps one. The calls act on the
/// network namespace of the calling thread.
#[derive(Debug, Clone)]
pub struct Networks {
    directory: PathBuf,
}

impl Networks {
    /// The networks of `directory`, which is made when the first network is. Names of
    /// kernel objects are derived from this path: use the same one every time.
    pub fn new(directory: impl AsRef<Path>) -> Self {
        let directory = directory.as_ref();
        let directory = std::path::absolute(directory).unwrap_or_else(|_| directory.to_owned());
        Self { directory }
    }

    /// The state directory.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Gives containers their places in a network, in the order of `requests`, and
    /// records them. It is planning: it makes files and no kernel object.
    ///
    /// The first leases of a network decide on its subnet: one of 253 containers, or of 1,021
    /// when they are more. A container that has a lease
    /// gets the same address (and randomly chosen ports) again.
    ///
    /// # Errors
    /// [`Error::InvalidName`], [`Error::SubnetSize`], [`Error::SubnetOverlaps`],
    /// [`Error::PoolExhausted`], [`Error::SubnetFull`], [`Error::BridgeFull`],
    /// [`Error::AddressOutside`],
    /// [`Error::AddressTaken`], [`Error::PublishedTwice`], [`Error::InternalPort`],
    /// [`Error::Differs`], [`Error::Port`], and errors of the state directory. On an
    /// error no lease is recorded.
    pub fn lease(
        &self,
        spec: &NetworkSpec,
        requests: &[LeaseRequest],
    ) -> Result<Vec<Lease>, Error> {
        let store = self.store(&spec.name)?;
        spec.bridge.as_deref().map_or(Ok(()), check_bridge)?;
        for request in requests {
            check_name("container", &request.container)?;
        }
        let _lock = store.create_and_lock()?;
        let planned = self.plan(spec, &store, requests);
        if planned.is_err()
            && store.leases().is_ok_and(|leases| leases.is_empty())
            && !store.network()?.is_some_and(|network| network.kept)
        {
            forwarding::leave(&self.directory, &spec.name, &store)?;
        }
        planned
    }

    fn plan(
        &self,
        spec: &NetworkSpec,
        store: &Store,
        requests: &[LeaseRequest],
    ) -> Result<Vec<Lease>, Error> {
        let existing = store.leases()?;
        let network = match store.network()? {
            Some(network) if !existing.is_empty() || network.kept => create::same(network, spec)?,
            Some(network)
                if create::same(network.clone(), spec).is_ok()
                    && requests.len() <= pool::room(network.subnet.prefix_len()) =>
            {
                network
            }
            // Without a lease nothing depends on how the network was.
            _ => self.create(spec, store, requests.len())?,
        };
        let mut leases = allocate(&self.directory, &network, &existing, requests)?;
        let kept = existing
            .iter()
            .flat_map(|lease| &lease.ports)
            .copied()
            .collect();
        reserve::choose_free_ports(leases.iter_mut().flat_map(|lease| &mut lease.ports), kept)?;
        Self::record(store, &existing, &leases)?;
        Ok(leases)
    }

    /// Writes `leases` down, all of them or none that is new.
    fn record(store: &Store, existing: &[Lease], leases: &[Lease]) -> Result<(), Error> {
        let before = |lease: &Lease| {
            let mut all = existing.iter();
            all.find(|it| it.container == lease.container)
        };
        // One that gets other addresses leaves the rules of the old ones behind.
        let moved = |lease: &&Lease| before(lease).is_some_and(|it| !it.is_placed_as(lease));
        let moved: Vec<_> = { leases.iter().filter(moved) }
            .map(|lease| lease.host_interface.clone())
            .collect();
        store.depart(&moved)?;
        let written = leases.iter().try_for_each(|lease| store.write_lease(lease));
        if written.is_err() {
            let mut new = leases.iter().filter(|lease| before(lease).is_none());
            new.try_for_each(|lease| store.remove_lease(&lease.container))?;
        }
        written
    }

    /// Decides what the network is, with room for so many containers, and records it.
    fn create(
        &self,
        spec: &NetworkSpec,
        store: &Store,
        containers: usize,
    ) -> Result<Network, Error> {
        // One at a time, or two networks choose the same subnet.
        let _lock = forwarding::lock(&self.directory)?;
        let others: Vec<_> = { self.list()?.into_iter() }
            .filter(|other| other.name != spec.name)
            .collect();
        let network = create::decide(&self.directory, spec, &others, containers)?;
        store.write_network(&network)?;
        Ok(network)
    }

    /// Makes a network that is there without a container, too, until it is
    /// [removed](Self::remove). It is planning: its bridge comes with its first container.
    ///
    /// # Errors
    /// [`Error::Exists`], and those of [`lease`](Self::lease) that are about a network.
    pub fn create_network(&self, spec: &NetworkSpec) -> Result<Network, Error> {
        let store = self.store(&spec.name)?;
        spec.bridge.as_deref().map_or(Ok(()), check_bridge)?;
        let _lock = store.create_and_lock()?;
        let leased = !store.leases()?.is_empty();
        // What a killed command left of it without a lease is nobody's.
        if leased || store.network()?.is_some_and(|network| network.kept) {
            return Err(Error::Exists {
                network: spec.name.clone(),
            });
        }
        let spec = NetworkSpec {
            kept: true,
            ..spec.clone()
        };
        let created = self.create(&spec, &store, 0);
        if created.is_err() {
            forwarding::leave(&self.directory, &spec.name, &store)?;
        }
        created
    }

    /// Makes the bridge of a network that has leases: address, MTU, up. Idempotent; for a
    /// bridge that is complete it costs a few ioctls.
    ///
    /// # Errors
    /// [`Error::NoNetwork`], [`Error::BridgeForeign`], [`Error::Interface`],
    /// [`Error::Sysctl`].
    pub fn ensure_bridge(&self, network: &str) -> Result<(), Error> {
        let (store, _lock) = self.locked(network)?;
        bridge::ensure(&self.known(network, &store)?, &store, &self.directory)
    }

    /// Starts to replace the rules of a network by those for its present leases, in one
    /// transaction, and returns at once. When the kernel has exactly these rules, no
    /// process is started.
    ///
    /// The order of a launch: [`lease`](Self::lease), [`ensure_bridge`](Self::ensure_bridge),
    /// `apply_rules`, other work, [`PendingRules::wait`].
    ///
    /// # Errors
    /// [`Error::NoNetwork`], [`Error::MissingTool`], [`Error::Tool`], errors of the state
    /// directory.
    pub fn apply_rules(&self, network: &str) -> Result<PendingRules, Error> {
        self.apply_all_rules([network])
    }

    /// As [`apply_rules`](Self::apply_rules), for several networks by one `nft`.
    ///
    /// # Errors
    /// As [`apply_rules`](Self::apply_rules).
    pub fn apply_all_rules<'a>(
        &self,
        networks: impl IntoIterator<Item = &'a str>,
    ) -> Result<PendingRules, Error> {
        // In one order, or two processes wait for each other's locks.
        let names: BTreeSet<&str> = networks.into_iter().collect();
        let locked: Vec<_> = { names.iter() }
            .map(|name| self.locked(name))
            .collect::<Result<_, _>>()?;
        let mut applied = Vec::with_capacity(locked.len());
        for (name, (store, lock)) in names.into_iter().zip(&locked) {
            applied.push(Applied {
                network: self.known(name, store)?,
                leases: store.leases()?,
                store,
                lock,
            });
        }
        apply::start(&self.directory, applied)
    }

    /// The networks there are, by name.
    ///
    /// # Errors
    /// Errors of the state directory.
    pub fn list(&self) -> Result<Vec<Network>, Error> {
        let names = store::names(&self.directory)?;
        names
            .iter()
            .filter(|name| !name.starts_with('.'))
            .filter_map(|name| Store::new(&self.directory, name).network().transpose())
            .collect()
    }

    /// One network, `None` when it does not exist.
    ///
    /// # Errors
    /// [`Error::InvalidName`], errors of the state directory.
    pub fn get(&self, network: &str) -> Result<Option<Network>, Error> {
        self.store(network)?.network()
    }

    /// The leases of a network, by address; none when it does not exist.
    ///
    /// # Errors
    /// [`Error::InvalidName`], errors of the state directory.
    pub fn leases(&self, network: &str) -> Result<Vec<Lease>, Error> {
        self.store(network)?.leases()
    }

    /// Gives a container that has a lease other names. Nothing is written when they are the same.
    ///
    /// # Errors
    /// [`Error::InvalidName`], errors of the state directory.
    pub fn set_names(&self, network: &str, container: &str, names: &[String]) -> Result<(), Error> {
        check_name("container", container)?;
        let store = self.store(network)?;
        let Some(_lock) = store.lock_existing()? else {
            return Ok(());
        };
        match store.lease(container)? {
            Some(mut lease) if lease.names != names => {
                lease.names = names.to_vec();
                store.write_lease(&lease)
            }
            _ => Ok(()),
        }
    }

    /// Whether the container has its place in the network on record, which a reboot takes.
    ///
    /// # Errors
    /// [`Error::InvalidName`].
    pub fn has_lease(&self, network: &str, container: &str) -> Result<bool, Error> {
        check_name("container", container)?;
        Ok(self.store(network)?.has_lease(container))
    }

    pub(crate) fn store(&self, network: &str) -> Result<Store, Error> {
        check_name("network", network)?;
        Ok(Store::new(&self.directory, network))
    }

    pub(crate) fn known(&self, network: &str, store: &Store) -> Result<Network, Error> {
        store.network()?.ok_or_else(|| self.unknown(network))
    }

    pub(crate) fn locked(&self, network: &str) -> Result<(Store, Lock), Error> {
        let store = self.store(network)?;
        let lock = store
            .lock_existing()?
            .ok_or_else(|| self.unknown(network))?;
        Ok((store, lock))
    }

    fn unknown(&self, network: &str) -> Error {
        Error::NoNetwork {
            network: network.to_owned(),
            directory: self.directory.clone(),
        }
    }

    /// Whether the bridge of a network is up.
    pub(crate) fn bridge_is_up(bridge: &str) -> Result<bool, Error> {
        if !bridge::exists(bridge)? {
            return Ok(false);
        }
        apply::control(bridge)?
            .is_up(bridge)
            .map_err(interface("read the flags", bridge))
    }
}
