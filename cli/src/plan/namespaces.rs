//! Which namespaces are new, and which are another container's.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};
use coop_launcher::store::ContainerId;
use coop_ns::{Namespace, Namespaces};
use serde::{Deserialize, Serialize};

use super::{ContainerPlan, Draft};
use crate::host::Host;
use crate::stack::Service;
use crate::stack::value::{CgroupMode, IpcMode, NetworkMode, Peer, PidMode, UsernsMode};

/// Another container, whose namespace is shared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NamespaceOf {
    /// The container.
    pub id: ContainerId,
    /// Its name, for messages.
    pub name: String,
}

/// Who may use the container's shared memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum IpcSharing {
    /// It, and containers that join it by name.
    #[default]
    Shareable,
    /// Nobody else.
    Private,
}

/// What a container has for itself, and what it shares.
#[derive(Debug)]
pub(super) struct Shared {
    /// New namespaces.
    pub new: Namespaces,
    /// Those of other containers. What is in neither is the host's.
    pub joined: BTreeMap<Namespace, NamespaceOf>,
}

/// Every kind of namespace but time, less what the service shares by name.
///
/// One that joins another container's namespaces joins its user namespace, too: ids mean the
/// same to both then, and the one may do to what is shared what the other may.
pub(super) fn namespaces(service: &Service, peers: &Peers<'_>) -> Result<Shared> {
    let isolation = &service.isolation;
    let mut new = Namespaces::all() - Namespaces::TIME;
    let host_ids = isolation.privileged
        || service.userns_mode == Some(UsernsMode::Host)
        || !peers.host.has_user_namespaces();
    new.set(Namespaces::USER, !host_ids);
    let own_network = !matches!(
        service.network_mode,
        Some(NetworkMode::Host | NetworkMode::Of(_))
    );
    new.set(Namespaces::NET, own_network);
    new.set(Namespaces::UTS, isolation.uts.is_none());
    new.set(
        Namespaces::CGROUP,
        isolation.cgroup != Some(CgroupMode::Host),
    );
    new.set(Namespaces::PID, isolation.pid.is_none());
    let own_ipc = !matches!(isolation.ipc, Some(IpcMode::Host | IpcMode::Of(_)));
    new.set(Namespaces::IPC, own_ipc);

    let mut shared = Shared {
        new,
        joined: BTreeMap::new(),
    };
    if let Some(PidMode::Of(peer)) = &isolation.pid {
        shared.join(Namespace::Pid, peer, peers).context("pid")?;
    }
    if let Some(IpcMode::Of(peer)) = &isolation.ipc {
        shared.join(Namespace::Ipc, peer, peers).context("ipc")?;
    }
    if let Some(NetworkMode::Of(peer)) = &service.network_mode {
        shared
            .join(Namespace::Net, peer, peers)
            .context("network_mode")?;
    }
    Ok(shared)
}

impl Shared {
    /// Takes this namespace of the other container, and its user namespace.
    pub(super) fn join(&mut self, kind: Namespace, peer: &Peer, peers: &Peers<'_>) -> Result<()> {
        let other = peers.find(peer)?;
        let name = &other.unit.name;
        if kind == Namespace::Ipc && other.ipc_sharing == IpcSharing::Private {
            bail!(
                "{name} keeps its shared memory to itself\n  \
                 help: write ipc: shareable for that one"
            );
        }
        // Where the other one has it from a third, that one is meant.
        let source = |kind| match other.joined.get(&kind) {
            Some(third) => Some(third.clone()),
            None => other
                .namespaces
                .contains(Namespaces::from(kind))
                .then(|| NamespaceOf {
                    id: other.unit.id.clone(),
                    name: name.clone(),
                }),
        };
        self.new -= kind.into();
        match source(kind) {
            Some(source) => drop(self.joined.insert(kind, source)),
            None => bail!("{name} has the host's\n  help: write host, if that is what is meant"),
        }
        if !self.new.contains(Namespaces::USER) && !self.joined.contains_key(&Namespace::User) {
            // The host's root may join anything.
            return Ok(());
        }
        let Some(user) = source(Namespace::User) else {
            bail!(
                "{name} has the host's user ids, this container has its own\n  \
                 help: write userns_mode: host for this one, too"
            );
        };
        self.new -= Namespaces::USER;
        match self.joined.insert(Namespace::User, user) {
            Some(before) if before.id != self.joined[&Namespace::User].id => bail!(
                "{name} and {} have different user ids: one container cannot join both\n  \
                 help: have one of them join the other",
                before.name
            ),
            _ => Ok(()),
        }
    }
}

/// The containers that one may share something with.
pub(super) struct Peers<'a> {
    pub host: &'a Host,
    /// Of the same stack, as far as they come before.
    pub drafts: &'a [Draft],
}

/// A peer's plan, from this stack or from disk.
pub(super) enum Found<'a> {
    Draft(&'a ContainerPlan),
    Saved(Box<ContainerPlan>),
}

impl std::ops::Deref for Found<'_> {
    type Target = ContainerPlan;

    fn deref(&self) -> &ContainerPlan {
        match self {
            Self::Draft(plan) => plan,
            Self::Saved(plan) => plan,
        }
    }
}

impl Peers<'_> {
    /// The plan of a peer.
    pub(super) fn find(&self, peer: &Peer) -> Result<Found<'_>> {
        match peer {
            Peer::Service(name) => self
                .drafts
                .iter()
                .map(|draft| &draft.plan)
                .find(|plan| plan.service.as_ref() == Some(name))
                .map(Found::Draft)
                .with_context(|| {
                    format!("{name} is no service of this stack\n  help: write container:NAME")
                }),
            Peer::Container(name) => {
                let id = self.host.store.resolve(name)?;
                let plan = self.host.store.load_config(&id)?;
                Ok(Found::Saved(Box::new(plan)))
            }
        }
    }

    /// What a plan depends on besides its own service: made anew, the others make it anew.
    pub(super) fn digest(&self, joined: &BTreeMap<Namespace, NamespaceOf>) -> Vec<String> {
        let of = |other: &NamespaceOf| {
            let draft = self.drafts.iter().find(|it| it.plan.unit.id == other.id);
            let hash = draft.map_or("", |draft| &draft.plan.config_hash);
            format!("{} {hash}", other.id)
        };
        joined.values().map(of).collect()
    }
}
