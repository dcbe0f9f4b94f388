//! What is known of a volume beside its files.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use crate::error::{Operation, at, errno_of};
use crate::{Error, Volumes, remove_tree};

/// The record, in the volume's directory. A volume that a container made has none.
const RECORD: &str = "volume.json";
/// What begins so is a volume that is being made.
const STAGING: &str = ".new-";

/// A volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Volume {
    /// Its name.
    pub name: String,
    /// Where its files are.
    pub path: PathBuf,
    /// When it was made.
    pub created: SystemTime,
    /// Labels that it was made with.
    pub labels: BTreeMap<String, String>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Record {
    /// Seconds since the epoch.
    created: u64,
    #[serde(default)]
    labels: BTreeMap<String, String>,
}

impl Volumes {
    /// Makes a volume with labels, which appears whole or not at all; says whether there was
    /// none of the name. One that is there stays as it is.
    ///
    /// # Errors
    /// [`Error::VolumeName`]; [`Error::System`] naming the directory.
    pub fn create_labelled(
        &self,
        name: &str,
        labels: &BTreeMap<String, String>,
    ) -> Result<bool, Error> {
        if self.path(name)?.exists() {
            return Ok(false);
        }
        let staging = self.dir().join(format!("{STAGING}{name}"));
        // Of a process that was killed here.
        remove_tree(&staging)?;
        self.make_directory(&staging)?;
        self.make_directory(&staging.join("_data"))?;
        let created = SystemTime::now().duration_since(UNIX_EPOCH);
        let record = Record {
            created: created.map_or(0, |age| age.as_secs()),
            labels: labels.clone(),
        };
        let path = staging.join(RECORD);
        let failed = |error: std::io::Error| at(Operation::Create, &path)(errno_of(&error));
        let text = serde_json::to_vec(&record).map_err(|error| failed(error.into()))?;
        fs::write(&path, text).map_err(failed)?;
        let target = self.dir().join(name);
        match renameat_with(CWD, &staging, CWD, &target, RenameFlags::NOREPLACE) {
            Ok(()) => Ok(true),
            // Somebody was quicker.
            Err(Errno::EXIST) => {
                remove_tree(&staging)?;
                Ok(false)
            }
            Err(errno) => Err(at(Operation::Create, &target)(errno)),
        }
    }

    /// What is known of a volume; `None` when there is none of the name.
    ///
    /// # Errors
    /// [`Error::VolumeName`]; [`Error::System`] naming the file.
    pub fn get(&self, name: &str) -> Result<Option<Volume>, Error> {
        let path = self.path(name)?;
        let meta = match fs::metadata(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            meta => meta.map_err(|error| at(Operation::Inspect, &path)(errno_of(&error)))?,
        };
        let file = self.dir().join(name).join(RECORD);
        let record: Option<Record> = match fs::read(&file) {
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            text => {
                let text = text.map_err(|error| at(Operation::Read, &file)(errno_of(&error)))?;
                // A record that was torn tells nothing; the files matter.
                serde_json::from_slice(&text).ok()
            }
        };
        // The time of birth, where the filesystem knows it.
        let born = || meta.created().or(meta.modified()).unwrap_or(UNIX_EPOCH);
        Ok(Some(Volume {
            name: name.to_owned(),
            path,
            created: record
                .as_ref()
                // A damaged one may have any number.
                .and_then(|record| UNIX_EPOCH.checked_add(Duration::from_secs(record.created)))
                .unwrap_or_else(born),
            labels: record.unwrap_or_default().labels,
        }))
    }

    /// Directories of volumes whose making or removal was interrupted.
    ///
    /// # Errors
    /// [`Error::System`] naming the directory of the volumes.
    pub fn unfinished(&self) -> Result<Vec<PathBuf>, Error> {
        let failed = |error: std::io::Error| at(Operation::Read, self.dir())(errno_of(&error));
        let entries = match fs::read_dir(self.dir()) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(failed)?,
        };
        let mut unfinished = Vec::new();
        for entry in entries {
            let path = entry.map_err(failed)?.path();
            if path.is_dir() && !path.join("_data").is_dir() || is_staging(&path) {
                unfinished.push(path);
            }
        }
        unfinished.sort();
        Ok(unfinished)
    }
}

fn is_staging(path: &std::path::Path) -> bool {
    path.file_name()
        .is_some_and(|name| name.as_encoded_bytes().starts_with(STAGING.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_volume_keeps_its_labels_and_half_a_one_is_found() {
        let temp = tempfile::tempdir().unwrap();
        let volumes = Volumes::new(temp.path());
        let labels = BTreeMap::from([("a".to_owned(), "b".to_owned())]);
        assert!(volumes.create_labelled("db", &labels).unwrap());
        assert!(!volumes.create_labelled("db", &BTreeMap::new()).unwrap());
        assert_eq!(volumes.get("db").unwrap().unwrap().labels, labels);
        volumes.create("plain").unwrap();
        assert_eq!(volumes.get("plain").unwrap().unwrap().labels.len(), 0);
        assert_eq!(volumes.get("none").unwrap(), None);
        let record = volumes.dir().join("plain").join(RECORD);
        fs::write(record, format!("{{\"created\":{}}}", u64::MAX)).unwrap();
        assert!(volumes.get("plain").unwrap().unwrap().created <= SystemTime::now());
        assert_eq!(volumes.unfinished().unwrap(), Vec::<PathBuf>::new());
        for half in ["half", ".new-db"] {
            fs::create_dir(volumes.dir().join(half)).unwrap();
        }
        assert_eq!(volumes.unfinished().unwrap().len(), 2);
        assert_eq!(volumes.list().unwrap(), ["db", "half", "plain"]);
    }
}
