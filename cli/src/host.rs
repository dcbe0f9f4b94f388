//! This host: where Coop keeps things, and what the kernel offers.

use std::cell::OnceCell;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use coop_cgroup::Hierarchy;
use coop_fs::Volumes;
use coop_image::host::NAME as HOST_IMAGE;
use coop_image::{Image, Reference};
use coop_launcher::store::{Dirs, Store, StoreError};
use coop_net::Networks;
use coop_ns::IdPool;

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
    cgroups: OnceCell<Hierarchy>,
    ids: OnceCell<IdPool>,
}

impl Host {
    /// The host with its state in the usual places, or below `root`.
    pub(crate) fn new(root: Option<&Path>) -> Result<Self> {
        let dirs = Dirs::discover(root).map_err(without_a_home)?;
        Ok(Self {
            images: coop_image::Store::open(dirs.images()),
            volumes: Volumes::new(&dirs.data),
            networks: Networks::new(dirs.networks()),
            root: root.map(Path::to_owned),
            store: Store::new(dirs),
            cgroups: OnceCell::new(),
            ids: OnceCell::new(),
        })
    }

    /// The cgroup hierarchies, as they are mounted.
    pub(crate) fn cgroups(&self) -> Result<&Hierarchy> {
        if let Some(hierarchy) = self.cgroups.get() {
            return Ok(hierarchy);
        }
        let hierarchy = Hierarchy::detect().context("find the host's cgroups")?;
        Ok(self.cgroups.get_or_init(|| hierarchy))
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

/// Other users than root get to see this before anything says that containers take root.
fn without_a_home(error: StoreError) -> anyhow::Error {
    match error {
        error @ (StoreError::NoDataDir | StoreError::NoRuntimeDir { .. }) => {
            anyhow::anyhow!("{error}\n  help: Coop needs root for now: run it with sudo")
        }
        error => error.into(),
    }
}

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

/// Refuses to go on without root, which creating containers takes for now.
pub(crate) fn require_root(what: &str) -> Result<()> {
    if rustix::process::geteuid().is_root() {
        return Ok(());
    }
    anyhow::bail!(
        "cannot {what}: permission denied: Coop needs root here\n  help: run it with sudo"
    )
}
