//! The guest's disks: one with Debian's programs, and one with the tests.
//!
//! An image is never written to: the guest's writes go to a temporary file of QEMU's, which
//! has no name. So an image is made once, and used by any number of machines at a time.

use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, bail};

use super::programs::Built;
use crate::cargo::workspace;
use crate::debian::{Dependencies, Packages};
use crate::packages::program;

/// What the tests and Coop call, and what somebody in the guest's shell would miss.
const TOOLS: &[&str] = &[
    "busybox-static",
    "bash",
    // The shell of busybox runs its own `xz` and `tar` before those of the packages.
    "dash",
    "tar",
    "iproute2",
    "nftables",
    "uidmap",
    "wget",
    "passt",
    "slirp4netns",
    "iperf3",
    "procps",
    "strace",
    "squashfs-tools",
    "xz-utils",
    "zstd",
    "groff-base",
    "apparmor",
    "secilc",
];

/// Counted up when images are made in another way, so that old ones are not used.
const FORMAT: u32 = 2;

/// Directories of the workspace whose files the tests read: snapshots and examples.
const SOURCES: [&str; 6] = ["cgroup", "examples", "fs", "net", "ns", "tests"];

/// Room for the tests; what is not used takes none.
const ROOT_SIZE: u64 = 6 << 30;

/// The image of the root disk, below `directory`.
///
/// # Errors
/// When a package cannot be fetched, or the image not be made.
pub(crate) fn root(directory: &Path) -> Result<PathBuf> {
    let tree = Packages {
        suite: "bookworm",
        architecture: "amd64",
        names: TOOLS,
        dependencies: Dependencies::All,
    }
    .unpacked()?;
    let image = directory.join(format!("root-{:016x}.img", hash(&(FORMAT, TOOLS, &tree))));
    if !image.exists() {
        eprintln!("xtask: making the guest's disk");
        make(&tree, "root", ROOT_SIZE, &image)?;
    }
    Ok(image)
}

/// The image of the disk with everything that was `built`, below `directory`.
///
/// # Errors
/// When it cannot be made.
pub(crate) fn tests(built: &Built, directory: &Path) -> Result<PathBuf> {
    let mut files = vec![
        ("bin/coop".to_owned(), built.coop.clone()),
        ("fault/coop".to_owned(), built.coop_with_faults.clone()),
        ("bin/floor".to_owned(), built.floor.clone()),
        ("bin/hostile".to_owned(), built.hostile.clone()),
        ("bin/calls".to_owned(), built.calls.clone()),
        ("bin/ask".to_owned(), built.ask.clone()),
    ];
    for program in &built.tests {
        let name = format!("programs/{}", program.name);
        files.push((name, program.executable.clone()));
    }
    for source in SOURCES {
        add_tree(
            &workspace().join(source),
            &format!("workspace/{source}"),
            &mut files,
        )?;
    }
    let mut states = Vec::new();
    let mut size = 0;
    for (name, path) in &files {
        let state = fs::metadata(path).with_context(|| format!("{}", path.display()))?;
        size += state.len() + 4096;
        states.push((name, state.len(), state.mtime(), state.mtime_nsec()));
    }
    let image = directory.join(format!("tests-{:016x}.img", hash(&(FORMAT, states))));
    if !image.exists() {
        let tree = directory.join(format!("tree-{}", std::process::id()));
        let made = gather(&files, &tree).and_then(|()| {
            // Room for what a filesystem needs itself.
            make(&tree, "tests", size + size / 8 + (32 << 20), &image)
        });
        fs::remove_dir_all(&tree).context("remove the tree of the tests' disk")?;
        made?;
        remove_old(directory)?;
    }
    Ok(image)
}

/// Adds the files below `directory`, by the name of the directory in the tree.
fn add_tree(directory: &Path, name: &str, files: &mut Vec<(String, PathBuf)>) -> Result<()> {
    let entries = fs::read_dir(directory).with_context(|| format!("{}", directory.display()))?;
    for entry in entries {
        let entry = entry?;
        let name = format!("{name}/{}", entry.file_name().to_string_lossy());
        if entry.file_type()?.is_dir() {
            add_tree(&entry.path(), &name, files)?;
        } else {
            files.push((name, entry.path()));
        }
    }
    files.sort();
    Ok(())
}

/// A tree of links to `files`.
fn gather(files: &[(String, PathBuf)], tree: &Path) -> Result<()> {
    for (name, path) in files {
        let place = tree.join(name);
        let parent = place.parent().context("a file without a directory")?;
        fs::create_dir_all(parent).with_context(|| format!("{}", parent.display()))?;
        // Another filesystem, or another's file.
        if fs::hard_link(path, &place).is_err() {
            fs::copy(path, &place).with_context(|| format!("copy {}", path.display()))?;
        }
    }
    Ok(())
}

/// Makes an ext4 image of `tree`, all of it or nothing. The guest knows it by its label.
fn make(tree: &Path, label: &str, size: u64, image: &Path) -> Result<()> {
    let new = image.with_extension(format!("new-{}", std::process::id()));
    let file = File::create(&new).with_context(|| format!("create {}", new.display()))?;
    file.set_len(size).context("the size of the image")?;
    let output = Command::new(program("mke2fs", "e2fsprogs")?)
        .args(["-q", "-F", "-t", "ext4", "-m", "0", "-L", label])
        // Nothing on it outlives the machine: a journal is of no use.
        .args(["-O", "^has_journal", "-E", "root_owner=0:0", "-d"])
        .args([tree, &new])
        .output()
        .context("cannot start mke2fs")?;
    if !output.status.success() {
        let _ = fs::remove_file(&new);
        let words = String::from_utf8_lossy(&output.stderr);
        bail!("mke2fs: {}\n{}", output.status, words.trim_end());
    }
    fs::rename(&new, image).context("move the image into place")
}

/// Removes images of tests that nobody has used lately. One that runs keeps its open.
fn remove_old(directory: &Path) -> Result<()> {
    let old = SystemTime::now() - Duration::from_secs(3600);
    for entry in fs::read_dir(directory)?.flatten() {
        let name = entry.file_name();
        let time = entry.metadata().and_then(|it| it.modified());
        if name.to_string_lossy().starts_with("tests-") && time.is_ok_and(|time| time < old) {
            let _ = fs::remove_file(entry.path());
        }
    }
    Ok(())
}

fn hash(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_has_what_is_in_the_tree() {
        let directory = tempfile::tempdir().unwrap();
        let tree = directory.path().join("tree");
        fs::write(directory.path().join("file"), "content").unwrap();
        let files = vec![("a/b".to_owned(), directory.path().join("file"))];
        gather(&files, &tree).unwrap();
        let image = directory.path().join("x.img");
        make(&tree, "x", 4 << 20, &image).unwrap();
        let bytes = fs::read(&image).unwrap();
        // The magic number of ext4's superblock.
        assert_eq!(bytes[1024 + 0x38..1024 + 0x3a], [0x53, 0xef]);
        assert!(bytes.windows(7).any(|window| window == b"content"));
    }

    #[test]
    fn an_image_that_cannot_be_made_leaves_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let image = directory.path().join("x.img");
        assert!(make(Path::new("/no/such/tree"), "x", 4 << 20, &image).is_err());
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
    }
}
