//! Containers come and go as a whole, and no two have the same name.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use std::os::fd::AsFd;

use rustix::fs::{Mode, mkdirat, readlink, renameat, symlinkat, unlink};
use rustix::io::Errno;
use serde::Serialize;

use super::{
    CONFIG, ContainerId, Event, Lock, Name, STATE, State, Store, StoreError, file, make_private_dir,
};

/// What begins so is half made, or half removed, or left by a killed process.
const STAGING: &str = ".new-";
const REMOVED: &str = ".old-";

impl Store {
    /// Makes the container's directory with configuration and state, and takes its name.
    /// Readers see all of it or nothing. No wait for the disk: fifteen system calls.
    ///
    /// # Errors
    /// [`StoreError::NameInUse`]; [`StoreError::Io`], [`StoreError::Encode`]. Nothing is left behind.
    pub fn create(&self, state: &State, config: &impl Serialize) -> Result<(), StoreError> {
        let dir = self.dirs.container(&state.id);
        let config = file::encode(config, &dir.join(CONFIG))?;
        let encoded = file::encode(state, &dir.join(STATE))?;

        let registry = self.lock_registry()?;
        self.claim_name(&registry, &state.name, &state.id)?;
        let made = self
            .index(&registry, &state.stack, &state.id)
            .and_then(|()| self.make_container(&registry, &state.id, &config, &encoded));
        if made.is_ok() {
            self.emit(&Event::of_container(state, "create"));
        } else {
            // The first error is the one to tell; what stays is stale, and swept later.
            let _ = remove_tree(&self.staging(STAGING, &state.id));
            let _ = self.unindex(Some(&state.stack), &state.id);
            let _ = unlink(self.dirs.names().join(state.name.as_str()));
        }
        made
    }

    fn make_container(
        &self,
        registry: &Lock,
        id: &ContainerId,
        config: &[u8],
        state: &[u8],
    ) -> Result<(), StoreError> {
        let staging_path = self.staging(STAGING, id);
        let staging = format!("{STAGING}{id}");
        match mkdirat(registry, &staging, Mode::RWXU) {
            // A killed process wanted the same container: under the lock it is nobody's.
            Err(Errno::EXIST) => {
                remove_tree(&staging_path)?;
                mkdirat(registry, &staging, Mode::RWXU)
            }
            result => result,
        }
        .map_err(StoreError::io("create", &staging_path))?;
        for (name, bytes) in [(CONFIG, config), (STATE, state)] {
            let relative = format!("{staging}/{name}");
            file::write_new(registry.as_fd(), &relative, bytes, &staging_path.join(name))?;
        }
        renameat(registry, &staging, registry, id.as_str())
            .map_err(StoreError::io("create", &self.dirs.container(id)))
    }

    /// All containers, oldest first. One that is being made or removed meanwhile is left
    /// out, and so is one whose state cannot be read, with a warning in the log.
    ///
    /// # Errors
    /// [`StoreError::Io`] when the directory of containers cannot be read.
    pub fn list(&self) -> Result<Vec<State>, StoreError> {
        Ok(self.load_states(self.ids()?))
    }

    pub(super) fn load_states(&self, ids: impl IntoIterator<Item = ContainerId>) -> Vec<State> {
        let mut states = Vec::new();
        for id in ids {
            match self.load_state(&id) {
                Ok(state) => states.push(state),
                Err(StoreError::Gone { .. }) => {}
                Err(error) => log::warn!("container {} is left out: {error}", id.short()),
            }
        }
        states.sort_by(|a, b| (a.created, &a.id).cmp(&(b.created, &b.id)));
        states
    }

    /// The ids of all containers, also of those whose files are damaged.
    ///
    /// # Errors
    /// As [`Store::list`].
    pub fn ids(&self) -> Result<Vec<ContainerId>, StoreError> {
        let names = entries(&self.dirs.containers())?;
        Ok(names
            .iter()
            .filter_map(|name| ContainerId::parse(name.to_str()?).ok())
            .collect())
    }

