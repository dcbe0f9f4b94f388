//! The state directory: one directory per network, plain files, a lock.
//!
//! Writes go to a temporary file and are renamed, so that a reader sees the old file or
//! the new one. Nothing is synced to a disk: the state describes kernel objects that a
//! power cut takes with it, and lives in `/run`.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::{Error, state};
use crate::lease::Lease;
use crate::spec::Network;

/// The directory of one network.
#[derive(Debug, Clone)]
pub(crate) struct Store {
    path: PathBuf,
}

/// The exclusive lock of a network (or of the whole state directory). It belongs to the
/// open file: whoever inherits the descriptor holds it too, until all copies are closed.
#[derive(Debug)]
pub(crate) struct Lock(File);

impl Lock {
    /// Locks the file at `path`, which is made when missing.
    pub(crate) fn take(path: &Path) -> Result<Self, Error> {
        loop {
            let file = OpenOptions::new()
                .create(true)
                .truncate(false)
                .read(true)
                .write(true)
                .mode(0o600)
                .open(path)
                .map_err(state("open the lock", path))?;
            lock(&file).map_err(|source| Error::State {
                operation: "lock",
                path: path.to_owned(),
                source,
            })?;
            // The holder before us may have removed the network and this file with it:
            // a lock on a file that nobody else can open is no lock.
            let ours = file
                .metadata()
                .map_err(state("look at the lock", path))?
                .ino();
            match fs::metadata(path) {
                Ok(now) if now.ino() == ours => return Ok(Self(file)),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::NotFound => {
                    // When the directory is gone too, opening the file again says so.
                }
                Err(error) => return Err(state("look at the lock", path)(error)),
            }
        }
    }

    /// Another descriptor of the same lock, for a child process to hold.
    pub(crate) fn share(&self) -> std::io::Result<OwnedFd> {
        self.0.try_clone().map(OwnedFd::from)
    }
}

fn lock(file: &File) -> rustix::io::Result<()> {
    rustix::io::retry_on_intr(|| flock(file, FlockOperation::LockExclusive))
}

impl Store {
    /// The store of `network`, whose name is checked already.
    pub(crate) fn new(directory: &Path, network: &str) -> Self {
        Self {
            path: directory.join(network),
        }
    }

    /// Locks the network, and makes its directory when there is none.
    pub(crate) fn create_and_lock(&self) -> Result<Lock, Error> {
        let leases = self.path.join("leases");
        loop {
            fs::create_dir_all(&leases).map_err(state("make", &leases))?;
            match self.lock_existing()? {
                // The directory may have lost its last lease, and with it its life,
                // between the two calls.
                Some(lock) if leases.is_dir() => return Ok(lock),
                _ => {}
            }
        }
    }

