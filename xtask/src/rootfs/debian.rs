//! Debian, made of its own packages: apt fetches and checks them, dpkg sets them up in the new
//! root. What comes out is what debootstrap's variant `minbase` has.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use rustix::fs::{CWD, FileType, Mode, makedev, mknodat};

use super::architecture::Architecture;
use super::import::{Root, import};
use super::table;
use super::workspace::Workspace;
use crate::debian::{Dependencies, Packages, merged_usr, native_architecture, unpack};

/// What every Debian has, and what installs more.
const PACKAGES: [&str; 3] = ["?essential", "?priority(required)", "apt"];
/// The packages themselves in the new root, where dpkg finds them.
const ARCHIVES: &str = "var/cache/apt/archives";
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";
/// Name, minor number: the character devices of major number 1 that scripts use.
const DEVICES: [(&str, u32); 5] = [
    ("null", 3),
    ("zero", 5),
    ("full", 7),
    ("random", 8),
    ("urandom", 9),
];
/// Keeps packages from starting services while they are set up (`invoke-rc.d(8)`).
const NO_SERVICES: &str = "usr/sbin/policy-rc.d";

/// A release by its number and its name.
pub(super) struct Release {
    pub(super) number: String,
    suite: String,
}

impl Release {
    /// By number or name, Debian 12 by default.
    ///
    /// # Errors
    /// When there is no such release.
    pub(super) fn find(release: Option<&str>) -> Result<Self> {
        let all = table::DEBIAN;
        let found = match release {
            None => all.first(),
            Some(wanted) => all
                .iter()
                .find(|(number, suite)| *number == wanted || *suite == wanted),
        };
        let (number, suite) = found.with_context(|| {
            let known: Vec<_> = all
                .iter()
                .map(|(number, suite)| format!("{number} ({suite})"))
                .collect();
            format!(
                "Debian has no release {:?} that is known here: {}",
                release.unwrap_or_default(),
                known.join(", ")
            )
        })?;
        Ok(Self {
            number: (*number).to_owned(),
            suite: (*suite).to_owned(),
        })
    }
}

/// Packages that apt has checked.
pub(super) struct Archives {
    pub(super) packages: Vec<PathBuf>,
    /// The mirror's address.
    pub(super) origin: String,
}

/// Fetches packages of a release.
///
/// # Errors
/// When apt cannot.
pub(super) fn archives(
    release: &Release,
    names: &[&str],
    dependencies: Dependencies,
    mirror: Option<&str>,
    work: &Workspace,
) -> Result<Archives> {
    let directory = work.path("packages");
    let packages = Packages {
        suite: &release.suite,
        architecture: native_architecture(),
        names,
        dependencies,
    };
    let origin = packages.archives(mirror, &directory).context(
        "no packages were fetched\n  help: is the mirror there? --mirror takes another one",
    )?;
    eprintln!(
        "Debian {} ({}) from {origin}",
        release.number, release.suite
    );
    eprintln!("  signature  good: apt has checked the index, and each package against it");
    let mut packages = Vec::new();
    for entry in fs::read_dir(&directory)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "deb") {
            packages.push(path);
        }
    }
    packages.sort();
    Ok(Archives { packages, origin })
}

/// The programs of the packages run while they are set up.
///
/// # Errors
/// When it is for another machine.
pub(super) fn only_native(architecture: &Architecture, name: &str) -> Result<()> {
    if architecture != Architecture::native()? {
        bail!(
            "{name} for {} can only be made on such a machine: its programs have to run",
            architecture.oci
        );
    }
    Ok(())
}

/// Makes the image `debian:12`.
///
/// # Errors
/// When not root, or when packages cannot be fetched, set up or imported.
pub(super) fn fetch(
    release: Option<&str>,
    architecture: &Architecture,
    mirror: Option<&str>,
    cache: &Path,
) -> Result<()> {
    let release = Release::find(release)?;
    only_native(architecture, "Debian")?;
    if !rustix::process::geteuid().is_root() {
        bail!(
            "Debian's packages are set up by their own scripts, which need root\n  help: run it \
             with sudo; alpine, ubuntu and arch are fetched without"
        );
    }
    let work = Workspace::take(cache, &format!("debian-{}", release.number))?;
    let archives = archives(&release, &PACKAGES, Dependencies::All, mirror, &work)?;
    let root = work.path("root");
    eprintln!("setting up {} packages", archives.packages.len());
    set_up(&root, &archives.packages)?;
    finish(&root, &release, &archives.origin)?;
    let version = fs::read_to_string(root.join("etc/debian_version"));
    let version = version.map_or_else(|_| release.number.clone(), |text| text.trim().to_owned());
    let image = format!("debian:{}", release.number);
    import(&Root {
        source: &root,
        image: &image,
        architecture: architecture.oci,
        title: "Debian",
        version: &version,
        origin: &archives.origin,
        shell: "bash",
    })?;
    eprintln!("imported as {image}");
    Ok(())
}

