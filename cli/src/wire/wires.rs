//! What the supervisor asks for, answered from the saved plans.

mod beside;

use std::cell::{OnceCell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::OwnedFd;
use std::rc::Rc;

use anyhow::Context;
use coop_launcher::stdio::Pipes;
use coop_launcher::store::{ContainerId, FileStamp, Name, State, StoreError};
use coop_launcher::supervisor::{Service, UnitSpec, Wiring};
use coop_launcher::{BoxError, Pipeline};
use coop_net::{Lease, PendingRules};
use rustix::process::Pid;

use self::beside::Beside;
use super::{exec_pipeline, pipeline};
use crate::host::Host;
use crate::names::NameService;
use crate::plan::{ContainerPlan, ProcessPlan};
use crate::stage::{Cgroup, Links, Overseer};

/// What the supervisor asks for, answered from the saved plans.
pub(crate) struct Wires<'a> {
    host: &'a Host,
    links: Links,
    /// The rules of the batch's networks, on their way into the kernel.
    rules: RefCell<Vec<PendingRules>>,
    /// The networks of the containers that somebody asked about since the last batch: those of
    /// the next one. For each, one of them.
    batch: RefCell<BTreeMap<String, ContainerId>>,
    /// Networks that the batch has made ready: for all of their leases, so once is enough.
    ready: RefCell<BTreeSet<String>>,
    /// The first container's standard input, until it takes it.
    stdin: RefCell<Option<OwnedFd>>,
    /// What each ended container had used, when somebody wants to know (`--usage`).
    usage: Option<RefCell<Vec<(String, coop_cgroup::Stats)>>>,
    /// The plan that was asked for last: one container's is read several times on its way.
    last_plan: RefCell<Option<(ContainerId, FileStamp, Rc<ContainerPlan>)>>,
    /// Who answers for the filters of its containers.
    overseer: Option<Overseer>,
    /// Published ports, held as long as their container lives.
    ports: RefCell<Vec<(ContainerId, Vec<OwnedFd>)>>,
    /// Answers the containers' questions for names, once they have a network.
    beside: OnceCell<Beside<'a>>,
}

impl<'a> Wires<'a> {
    pub(crate) fn new(host: &'a Host) -> Self {
        Self {
            host,
            links: Links::default(),
            rules: RefCell::default(),
            batch: RefCell::default(),
            ready: RefCell::default(),
            stdin: RefCell::default(),
            usage: None,
            last_plan: RefCell::default(),
            overseer: None,
            ports: RefCell::default(),
            beside: OnceCell::new(),
        }
    }

    /// Gives the next container that is created this standard input.
    pub(crate) fn with_stdin(self, stdin: OwnedFd) -> Self {
        self.stdin.replace(Some(stdin));
        self
    }

    /// Has another process answer for the filters of its containers.
    pub(crate) fn with_overseer(self, overseer: Overseer) -> Self {
        Self {
            overseer: Some(overseer),
            ..self
        }
    }

    /// Takes note of what each container had used at its end.
    pub(crate) fn with_usage(self) -> Self {
        Self {
            usage: Some(RefCell::default()),
            ..self
        }
    }

    /// What the containers that have ended had used.
    pub(crate) fn usage(&self) -> Vec<(String, coop_cgroup::Stats)> {
        self.usage.as_ref().map(RefCell::take).unwrap_or_default()
    }

    /// The saved plan, as it is now.
    fn plan(&self, id: &ContainerId) -> Result<Rc<ContainerPlan>, StoreError> {
        let stamp = self.host.store.config_stamp(id)?;
        let mut last = self.last_plan.borrow_mut();
        if let Some((of, read, plan)) = &*last
            && (of, *read) == (id, stamp)
        {
            return Ok(Rc::clone(plan));
        }
        let plan = Rc::new(self.host.store.load_config(id)?);
        *last = Some((id.clone(), stamp, Rc::clone(&plan)));
        Ok(plan)
    }

    /// Its cgroup, which it has to have.
    fn cgroup(&self, plan: &ContainerPlan) -> anyhow::Result<coop_cgroup::Cgroup> {
        let cgroup = self.host.cgroup_of(plan)?;
        cgroup.context("the container was started without a cgroup: none was delegated to its user")
    }

    fn forget_batch(&self) {
        self.ready.take();
        self.batch.take();
    }

    /// Takes the container's published ports, which are nobody else's from now on.
    fn publish(&self, id: &ContainerId, plan: &ContainerPlan) -> anyhow::Result<()> {
        if let Some(rootless) = &self.host.rootless {
            // Their sockets are with the keeper.
            self.ports.borrow_mut().push((id.clone(), Vec::new()));
            return rootless.publish(&plan.network.leases().collect::<Vec<_>>());
        }
        for lease in plan.network.leases() {
            let reserved = coop_net::reserve(&lease.ports)?;
            self.ports.borrow_mut().push((id.clone(), reserved));
        }
        Ok(())
    }

