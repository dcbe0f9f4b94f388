//! Named volumes: directories that outlive the containers that use them.

use std::fs;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Dir, FlockOperation, Mode, OFlags, flock, mkdirat, openat};
use rustix::io::Errno;

use crate::Error;
use crate::copy::{Owners, copy_tree};
use crate::error::errno_of;
use crate::error::{Operation, at};
use crate::overlay::merge_readonly;
use crate::remove::{empty_dir, remove_tree};
use crate::resolve::open_in_root;

/// The volume's files, in the volume's directory.
const DATA: &str = "_data";
/// Beside the files while the image's are being copied: after an interruption the copy
/// starts again.
const COPYING: &str = "_copying";

/// The named volumes below one data directory, as `volumes/NAME/_data`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Volumes {
    dir: PathBuf,
}

impl Volumes {
    /// The volumes below `data_dir`. Makes nothing yet.
    pub fn new(data_dir: &Path) -> Self {
        Self {
            dir: data_dir.join("volumes"),
        }
    }

    /// Where the files of a volume are, whether it exists or not.
    ///
    /// # Errors
    /// [`Error::VolumeName`].
    pub fn path(&self, name: &str) -> Result<PathBuf, Error> {
        check_name(name)?;
        Ok(self.dir.join(name).join(DATA))
    }

    /// Makes a volume, if it is not there, and says where its files are.
    ///
    /// # Errors
    /// [`Error::VolumeName`]; [`Error::System`] naming the directory.
    pub fn create(&self, name: &str) -> Result<PathBuf, Error> {
        let data = self.path(name)?;
        self.make_directory(&self.dir.join(name))?;
        self.make_directory(&data)?;
        Ok(data)
    }

    /// Makes one directory of a volume, with that of all volumes.
    pub(crate) fn make_directory(&self, dir: &Path) -> Result<(), Error> {
        fs::create_dir_all(&self.dir)
            .map_err(|error| at(Operation::Create, &self.dir)(errno_of(&error)))?;
        match mkdirat(CWD, dir, Mode::from_raw_mode(0o755)) {
            // The files must be reachable, whatever the umask.
            Ok(()) => rustix::fs::chmod(dir, Mode::from_raw_mode(0o755))
                .map_err(at(Operation::ChangeMode, dir)),
            Err(Errno::EXIST) => Ok(()),
            Err(errno) => Err(at(Operation::Create, dir)(errno)),
        }
    }

    /// The directory of all volumes.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The names of all volumes, sorted.
    ///
    /// # Errors
    /// [`Error::System`] naming the directory of the volumes.
    pub fn list(&self) -> Result<Vec<String>, Error> {
        let failed = |error: std::io::Error| at(Operation::Read, &self.dir)(errno_of(&error));
        let entries = match fs::read_dir(&self.dir) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(failed)?,
        };
        let mut names = Vec::new();
        for entry in entries {
            let name = entry.map_err(failed)?.file_name();
            names.extend(
                name.to_str()
                    .filter(|name| check_name(name).is_ok())
                    .map(str::to_owned),
            );
        }
        names.sort_unstable();
        Ok(names)
    }

    /// Removes a volume with its files; does nothing when it is not there.
    ///
    /// # Errors
    /// [`Error::VolumeName`]; those of [`remove_tree`].
    pub fn remove(&self, name: &str) -> Result<(), Error> {
        check_name(name)?;
        remove_tree(&self.dir.join(name))
    }

    /// Copies what an image of the layers `lowers` (top first) has at `target` into the
    /// volume, if the volume is empty; says whether it did. Owners, modes and times are
    /// kept, device nodes and sockets are left out. Interrupted, it starts again the next
    /// time.
    ///
    /// # Errors
    /// [`Error::VolumeName`]; [`Error::System`] naming the file; [`Error::Overlay`] when
    /// the layers cannot be merged.
    pub fn populate(&self, name: &str, lowers: &[PathBuf], target: &Path) -> Result<bool, Error> {
        let data = self.create(name)?;
        let dir = self.dir.join(name);
        let lock = open_dir(&dir)?;
        flock(&lock, FlockOperation::LockExclusive).map_err(at(Operation::Open, &dir))?;
        let data_fd = open_dir(&data)?;
        let marker = dir.join(COPYING);
        if marker.exists() {
            empty_dir(data_fd.as_fd()).map_err(at(Operation::Remove, &data))?;
        } else if !is_empty(&data_fd).map_err(at(Operation::Read, &data))? {
            return Ok(false);
        }
        let image = merge_readonly(lowers)?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY;
        let source = match open_in_root(image.as_fd(), target, flags) {
            Err(Error::System {
                errno: Errno::NOENT | Errno::NOTDIR,
                ..
            }) => return Ok(false),
            source => source?,
        };
        fs::write(&marker, "").map_err(|error| at(Operation::Create, &marker)(errno_of(&error)))?;
        copy_tree(source.as_fd(), data_fd.as_fd(), target, &Owners::KEPT)?;
        fs::remove_file(&marker)
            .map_err(|error| at(Operation::Remove, &marker)(errno_of(&error)))?;
        Ok(true)
    }
}

