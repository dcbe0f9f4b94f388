//! The programs that are measured, as far as they are installed.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use super::Options;
use crate::build::{self, Profile};
use crate::cargo;
use crate::test::INTEGRATION;

/// A program that Coop is compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Peer {
    /// The OCI runtime in C.
    Crun,
    /// The OCI runtime in Go.
    Runc,
    /// The OCI runtime in Rust.
    Youki,
    /// `bwrap`.
    Bubblewrap,
    /// `unshare` of util-linux.
    Unshare,
    /// Podman.
    Podman,
}

impl Peer {
    pub(crate) const ALL: [Self; 6] = [
        Self::Crun,
        Self::Runc,
        Self::Youki,
        Self::Bubblewrap,
        Self::Unshare,
        Self::Podman,
    ];

    /// The name of its program.
    pub(crate) fn program(self) -> &'static str {
        match self {
            Self::Crun => "crun",
            Self::Runc => "runc",
            Self::Youki => "youki",
            Self::Bubblewrap => "bwrap",
            Self::Unshare => "unshare",
            Self::Podman => "podman",
        }
    }
}

/// The programs.
pub(crate) struct Tools {
    /// The release build.
    pub(crate) coop: PathBuf,
    /// The minimal program.
    pub(crate) floor: PathBuf,
    /// The program that works in containers.
    pub(crate) load: PathBuf,
    peers: Vec<(Peer, PathBuf)>,
}

impl Tools {
    /// Builds Coop and the floor, and looks for the others.
    ///
    /// # Errors
    /// When a build fails, or a program that was named is not there.
    pub(crate) fn find(options: &Options) -> Result<Self> {
        let coop = match &options.coop {
            Some(coop) => std::path::absolute(coop)?,
            None => build::coop(Profile::Release)?,
        };
        let release = ["--release".as_ref()];
        let floor = cargo::build_binary(INTEGRATION, "floor", &release)?;
        let load = cargo::build_binary(INTEGRATION, "load", &release)?;
        let named = |peer| match peer {
            Peer::Youki => options.youki.clone(),
            _ => None,
        };
        let mut peers = Vec::new();
        for peer in Peer::ALL {
            let path = named(peer).or_else(|| in_path(peer.program()));
            if let Some(path) = path {
                peers.push((peer, std::path::absolute(path)?));
            }
        }
        for (_, path) in &peers {
            if !path.is_file() {
                bail!("no program {}", path.display());
            }
        }
        Ok(Self {
            coop,
            floor,
            load,
            peers,
        })
    }

    /// Where a peer is, if it is installed.
    pub(crate) fn peer(&self, peer: Peer) -> Option<&Path> {
        let found = self.peers.iter().find(|(it, _)| *it == peer);
        found.map(|(_, path)| path.as_path())
    }

    /// What each program says of its version.
    pub(crate) fn versions(&self) -> Vec<String> {
        let all = std::iter::once(&self.coop).chain(self.peers.iter().map(|(_, path)| path));
        all.filter_map(|path| version(path).ok()).collect()
    }
}

fn version(program: &Path) -> Result<String> {
    let output = Command::new(program)
        .arg("--version")
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("start {}", program.display()))?;
    let text = String::from_utf8_lossy(&output.stdout);
    Ok(text.lines().next().unwrap_or_default().trim().to_owned())
}

fn in_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/local/sbin", "/usr/sbin", "/sbin"].map(PathBuf::from))
        .map(|directory| directory.join(program))
        .find(|path| path.is_file())
}