    /// Holds the published ports of a container that runs: of one that another supervisor has
    /// started, or that was connected to a network since. Gives up those that it has no more.
    fn follow_ports(&self, id: &ContainerId, plan: &ContainerPlan) -> anyhow::Result<()> {
        if let Some(rootless) = &self.host.rootless {
            let is_known = self.ports.borrow().iter().any(|(holder, _)| holder == id);
            if !is_known {
                self.ports.borrow_mut().push((id.clone(), Vec::new()));
            }
            let leases: Vec<_> = plan.network.leases().collect();
            if leases.iter().all(|lease| lease.ports.is_empty()) {
                rootless.withdraw(id.as_str());
            }
            return rootless.adopt(&leases);
        }
        let publishes = plan.network.leases().any(|lease| !lease.ports.is_empty());
        let mut ports = self.ports.borrow_mut();
        let holds = { ports.iter() }.any(|(holder, held)| holder == id && !held.is_empty());
        if holds && !publishes {
            ports.retain(|(holder, _)| holder != id);
        }
        drop(ports);
        if publishes && !holds {
            self.publish(id, plan)?;
        }
        Ok(())
    }

    /// Answers for the names of the networks of a container that runs, by its names of now.
    fn follow_networks(&self, plan: &ContainerPlan) {
        crate::names::follow(self.host, plan);
        for lease in plan.network.leases() {
            if let Err(error) = self.serve_names_again(&lease.network) {
                log::warn!("{error}");
            }
        }
    }

    /// Sees to it that the network is there by the time that the container is.
    fn make_ready(&self, id: &ContainerId, lease: &Lease) -> Result<(), BoxError> {
        let network = &lease.network;
        if !self.host.networks.has_lease(network, id.as_str())? {
            crate::realize::lease_again(self.host, network)?;
        }
        if !self.ready.borrow().contains(network) {
            self.make_networks_ready(id, network)?;
        }
        Ok(())
    }

    /// Makes this network ready, and those of all containers of the batch with it: one `nft` for
    /// all of them.
    ///
    /// It mostly waits for the kernel, longer than all the rest of a launch takes: it is started
    /// before the first clone.
    fn make_networks_ready(&self, id: &ContainerId, network: &str) -> Result<(), BoxError> {
        let networks = &self.host.networks;
        let mut batch = self.batch.take();
        batch.insert(network.to_owned(), id.clone());
        for (network, id) in &batch {
            if !networks.has_lease(network, id.as_str())? {
                crate::realize::lease_again(self.host, network)?;
            }
        }
        // Somebody may have disconnected it since: then the network may be gone.
        batch.retain(|network, id| networks.has_lease(network, id.as_str()).unwrap_or(true));
        for network in batch.keys() {
            self.serve_names(network)?;
        }
        let rules = self.host.place_of_networks()?.run(|| {
            { batch.keys() }.try_for_each(|network| networks.ensure_bridge(network))?;
            networks.apply_all_rules(batch.keys().map(String::as_str))
        })??;
        self.rules.borrow_mut().push(rules);
        self.ready.borrow_mut().extend(batch.into_keys());
        Ok(())
    }

    /// Answers for the names of a network. Says whether that takes other rules.
    fn serve_names(&self, network: &str) -> Result<bool, BoxError> {
        if self.beside.get().is_none() {
            let beside = Beside::new(NameService::new(self.host)?)?;
            let _ = self.beside.set(beside);
        }
        let Some(beside) = self.beside.get() else {
            return Ok(false);
        };
        let place = self.host.place_of_networks()?;
        if let Some(rootless) = &self.host.rootless {
            beside.watch_keeper(rootless);
        }
        Ok(beside.names.serve(network, &place)?)
    }

    /// The same after an adoption: the rules are in the kernel already.
    fn serve_names_again(&self, network: &str) -> Result<(), BoxError> {
        if self.serve_names(network)? {
            let networks = &self.host.networks;
            let apply = || networks.apply_rules(network)?.wait();
            self.host.place_of_networks()?.run(apply)??;
        }
        Ok(())
    }

    /// How often the kernel killed something in the container for want of memory.
    fn oom_kills(&self, id: &ContainerId) -> anyhow::Result<u64> {
        let plan = self.plan(id)?;
        let Some(hierarchy) = self.host.cgroups_of(&plan)? else {
            return Ok(0);
        };
        let Some(usage) = &self.usage else {
            // One file instead of a dozen.
            return Ok(hierarchy.oom_kill_count(&plan.cgroup)?);
        };
        let stats = hierarchy.open(&plan.cgroup)?.stats()?;
        let killed = stats.memory.as_ref().map_or(0, |memory| memory.oom_kill);
        usage.borrow_mut().push((plan.unit.name.clone(), stats));
        Ok(killed)
    }
}

/// Gives a container another name. For its stack's supervisor, or who holds the stack's lock.
pub(crate) fn rename(host: &Host, id: &ContainerId, name: &Name) -> Result<State, StoreError> {
    let state = host.store.rename(id, name, write_name)?;
    if let Ok(plan) = host.store.load_config(id) {
        crate::names::follow(host, &plan);
    }
    Ok(state)
}

