//! Secrets and configs on the host: in memory, for as long as their container exists.
//!
//! The files lie in a directory that only root can enter, and are mounted from there, read-only
//! and in the container's ids. What came from a variable of `up` is nowhere else, so that it
//! neither reaches a disk nor outlives the machine.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use coop_launcher::store::{ContainerId, Dirs};

use crate::plan::{ContainerPlan, GrantedFile, GrantedSource, Hidden};

/// The largest file that is delivered: as much as memory is spent on without being asked.
const MAX_BYTES: u64 = 16 * 1024 * 1024;

/// `f_type` of tmpfs and ramfs; see statfs(2).
const TMPFS_MAGIC: u64 = 0x0102_1994;
const RAMFS_MAGIC: u64 = 0x8584_58f6;

/// Where a container's secrets and configs lie: below `/run` where that is in memory, as it is
/// on every usual system, and otherwise below `/dev/shm`.
pub(crate) fn directory(dirs: &Dirs, id: &ContainerId) -> PathBuf {
    if in_memory(&dirs.run) {
        dirs.run.join("secrets").join(id.as_str())
    } else {
        Path::new("/dev/shm").join(format!("coop-secrets-{id}"))
    }
}

/// Whether a path is, or would be made, on a filesystem in memory.
fn in_memory(path: &Path) -> bool {
    path.ancestors()
        .find_map(|existing| rustix::fs::statfs(existing).ok())
        .is_some_and(|fs| {
            [TMPFS_MAGIC, RAMFS_MAGIC].contains(&u64::try_from(fs.f_type).unwrap_or_default())
        })
}

/// Leaves in memory what only `up` knows. A container that has it already keeps it.
pub(crate) fn leave(texts: &[(PathBuf, Hidden)]) -> Result<()> {
    for (path, Hidden(text)) in texts {
        write(path, text.as_bytes(), None)?;
    }
    Ok(())
}

/// Whether `up` knows something else than it left before.
pub(crate) fn differ(texts: &[(PathBuf, Hidden)]) -> bool {
    texts.iter().any(|(path, Hidden(text))| {
        fs::read(path).is_ok_and(|before| before.as_slice() != text.as_bytes())
    })
}

/// Makes the files of a container that is about to be started.
///
/// # Errors
/// When a source is gone: a file of the host, or what `up` left in memory before the machine was
/// started anew.
pub(crate) fn provide(plan: &ContainerPlan) -> Result<()> {
    for file in &plan.granted {
        match &file.source {
            GrantedSource::File(source) => {
                let content =
                    read(source).with_context(|| format!("{}: {}", file.what, source.display()))?;
                write(&file.path, &content, Some(file))?;
            }
            GrantedSource::Text(text) => write(&file.path, text.as_bytes(), Some(file))?,
            GrantedSource::Environment(variable) => {
                let content = match fs::read(&file.path) {
                    Err(error) if error.kind() == std::io::ErrorKind::NotFound => bail!(
                        "{}: its value came from the variable {variable} of `coop up` and was \
                         lost when the machine was started anew\n  help: run `coop up` with \
                         {variable} set",
                        file.what
                    ),
                    content => content.with_context(|| format!("read {}", file.path.display()))?,
                };
                write(&file.path, &content, Some(file))?;
            }
        }
    }
    Ok(())
}

fn read(path: &Path) -> Result<Vec<u8>> {
    let file = fs::File::open(path)?;
    anyhow::ensure!(file.metadata()?.is_file(), "not a regular file");
    let mut content = Vec::new();
    file.take(MAX_BYTES + 1).read_to_end(&mut content)?;
    anyhow::ensure!(
        content.len() as u64 <= MAX_BYTES,
        "larger than 16 MiB: mount it as a volume"
    );
    Ok(content)
}

/// Writes a file anew: a container that still has the old one mounted keeps that.
fn write(path: &Path, content: &[u8], of: Option<&GrantedFile>) -> Result<()> {
    let what = || format!("write {}", path.display());
    let directory = path.parent().context("a file without a directory")?;
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)
        .with_context(|| format!("make {}", directory.display()))?;
    point("directory")?;
    anyhow::ensure!(
        in_memory(directory),
        "{} is on a disk: there is no filesystem in memory for secrets\n  help: mount a tmpfs \
         on /dev/shm",
        directory.display()
    );
    let new = path.with_extension("new");
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o400)
        .custom_flags(rustix::fs::OFlags::NOFOLLOW.bits().cast_signed())
        .open(&new)
        .with_context(what)?;
    file.write_all(content).with_context(what)?;
    if let Some(GrantedFile { uid, gid, mode, .. }) = of {
        fchown(&file, Some(*uid), Some(*gid)).with_context(what)?;
        file.set_permissions(fs::Permissions::from_mode(*mode))
            .with_context(what)?;
    }
    point("new")?;
    fs::rename(&new, path).with_context(what)
}

/// A point at which a test can stop what is delivered.
fn point(step: &str) -> Result<()> {
    coop_launcher::fault::point("secrets", step).map_err(anyhow::Error::from_boxed)
}

/// Removes what a container was given.
pub(crate) fn remove(dirs: &Dirs, id: &ContainerId) -> Result<()> {
    let directory = directory(dirs, id);
    match fs::remove_dir_all(&directory) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("remove {}", directory.display()))
        }
        removed => {
            if removed.is_ok() && directory.starts_with(&dirs.run) {
                // Fails while another container has some.
                let _ = fs::remove_dir(dirs.run.join("secrets"));
            }
            Ok(())
        }
    }
}
