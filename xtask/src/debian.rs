//! Packages of Debian, fetched and unpacked below `target/debian/`. Nothing is installed, and
//! no root is needed.
//!
//! `apt-get` does the work, with directories of its own beside the machine's. So the mirror is
//! the one that the machine's sources name, every index is checked against Debian's archive
//! keys and every package against its index, and a download that was cut off is gone on with.
//! What is unpacked stays until somebody removes `target/debian/`.

mod apt;

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use rustix::fs::FlockOperation;

use self::apt::Apt;
use crate::cargo::target_directory;

/// Packages that are unpacked into one directory.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Packages<'a> {
    /// `bookworm`, `trixie`, `sid`, `bookworm-backports`, …
    pub(crate) suite: &'a str,
    /// Debian's name of the architecture: `amd64`, `arm64`, …
    pub(crate) architecture: &'a str,
    /// Names of packages, or patterns of `apt-patterns(7)` such as `?essential`.
    pub(crate) names: &'a [&'a str],
    /// What comes along.
    pub(crate) dependencies: Dependencies,
}

/// What is unpacked besides the packages that were asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dependencies {
    /// Nothing.
    None,
    /// Everything that they need, down to the C library.
    All,
    /// What they need and whose name begins so.
    StartingWith(&'static str),
}

impl Packages<'_> {
    /// The directory with the unpacked packages; they are fetched when they are not there yet.
    ///
    /// `/bin`, `/lib` and `/sbin` in it are links into `/usr`. No script of a package has run.
    ///
    /// # Errors
    /// When the machine knows no mirror of Debian, or the mirror has no such suite or package,
    /// or something does not fit its checksum or signature.
    pub(crate) fn unpacked(&self) -> Result<PathBuf> {
        let store = self.store()?;
        let place = store.join(self.key());
        if place.is_dir() {
            return Ok(place);
        }
        let _lock = lock(&store)?;
        if !place.is_dir() {
            self.fetch(&store, &place).with_context(|| self.shown())?;
        }
        Ok(place)
    }

    /// Fetches the packages themselves into `directory`, from `mirror` or from the one that the
    /// machine's sources name, and returns its address. Nothing is unpacked.
    ///
    /// # Errors
    /// As [`unpacked`](Self::unpacked).
    pub(crate) fn archives(&self, mirror: Option<&str>, directory: &Path) -> Result<String> {
        let store = self.store()?;
        let _lock = lock(&store)?;
        self.download(&store, mirror, directory)
            .with_context(|| self.shown())
    }

    fn store(&self) -> Result<PathBuf> {
        let suite = format!("{}-{}", self.suite, self.architecture);
        let store = target_directory()?.join("debian").join(suite);
        fs::create_dir_all(&store).with_context(|| format!("create {}", store.display()))?;
        Ok(store)
    }

    fn shown(&self) -> String {
        format!("{} of Debian {}", self.names.join(", "), self.suite)
    }

    fn fetch(&self, store: &Path, place: &Path) -> Result<()> {
        let archives = store.join("archives").join(self.key());
        self.download(store, None, &archives)?;

        // A directory that an interrupted run left is not the whole of it.
        let staging = store.join("unpacking");
        if staging.exists() {
            fs::remove_dir_all(&staging).context("remove what an earlier run left")?;
        }
        merged_usr(&staging)?;
        let mut unpacked = 0;
        for entry in fs::read_dir(&archives)? {
            let package = entry?.path();
            if package.extension().is_some_and(|it| it == "deb") {
                unpack(&package, &staging)?;
                unpacked += 1;
            }
        }
        if unpacked == 0 {
            bail!("no package came");
        }
        fs::rename(&staging, place).context("move it into place")?;
        fs::remove_dir_all(&archives).context("remove the archives")
    }

    /// Returns the mirror.
    fn download(&self, store: &Path, mirror: Option<&str>, archives: &Path) -> Result<String> {
        fs::create_dir_all(archives)?;
        let apt = Apt::new(store, mirror, self.suite, self.architecture)?;
        apt.update()?;
        let names = match self.dependencies {
            Dependencies::None => self.names.iter().map(ToString::to_string).collect(),
            Dependencies::All => apt.closure(self.names)?,
            Dependencies::StartingWith(prefix) => {
                let mut names = apt.closure(self.names)?;
                names.retain(|name| name.starts_with(prefix));
                names
            }
        };
        let (first, count) = (self.names.join(" "), names.len());
        eprintln!(
            "xtask: fetching {first} of Debian {} ({count} packages)",
            self.suite
        );
        apt.download(&names, archives)?;
        Ok(apt.mirror)
    }

    /// The name of the directory: what was asked for.
    fn key(&self) -> String {
        let clean = |c: char| {
            if c.is_ascii_alphanumeric() || "+-.".contains(c) {
                c
            } else {
                '_'
            }
        };
        let mut names: Vec<String> = self
            .names
            .iter()
            .map(|name| name.chars().map(clean).collect())
            .collect();
        names.sort();
        let suffix = match self.dependencies {
            Dependencies::None => "alone",
            Dependencies::All => "all",
            Dependencies::StartingWith(prefix) => prefix.trim_end_matches('-'),
        };
        format!("{},{suffix}", names.join(","))
    }
}