    /// Locks the network; `None` when it has no directory.
    pub(crate) fn lock_existing(&self) -> Result<Option<Lock>, Error> {
        match Lock::take(&self.path.join("lock")) {
            Ok(lock) => Ok(Some(lock)),
            Err(Error::State {
                source: rustix::io::Errno::NOENT,
                ..
            }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub(crate) fn network(&self) -> Result<Option<Network>, Error> {
        read(&self.path.join("network.json"))
    }

    pub(crate) fn write_network(&self, network: &Network) -> Result<(), Error> {
        write(&self.path.join("network.json"), network)
    }

    pub(crate) fn lease(&self, container: &str) -> Result<Option<Lease>, Error> {
        read(&self.lease_path(container))
    }

    pub(crate) fn has_lease(&self, container: &str) -> bool {
        self.lease_path(container).exists()
    }

    /// Every lease, in the order of the addresses.
    pub(crate) fn leases(&self) -> Result<Vec<Lease>, Error> {
        let mut leases = Vec::new();
        for name in names(&self.path.join("leases"))? {
            if let Some(container) = lease_of(&name) {
                leases.extend(self.lease(container)?);
            }
        }
        leases.sort_by_key(|lease| lease.address);
        Ok(leases)
    }

    /// Whether there is a lease of another container than these. Reads no further than to the
    /// first one.
    pub(crate) fn has_lease_beside(&self, containers: &BTreeSet<&str>) -> Result<bool, Error> {
        let path = self.path.join("leases");
        let entries = match fs::read_dir(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
            entries => entries.map_err(state("list", &path))?,
        };
        for entry in entries {
            let name = entry.map_err(state("list", &path))?.file_name();
            if lease_of(&name.to_string_lossy()).is_some_and(|id| !containers.contains(id)) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    pub(crate) fn write_lease(&self, lease: &Lease) -> Result<(), Error> {
        write(&self.lease_path(&lease.container), lease)
    }

    pub(crate) fn remove_lease(&self, container: &str) -> Result<(), Error> {
        let path = self.lease_path(container);
        gone(fs::remove_file(&path)).map_err(state("remove", &path))
    }

    /// Removes every lease, and what depends on them.
    pub(crate) fn remove_leases(&self) -> Result<(), Error> {
        for name in names(&self.path.join("leases"))? {
            let path = self.path.join("leases").join(name);
            gone(fs::remove_file(&path)).map_err(state("remove", &path))?;
        }
        let mark = self.bridge_mark();
        gone(fs::remove_file(&mark)).map_err(state("remove", &mark))?;
        self.forget_departed()
    }

    /// Notes that rules of these links were left in the kernel.
    pub(crate) fn depart(&self, links: &[String]) -> Result<(), Error> {
        if links.is_empty() {
            return Ok(());
        }
        let path = self.path.join("departed");
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .mode(0o600)
            .open(&path);
        let text: String = { links.iter() }
            .flat_map(|link| [link.as_str(), "\n"])
            .collect();
        file.and_then(|mut file| file.write_all(text.as_bytes()))
            .map_err(state("write", &path))
    }

    /// The links that have gone whose rules are still in the kernel.
    pub(crate) fn departed(&self) -> Result<Departed, Error> {
        let path = self.path.join("departed");
        match fs::read_to_string(&path) {
            Ok(text) => Ok(Departed(text.lines().map(str::to_owned).collect())),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Departed::default()),
            Err(error) => Err(state("read", &path)(error)),
        }
    }

    /// Their rules go.
    pub(crate) fn forget_departed(&self) -> Result<(), Error> {
        let path = self.path.join("departed");
        gone(fs::remove_file(&path)).map_err(state("remove", &path))
    }

    /// Notes that the bridge is this crate's to remove, before it is made.
    pub(crate) fn own_bridge(&self) -> Result<(), Error> {
        let path = self.bridge_mark();
        fs::write(&path, "").map_err(state("write", &path))
    }

    /// Whether [`own_bridge`](Self::own_bridge) was called.
    pub(crate) fn owns_bridge(&self) -> bool {
        self.bridge_mark().exists()
    }

    fn bridge_mark(&self) -> PathBuf {
        self.path.join("made-bridge")
    }

    /// Removes the directory with everything in it. The caller holds the lock of the
    /// state directory as well as this network's.
    ///
    /// It goes at once, by a rename: who waits for the lock finds all of it or nothing.
    pub(crate) fn remove(&self) -> Result<(), Error> {
        let gone_path = self.gone_path();
        // A process was killed here before.
        gone(fs::remove_dir_all(&gone_path)).map_err(state("remove", &gone_path))?;
        gone(fs::rename(&self.path, &gone_path)).map_err(state("remove", &self.path))?;
        gone(fs::remove_dir_all(&gone_path)).map_err(state("remove", &gone_path))
    }

    /// Whether a [`remove`](Self::remove) was begun that could not go on.
    pub(crate) fn is_half_removed(&self) -> bool {
        self.gone_path().exists()
    }

    fn gone_path(&self) -> PathBuf {
        let name = self.path.file_name().unwrap_or_default().to_string_lossy();
        self.path.with_file_name(format!(".{name}.gone"))
    }

    fn lease_path(&self, container: &str) -> PathBuf {
        self.path.join("leases").join(format!("{container}.json"))
    }
}

/// Links that have gone and whose rules are still in the kernel, each as often as it has gone.
#[derive(Debug, Default)]
pub(crate) struct Departed(Vec<String>);

impl Departed {
    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }

    /// How often a link has gone.
    pub(crate) fn times(&self, link: &str) -> usize {
        self.0.iter().filter(|it| *it == link).count()
    }
}

/// The container that a file's name says it is the lease of.
fn lease_of(name: &str) -> Option<&str> {
    let container = name.strip_suffix(".json")?;
    (!container.starts_with('.')).then_some(container)
}

/// The names of the files of a directory, sorted; none when it does not exist.
pub(crate) fn names(directory: &Path) -> Result<Vec<String>, Error> {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(state("list", directory)(error)),
    };
    let mut names = entries
        .map(|entry| entry.map(|entry| entry.file_name().to_string_lossy().into_owned()))
        .collect::<Result<Vec<_>, _>>()
        .map_err(state("list", directory))?;
    names.sort();
    Ok(names)
}

/// Reads a JSON file; `None` when it does not exist.
pub(crate) fn read<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, Error> {
    match fs::read(path) {
        Ok(text) => serde_json::from_slice(&text)
            .map(Some)
            .map_err(|source| Error::Corrupt {
                path: path.to_owned(),
                source,
            }),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(state("read", path)(error)),
    }
}

/// Replaces a JSON file. The caller holds the lock: there is one temporary name per file.
pub(crate) fn write<T: Serialize>(path: &Path, value: &T) -> Result<(), Error> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let temporary = path.with_file_name(format!(".{name}.new"));
    let text = serde_json::to_vec_pretty(value).map_err(|source| Error::Corrupt {
        path: path.to_owned(),
        source,
    })?;
    let mut file = OpenOptions::new()
        .create(true)
        .truncate(true)
        .write(true)
        .mode(0o600)
        .open(&temporary)
        .map_err(state("write", &temporary))?;
    file.write_all(&text).map_err(state("write", &temporary))?;
    fs::rename(&temporary, path).map_err(state("replace", path))
}

/// "Not there" is what removing is for.
fn gone(result: std::io::Result<()>) -> std::io::Result<()> {
    match result {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::thread;

    use super::*;

    #[test]
    fn a_lock_taken_while_the_network_goes_away_is_taken_anew() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::new(directory.path(), "net");
        let first = store.create_and_lock().unwrap();
        let (started, wait) = mpsc::channel();
        let waiter = thread::spawn({
            let store = store.clone();
            move || {
                started.send(()).unwrap();
                store.create_and_lock().map(|lock| (lock, store))
            }
        });
        wait.recv().unwrap();
        store.remove().unwrap();
        drop(first);
        let (_lock, store) = waiter.join().unwrap().unwrap();
        assert!(store.path.join("lock").exists() && store.path.join("leases").is_dir());
    }

    #[test]
    fn half_a_file_is_an_error_with_its_path_and_a_temporary_one_is_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::new(directory.path(), "net");
        let _lock = store.create_and_lock().unwrap();
        fs::write(store.path.join("leases/.web.json.new"), "{").unwrap();
        assert_eq!(store.leases().unwrap(), []);
        fs::write(store.path.join("leases/web.json"), "{").unwrap();
        assert!(
            store
                .leases()
                .unwrap_err()
                .to_string()
                .ends_with("leases/web.json")
        );
    }
}
