//! `cargo xtask rootfs`: root filesystems of distributions, fetched, verified and imported.

mod architecture;
mod busybox;
mod checksum;
mod debian;
mod download;
mod http;
mod import;
mod keyring;
mod signature;
mod table;
mod tarball;
#[cfg(test)]
mod tests;
mod workspace;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::{Args, Subcommand, ValueEnum};

use self::architecture::Architecture;
use self::http::Client;
use self::import::Root;
use self::signature::Checked;
use self::table::Tarball;
use self::tarball::{Proved, Trust};
use crate::cargo::target_directory;

#[derive(Subcommand)]
pub(crate) enum Task {
    /// Fetches a distribution's root filesystem, verifies it and imports it as an image
    ///
    /// Alpine, Ubuntu and Arch publish archives: they are checked against the published
    /// checksums, and these against the distribution's signature (with gpgv). Debian and busybox
    /// are made of Debian's packages, which apt checks. What is fetched stays in target/rootfs/;
    /// a download that was cut off is gone on with.
    #[command(after_help = "Examples:\n  \
        cargo xtask rootfs fetch alpine                  # alpine:3.24\n  \
        cargo xtask rootfs fetch ubuntu --release 22.04  # ubuntu:22.04\n  \
        cargo xtask rootfs fetch arch                    # archlinux:latest\n  \
        cargo xtask rootfs fetch debian                  # debian:12, as root\n  \
        cargo xtask rootfs fetch busybox                 # busybox:1.35\n\n\
        COOP_BIN names the coop that imports; one is built otherwise.")]
    Fetch(Options),
}

#[derive(Args)]
pub(crate) struct Options {
    distribution: Distribution,
    /// Such as 3.20 or 3.20.6 of Alpine, 24.04 of Ubuntu, 12 of Debian, 2026.11.01 of Arch
    #[arg(long)]
    release: Option<String>,
    /// Such as amd64 or aarch64; this machine's otherwise
    #[arg(long)]
    arch: Option<String>,
    /// Where to fetch from, in place of the distribution's own server
    #[arg(long, value_name = "URL")]
    mirror: Option<String>,
    /// Trust the mirror's checksums where it has no signatures
    #[arg(long)]
    no_signature: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Distribution {
    Alpine,
    Ubuntu,
    Arch,
    Debian,
    Busybox,
}

/// Carries out `task`.
///
/// # Errors
/// When a download, a check or the import fails.
pub(crate) fn run(task: &Task) -> Result<()> {
    let Task::Fetch(options) = task;
    fetch(options)
}

fn fetch(options: &Options) -> Result<()> {
    let architecture = match &options.arch {
        Some(name) => Architecture::named(name)?,
        None => Architecture::native()?,
    };
    let cache = cache()?;
    let (release, mirror) = (options.release.as_deref(), options.mirror.as_deref());
    match options.distribution {
        Distribution::Alpine => archive(
            &table::alpine(release, architecture, mirror)?,
            options,
            architecture,
            &cache.join("alpine"),
        ),
        Distribution::Ubuntu => archive(
            &table::ubuntu(release, architecture, mirror)?,
            options,
            architecture,
            &cache.join("ubuntu"),
        ),
        Distribution::Arch => archive(
            &table::arch(release, architecture, mirror)?,
            options,
            architecture,
            &cache.join("arch"),
        ),
        Distribution::Debian => debian::fetch(release, architecture, mirror, &cache),
        Distribution::Busybox => busybox::fetch(release, architecture, mirror, &cache),
    }
}

/// `COOP_ROOTFS_CACHE`, for the tests; else below the build results.
fn cache() -> Result<PathBuf> {
    match std::env::var_os("COOP_ROOTFS_CACHE") {
        Some(named) => Ok(named.into()),
        None => Ok(target_directory()?.join("rootfs")),
    }
}

fn archive(
    tarball: &Tarball,
    options: &Options,
    architecture: &Architecture,
    cache: &Path,
) -> Result<()> {
    let trust = if options.no_signature {
        Trust::Mirror
    } else {
        Trust::Signature
    };
    let cache = cache.join(format!("{}-{}", tarball.version, architecture.oci));
    let proved = tarball::obtain(&Client::new(), tarball, &cache, trust)
        .with_context(|| format!("{} was not fetched", tarball.image))?;
    report(tarball, &proved);
    import::import(&Root {
        source: &proved.path,
        image: &tarball.image,
        architecture: architecture.oci,
        title: tarball.title,
        version: &proved.version,
        origin: &format!("{}{}", tarball.directory, tarball.file),
        shell: tarball.shell,
    })
    .with_context(|| {
        let (path, image) = (proved.path.display(), &tarball.image);
        format!("{path} is kept\n  help: import it again with `coop image import {path} {image}`")
    })?;
    eprintln!("imported as {}", tarball.image);
    Ok(())
}

/// What the image stands on.
fn report(tarball: &Tarball, proved: &Proved) {
    let algorithm = tarball.algorithm.name();
    eprintln!("{} {}", tarball.title, proved.version);
    eprintln!("  checksum   {algorithm} {}, as published", proved.checksum);
    let signer = tarball.signature.signer;
    match &proved.signature {
        Checked::Good => eprintln!(
            "  signature  good, by {} ({})",
            signer.name, signer.fingerprint
        ),
        Checked::Not(why) => eprintln!(
            "  signature  NOT CHECKED ({why}): the checksum is from the same server as the file"
        ),
    }
}
