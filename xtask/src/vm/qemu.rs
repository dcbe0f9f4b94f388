//! QEMU: the machine's own, or Debian's, unpacked below `target/`.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::debian::{Dependencies, Packages};

const PROGRAM: &str = "qemu-system-x86_64";

/// A QEMU that can be started.
pub(crate) enum Qemu {
    /// The one in `PATH`.
    Installed(PathBuf),
    /// One in a directory with everything that it needs, C library and loader included.
    Unpacked(PathBuf),
}

impl Qemu {
    /// Finds the machine's, or fetches one.
    ///
    /// # Errors
    /// When there is none and none can be fetched.
    pub(crate) fn find() -> Result<Self> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let installed = std::env::split_paths(&path)
            .map(|directory| directory.join(PROGRAM))
            .find(|program| program.is_file());
        if let Some(program) = installed {
            return Ok(Self::Installed(program));
        }
        let root = Packages {
            suite: "trixie",
            architecture: "amd64",
            names: &["qemu-system-x86"],
            dependencies: Dependencies::All,
        }
        .unpacked()
        .with_context(|| format!("{PROGRAM} is not installed"))?;
        Ok(Self::Unpacked(root))
    }

    /// A call of it, without any argument that says what the machine is.
    pub(crate) fn command(&self) -> Command {
        match self {
            Self::Installed(program) => Command::new(program),
            Self::Unpacked(root) => unpacked(root),
        }
    }
}

/// The unpacked loader starts the unpacked program: neither needs anything of the machine.
fn unpacked(root: &Path) -> Command {
    let libraries = root.join("usr/lib/x86_64-linux-gnu");
    let mut command = Command::new(root.join("lib64/ld-linux-x86-64.so.2"));
    command
        .arg("--library-path")
        .arg(&libraries)
        .arg(root.join("usr/bin").join(PROGRAM))
        .env("QEMU_MODULE_DIR", libraries.join("qemu"));
    for data in ["usr/share/qemu", "usr/share/seabios"] {
        command.arg("-L").arg(root.join(data));
    }
    command
}