/// First the files of all packages, so that every program that a script may call is there; then
/// dpkg does it all again, with the scripts, and knows the packages from there on.
fn set_up(root: &Path, packages: &[PathBuf]) -> Result<()> {
    merged_usr(root)?;
    for package in packages {
        unpack(package, root)?;
    }
    let prepare = || {
        fs::set_permissions(root, Permissions::from_mode(0o755))?;
        for directory in [
            ARCHIVES,
            "var/lib/dpkg/info",
            "var/lib/dpkg/updates",
            "dev",
            "proc",
        ] {
            fs::create_dir_all(root.join(directory))?;
        }
        for file in ["var/lib/dpkg/status", "var/lib/dpkg/available"] {
            fs::write(root.join(file), "")?;
        }
        for (name, minor) in DEVICES {
            let mode = Mode::from_raw_mode(0o666);
            mknodat(
                CWD,
                root.join("dev").join(name),
                FileType::CharacterDevice,
                mode,
                makedev(1, minor),
            )?;
            // The umask was taken from it.
            fs::set_permissions(root.join("dev").join(name), Permissions::from_mode(0o666))?;
        }
        fs::write(root.join(NO_SERVICES), "#!/bin/sh\nexit 101\n")?;
        fs::set_permissions(root.join(NO_SERVICES), Permissions::from_mode(0o755))?;
        std::io::Result::Ok(())
    };
    prepare().with_context(|| format!("cannot prepare {}", root.display()))?;
    let mut names = Vec::new();
    for package in packages {
        let name = package.file_name().context("a package without a name")?;
        let place = Path::new(ARCHIVES).join(name);
        fs::copy(package, root.join(&place))
            .with_context(|| format!("cannot copy {}", package.display()))?;
        names.push(Path::new("/").join(place));
    }
    let mut dpkg = inside(root);
    dpkg.args(["dpkg", "--force-depends", "--force-unsafe-io", "--install"]);
    finished(dpkg.args(names))?;
    finished(inside(root).args(["dpkg", "--audit"]))
}

/// A command in the new root, in namespaces of its own: without the machine's processes, mounts
/// and network.
fn inside(root: &Path) -> Command {
    let mut command = Command::new("unshare");
    command
        .args([
            "--mount",
            "--pid",
            "--fork",
            "--kill-child",
            "--net",
            "--ipc",
            "--uts",
        ])
        .args(["--mount-proc", "--wd", "/", "--root"])
        .arg(root)
        .env_clear()
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .env("HOME", "/root")
        .env("LC_ALL", "C.UTF-8")
        .env("DEBIAN_FRONTEND", "noninteractive")
        .env("DEBCONF_NONINTERACTIVE_SEEN", "true")
        .stdin(Stdio::null());
    command
}

fn finished(command: &mut Command) -> Result<()> {
    let output = command
        .output()
        .context("cannot start unshare (Debian's package util-linux)")?;
    if !output.status.success() {
        let said =
            String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        let lines: Vec<_> = said.lines().collect();
        let last = lines[lines.len().saturating_sub(30)..].join("\n");
        bail!("setting up the packages: {}\n{last}", output.status);
    }
    Ok(())
}

/// Gives the new Debian its source of packages, and takes away what only the making needed.
fn finish(root: &Path, release: &Release, origin: &str) -> Result<()> {
    let finish = || {
        let sources = root.join("etc/apt/sources.list.d");
        fs::create_dir_all(&sources)?;
        let source = format!(
            "Types: deb\nURIs: {origin}\nSuites: {}\nComponents: main\nSigned-By: {KEYRING}\n",
            release.suite
        );
        fs::write(sources.join("debian.sources"), source)?;
        fs::remove_file(root.join(NO_SERVICES))?;
        for directory in [ARCHIVES, "var/cache/debconf", "var/log", "dev"] {
            empty(&root.join(directory))?;
        }
        // Each machine makes its own.
        let id = root.join("etc/machine-id");
        if id.exists() {
            fs::write(id, "")?;
        }
        std::io::Result::Ok(())
    };
    finish().with_context(|| format!("cannot finish {}", root.display()))
}

/// Removes the files in a directory; directories with their owners and modes stay, as packages
/// made them.
fn empty(directory: &Path) -> std::io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if !entry.file_type()?.is_dir() {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_has_a_number_and_a_name() {
        let found = |release| Release::find(release).map(|it| (it.number, it.suite)).ok();
        let twelve = Some(("12".to_owned(), "bookworm".to_owned()));
        assert_eq!(found(None), twelve);
        assert_eq!(found(Some("12")), twelve);
        assert_eq!(found(Some("bookworm")), twelve);
        assert_eq!(found(Some("../x")), None);
    }

    #[test]
    fn another_machines_programs_do_not_run_here() {
        let other = if std::env::consts::ARCH == "s390x" {
            "amd64"
        } else {
            "s390x"
        };
        assert!(only_native(Architecture::named(other).unwrap(), "Debian").is_err());
        assert!(only_native(Architecture::native().unwrap(), "Debian").is_ok());
    }
}