/// What Docker takes for a name, and what cannot be anything but a directory's name.
fn check_name(name: &str) -> Result<(), Error> {
    let mut bytes = name.bytes();
    let starts_well = bytes
        .next()
        .is_some_and(|byte| byte.is_ascii_alphanumeric());
    let goes_on_well = bytes.all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
    if starts_well && goes_on_well && name.len() <= 255 {
        Ok(())
    } else {
        Err(Error::VolumeName {
            name: name.to_owned(),
        })
    }
}

fn open_dir(dir: &Path) -> Result<OwnedFd, Error> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat(CWD, dir, flags, Mode::empty()).map_err(at(Operation::Open, dir))
}

fn is_empty(dir: &OwnedFd) -> Result<bool, Errno> {
    for entry in Dir::read_from(dir)? {
        if ![c".", c".."].contains(&entry?.file_name()) {
            return Ok(false);
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn a_name_cannot_leave_the_directory() {
        for name in ["", ".", "..", "../x", "a/b", "a b", "-a", "_a", "a\0", "ä"] {
            assert!(check_name(name).is_err(), "{name:?}");
        }
        assert!(check_name(&"a".repeat(256)).is_err());
        for name in ["a", "db-data", "stack_db.1"] {
            assert!(check_name(name).is_ok(), "{name}");
        }
    }

    #[test]
    fn a_volume_is_made_once_listed_and_removed() {
        let dir = tempfile::tempdir().unwrap();
        let volumes = Volumes::new(dir.path());
        assert_eq!(volumes.list().unwrap(), Vec::<String>::new());
        let data = volumes.create("db").unwrap();
        fs::write(data.join("row"), "1").unwrap();
        assert_eq!(volumes.create("db").unwrap(), data);
        volumes.create("cache").unwrap();
        assert_eq!(volumes.list().unwrap(), ["cache", "db"]);
        volumes.remove("db").unwrap();
        volumes.remove("db").unwrap();
        assert_eq!(volumes.list().unwrap(), ["cache"]);
    }

    #[test]
    fn an_empty_volume_gets_the_images_files_and_a_used_one_keeps_its_own() {
        let dir = tempfile::tempdir().unwrap();
        let image = dir.path().join("image");
        fs::create_dir_all(image.join("var/www/sub")).unwrap();
        fs::write(image.join("var/www/index.html"), "hello").unwrap();
        fs::set_permissions(image.join("var/www/sub"), fs::Permissions::from_mode(0o750)).unwrap();
        symlink("/etc/passwd", image.join("var/www/link")).unwrap();
        // The way to the target leads through a symlink that would leave the image.
        symlink("/var/www", image.join("www")).unwrap();
        let volumes = Volumes::new(dir.path());
        let lowers = [image];
        assert!(volumes.populate("web", &lowers, Path::new("/www")).unwrap());
        let data = volumes.path("web").unwrap();
        assert_eq!(
            fs::read_to_string(data.join("index.html")).unwrap(),
            "hello"
        );
        assert_eq!(
            fs::read_link(data.join("link")).unwrap(),
            Path::new("/etc/passwd")
        );
        assert_eq!(
            data.join("sub").metadata().unwrap().permissions().mode() & 0o777,
            0o750
        );
        fs::write(data.join("index.html"), "mine").unwrap();
        assert!(!volumes.populate("web", &lowers, Path::new("/www")).unwrap());
        assert_eq!(fs::read_to_string(data.join("index.html")).unwrap(), "mine");
    }

    #[test]
    fn an_interrupted_copy_starts_again() {
        let dir = tempfile::tempdir().unwrap();
        let image = dir.path().join("image");
        fs::create_dir_all(image.join("data")).unwrap();
        fs::write(image.join("data/whole"), "x").unwrap();
        let volumes = Volumes::new(dir.path());
        let data = volumes.create("v").unwrap();
        fs::write(data.join("half"), "").unwrap();
        fs::write(data.parent().unwrap().join(COPYING), "").unwrap();
        assert!(volumes.populate("v", &[image], Path::new("/data")).unwrap());
        assert!(data.join("whole").exists() && !data.join("half").exists());
    }

    #[test]
    fn an_image_without_the_target_leaves_the_volume_empty() {
        let dir = tempfile::tempdir().unwrap();
        let volumes = Volumes::new(dir.path());
        let image = dir.path().join("image");
        fs::create_dir(&image).unwrap();
        assert!(!volumes.populate("v", &[image], Path::new("/none")).unwrap());
        assert!(
            fs::read_dir(volumes.path("v").unwrap())
                .unwrap()
                .next()
                .is_none()
        );
    }
}
