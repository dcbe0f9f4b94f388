//! State on disk: plain files that outlive every process.
//!
//! One directory for each container, which appears whole and goes whole:
//!
//! ```text
//! data/containers/ID/config.json   the plan, as it was resolved
//!                   /state.json    what became of it
//!                   /...           log, upper layer: of other modules
//! data/names/NAME                  symbolic link to ../containers/ID
//! run/containers/ID/               what a reboot may take: journal, log pipes
//! run/stacks/STACK/lock            held by the stack's supervisor
//! run/by-stack/STACK/ID            which containers a stack has
//! run/events                       what happened, one JSON line each
//! ```
//!
//! Who creates or removes a container holds a lock on `data/containers` meanwhile; readers
//! take no lock. Files are replaced by rename. Nothing on the way to a started process
//! waits for the disk: what describes a *live* container is worthless after a power cut
//! anyway, and [`Store::sync`] comes later.
//!
//! ```
//! # use coop_launcher::store::{ContainerId, Dirs, Name, StackName, State, Store};
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let temp = tempfile::tempdir()?;
//! let store = Store::new(Dirs::below(temp.path()));
//! let name = Name::random()?;
//! let state = State::new(ContainerId::random()?, name.clone(), StackName::from(&name), "coop/host".into());
//! store.create(&state, &serde_json::json!({"command": ["sh"]}))?;
//! assert_eq!(store.resolve(state.id.short())?, state.id);
//! store.remove(&state.id)?;
//! # Ok(())
//! # }
//! ```

mod by_stack;
mod dirs;
mod error;
mod event_log;
mod events;
mod file;
mod id;
mod lock;
mod procfs;
mod registry;
mod rename;
mod resolve;
mod stack;
mod state;
pub mod time;
mod words;

pub use dirs::{Dirs, make_private_dir};
pub use error::StoreError;
pub use event_log::EventReader;
pub use events::Event;
pub use id::{ContainerId, Name, StackName};
pub use lock::{Lock, OwnLock, lock_owner};
pub use procfs::{ProcStat, boot_id};
pub use registry::Swept;
pub use stack::PLANNING;
pub use state::{Health, HealthCheck, State, Status, Stop};

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::de::DeserializeOwned;

use event_log::EventLog;

/// All containers of one user on this host.
#[derive(Debug, Clone)]
pub struct Store {
    dirs: Dirs,
    /// Shared by clones: one open file for all.
    events: Arc<EventLog>,
}

/// Tells one content of a file from the next: see [`Store::config_stamp`] and
/// [`Store::state_stamp`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileStamp {
    inode: u64,
    changed: (i64, u64),
}

impl Store {
    /// The store in these directories. Nothing is touched yet.
    pub fn new(dirs: Dirs) -> Self {
        let events = Arc::new(EventLog::new(&dirs.run));
        Self { dirs, events }
    }

    /// Where everything is.
    pub fn dirs(&self) -> &Dirs {
        &self.dirs
    }

    /// The configuration that the container was created with.
    ///
    /// # Errors
    /// [`StoreError::Gone`], [`StoreError::Io`], [`StoreError::Decode`].
    pub fn load_config<T: DeserializeOwned>(&self, id: &ContainerId) -> Result<T, StoreError> {
        file::load(&self.config_path(id))?.ok_or_else(|| StoreError::Gone { id: id.clone() })
    }

    /// What tells the container's saved configuration from any other: reading it again is worth
    /// it only when this has changed.
    ///
    /// # Errors
    /// [`StoreError::Gone`], [`StoreError::Io`].
    pub fn config_stamp(&self, id: &ContainerId) -> Result<FileStamp, StoreError> {
        stamp(&self.config_path(id), id)
    }

    /// What changes whenever a state is saved: one look at the file, and no read of it.
    ///
    /// # Errors
    /// [`StoreError::Gone`], [`StoreError::Io`].
    pub fn state_stamp(&self, id: &ContainerId) -> Result<FileStamp, StoreError> {
        stamp(&self.state_path(id), id)
    }

    /// Saves a changed configuration in one step, without waiting for the disk. The caller
    /// holds [`Store::lock`] from the load to the save.
    ///
    /// # Errors
    /// [`StoreError::Gone`] when the container was removed; [`StoreError::Io`],
    /// [`StoreError::Encode`].
    pub fn save_config(
        &self,
        id: &ContainerId,
        config: &impl serde::Serialize,
    ) -> Result<(), StoreError> {
        let path = self.config_path(id);
        gone_if_missing(file::replace(&path, &file::encode(config, &path)?), id)
    }

    /// The container's state as last saved.
    ///
    /// # Errors
    /// [`StoreError::Gone`], [`StoreError::Io`], [`StoreError::Decode`].
    pub fn load_state(&self, id: &ContainerId) -> Result<State, StoreError> {
        file::load(&self.state_path(id))?.ok_or_else(|| StoreError::Gone { id: id.clone() })
    }

