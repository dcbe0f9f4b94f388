//! What the tests need from the machine: programs of Debian packages, rustup components.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::cargo::cargo;

/// A program, the Debian package that brings it, and what else has to hold.
struct Need {
    program: &'static str,
    package: &'static str,
    fits: fn(&Path) -> bool,
}

const NEEDS: &[Need] = &[
    need("nft", "nftables"),
    need("ip", "iproute2"),
    // The tests' root filesystems hold nothing but this file: it has to be static.
    Need {
        program: "busybox",
        package: "busybox-static",
        fits: is_static,
    },
    need("ps", "procps"),
    need("newuidmap", "uidmap"),
    need("pasta", "passt"),
    need("slirp4netns", "slirp4netns"),
    need("tc", "iproute2"),
    need("iperf3", "iperf3"),
    need("mksquashfs", "squashfs-tools"),
    need("xz", "xz-utils"),
    need("zstd", "zstd"),
    need("strace", "strace"),
];

const fn need(program: &'static str, package: &'static str) -> Need {
    Need {
        program,
        package,
        fits: |_| true,
    }
}

/// Installs the packages that are missing; only says what they are when not root.
///
/// # Errors
/// When something is missing and cannot be installed.
pub(crate) fn ensure_packages() -> Result<()> {
    let missing = missing_packages(&program_directories());
    if missing.is_empty() {
        return Ok(());
    }
    let list = missing.join(" ");
    if !rustix::process::geteuid().is_root() {
        bail!("the tests need packages that are not installed; as root: apt-get install {list}");
    }
    eprintln!("xtask: apt-get install {list}");
    apt_get(&["update"])
        .and_then(|()| {
            let install = ["install", "--yes", "--no-install-recommends"];
            apt_get(&[&install[..], &missing[..]].concat())
        })
        .with_context(|| format!("the tests need these Debian packages: {list}"))
}

/// Adds `rustfmt` and `clippy` where a minimal toolchain lacks them.
///
/// # Errors
/// When they are missing and rustup cannot add them.
pub(crate) fn ensure_components() -> Result<()> {
    for (subcommand, component) in [("fmt", "rustfmt"), ("clippy", "clippy")] {
        let probe = cargo([subcommand, "--version"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        if probe.is_ok_and(|status| status.success()) {
            continue;
        }
        eprintln!("xtask: rustup component add {component}");
        let added = Command::new("rustup")
            .args(["component", "add", component])
            .stdin(Stdio::null())
            .status()
            .with_context(|| format!("cargo {subcommand} is missing and rustup does not start"))?;
        if !added.success() {
            bail!("rustup component add {component}: {added}");
        }
    }
    Ok(())
}

fn missing_packages(directories: &[PathBuf]) -> Vec<&'static str> {
    let present = |need: &Need| {
        directories
            .iter()
            .map(|directory| directory.join(need.program))
            .find(|path| is_executable(path))
            .is_some_and(|path| (need.fits)(&path))
    };
    NEEDS
        .iter()
        .filter(|need| !present(need))
        .map(|need| need.package)
        .collect()
}

/// The path of a program of this machine.
///
/// # Errors
/// When it is missing: names the Debian package that brings it.
pub(crate) fn program(name: &str, package: &str) -> Result<PathBuf> {
    program_directories()
        .into_iter()
        .map(|directory| directory.join(name))
        .find(|path| is_executable(path))
        .with_context(|| format!("{name} is missing: install the package {package}"))
}

/// `PATH`, and the administrator's directories that an ordinary user's `PATH` lacks.
fn program_directories() -> Vec<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/local/sbin", "/usr/sbin", "/sbin"].map(PathBuf::from))
        .collect()
}

fn is_executable(path: &Path) -> bool {
    path.metadata()
        .is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

/// True when the program names no dynamic loader: linkers put that name (`PT_INTERP`)
/// right behind the ELF headers.
fn is_static(path: &Path) -> bool {
    let mut head = Vec::new();
    let read = File::open(path).and_then(|file| file.take(4096).read_to_end(&mut head));
    read.is_ok() && !head.windows(4).any(|window| window == b"/ld-")
}

fn apt_get(args: &[&str]) -> Result<()> {
    let status = Command::new("apt-get")
        .args(args)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .stdin(Stdio::null())
        .status()
        .context("cannot start apt-get")?;
    if !status.success() {
        bail!("apt-get {}: {status}", args[0]);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn install(directory: &Path, program: &str, content: &[u8]) {
        let path = directory.join(program);
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    #[test]
    fn a_machine_without_anything_needs_every_package() {
        let empty = tempfile::tempdir().unwrap();
        assert_eq!(missing_packages(&[empty.path().into()]).len(), NEEDS.len());
    }

    #[test]
    fn an_installed_program_is_not_asked_for_again() {
        let directory = tempfile::tempdir().unwrap();
        for need in NEEDS {
            install(directory.path(), need.program, b"\x7fELF");
        }
        assert_eq!(missing_packages(&[directory.path().into()]), [""; 0]);
    }

    #[test]
    fn a_dynamic_busybox_does_not_do() {
        let directory = tempfile::tempdir().unwrap();
        for need in NEEDS {
            install(
                directory.path(),
                need.program,
                b"\x7fELF\0/lib64/ld-linux-x86-64.so.2",
            );
        }
        assert_eq!(
            missing_packages(&[directory.path().into()]),
            ["busybox-static"]
        );
    }
}