/// Writes another name into a saved plan.
pub(crate) fn write_name(plan: &mut serde_json::Value, name: &Name) {
    let old = plan["unit"]["name"].take();
    plan["unit"]["name"] = name.as_str().into();
    // A service of the same name keeps it.
    let kept = usize::from(plan["service"] == old);
    crate::names::replace(&mut plan["network"], &old, name.as_str(), kept);
}

impl Wiring for Wires<'_> {
    fn spec(&self, id: &ContainerId) -> Result<UnitSpec, BoxError> {
        let plan = self.plan(id)?;
        for network in plan.network.networks() {
            let mut batch = self.batch.borrow_mut();
            batch
                .entry(network.to_owned())
                .or_insert_with(|| id.clone());
        }
        Ok(plan.unit.clone())
    }

    fn pipeline(&self, id: &ContainerId) -> Result<Pipeline, BoxError> {
        let plan = self.plan(id)?;
        crate::grants::provide(&plan)?;
        let plan = if crate::realize::has_missing_leases(&plan) {
            crate::realize::complete_leases(self.host, &plan)?;
            self.plan(id)?
        } else {
            plan
        };
        self.publish(id, &plan)?;
        for lease in plan.network.leases() {
            self.make_ready(id, lease)?;
        }
        let stdin = self.stdin.take();
        let overseer = self.overseer.as_ref();
        pipeline(&plan, self.host, &self.links, stdin, overseer).map_err(BoxError::from)
    }

    fn health_check(
        &self,
        id: &ContainerId,
        init: Pid,
        output: OwnedFd,
    ) -> Result<Pipeline, BoxError> {
        let plan = self.plan(id)?;
        let argv = plan.health_command.clone().ok_or("no health check")?;
        let cgroup = self.host.cgroup_of(&plan)?;
        if cgroup.is_some_and(|cgroup| cgroup.is_frozen().unwrap_or(false)) {
            return Err("the container is frozen".into());
        }
        let process = ProcessPlan {
            argv,
            terminal: false,
            stdin_open: false,
            ..plan.process.clone()
        };
        Ok(exec_pipeline(
            &plan,
            &process,
            self.host,
            init,
            Pipes::given(None, output.try_clone()?, output),
            self.overseer.as_ref(),
        )?)
    }

    /// One `ip` for all links, of all parts; `nft` works meanwhile.
    fn commit_batch(&self) -> Result<(), BoxError> {
        Ok(self.links.sync()?)
    }

    /// One `nft` for all networks, begun with the first container: until now nobody could send
    /// anything.
    fn end_batch(&self) -> Result<(), BoxError> {
        self.forget_batch();
        self.links.commit()?;
        let rules = self.rules.take();
        if rules.is_empty() {
            return Ok(());
        }
        let wait = || rules.into_iter().try_for_each(PendingRules::wait);
        Ok(self.host.place_of_networks()?.run(wait)??)
    }

    fn service(&self) -> Option<&dyn Service> {
        self.beside.get()?;
        Some(self)
    }

    fn ended(&self, id: &ContainerId) -> bool {
        self.ports.borrow_mut().retain(|(holder, _)| holder != id);
        if let Some(rootless) = &self.host.rootless {
            rootless.withdraw(id.as_str());
        }
        self.oom_kills(id).is_ok_and(|kills| kills > 0)
    }

    fn freeze(&self, id: &ContainerId) -> Result<(), BoxError> {
        let plan = self.plan(id)?;
        Ok(self.cgroup(&plan)?.freeze()?)
    }

    fn thaw(&self, id: &ContainerId) -> Result<(), BoxError> {
        let plan = self.plan(id)?;
        Ok(self.cgroup(&plan)?.thaw()?)
    }

    fn rename(&self, id: &ContainerId, name: &Name) -> Result<(), BoxError> {
        rename(self.host, id, name)?;
        Ok(())
    }

    fn adopted(&self, id: &ContainerId) {
        self.reloaded(id);
    }

    /// It may have been connected to one more network, or disconnected from one.
    fn reloaded(&self, id: &ContainerId) {
        let Ok(plan) = self.plan(id) else { return };
        let runs = { self.host.store.load_state(id) }.is_ok_and(|state| state.init_alive());
        // With an error, too: the rules are in the kernel, and connections go to the container.
        if runs && let Err(error) = self.follow_ports(id, &plan) {
            log::warn!("{}: {error:#}", plan.unit.name);
        }
        self.follow_networks(&plan);
    }

    /// Waits for what was begun, and forgets it.
    fn abandon_batch(&self) {
        self.forget_batch();
        self.rules.take();
        self.links.forget();
    }

    fn stays(&self, id: &ContainerId) -> bool {
        let plan = match self.plan(id) {
            Ok(plan) if plan.remove_at_exit => plan,
            _ => return true,
        };
        match crate::realize::remove_container(self.host, &plan) {
            Ok(()) => false,
            Err(error) => {
                log::warn!("{}: remove: {error:#}", plan.unit.name);
                true
            }
        }
    }

    fn undo(&self, stage: &str, record: &str) -> Result<(), BoxError> {
        match stage {
            "cgroup" => Cgroup::undo(self.host, record),
            _ => Err(format!("unknown stage {stage}: made by another version of coop?").into()),
        }
    }
}
