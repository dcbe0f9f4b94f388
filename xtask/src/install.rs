//! `cargo xtask install` and `uninstall`.

mod manifest;
#[cfg(test)]
mod tests;

use std::fs::{self, File, Permissions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Component, Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use rustix::fs::{Access, access};

use self::manifest::Manifest;
use crate::dist::{self, Contents};

/// Relative to the prefix.
const MANIFEST: &str = "share/coop/installed";

#[derive(Args)]
pub(crate) struct Options {
    /// Below which directory: bin/, share/man/ and so on
    #[arg(long, value_name = "DIR", default_value = "/usr/local")]
    prefix: PathBuf,
    /// Put in front of the prefix, for making packages
    #[arg(long, value_name = "DIR")]
    destdir: Option<PathBuf>,
}

/// Installs the release binary, completions and man pages.
///
/// # Errors
/// When a file cannot be written.
pub(crate) fn install(options: &Options) -> Result<()> {
    let place = Place::new(options)?;
    // The build takes minutes: what fails anyway fails at once.
    place.check_writable()?;
    let contents = Contents::gather(&dist::binary()?)?;
    place.install(&contents)?;
    println!("installed below {}", place.root.display());
    Ok(())
}

/// Removes what [`install`] put in place, and nothing else.
///
/// # Errors
/// When nothing is installed there, or a file cannot be removed.
pub(crate) fn uninstall(options: &Options) -> Result<()> {
    let place = Place::new(options)?;
    place.uninstall()?;
    println!("nothing of coop is left below {}", place.root.display());
    Ok(())
}

/// The prefix, where it is on this machine.
struct Place {
    root: PathBuf,
}

impl Place {
    fn new(options: &Options) -> Result<Self> {
        let prefix = &options.prefix;
        let climbs = prefix.components().any(|part| part == Component::ParentDir);
        ensure!(
            prefix.is_absolute() && !climbs,
            "--prefix {}: write an absolute path without ..",
            prefix.display()
        );
        let root = match &options.destdir {
            None => prefix.clone(),
            Some(dir) => std::path::absolute(dir)
                .with_context(|| format!("find {}", dir.display()))?
                .join(prefix.strip_prefix("/").unwrap_or(prefix)),
        };
        Ok(Self { root })
    }

    /// That the first directory on the way that exists can be written to.
    fn check_writable(&self) -> Result<()> {
        let exists = |dir: &&Path| dir.is_dir();
        let Some(dir) = self.root.ancestors().find(exists) else {
            return Ok(());
        };
        access(dir, Access::WRITE_OK)
            .with_context(|| format!("cannot write to {}{HELP}", dir.display()))
    }

    /// Writes each file beside its place and renames it: a program that runs goes on with its
    /// own file, and nobody sees half a one. What is made is in the manifest before.
    fn install(&self, contents: &Contents) -> Result<()> {
        let old = Manifest::load(&self.root.join(MANIFEST))?.unwrap_or_default();
        let files = contents.items().iter().map(|item| item.path.clone());
        let mut new = Manifest::of(files);
        new.directories.clone_from(&old.directories);
        let above = self.root.ancestors().skip(1);
        let missing = above.take_while(|dir| !dir.exists()).count();
        new.above = old.above.max(missing);
        for path in new.files.iter().map(String::as_str).chain([MANIFEST]) {
            for dir in Path::new(path).ancestors().skip(1) {
                // With the prefix itself, which is the empty path.
                if !self.root.join(dir).exists() {
                    new.directories.insert(dir.to_string_lossy().into_owned());
                }
            }
        }
        // Both, for whoever is killed in between.
        let both = old.with(&new);
        self.write(MANIFEST, both.to_string().as_bytes(), 0o644)?;
        for item in contents.items() {
            self.write(&item.path, &item.content, item.mode)?;
        }
        for gone in old.files.difference(&new.files) {
            self.remove_file(gone)?;
        }
        self.write(MANIFEST, new.to_string().as_bytes(), 0o644)
    }

    fn uninstall(&self) -> Result<()> {
        let Some(manifest) = Manifest::load(&self.root.join(MANIFEST))? else {
            bail!(
                "nothing was installed below {}: there is no {MANIFEST}\n  help: name the place \
                 with --prefix, and with --destdir if there was one",
                self.root.display()
            );
        };
        for file in &manifest.files {
            self.remove_file(file)?;
        }
        self.remove_file(MANIFEST)?;
        // The lower ones first. What holds something else stays.
        let below = manifest.directories.iter().rev();
        let below = below.map(|directory| self.root.join(directory));
        let above = self.root.ancestors().skip(1).take(manifest.above);
        for path in below.chain(above.map(Path::to_owned)) {
            match fs::remove_dir(&path) {
                Ok(()) => {}
                Err(error)
                    if matches!(
                        error.kind(),
                        ErrorKind::NotFound | ErrorKind::DirectoryNotEmpty
                    ) => {}
                Err(error) => return Err(failed("remove", &path, error)),
            }
        }
        Ok(())
    }

    fn write(&self, path: &str, content: &[u8], mode: u32) -> Result<()> {
        let path = self.root.join(path);
        let directory = path.parent().unwrap_or(&self.root);
        make_directories(directory).map_err(|error| failed("create", directory, error))?;
        let mut temporary = tempfile::Builder::new()
            .prefix(".coop-")
            .tempfile_in(directory)
            .map_err(|error| failed("write to", directory, error))?;
        let written = temporary
            .write_all(content)
            .and_then(|()| {
                temporary
                    .as_file()
                    .set_permissions(Permissions::from_mode(mode))
            })
            .and_then(|()| File::sync_all(temporary.as_file()));
        written.map_err(|error| failed("write", &path, error))?;
        temporary
            .persist(&path)
            .map_err(|error| failed("write", &path, error.error))?;
        Ok(())
    }

    fn remove_file(&self, path: &str) -> Result<()> {
        let path = self.root.join(path);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(failed("remove", &path, error))
            }
            _ => Ok(()),
        }
    }
}

/// With all above. Everybody may look into those that are made, whatever root's umask is.
fn make_directories(directory: &Path) -> std::io::Result<()> {
    if directory.is_dir() {
        return Ok(());
    }
    if let Some(parent) = directory.parent() {
        make_directories(parent)?;
    }
    fs::create_dir(directory)?;
    fs::set_permissions(directory, Permissions::from_mode(0o755))
}

const HELP: &str = "\n  help: as root, with sudo env PATH=\"$PATH\"; or elsewhere, \
                    with --prefix \"$HOME/.local\"";

fn failed(operation: &str, path: &Path, error: std::io::Error) -> anyhow::Error {
    let denied = error.kind() == ErrorKind::PermissionDenied;
    let help = if denied { HELP } else { "" };
    anyhow::Error::new(error).context(format!("cannot {operation} {}{help}", path.display()))
}
