//! This host: where Coop keeps things, and what the kernel offers.

use std::cell::OnceCell;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use coop_cgroup::{Cgroup, Delegation, Hierarchy, Limits};
use coop_fs::Volumes;
use coop_image::host::NAME as HOST_IMAGE;
use coop_image::{Image, Reference};
use coop_launcher::store::{ContainerId, Dirs, Store};
use coop_net::Networks;
use coop_ns::{IdPool, Pid};

use crate::plan::ContainerPlan;
use crate::rootless::network::Place;
use crate::rootless::{self, Rootless};

/// Handles to everything outside of the process. Making one costs nothing: what a command does
/// not ask for is not looked at.
#[derive(Debug)]
pub(crate) struct Host {
    /// Containers.
    pub store: Store,
    /// Images.
    pub images: coop_image::Store,
    /// Named volumes.
    pub volumes: Volumes,
    /// Networks and their leases.
    pub networks: Networks,
    /// The directory below which all of it is, if it is not in the usual places.
    pub root: Option<PathBuf>,
    /// What is different for an ordinary user.
    pub rootless: Option<Rootless>,
    cgroups: OnceCell<Hierarchy>,
    delegation: OnceCell<Delegation>,
    ids: OnceCell<IdPool>,
    own_user_ids: OnceCell<bool>,
}

impl Host {
    /// The host with its state in the usual places, or below `root`.
    pub(crate) fn new(root: Option<&Path>) -> Result<Self> {
        Ok(Self::in_dirs(Dirs::discover(root)?, root))
    }

    /// The host as this user has it: an ordinary one enters its namespaces here.
    pub(crate) fn enter(root: Option<&Path>) -> Result<Self> {
        match rootless::enter(root)? {
            None => Self::new(root),
            Some(rootless) => {
                let dirs = rootless.dirs.clone();
                Ok(Self {
                    rootless: Some(rootless),
                    ..Self::in_dirs(dirs, root)
                })
            }
        }
    }

    fn in_dirs(dirs: Dirs, root: Option<&Path>) -> Self {
        Self {
            images: coop_image::Store::open(dirs.images()),
            volumes: Volumes::new(&dirs.data),
            networks: Networks::new(dirs.networks()),
            root: root.map(Path::to_owned),
            store: Store::new(dirs),
            rootless: None,
            cgroups: OnceCell::new(),
            delegation: OnceCell::new(),
            ids: OnceCell::new(),
            own_user_ids: OnceCell::new(),
        }
    }

    /// Where the bridges, links and rules of networks are, or are to be: for an ordinary user in
    /// a network namespace of its own, which is made if it is not there.
    pub(crate) fn place_of_networks(&self) -> Result<Place> {
        match &self.rootless {
            None => Ok(Place::Here),
            Some(rootless) => rootless.networks(),
        }
    }

    /// Where the bridges, links and rules of networks are, if there are any.
    pub(crate) fn place_of_networks_now(&self) -> Result<Place> {
        match &self.rootless {
            None => Ok(Place::Here),
            Some(rootless) => rootless.networks_now(),
        }
    }

    /// The cgroup hierarchies, as they are mounted; an ordinary user's are the part that is
    /// delegated to it.
    pub(crate) fn cgroups(&self) -> Result<&Hierarchy> {
        if self.rootless.is_some() {
            return match self.delegation()? {
                Delegation::To(hierarchy) => Ok(hierarchy),
                none => Err(rootless::plan::no_cgroups(none)),
            };
        }
        if let Some(hierarchy) = self.cgroups.get() {
            return Ok(hierarchy);
        }
        let hierarchy = Hierarchy::detect().context("find the host's cgroups")?;
        Ok(self.cgroups.get_or_init(|| hierarchy))
    }

    /// What an ordinary user has of the cgroups.
    pub(crate) fn delegation(&self) -> Result<&Delegation> {
        if let Some(delegation) = self.delegation.get() {
            return Ok(delegation);
        }
        let delegation = Delegation::look().context("find the cgroups of this user")?;
        Ok(self.delegation.get_or_init(|| delegation))
    }

