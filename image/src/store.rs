//! Images on disk.

mod lock;
mod near;
mod record;

use std::collections::BTreeSet;
use std::fs::{self, DirBuilder, File};
use std::io::Write as _;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use rustix::fs::{CWD, FlockOperation, RenameFlags, renameat_with};
use rustix::io::Errno;

pub use lock::Lock;
pub(crate) use lock::Workspace;
pub(crate) use record::{About, Layer, Record};

use crate::error::{At as _, Error};
use crate::image::Image;
use crate::reference::Reference;
use crate::tree;

/// A directory of images:
///
/// ```text
/// images/<registry>/<path>/_tags/<tag>.json   one record per name
/// layers/<sha256>/                            an unpacked layer, shared, read-only
/// tmp/                                        work in progress
/// lock
/// ```
///
/// Opening does nothing, and a lookup opens and reads one file. Everything is readable
/// by the owner alone: a layer has set-user-id programs of strangers in it, which no
/// other user of the host may reach.
#[derive(Debug, Clone)]
pub struct Store {
    dir: PathBuf,
}

/// What [`Store::remove`] and [`Store::prune`] did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Removed {
    /// Layer directories that are gone.
    pub layers: Vec<PathBuf>,
    /// Bytes in their regular files, as far as known.
    pub size: u64,
}

