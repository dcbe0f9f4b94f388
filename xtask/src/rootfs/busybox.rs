//! A root filesystem of one program: Debian's static busybox.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use super::architecture::Architecture;
use super::debian::{Release, archives};
use super::import::{Root, import};
use super::workspace::Workspace;
use crate::debian::{Dependencies, unpack};

const PACKAGE: &str = "busybox-static";
const DIRECTORIES: [(&str, u32); 12] = [
    ("bin", 0o755),
    ("dev", 0o755),
    ("etc", 0o755),
    ("home", 0o755),
    ("proc", 0o555),
    ("root", 0o700),
    ("sbin", 0o755),
    ("sys", 0o555),
    ("tmp", 0o1777),
    ("usr/bin", 0o755),
    ("usr/sbin", 0o755),
    ("var/spool/mail", 0o755),
];
const FILES: [(&str, u32, &str); 4] = [
    (
        "etc/passwd",
        0o644,
        "root:x:0:0:root:/root:/bin/sh\n\
         daemon:x:1:1:daemon:/usr/sbin:/bin/false\n\
         www-data:x:33:33:www-data:/var/www:/bin/false\n\
         nobody:x:65534:65534:nobody:/home:/bin/false\n",
    ),
    (
        "etc/group",
        0o644,
        "root:x:0:\ndaemon:x:1:\ntty:x:5:\nwww-data:x:33:\nnogroup:x:65534:\n",
    ),
    (
        "etc/shadow",
        0o640,
        "root:*:::::::\ndaemon:*:::::::\nwww-data:*:::::::\nnobody:*:::::::\n",
    ),
    (
        "etc/nsswitch.conf",
        0o644,
        "passwd: files\ngroup: files\nhosts: files dns\n",
    ),
];

/// Makes the image `busybox:1.x`.
///
/// # Errors
/// When the package cannot be had, is not for this machine, or is not imported.
pub(super) fn fetch(
    release: Option<&str>,
    architecture: &Architecture,
    mirror: Option<&str>,
    cache: &Path,
) -> Result<()> {
    let release = Release::find(release)?;
    super::debian::only_native(architecture, "busybox")?;
    let work = Workspace::take(cache, &format!("busybox-{}", release.number))?;
    let archives = archives(&release, &[PACKAGE], Dependencies::None, mirror, &work)?;
    let [package] = archives.packages.as_slice() else {
        bail!("{PACKAGE} is {} packages", archives.packages.len());
    };
    let (unpacked, root) = (work.path("package"), work.path("root"));
    unpack(package, &unpacked)?;
    let busybox = ["usr/bin/busybox", "bin/busybox"]
        .map(|name| unpacked.join(name))
        .into_iter()
        .find(|path| path.is_file())
        .with_context(|| format!("{PACKAGE} has no busybox in it"))?;
    build(&busybox, &root)?;
    let version = version(package)?;
    let mut numbers = version.split('.');
    let (Some(major), Some(minor)) = (numbers.next(), numbers.next()) else {
        bail!("{PACKAGE} has the version {version}");
    };
    let image = format!("busybox:{major}.{minor}");
    import(&Root {
        source: &root,
        image: &image,
        architecture: architecture.oci,
        title: "BusyBox",
        version: &version,
        origin: &archives.origin,
        shell: "sh",
    })?;
    eprintln!("imported as {image}");
    Ok(())
}

/// Fills `root` with the program, a link for each of its applets, and the files that programs
/// look for.
fn build(busybox: &Path, root: &Path) -> Result<()> {
    let mode = |path: &Path, mode| fs::set_permissions(path, Permissions::from_mode(mode));
    let fill = || {
        for (name, bits) in DIRECTORIES {
            let path = root.join(name);
            fs::create_dir_all(&path)?;
            mode(&path, bits)?;
        }
        for (name, bits, content) in FILES {
            let path = root.join(name);
            fs::write(&path, content)?;
            mode(&path, bits)?;
        }
        mode(root, 0o755)?;
        let program = root.join("bin/busybox");
        fs::copy(busybox, &program)?;
        mode(&program, 0o755)
    };
    fill().with_context(|| format!("cannot write {}", root.display()))?;
    for applet in applets(busybox)? {
        let path = root.join(&applet);
        if path.symlink_metadata().is_err() {
            symlink("/bin/busybox", &path)
                .with_context(|| format!("cannot write {}", path.display()))?;
        }
    }
    Ok(())
}

/// Where each applet wants to be: only busybox knows what it was built with.
fn applets(busybox: &Path) -> Result<Vec<PathBuf>> {
    let output = Command::new(busybox)
        .arg("--list-full")
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot run {}", busybox.display()))?;
    let applets = places(&String::from_utf8_lossy(&output.stdout));
    if !applets.contains(&PathBuf::from("bin/sh")) {
        bail!("{} is a busybox without a shell", busybox.display());
    }
    Ok(applets)
}

fn places(list: &str) -> Vec<PathBuf> {
    let is_place = |line: &&str| {
        line.rsplit_once('/').is_some_and(|(directory, name)| {
            let known = DIRECTORIES.iter().any(|(known, _)| *known == directory);
            known && !name.is_empty() && name != ".."
        })
    };
    list.lines().filter(is_place).map(PathBuf::from).collect()
}

/// `1.35.0` of `1:1.35.0-4+deb12u1+b1`.
fn version(package: &Path) -> Result<String> {
    let output = Command::new("dpkg-deb")
        .args(["--field"])
        .arg(package)
        .arg("Version")
        .output()
        .context("cannot start dpkg-deb")?;
    Ok(upstream(&String::from_utf8_lossy(&output.stdout)).to_owned())
}

fn upstream(version: &str) -> &str {
    let version = version.trim();
    let version = version.split_once(':').map_or(version, |(_, rest)| rest);
    version
        .rsplit_once('-')
        .map_or(version, |(upstream, _)| upstream)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_busyboxs_own() {
        assert_eq!(upstream("1:1.35.0-4+deb12u1+b1\n"), "1.35.0");
        assert_eq!(upstream("1.37.0"), "1.37.0");
    }

    #[test]
    fn applets_lie_in_directories_of_programs() {
        let list = "bin/sh\nusr/sbin/httpd\nlinuxrc\n../etc/passwd\n/bin/x\nbin/\nbin/..\n";
        let known: Vec<_> = ["bin/sh", "usr/sbin/httpd"].map(PathBuf::from).into();
        assert_eq!(places(list), known);
    }
}
