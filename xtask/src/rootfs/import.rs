//! Handing a root filesystem over to `coop image import`.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::build::{self, Profile};

const PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A root filesystem, and what is known of it.
#[derive(Debug)]
pub(crate) struct Root<'a> {
    /// An archive or a directory.
    pub(crate) source: &'a Path,
    /// The name of the image.
    pub(crate) image: &'a str,
    /// In OCI's words.
    pub(crate) architecture: &'a str,
    pub(crate) title: &'a str,
    pub(crate) version: &'a str,
    /// Where it came from.
    pub(crate) origin: &'a str,
    pub(crate) shell: &'a str,
}

/// Makes it an image.
///
/// # Errors
/// When `coop` does not; it has said why.
pub(crate) fn import(root: &Root<'_>) -> Result<()> {
    let coop = coop()?;
    let status = command(&coop, root)
        .status()
        .with_context(|| format!("cannot start {}", coop.display()))?;
    if !status.success() {
        bail!("{} was not imported: see above", root.image);
    }
    Ok(())
}

/// The binary that `COOP_BIN` names, as the integration tests have it; else one is built.
fn coop() -> Result<PathBuf> {
    match std::env::var_os("COOP_BIN") {
        Some(named) => Ok(named.into()),
        None => build::coop(Profile::Debug),
    }
}

fn command(coop: &Path, root: &Root<'_>) -> Command {
    let mut command = Command::new(coop);
    command.args(["image", "import", "--platform"]);
    command.arg(format!("linux/{}", root.architecture));
    let labels = [
        ("title", root.title),
        ("version", root.version),
        ("source", &root.origin.replace('\'', "%27")),
    ];
    let labels =
        labels.map(|(key, value)| format!("LABEL org.opencontainers.image.{key}='{value}'"));
    let process = [format!("CMD [\"{}\"]", root.shell), format!("ENV {PATH}")];
    for change in process.iter().chain(&labels) {
        command.args(["--change", change]);
    }
    command
        .arg(root.source)
        .arg(root.image)
        .stdin(Stdio::null());
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_told_what_it_is() {
        let root = Root {
            source: Path::new("/cache/alpine.tar.gz"),
            image: "alpine:3.20",
            architecture: "amd64",
            title: "Alpine Linux",
            version: "3.20.6",
            origin: "https://mirror.example/alpine.tar.gz",
            shell: "/bin/sh",
        };
        let command = command(Path::new("coop"), &root);
        let words: Vec<_> = command
            .get_args()
            .map(|word| word.to_string_lossy())
            .collect();
        insta::assert_snapshot!(words.join("\n"));
    }
}