    /// Where the container's cgroup is made when it is launched, with which limits; none for an
    /// ordinary user to whom no cgroup is delegated.
    pub(crate) fn new_cgroup(&self, plan: &ContainerPlan) -> Result<(Option<&Hierarchy>, Limits)> {
        if self.rootless.is_none() {
            return Ok((Some(self.cgroups()?), plan.limits.clone()));
        }
        let delegation = self.delegation()?;
        let limits = rootless::plan::available(delegation, &plan.limits)?;
        let hierarchy = match delegation {
            Delegation::To(hierarchy) => Some(hierarchy),
            Delegation::Nothing { .. } | Delegation::Legacy(_) => None,
        };
        Ok((hierarchy, limits))
    }

    /// The hierarchies in which a container that has been launched has its cgroup; none when it
    /// was launched without.
    pub(crate) fn cgroups_of(&self, plan: &ContainerPlan) -> Result<Option<Hierarchy>> {
        if self.rootless.is_none() {
            return Ok(Some(self.cgroups()?.clone()));
        }
        // What is delegated to this command may be another part than what was to that one.
        let record = self.cgroup_record(&plan.unit.id);
        match std::fs::read_to_string(&record) {
            Ok(base) => Ok(Some(Hierarchy::delegated_at(base)?)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| format!("read {}", record.display())),
        }
    }

    /// The cgroup of a container that has been launched, as [`Self::cgroups_of`].
    pub(crate) fn cgroup_of(&self, plan: &ContainerPlan) -> Result<Option<Cgroup>> {
        let hierarchy = self.cgroups_of(plan)?;
        Ok(hierarchy
            .map(|hierarchy| hierarchy.open(&plan.cgroup))
            .transpose()?)
    }

    /// The process by which a container's namespaces are found: its first one, unless an
    /// ordinary user may not look into that.
    pub(crate) fn namespaces_of(&self, init: Pid) -> Pid {
        match self.rootless {
            Some(_) => rootless::reachable(init),
            None => init,
        }
    }

    /// The file that says below which cgroup an ordinary user's container has its own.
    pub(crate) fn cgroup_record(&self, id: &ContainerId) -> PathBuf {
        self.store.dirs().container_run(id).join("cgroup")
    }

    /// Ranges of user and group ids, of those that `/etc/subuid` and `/etc/subgid` give.
    pub(crate) fn ids(&self) -> Result<&IdPool> {
        if let Some(pool) = self.ids.get() {
            return Ok(pool);
        }
        let range = coop_ns::subid::container_range().context("find user ids for containers")?;
        let dir = self.store.dirs().id_pool();
        Ok(self
            .ids
            .get_or_init(|| IdPool::new(dir, range.start, range.count)))
    }

    /// Whether containers can have user namespaces. Where root may make none, its containers
    /// have the host's ids, which is said once.
    pub(crate) fn has_user_namespaces(&self) -> bool {
        *self.own_user_ids.get_or_init(|| {
            let most = std::fs::read_to_string(MAX_USER_NAMESPACES).unwrap_or_default();
            let forbidden = matches!(most.trim(), "" | "0");
            if forbidden && self.rootless.is_none() {
                log::warn!(
                    "this host allows no user namespaces ({MAX_USER_NAMESPACES} is 0): root in a \
                     container is root of the host, without most of its capabilities"
                );
                return false;
            }
            true
        })
    }

    /// An image by its name; the built-in one is made when it is first asked for.
    pub(crate) fn image(&self, text: &str) -> Result<Image> {
        let reference: Reference = text.parse()?;
        if is_built_in(&reference) {
            // Cheap when it is there and the host's programs have not changed.
            return Ok(coop_image::ensure_host_image(&self.images)?);
        }
        self.images.get(&reference).map_err(|error| match error {
            error @ coop_image::Error::NotFound { .. } => anyhow::anyhow!(
                "{error}\n  help: bring it in with `coop image import FILE {reference}`, \
                 or use the built-in {HOST_IMAGE}"
            ),
            error => error.into(),
        })
    }
}

/// How many user namespaces each user may make; not there where the kernel has none.
const MAX_USER_NAMESPACES: &str = "/proc/sys/user/max_user_namespaces";

fn is_built_in(reference: &Reference) -> bool {
    HOST_IMAGE
        .parse()
        .is_ok_and(|built_in: Reference| built_in == *reference)
}

/// The host's own name.
pub(crate) fn hostname() -> String {
    rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .into_owned()
}
