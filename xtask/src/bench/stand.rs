//! How each contender starts a container: the same one for all, as far as they can.

use std::cell::Cell;
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::Value;

use super::bundle::{self, Bundle, FIRST_ID};
use super::clean_up;
use super::hierarchies;
use super::measure::Words;
use super::site::{PODMANS_RUN, Site};
use super::tools::{Peer, Tools};

/// The cgroup above those of the OCI runtimes.
pub(crate) const CGROUP: &str = "coop-bench";

/// The site, the programs, and what they share.
pub(crate) struct Stand<'a> {
    pub(crate) site: &'a Site,
    pub(crate) tools: &'a Tools,
    coop: PathBuf,
    /// The filter of every OCI runtime's containers.
    seccomp: Value,
    count: Cell<u32>,
}

impl<'a> Stand<'a> {
    /// Makes what the contenders find on disk.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn new(site: &'a Site, tools: &'a Tools) -> Result<Self> {
        let names = site.path("names");
        fs::create_dir_all(&names)?;
        fs::write(names.join("hosts"), "127.0.0.1 localhost\n")?;
        fs::write(names.join("hostname"), "bench\n")?;
        fs::write(names.join("resolv.conf"), "")?;
        // A copy: who builds another one meanwhile does not change what is measured.
        let coop = site.path("bin").join("coop");
        fs::create_dir_all(site.path("bin"))?;
        fs::copy(&tools.coop, &coop).with_context(|| format!("copy {}", tools.coop.display()))?;
        Ok(Self {
            site,
            tools,
            coop,
            seccomp: bundle::seccomp()?,
            count: Cell::new(0),
        })
    }

    /// A name that no container had yet.
    pub(crate) fn name(&self) -> String {
        self.count.set(self.count.get() + 1);
        format!("bench-{}-{}", std::process::id(), self.count.get())
    }

    /// A call of Coop.
    pub(crate) fn coop(&self, words: &[&str]) -> Words {
        Words::new(&self.coop)
            .with(["--root"])
            .with([self.site.coop()])
            .with(words)
    }

    /// The scratch directory of the floor, as new. Not to be measured.
    ///
    /// # Errors
    /// When it cannot be made.
    pub(crate) fn fresh_scratch(&self) -> Result<PathBuf> {
        let scratch = self.site.path("scratch");
        if scratch.exists() {
            fs::remove_dir_all(&scratch)?;
        }
        fs::create_dir(&scratch)?;
        for name in ["upper", "work"] {
            fs::create_dir(scratch.join(name))?;
            chown(scratch.join(name), Some(FIRST_ID), Some(FIRST_ID))?;
        }
        for name in ["hosts", "hostname", "resolv.conf"] {
            fs::copy(self.site.path("names").join(name), scratch.join(name))?;
            chown(scratch.join(name), Some(FIRST_ID), Some(FIRST_ID))?;
        }
        Ok(scratch)
    }

    /// The floor with a scratch directory.
    pub(crate) fn floor(&self, scratch: &Path, argv: &[&str]) -> Words {
        Words::new(&self.tools.floor)
            .with([self.site.rootfs().as_path(), scratch])
            .with([hierarchies::words(self.site.hierarchies())])
            .with(argv)
    }

    /// Writes the bundle of an OCI runtime for the container `name`, with the root filesystem
    /// `rootfs`.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn bundle(&self, name: &str, rootfs: &Path, argv: &[&str]) -> Result<PathBuf> {
        let directory = self.site.path("bundles").join(name);
        fs::create_dir_all(&directory)?;
        let cgroup = format!("/{CGROUP}/{name}");
        let bundle = Bundle {
            rootfs,
            names: self.site.path("names"),
            cgroup: &cgroup,
            argv,
            seccomp: &self.seccomp,
        };
        let text = serde_json::to_vec(&bundle.config())?;
        fs::write(directory.join("config.json"), text).context("write config.json")?;
        Ok(directory)
    }

    /// A call of an OCI runtime; of nothing where it is not installed.
    pub(crate) fn oci(&self, peer: Peer) -> Words {
        let program = self.tools.peer(peer).unwrap_or(Path::new(peer.program()));
        let root = self.site.run().join(peer.program());
        Words::new(program).with(["--root".as_ref(), root.as_os_str()])
    }

    /// A call of Podman that leaves the machine's own containers alone.
    pub(crate) fn podman(&self) -> Words {
        let peer = Peer::Podman;
        let program = self.tools.peer(peer).unwrap_or(Path::new(peer.program()));
        let runtime = [Peer::Crun, Peer::Runc]
            .iter()
            .find_map(|it| self.tools.peer(*it))
            .unwrap_or(Path::new("crun"));
        let place = |option: &str, path: PathBuf| {
            let mut word = OsString::from(option);
            word.push(path);
            word
        };
        let places = [
            place("--root=", self.site.path("podman")),
            place("--runroot=", self.site.short_path(PODMANS_RUN)),
            place("--tmpdir=", self.site.short_path("tmp")),
        ];
        Words::new(program)
            .with(places)
            .with([
                "--storage-driver",
                "overlay",
                "--cgroup-manager",
                "cgroupfs",
                "--runtime",
            ])
            .with([runtime])
    }

    /// `bwrap` with everything new that it can make, and the mounts that it has words for.
    pub(crate) fn bubblewrap(&self, argv: &[&str]) -> Option<Words> {
        let program = self.tools.peer(Peer::Bubblewrap)?;
        let rootfs = self.site.rootfs();
        let words = Words::new(program)
            .with([
                "--unshare-all",
                "--uid",
                "0",
                "--gid",
                "0",
                "--hostname",
                "bench",
                "--bind",
            ])
            .with([rootfs.as_os_str(), "/".as_ref()])
            .with([
                "--proc",
                "/proc",
                "--dev",
                "/dev",
                "--mqueue",
                "/dev/mqueue",
            ]);
        let words = ["hosts", "hostname", "resolv.conf"]
            .iter()
            .fold(words, |words, name| {
                words.with(["--ro-bind"]).with([
                    self.site.path("names").join(name),
                    Path::new("/etc").join(name),
                ])
            });
        Some(
            words
                .with(["--cap-drop", "ALL", "--die-with-parent"])
                .with(argv),
        )
    }

    /// `unshare` with all namespaces and nothing in them but `/proc`.
    pub(crate) fn unshare(&self, argv: &[&str]) -> Option<Words> {
        let program = self.tools.peer(Peer::Unshare)?;
        let all = [
            "--user",
            "--map-root-user",
            "--mount",
            "--uts",
            "--ipc",
            "--net",
            "--pid",
            "--cgroup",
            "--fork",
            "--mount-proc",
        ];
        let mut root = OsString::from("--root=");
        root.push(self.site.rootfs());
        Some(Words::new(program).with(all).with([root]).with(argv))
    }
}

impl Drop for Stand<'_> {
    /// What a scenario has left that failed or was stopped.
    fn drop(&mut self) {
        clean_up::containers(self);
        clean_up::cgroups(self.site.hierarchies());
        clean_up::mounts(&self.site.path(""));
        clean_up::mounts(&self.site.short_path(""));
    }
}
