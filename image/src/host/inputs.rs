//! What the host image was made from: enough to see, without reading it again, that
//! nothing has changed.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::digest::Digest;

/// Kept in the image's record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Inputs {
    /// Of the recipe and the version of this crate's ways.
    fingerprint: Digest,
    files: Vec<(PathBuf, Option<Stamp>)>,
}

/// Identity of a file's content as far as `stat(2)` tells it. The change time also
/// moves when the modification time is set back, as package managers do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Stamp {
    inode: u64,
    size: i64,
    modified: (i64, u64),
    changed: (i64, u64),
}

impl Stamp {
    /// The stamp of a file behind all links, `None` when it is not there.
    pub(super) fn of(path: &Path) -> Option<Self> {
        let stat = rustix::fs::stat(path).ok()?;
        Some(Self {
            inode: stat.st_ino,
            size: stat.st_size,
            modified: (stat.st_mtime, stat.st_mtime_nsec as u64),
            changed: (stat.st_ctime, stat.st_ctime_nsec as u64),
        })
    }
}

impl Inputs {
    pub(super) fn new(fingerprint: Digest, files: Vec<(PathBuf, Option<Stamp>)>) -> Self {
        Self { fingerprint, files }
    }

    /// Whether an image made now, by a recipe of this fingerprint, would be the same.
    pub(super) fn are_current(&self, fingerprint: &Digest) -> bool {
        self.fingerprint == *fingerprint
            && self
                .files
                .iter()
                .all(|(path, stamp)| Stamp::of(path) == *stamp)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_change_a_removal_and_an_arrival_are_seen() {
        let dir = tempfile::tempdir().unwrap();
        let (there, absent) = (dir.path().join("there"), dir.path().join("absent"));
        fs::write(&there, "1").unwrap();
        let recipe = Digest::of(b"recipe");
        let files = [&there, &absent]
            .map(|path| (path.clone(), Stamp::of(path)))
            .into_iter()
            .collect();
        let inputs = Inputs::new(recipe.clone(), files);
        assert!(inputs.are_current(&recipe));
        assert!(!inputs.are_current(&Digest::of(b"another")));
        let json = serde_json::to_string(&inputs).unwrap();
        assert_eq!(serde_json::from_str::<Inputs>(&json).unwrap(), inputs);
        fs::write(&absent, "").unwrap();
        assert!(!inputs.are_current(&recipe));
        fs::remove_file(&absent).unwrap();
        assert!(inputs.are_current(&recipe));
        fs::write(&there, "22").unwrap();
        assert!(!inputs.are_current(&recipe));
    }
}
