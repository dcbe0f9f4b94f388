//! The root filesystem: made on the host as a detached mount, attached by the child.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::rc::Rc;

use coop_fs::{Changes, Marks, Mount, OpenMount, Overlay, Root, RootSettings, RootSource};
use coop_launcher::store::{ContainerId, OwnLock};
use coop_launcher::{BoxError, ChildSide, HostSide, Prepare, Stage, Waiting};
use coop_ns::{Handle, IdMaps, Namespace};

use super::UserNamespace;
use crate::joined::Joined;
use crate::plan::ContainerPlan;

/// See the module.
pub(crate) struct Rootfs {
    /// The containers whose files it has: its own, and whose network it shares.
    files_of: [ContainerId; 2],
    name: String,
    source: RootSource,
    settings: RootSettings,
    plan_mounts: Vec<coop_fs::Mount>,
    mounts: Vec<OpenMount>,
    /// The process whose IPC namespace it shares, and so its `/dev/shm`.
    memory_of: Option<Rc<OwnedFd>>,
    /// How ids of its own user namespace differ from the launcher's, if they do: what is
    /// mounted has to be id-mapped then.
    id_maps: Option<IdMaps>,
    /// That namespace, when it is a new one.
    user: UserNamespace,
    changes: Changes,
    /// Whether it is not root's: nothing can be id-mapped then.
    ordinary_user: bool,
    /// Held until the container runs: nobody else may mount what it has changed.
    _lock: Option<OwnLock>,
    /// Closed when the child has gone on, which takes longer than one thinks.
    layers: Vec<OwnedFd>,
}

impl Rootfs {
    pub(crate) fn new(plan: &ContainerPlan, joined: &[Joined], user: &UserNamespace) -> Self {
        let memory_of = joined
            .iter()
            .find(|it| it.namespaces.contains(coop_ns::Namespaces::IPC));
        Self {
            files_of: [plan.unit.id.clone(), plan.names_of().clone()],
            name: plan.unit.name.clone(),
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
            user: Rc::clone(user),
            changes: if plan.remove_at_exit {
                Changes::Discarded
            } else {
                Changes::Kept
            },
            ordinary_user: matches!(
                &plan.root,
                RootSource::Overlay(overlay) if overlay.marks == Marks::User
            ),
            _lock: None,
            layers: Vec::new(),
        }
    }

    /// The same, but for the cgroups, which the container mounts when it has joined its own.
    pub(crate) fn without_cgroups(mut self) -> Self {
        self.plan_mounts
            .retain(|mount| !matches!(mount, coop_fs::Mount::Cgroup { .. }));
        self
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
        let built = self.source.build(userns.map(AsFd::as_fd), self.changes);
        let (Err(error), Some(maps)) = (&built, &self.id_maps) else {
            return built;
        };
        if !error.is_id_map_unsupported() {
            return built;
        }
        match &self.source {
            RootSource::Overlay(overlay) => {
                let copied = self.copied(error, overlay, maps)?;
                RootSource::Overlay(copied).build(None, self.changes)
            }
            // The directory itself is asked for, and is not to be changed.
            RootSource::Bind { .. } => {
                log::warn!("{}: {error}: its files will belong to nobody", self.name);
                self.source.build(None, self.changes)
            }
        }
    }

    /// The overlay of a copy of the image that belongs to the container's ids.
    fn copied(
        &self,
        reason: &coop_fs::Error,
        overlay: &Overlay,
        maps: &IdMaps,
    ) -> Result<Overlay, coop_fs::Error> {
        // Beside what the container changes: it goes with the container.
        let copy = overlay.upper.with_file_name("image");
        if !copy.exists() {
            log::warn!(
                "{}: {reason}: its image is copied, once, which takes time and room",
                self.name
            );
        }
        let (uid, gid) = (|id| maps.host_uid(id), |id| maps.host_gid(id));
        coop_fs::copy_for_ids(overlay, &copy, uid, gid)
    }

    /// Gives what is mounted to the container's ids, as far as the kernel can.
    fn id_map(
        &self,
        mount: &OpenMount,
        userns: &Handle,
        maps: &IdMaps,
    ) -> Result<(), coop_fs::Error> {
        let error = match coop_fs::id_map(mount, userns.as_fd()) {
            Err(error @ coop_fs::Error::IdMapUnsupported { .. }) => error,
            done => return done,
        };
        let (uid, gid) = (|id| maps.host_uid(id), |id| maps.host_gid(id));
        match mount.mount() {
            Mount::Dev { .. } => coop_fs::chown_dev(mount, uid, gid),
            // Its hosts file, its secrets: nobody else has them.
            Mount::Bind { source, .. } if self.is_own(source) => {
                coop_fs::chown_file(source, uid, gid)
            }
            // An ordinary user's, who knows: as they are, they are the user's own inside.
            Mount::Bind { .. } if self.ordinary_user => Ok(()),
            Mount::Bind { target, .. } => {
                let (name, target) = (&self.name, target.display());
                log::warn!("{name}: {target}: {error}: its files will belong to nobody");
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Whether Coop has made this file for this container, or for that whose names it has and
    /// whose ids are the same.
    fn is_own(&self, source: &Path) -> bool {
        // In a directory of that name, or one with more around it: `coop-secrets-ID`.
        let source = source.to_string_lossy();
        self.files_of.iter().any(|id| source.contains(id.as_str()))
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
        let joined;
        let userns = match (&self.id_maps, self.user.get()) {
            (None, _) => None,
            (Some(_), Some(new)) => Some(new),
            (Some(_), None) => {
                joined = Handle::open(child.pid(), Namespace::User)?;
                Some(&joined)
            }
        };
        log::info!("building root filesystem");
        let Root { mount, layers } = self.build(userns)?;
        child.pass(mount);
        self.layers = layers;
        if let (Some(userns), Some(maps)) = (userns, &self.id_maps) {
            for mount in &self.mounts {
                self.id_map(mount, userns, maps)?;
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