/// Debian's name of the architecture that this program was built for.
pub(crate) fn native_architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "x86" => "i386",
        "riscv64" => "riscv64",
        other => other,
    }
}

/// One at a time. The lock goes with this process, however it ends.
fn lock(store: &Path) -> Result<File> {
    let lock = File::create(store.join("lock")).context("the lock of the package store")?;
    rustix::fs::flock(&lock, FlockOperation::LockExclusive).context("lock the package store")?;
    Ok(lock)
}

/// Makes `root` with the links that `base-files` would bring: older packages still have files
/// in `/bin` and `/lib`, newer ones have the same files in `/usr`.
///
/// # Errors
/// When they cannot be made.
pub(crate) fn merged_usr(root: &Path) -> Result<()> {
    for name in ["bin", "lib", "lib64", "sbin"] {
        let target = Path::new("usr").join(name);
        fs::create_dir_all(root.join(&target))?;
        std::os::unix::fs::symlink(&target, root.join(name))?;
    }
    Ok(())
}

/// Unpacks one package into `root`, following the links that are there.
///
/// # Errors
/// When dpkg-deb or tar cannot.
pub(crate) fn unpack(package: &Path, root: &Path) -> Result<()> {
    // `dpkg-deb --extract` would put a directory in the place of such a link.
    let mut reader = Command::new("dpkg-deb")
        .arg("--fsys-tarfile")
        .arg(package)
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot start dpkg-deb")?;
    let archive = reader.stdout.take().context("no output of dpkg-deb")?;
    let mut command = Command::new("tar");
    command
        .args([
            "--extract",
            "--preserve-permissions",
            "--keep-directory-symlink",
        ])
        .arg("--directory")
        .arg(root)
        .stdin(archive);
    let unpacked = command.status().context("cannot start tar");
    // The pipe's reading end has to go first, or a tar that failed lets dpkg-deb wait for ever.
    drop(command);
    let read = reader.wait().context("wait for dpkg-deb")?;
    let unpacked = unpacked?;
    if !read.success() || !unpacked.success() {
        bail!(
            "cannot unpack {}: dpkg-deb: {read}, tar: {unpacked}",
            package.display()
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_names_the_directory() {
        let packages = |names, dependencies| Packages {
            suite: "bookworm",
            architecture: "amd64",
            names,
            dependencies,
        };
        let key = packages(&["nftables", "iproute2"], Dependencies::All).key();
        assert_eq!(key, "iproute2,nftables,all");
        let key = packages(&["?essential"], Dependencies::None).key();
        assert_eq!(key, "_essential,alone");
        let kernel = Dependencies::StartingWith("linux-");
        assert_eq!(packages(&["../x"], kernel).key(), ".._x,linux");
    }

    #[test]
    fn an_unpacked_tree_has_a_merged_usr() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().join("root");
        merged_usr(&root).unwrap();
        // As in packages from before the merge.
        let tree = directory.path().join("tree");
        fs::create_dir_all(tree.join("DEBIAN")).unwrap();
        fs::create_dir_all(tree.join("lib")).unwrap();
        let control = "Package: x\nVersion: 1\nArchitecture: all\nMaintainer: x\nDescription: x\n";
        fs::write(tree.join("DEBIAN/control"), control).unwrap();
        fs::write(tree.join("lib/x"), "").unwrap();
        let package = directory.path().join("x.deb");
        let built = Command::new("dpkg-deb")
            .args(["--build", "--root-owner-group"])
            .args([&tree, &package])
            .output();
        assert!(built.unwrap().status.success());
        unpack(&package, &root).unwrap();
        assert!(root.join("usr/lib/x").is_file());
    }
}