    /// Takes the container away, its name first free afterwards, with everything in its two
    /// directories. Succeeds when it is gone already; after a kill half-way it can be
    /// called again.
    ///
    /// The caller removes the tree that the container wrote to (`upper`) before: it may
    /// be deeper than a plain removal can follow.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn remove(&self, id: &ContainerId) -> Result<(), StoreError> {
        let registry = self.lock_registry()?;
        let state = self.load_state(id).ok();
        let removed = self.staging(REMOVED, id);
        match renameat(&registry, id.as_str(), &registry, format!("{REMOVED}{id}")) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(errno) => return Err(StoreError::io("remove", &self.dirs.container(id))(errno)),
        }
        match &state {
            Some(state) => {
                self.release_name(OsStr::new(state.name.as_str()), id)?;
                self.emit(&Event::of_container(state, "destroy"));
            }
            // Damaged, or a second attempt: whichever name points there.
            None => {
                for name in entries(&self.dirs.names())? {
                    self.release_name(&name, id)?;
                }
            }
        }
        self.unindex(state.as_ref().map(|state| &state.stack), id)?;
        // Deleting files may take long, and nobody sees them any more.
        drop(registry);
        remove_tree(&removed)?;
        remove_tree(&self.dirs.container_run(id))
    }

    /// Removes what processes that were killed left behind: half-made and half-removed
    /// containers, names and live directories without a container.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn sweep(&self) -> Result<Swept, StoreError> {
        let registry = self.lock_registry()?;
        let mut swept = Swept::default();
        self.prune_index(&registry)?;
        for path in self.stale()? {
            if path.is_symlink() {
                ok_if_gone(unlink(&path)).map_err(StoreError::io("remove", &path))?;
            } else if path.join(crate::JOURNAL).exists() {
                // The only one to know what is left in the kernel.
                continue;
            } else {
                remove_tree(&path)?;
            }
            swept.removed.push(path);
        }
        drop(registry);
        Ok(swept)
    }

    /// What [`Store::sweep`] would remove, and what some command is just making or removing:
    /// it takes no lock.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn stale(&self) -> Result<Vec<PathBuf>, StoreError> {
        let mut stale = Vec::new();
        for name in entries(&self.dirs.containers())? {
            if [STAGING, REMOVED]
                .iter()
                .any(|prefix| name.as_encoded_bytes().starts_with(prefix.as_bytes()))
            {
                stale.push(self.dirs.containers().join(name));
            }
        }
        for name in entries(&self.dirs.names())? {
            let path = self.dirs.names().join(&name);
            if path.symlink_metadata().is_ok() && !self.is_name_of_its_target(&name, &path) {
                stale.push(path);
            }
        }
        let live = self.dirs.run.join("containers");
        for name in entries(&live)? {
            if !self.dirs.containers().join(&name).exists() {
                stale.push(live.join(name));
            }
        }
        Ok(stale)
    }

    /// Files beside a container's own that a writer was about to put in their place when it
    /// was killed.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn abandoned_writes(&self, id: &ContainerId) -> Result<Vec<PathBuf>, StoreError> {
        let dir = self.dirs.container(id);
        let is_abandoned = |name: &std::ffi::OsString| {
            let writer = [CONFIG, STATE].iter().find_map(|file| {
                let rest = name.to_str()?.strip_prefix(file)?;
                rest.strip_prefix('.')?.parse::<u32>().ok()
            });
            writer.is_some_and(|thread| !Path::new(&format!("/proc/{thread}")).exists())
        };
        let mut names = entries(&dir)?;
        names.retain(is_abandoned);
        Ok(names.into_iter().map(|name| dir.join(name)).collect())
    }

    fn staging(&self, prefix: &str, id: &ContainerId) -> PathBuf {
        self.dirs.containers().join(format!("{prefix}{id}"))
    }

    /// Locks `data/containers` itself, which is made when missing.
    pub(super) fn lock_registry(&self) -> Result<Lock, StoreError> {
        let path = self.dirs.containers();
        loop {
            if let Some(lock) = Lock::open_dir(&path)? {
                lock.wait()?;
                return Ok(lock);
            }
            make_private_dir(&path)?;
        }
    }

    /// A symbolic link is made with its content in one step, and only once. That it leads
    /// to the container lets everybody see which names are stale.
    pub(super) fn claim_name(
        &self,
        registry: &Lock,
        name: &Name,
        id: &ContainerId,
    ) -> Result<(), StoreError> {
        let path = self.dirs.names().join(name.as_str());
        let target = format!("../containers/{id}");
        loop {
            match symlinkat(&target, registry, format!("../names/{name}")) {
                Ok(()) => return Ok(()),
                Err(Errno::NOENT) => make_private_dir(&self.dirs.names())?,
                Err(Errno::EXIST) => match self.owner_of(OsStr::new(name.as_str()))? {
                    Some(owner) if owner == *id => return Ok(()),
                    Some(owner) if self.is_name_of_its_target(OsStr::new(name.as_str()), &path) => {
                        return Err(StoreError::NameInUse {
                            name: name.clone(),
                            id: owner,
                        });
                    }
                    // Its container never appeared, has gone, or did not get to be renamed: we
                    // hold the lock.
                    _ => ok_if_gone(unlink(&path)).map_err(StoreError::io("remove", &path))?,
                },
                Err(errno) => return Err(StoreError::io("create", &path)(errno)),
            }
        }
    }

    /// Whether the container that a name leads to is called so. One with a damaged state is
    /// given the benefit of the doubt.
    fn is_name_of_its_target(&self, name: &OsStr, path: &Path) -> bool {
        let state = || self.load_state(&self.owner_of(name).ok()??).ok();
        path.exists() && state().is_none_or(|state| OsStr::new(state.name.as_str()) == name)
    }

    /// Frees the name if it is this container's.
    pub(super) fn release_name(&self, name: &OsStr, id: &ContainerId) -> Result<(), StoreError> {
        if self.owner_of(name)?.as_ref() != Some(id) {
            return Ok(());
        }
        let path = self.dirs.names().join(name);
        ok_if_gone(unlink(&path)).map_err(StoreError::io("remove", &path))
    }

    /// The container that a name points to, whether it exists or not.
    pub(super) fn owner_of(&self, name: &OsStr) -> Result<Option<ContainerId>, StoreError> {
        let path = self.dirs.names().join(name);
        match readlink(&path, Vec::new()) {
            Ok(target) => Ok(target
                .to_str()
                .ok()
                .and_then(|target| target.rsplit('/').next())
                .and_then(|id| ContainerId::parse(id).ok())),
            // EINVAL: no symbolic link, so no name of ours.
            Err(Errno::NOENT | Errno::INVAL) => Ok(None),
            Err(errno) => Err(StoreError::io("read", &path)(errno)),
        }
    }
}

/// What [`Store::sweep`] took away.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Swept {
    /// Directories and symbolic links.
    pub removed: Vec<PathBuf>,
}

/// The names in a directory; none when there is no such directory.
pub(super) fn entries(dir: &Path) -> Result<Vec<std::ffi::OsString>, StoreError> {
    let read = match std::fs::read_dir(dir) {
        Ok(read) => read,
        Err(error) if file::is_gone(&error) => return Ok(Vec::new()),
        Err(error) => return Err(StoreError::std_io("read", dir)(error)),
    };
    read.map(|entry| entry.map(|entry| entry.file_name()))
        .collect::<Result<_, _>>()
        .map_err(StoreError::std_io("read", dir))
}

pub(super) fn remove_tree(path: &Path) -> Result<(), StoreError> {
    match std::fs::remove_dir_all(path) {
        Err(error) if !file::is_gone(&error) => Err(StoreError::std_io("remove", path)(error)),
        _ => Ok(()),
    }
}

pub(super) fn ok_if_gone(result: Result<(), Errno>) -> Result<(), Errno> {
    match result {
        Err(Errno::NOENT) => Ok(()),
        result => result,
    }
}
