//! A place for one run of a target, with something beside it that nobody may touch.

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

/// Entries of seeds name this file by its absolute path, and climb to it.
const ESCAPE: &str = "coop-fuzz-escape";
const SECRET: &[u8] = b"nobody writes here";

/// A directory in memory, which is gone afterwards.
pub(crate) struct Scratch {
    dir: TempDir,
}

impl Scratch {
    /// Makes the directory, its `outside` and its `inside`.
    pub(crate) fn new() -> Self {
        let dir = TempDir::with_prefix_in("coop-fuzz-", memory()).expect("a temporary directory");
        let outside = dir.path().join("outside");
        fs::create_dir(&outside).expect("create outside");
        fs::write(outside.join("secret"), SECRET).expect("write outside");
        fs::create_dir(dir.path().join("inside")).expect("create inside");
        Self { dir }
    }

    /// Where the target may do what it likes.
    pub(crate) fn inside(&self) -> PathBuf {
        self.dir.path().join("inside")
    }

    /// Panics when something outside changed.
    pub(crate) fn check(&self) {
        let names = |dir: &Path| {
            let entries = fs::read_dir(dir).expect("list");
            let mut names: Vec<_> = entries
                .map(|entry| entry.expect("list").file_name())
                .collect();
            names.sort();
            names
        };
        assert_eq!(names(self.dir.path()), ["inside", "outside"]);
        let outside = self.dir.path().join("outside");
        assert_eq!(names(&outside), ["secret"]);
        assert_eq!(fs::read(outside.join("secret")).expect("read"), SECRET);
        for place in [memory(), Path::new("/"), Path::new("/tmp")] {
            let escaped = place.join(ESCAPE);
            assert!(escaped.symlink_metadata().is_err(), "{}", escaped.display());
        }
    }
}

fn memory() -> &'static Path {
    let shm = Path::new("/dev/shm");
    if shm.is_dir() { shm } else { Path::new("/tmp") }
}