impl Store {
    /// The store in `dir`, which is created by the first import.
    pub fn open(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into() }
    }

    /// The directory given to [`open`](Self::open).
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Finds an image by name.
    ///
    /// # Errors
    /// [`Error::NotFound`] with similar names; [`Error::Record`] or
    /// [`Error::RecordVersion`] when the record cannot be read; [`Error::Io`].
    pub fn get(&self, reference: &Reference) -> Result<Image, Error> {
        match self.record(reference)? {
            Some(record) => Ok(record.into_image(&self.layers_dir())),
            None => Err(self.not_found(reference)),
        }
    }

    /// All images, by name. Records that cannot be read are left out with a warning in
    /// the log: one bad file must not hide the others.
    ///
    /// # Errors
    /// [`Error::Io`] when the store cannot be read.
    pub fn list(&self) -> Result<Vec<Image>, Error> {
        let layers_dir = self.layers_dir();
        let records = self.records()?;
        Ok(records
            .into_iter()
            .map(|(_, record)| record.into_image(&layers_dir))
            .collect())
    }

    /// Keeps every layer in the store until the lock is dropped.
    ///
    /// Held from [`get`](Self::get) until it is on record that a container uses the
    /// image, it closes the gap in which `remove` would find the image unused. Any
    /// number of processes hold it at a time; removing waits for them.
    ///
    /// # Errors
    /// [`Error::Io`], with `ENOENT` when the store does not exist yet.
    pub fn hold(&self) -> Result<Lock, Error> {
        Lock::take(&self.dir.join("lock"), FlockOperation::LockShared)
    }

    /// Removes a name, and the layers that no other name refers to.
    ///
    /// `user_of` says who uses a layer (a container's name), or `None`. It is asked for
    /// each layer that would go, while nobody [holds](Self::hold) the store.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::InUse`], and nothing has been removed;
    /// [`Error::Io`].
    pub fn remove(
        &self,
        reference: &Reference,
        user_of: &dyn Fn(&Path) -> Option<String>,
    ) -> Result<Removed, Error> {
        let Some(lock) = self.lock_existing()? else {
            return Err(self.not_found(reference));
        };
        let Some(record) = self.record(reference)? else {
            return Err(self.not_found(reference));
        };
        let path = self.record_file(reference);
        let others: BTreeSet<_> = self
            .records()?
            .into_iter()
            .filter(|(other, _)| *other != path)
            .flat_map(|(_, record)| record.layers.into_iter().map(|layer| layer.digest))
            .collect();
        let going: Vec<_> = record
            .layers
            .into_iter()
            .filter(|layer| !others.contains(&layer.digest))
            .collect();
        let layers_dir = self.layers_dir();
        for layer in &going {
            if let Some(user) = user_of(&layers_dir.join(layer.digest.hex())) {
                return Err(Error::InUse {
                    reference: Box::new(reference.clone()),
                    user,
                });
            }
        }
        // The name first: a crash in between leaves layers for `prune`, never a name
        // without its layers.
        fs::remove_file(&path).at("remove", &path)?;
        self.remove_empty_parents(&path);
        let mut removed = Removed::default();
        let mut trash = Vec::new();
        for layer in going {
            let dir = layers_dir.join(layer.digest.hex());
            trash.extend(self.detach_layer(&dir)?);
            removed.size += layer.size;
            removed.layers.push(dir);
        }
        drop(lock);
        trash.iter().try_for_each(|dir| tree::remove(dir))?;
        Ok(removed)
    }

    /// Removes layers that no name refers to any more (after an import under an old
    /// name, or a crash) and that nobody uses, and the remains of dead imports.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn prune(&self, user_of: &dyn Fn(&Path) -> Option<String>) -> Result<Removed, Error> {
        let Some(lock) = self.lock_existing()? else {
            return Ok(Removed::default());
        };
        let named: BTreeSet<_> = self
            .records()?
            .into_iter()
            .flat_map(|(_, record)| record.layers)
            .map(|layer| layer.digest.hex().to_owned())
            .collect();
        let layers_dir = self.layers_dir();
        let mut removed = Removed::default();
        let mut trash = Vec::new();
        for entry in fs::read_dir(&layers_dir).at("read", &layers_dir)? {
            let entry = entry.at("read", &layers_dir)?;
            let dir = entry.path();
            let kept = entry
                .file_name()
                .to_str()
                .is_some_and(|hex| named.contains(hex));
            if kept || user_of(&dir).is_some() {
                continue;
            }
            trash.extend(self.detach_layer(&dir)?);
            removed.layers.push(dir);
        }
        drop(lock);
        for dir in &trash {
            removed.size += tree::size(dir)?;
            tree::remove(dir)?;
        }
        lock::sweep(&self.tmp_dir())?;
        Ok(removed)
    }

    /// What imports and removals that were killed have left: half-unpacked layers, layers
    /// half removed.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn unfinished(&self) -> Result<Vec<PathBuf>, Error> {
        lock::stale(&self.tmp_dir())
    }

    /// Removes what [`unfinished`](Self::unfinished) finds.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn remove_unfinished(&self) -> Result<(), Error> {
        match lock::sweep(&self.tmp_dir()) {
            Err(error) if !self.tmp_dir().exists() => {
                log::debug!("{error}");
                Ok(())
            }
            swept => swept,
        }
    }

    pub(crate) fn layers_dir(&self) -> PathBuf {
        self.dir.join("layers")
    }

    pub(crate) fn record(&self, reference: &Reference) -> Result<Option<Record>, Error> {
        let path = self.record_file(reference);
        match fs::read(&path) {
            Ok(bytes) => Record::parse(&bytes, &path).map(Some),
            // ENOTDIR: a file where the name has one more component.
            Err(e) if matches!(Errno::from_io_error(&e), Some(Errno::NOENT | Errno::NOTDIR)) => {
                Ok(None)
            }
            Err(e) => Err(e).at("read", &path),
        }
    }

    /// A place for an import under `reference`, with what dead imports left removed.
    pub(crate) fn workspace(
        &self,
        reference: &Reference,
        waiting: impl FnOnce(),
    ) -> Result<Workspace, Error> {
        for dir in [
            &self.dir,
            &self.layers_dir(),
            &self.images_dir(),
            &self.tmp_dir(),
        ] {
            DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(dir)
                .at("create", dir)?;
        }
        lock::sweep(&self.tmp_dir())?;
        Workspace::take(&self.tmp_dir(), &reference.to_string(), waiting)
    }

    /// Whether a layer of this digest is there.
    pub(crate) fn has_layer(&self, layer: &Layer) -> bool {
        self.layers_dir().join(layer.digest.hex()).is_dir()
    }

    /// Puts an unpacked tree (or nothing, when the layer is there already) in its place
    /// and gives it a name.
    pub(crate) fn commit(
        &self,
        reference: &Reference,
        unpacked: &Path,
        layer: Layer,
        about: About,
    ) -> Result<Image, Error> {
        let layers_dir = self.layers_dir();
        let target = layers_dir.join(layer.digest.hex());
        let path = self.record_file(reference);
        let created = SystemTime::UNIX_EPOCH
            .elapsed()
            .map_or(0, |age| age.as_secs());
        let record = Record::new(reference.clone(), vec![layer], about, created)
            .and_then(|record| Ok((serde_json::to_vec_pretty(&record)?, record)));
        let (json, record) = record.map_err(|source| Error::Record {
            path: path.clone(),
            source,
        })?;

        let _lock = Lock::take(&self.dir.join("lock"), FlockOperation::LockExclusive)?;
        // Somebody else may have put the same content there: the same digest, so either
        // will do, and containers may already use theirs.
        match renameat_with(CWD, unpacked, CWD, &target, RenameFlags::NOREPLACE) {
            Ok(()) => sync_dir(&layers_dir)?,
            Err(Errno::EXIST) => {}
            Err(errno) => return Err(errno).at("rename to", &target),
        }
        Self::write_record(&path, &json)?;
        Ok(record.into_image(&layers_dir))
    }

    fn write_record(path: &Path, json: &[u8]) -> Result<(), Error> {
        let Some(parent) = path.parent() else {
            return Ok(());
        };
        fs::create_dir_all(parent).at("create", parent)?;
        // No other process writes here: the store's lock is held. The extension keeps
        // a half-written file out of lists.
        let temporary = path.with_extension("new");
        let mut file = File::create(&temporary).at("create", &temporary)?;
        file.write_all(json).at("write", &temporary)?;
        file.sync_all().at("sync", &temporary)?;
        fs::rename(&temporary, path).at("rename to", path)?;
        sync_dir(parent)
    }

    fn records(&self) -> Result<Vec<(PathBuf, Record)>, Error> {
        let mut records = Vec::new();
        collect(&self.images_dir(), &mut records)?;
        records.sort_by(|(_, a), (_, b)| {
            (a.reference.name(), &a.reference).cmp(&(b.reference.name(), &b.reference))
        });
        Ok(records)
    }

    fn not_found(&self, reference: &Reference) -> Error {
        // A store that cannot be listed has no better names to offer.
        let known = self.records().unwrap_or_default();
        let known = known
            .into_iter()
            .map(|(_, record)| record.reference)
            .collect::<Vec<_>>();
        Error::NotFound {
            reference: Box::new(reference.clone()),
            near: near::names(reference, &known),
        }
    }

    /// Moves a layer out of the way, so that removing it needs no lock and half a layer
    /// is never found under its digest.
    fn detach_layer(&self, dir: &Path) -> Result<Option<PathBuf>, Error> {
        let Some(name) = dir.file_name() else {
            return Ok(None);
        };
        let mut target = name.to_owned();
        target.push(format!(".{}.{}", std::process::id(), lock::TRASH));
        let target = self.tmp_dir().join(target);
        match fs::rename(dir, &target) {
            Ok(()) => Ok(Some(target)),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(e).at("remove", dir),
        }
    }

    fn remove_empty_parents(&self, record: &Path) {
        let images = self.images_dir();
        for parent in record
            .ancestors()
            .skip(1)
            .take_while(|parent| **parent != images)
        {
            if fs::remove_dir(parent).is_err() {
                break;
            }
        }
    }

    /// The exclusive lock, or `None` when there is no store yet.
    fn lock_existing(&self) -> Result<Option<Lock>, Error> {
        if !self.tmp_dir().is_dir() {
            return Ok(None);
        }
        Lock::take(&self.dir.join("lock"), FlockOperation::LockExclusive).map(Some)
    }

    fn record_file(&self, reference: &Reference) -> PathBuf {
        self.images_dir().join(reference.record_path())
    }

    fn images_dir(&self) -> PathBuf {
        self.dir.join("images")
    }

    fn tmp_dir(&self) -> PathBuf {
        self.dir.join("tmp")
    }
}

fn collect(dir: &Path, records: &mut Vec<(PathBuf, Record)>) -> Result<(), Error> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(e).at("read", dir),
    };
    for entry in entries {
        let entry = entry.at("read", dir)?;
        let path = entry.path();
        if entry.file_type().at("stat", &path)?.is_dir() {
            collect(&path, records)?;
        } else if path
            .extension()
            .is_some_and(|extension| extension == "json")
        {
            match fs::read(&path)
                .at("read", &path)
                .and_then(|b| Record::parse(&b, &path))
            {
                Ok(record) => records.push((path, record)),
                Err(error) => log::warn!("{error}: image left out"),
            }
        }
    }
    Ok(())
}

fn sync_dir(dir: &Path) -> Result<(), Error> {
    File::open(dir)
        .and_then(|dir| dir.sync_all())
        .at("sync", dir)
}