    /// Saves the state in one step, without waiting for the disk.
    ///
    /// Whoever changes a state that another process may change too holds [`Store::lock`]
    /// from the load to the save.
    ///
    /// # Errors
    /// [`StoreError::Gone`] when the container was removed; [`StoreError::Io`].
    pub fn save_state(&self, state: &State) -> Result<(), StoreError> {
        let path = self.state_path(&state.id);
        gone_if_missing(
            file::replace(&path, &file::encode(state, &path)?),
            &state.id,
        )
    }

    /// Waits until what is saved of the container, and its place in the store, are on the
    /// disk: after its start and after its end, when nobody waits for it.
    ///
    /// # Errors
    /// As [`Store::save_state`].
    pub fn sync(&self, id: &ContainerId) -> Result<(), StoreError> {
        self.sync_container(id)?;
        self.sync_places()
    }

    /// As [`Store::sync`], but for the container's place in the store: after the last of several,
    /// [`Store::sync_places`] does it for all of them.
    ///
    /// # Errors
    /// As [`Store::save_state`].
    pub fn sync_container(&self, id: &ContainerId) -> Result<(), StoreError> {
        let paths = [
            self.config_path(id),
            self.state_path(id),
            self.dirs.container(id),
        ];
        paths
            .iter()
            .try_for_each(|path| gone_if_missing(file::sync(path), id))
    }

    /// Waits until it is on the disk which containers there are, and their names.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn sync_places(&self) -> Result<(), StoreError> {
        file::sync(&self.dirs.containers())?;
        file::sync(&self.dirs.names())
    }

    /// Makes and returns the container's directory for live things. After
    /// [`Store::create`]: [`Store::sweep`] takes it for stale without a container.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn make_container_run(&self, id: &ContainerId) -> Result<PathBuf, StoreError> {
        let dir = self.dirs.container_run(id);
        make_private_dir(&dir)?;
        Ok(dir)
    }

    /// Waits for the container's lock: one command at a time changes it. Processes forked
    /// from the holder share the lock until they execute another program.
    ///
    /// # Errors
    /// [`StoreError::Gone`] when there is no such container, or no more when it is its turn.
    pub fn lock(&self, id: &ContainerId) -> Result<Lock, StoreError> {
        let lock = self.open_container(id)?;
        lock.wait()?;
        still_there(lock, id)
    }

    /// Takes the container's lock if it is free; `None` when another command has it.
    ///
    /// # Errors
    /// As [`Store::lock`].
    pub fn try_lock(&self, id: &ContainerId) -> Result<Option<Lock>, StoreError> {
        let lock = self.open_container(id)?;
        if lock.attempt()? {
            still_there(lock, id).map(Some)
        } else {
            Ok(None)
        }
    }

    /// Takes the lock on what the container has changed of its image, `upper`, if it is free;
    /// `None` when another process has it. Who mounts it holds the lock until the container's
    /// saved state tells that it runs: the kernel does not keep two overlays from having the
    /// same upper directory, which damages it.
    ///
    /// # Errors
    /// [`StoreError::Gone`] when there is no such directory; [`StoreError::Io`].
    pub fn try_lock_changes(&self, id: &ContainerId) -> Result<Option<OwnLock>, StoreError> {
        let upper = self.dirs.container(id).join("upper");
        let lock = Lock::open_dir(&upper)?.ok_or_else(|| StoreError::Gone { id: id.clone() })?;
        Ok(lock.attempt()?.then(|| OwnLock::new(lock)))
    }

    fn open_container(&self, id: &ContainerId) -> Result<Lock, StoreError> {
        Lock::open_dir(&self.dirs.container(id))?.ok_or_else(|| StoreError::Gone { id: id.clone() })
    }

    fn config_path(&self, id: &ContainerId) -> PathBuf {
        self.dirs.container(id).join(CONFIG)
    }

    fn state_path(&self, id: &ContainerId) -> PathBuf {
        self.dirs.container(id).join(STATE)
    }
}

const CONFIG: &str = "config.json";
const STATE: &str = "state.json";

/// A lock on a directory that was renamed meanwhile protects nothing.
fn still_there(lock: Lock, id: &ContainerId) -> Result<Lock, StoreError> {
    if lock.is_current()? {
        Ok(lock)
    } else {
        Err(StoreError::Gone { id: id.clone() })
    }
}

fn stamp(path: &Path, id: &ContainerId) -> Result<FileStamp, StoreError> {
    let stat = rustix::fs::stat(path).map_err(StoreError::io("look at", path));
    let stat = gone_if_missing(stat, id)?;
    // Saving puts another file in its place.
    Ok(FileStamp {
        inode: stat.st_ino,
        changed: (stat.st_ctime, stat.st_ctime_nsec),
    })
}

fn gone_if_missing<T>(result: Result<T, StoreError>, id: &ContainerId) -> Result<T, StoreError> {
    match result {
        Err(StoreError::Io {
            source: rustix::io::Errno::NOENT,
            ..
        }) => Err(StoreError::Gone { id: id.clone() }),
        result => result,
    }
}

#[cfg(test)]
mod tests;
