//! The root filesystem: made on the host as a detached mount, attached by the child.

use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;

use coop_fs::{Changes, OpenMount, Root, RootSettings, RootSource};
use coop_launcher::store::OwnLock;
use coop_launcher::{BoxError, ChildSide, HostSide, Prepare, Stage, Waiting};
use coop_ns::{Handle, IdMaps, Namespace};

use crate::joined::Joined;
use crate::plan::ContainerPlan;

/// See the module.
pub(crate) struct Rootfs {
    source: RootSource,
    settings: RootSettings,
    plan_mounts: Vec<coop_fs::Mount>,
    mounts: Vec<OpenMount>,
    /// The process whose IPC namespace it shares, and so its `/dev/shm`.
    memory_of: Option<Rc<OwnedFd>>,
    /// How ids of its own user namespace differ from the launcher's, if they do: what is
    /// mounted has to be id-mapped then.
    id_maps: Option<IdMaps>,
    changes: Changes,
    /// Held until the container runs: nobody else may mount what it has changed.
    _lock: Option<OwnLock>,
    /// Closed when the child has gone on, which takes longer than one thinks.
    layers: Vec<OwnedFd>,
}

impl Rootfs {
    pub(crate) fn new(plan: &ContainerPlan, joined: &[Joined]) -> Self {
        let memory_of = joined
            .iter()
            .find(|it| it.namespaces.contains(coop_ns::Namespaces::IPC));
        Self {
            source: plan.root.clone(),
            settings: RootSettings {
                readonly: plan.root_readonly,
                sysctls: plan.sysctls.clone(),
                ..if plan.system_paths_unconfined {
                    RootSettings::unmasked()
                } else {
                    RootSettings::default()
                }
            },
            plan_mounts: plan.mounts.clone(),
            mounts: Vec::new(),
            memory_of: memory_of.map(|it| Rc::clone(&it.of)),
            id_maps: plan.id_maps.clone().filter(|maps| !maps.is_identity()),
            changes: if plan.remove_at_exit {
                Changes::Discarded
            } else {
                Changes::Kept
            },
            _lock: None,
            layers: Vec::new(),
        }
    }

    /// The same, with the lock on what the container has changed.
    pub(crate) fn locked(self, lock: Option<OwnLock>) -> Self {
        Self {
            _lock: lock,
            ..self
        }
    }

    /// The root as a detached mount, id-mapped for the child where it can be.
    fn build(&self, userns: Option<&Handle>) -> Result<Root, coop_fs::Error> {
        match self.source.build(userns.map(AsFd::as_fd), self.changes) {
            Err(error @ coop_fs::Error::IdMapUnsupported { .. }) => {
                log::warn!("{error}: files of the image will belong to nobody");
                self.source.build(None, self.changes)
            }
            built => built,
        }
    }
}

impl Stage for Rootfs {
    fn name(&self) -> &'static str {
        "rootfs"
    }

    fn host_side(&self) -> HostSide {
        HostSide::Each
    }

    // No undo: nothing of this is in the host's mount table, and what is detached goes with
    // the last descriptor.
    fn prepare(&mut self, _launch: &mut Prepare<'_>) -> Result<(), BoxError> {
        log::info!("opening {} mounts", self.plan_mounts.len());
        self.mounts = coop_fs::open_mounts(&self.plan_mounts)?;
        if let Some(other) = &self.memory_of {
            coop_fs::share_memory_of(&mut self.mounts, other.as_fd())?;
        }
        Ok(())
    }

    fn attach(&mut self, child: &mut Waiting) -> Result<(), BoxError> {
        let userns = match &self.id_maps {
            Some(_) => Some(Handle::open(child.pid(), Namespace::User)?),
            None => None,
        };
        log::info!("building root filesystem");
        let Root { mount, layers } = self.build(userns.as_ref())?;
        child.pass(mount);
        self.layers = layers;
        if let (Some(userns), Some(maps)) = (&userns, &self.id_maps) {
            for mount in &self.mounts {
                id_map(mount, userns, maps)?;
            }
        }
        Ok(())
    }

    fn enter(&mut self, child: &mut ChildSide<'_>) -> Result<(), BoxError> {
        let Some(root) = child.passed() else {
            return Err("no root filesystem was passed".into());
        };
        Ok(coop_fs::enter(root.as_fd(), &self.mounts, &self.settings)?)
    }
}

/// Gives what is mounted to the container's ids, as far as the kernel can.
fn id_map(mount: &OpenMount, userns: &Handle, maps: &IdMaps) -> Result<(), coop_fs::Error> {
    match coop_fs::id_map(mount, userns.as_fd()) {
        Err(error @ coop_fs::Error::IdMapUnsupported { .. }) => {
            if let coop_fs::Mount::Dev { .. } = mount.mount() {
                return coop_fs::chown_dev(mount, |id| maps.host_uid(id), |id| maps.host_gid(id));
            }
            log::warn!("{error}: its files will belong to nobody");
            Ok(())
        }
        done => done,
    }
}
