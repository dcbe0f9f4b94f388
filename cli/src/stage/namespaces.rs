//! New and joined namespaces, the id maps of the user namespace, the names of the UTS namespace.

use std::cell::OnceCell;
use std::rc::Rc;

use coop_launcher::{BoxError, ChildSide, HostSide, Prepare, Stage, Waiting};
use coop_ns::{Handle, IdMaps, Namespace, hostname, idmap, privileges};

use crate::joined::Joined;
use crate::plan::ContainerPlan;

/// The container's new user namespace, for the stages that come later: an ordinary user can look
/// at the child only as long as the child has not hidden itself, which it does in the first stage.
pub(crate) type UserNamespace = Rc<OnceCell<Handle>>;

/// The container's new network namespace, in the same way.
pub(crate) type NetworkNamespace = Rc<OnceCell<Handle>>;

/// See the module.
pub(crate) struct Namespaces {
    new: coop_ns::Namespaces,
    joined: Vec<Joined>,
    id_maps: Option<IdMaps>,
    hostname: Option<String>,
    domainname: Option<String>,
    user: UserNamespace,
    network: Option<NetworkNamespace>,
}

impl Namespaces {
    /// The plan's new namespaces, and those that it joins.
    pub(crate) fn new(plan: &ContainerPlan, joined: &[Joined], user: &UserNamespace) -> Self {
        Self {
            new: plan.namespaces,
            joined: joined.to_vec(),
            id_maps: plan.id_maps.clone(),
            hostname: plan.hostname.clone(),
            domainname: plan.domainname.clone(),
            user: Rc::clone(user),
            network: None,
        }
    }

    /// Holds the network namespace, too.
    pub(crate) fn holding(mut self, network: Option<&NetworkNamespace>) -> Self {
        self.network = network.cloned();
        self
    }

    /// The maps to write: those of a user namespace that is joined are there.
    fn new_maps(&self) -> Option<&IdMaps> {
        let new = self.new.contains(coop_ns::Namespaces::USER);
        self.id_maps.as_ref().filter(|_| new)
    }
}

impl Stage for Namespaces {
    fn name(&self) -> &'static str {
        "namespaces"
    }

    fn host_side(&self) -> HostSide {
        if self.new_maps().is_some() || self.network.is_some() {
            HostSide::Each
        } else {
            HostSide::None
        }
    }

    fn prepare(&mut self, launch: &mut Prepare<'_>) -> Result<(), BoxError> {
        log::info!("creating namespaces: {}", self.new);
        // The cgroup namespace starts at the cgroup that its maker is in, which at the clone
        // is still the launcher's: the child makes it itself, in the cgroup stage.
        launch.new_namespaces(self.new - coop_ns::Namespaces::CGROUP);
        for joined in &self.joined {
            log::info!("joining namespaces: {}", joined.namespaces);
            launch.joins(Rc::clone(&joined.of), joined.namespaces);
        }
        Ok(())
    }

    fn attach(&mut self, child: &mut Waiting) -> Result<(), BoxError> {
        if let Some(network) = &self.network {
            let _ = network.set(Handle::open(child.pid(), Namespace::Net)?);
        }
        if let Some(maps) = self.new_maps() {
            log::info!("writing id maps");
            idmap::write(child.pid(), maps)?;
            if !maps.is_identity() {
                let user = Handle::open(child.pid(), Namespace::User)?;
                // This is the only one who sets it.
                let _ = self.user.set(user);
            }
        }
        Ok(())
    }

    fn enter(&mut self, _child: &mut ChildSide<'_>) -> Result<(), BoxError> {
        if self.id_maps.is_some() {
            // The host's root is nobody here: become the container's own.
            privileges::set_user(0, 0, &[])?;
            privileges::set_not_dumpable()?;
        }
        if let Some(name) = &self.hostname {
            hostname::set_hostname(name)?;
        }
        if let Some(name) = &self.domainname {
            hostname::set_domainname(name)?;
        }
        Ok(())
    }
}
