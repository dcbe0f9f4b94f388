//! Where state lives.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, mkdir};
use rustix::io::Errno;
use rustix::process::{Uid, geteuid};

use super::{ContainerId, StackName, StoreError};

/// The two roots of all state: `data` outlives a reboot, `run` does not.
///
/// Nothing is created until it is used. All directories have mode 0700: a container's
/// processes get at their files through descriptors and mounts that were opened for
/// them, never by walking these paths.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dirs {
    /// Images, containers and volumes: `/var/lib/coop`, or `$XDG_DATA_HOME/coop`.
    pub data: PathBuf,
    /// Locks, sockets, log pipes, networks: `/run/coop`, or `$XDG_RUNTIME_DIR/coop`.
    pub run: PathBuf,
}

impl Dirs {
    /// The directories for the calling user, or `DIR/data` and `DIR/run` below an
    /// override (`--root`, `COOP_ROOT`).
    ///
    /// # Errors
    /// [`StoreError::NoDataDir`] and [`StoreError::NoRuntimeDir`] for a user without the usual
    /// environment; [`StoreError::Io`] when a relative override meets a deleted working
    /// directory.
    pub fn discover(root_override: Option<&Path>) -> Result<Self, StoreError> {
        if let Some(root) = root_override {
            let root =
                std::path::absolute(root).map_err(StoreError::std_io("make absolute", root))?;
            return Ok(Self::below(&root));
        }
        Self::of_user(geteuid())
    }

    /// The usual directories of this user, as its environment has them.
    ///
    /// # Errors
    /// [`StoreError::NoDataDir`] and [`StoreError::NoRuntimeDir`].
    pub fn of_user(uid: Uid) -> Result<Self, StoreError> {
        Self::for_user(uid, |name| std::env::var_os(name))
    }

    /// `DIR/data` and `DIR/run`.
    pub fn below(root: &Path) -> Self {
        Self {
            data: root.join("data"),
            run: root.join("run"),
        }
    }

    fn for_user(uid: Uid, env: impl Fn(&str) -> Option<OsString>) -> Result<Self, StoreError> {
        if uid.is_root() {
            return Ok(Self {
                data: "/var/lib/coop".into(),
                run: "/run/coop".into(),
            });
        }
        // The XDG base directory specification: a relative path is to be ignored.
        let absolute = |name: &str| {
            env(name)
                .map(PathBuf::from)
                .filter(|path| path.is_absolute())
        };
        let data = absolute("XDG_DATA_HOME")
            .or_else(|| absolute("HOME").map(|home| home.join(".local/share")))
            .ok_or(StoreError::NoDataDir)?;
        let run = if let Some(run) = absolute("XDG_RUNTIME_DIR") {
            run
        } else {
            // Unset after `su` and in cron jobs, but there when the user is logged in.
            let fallback = PathBuf::from(format!("/run/user/{}", uid.as_raw()));
            if !fallback.is_dir() {
                return Err(StoreError::NoRuntimeDir { fallback });
            }
            fallback
        };
        Ok(Self {
            data: data.join("coop"),
            run: run.join("coop"),
        })
    }

    /// One directory for each container that exists: `data/containers`.
    pub fn containers(&self) -> PathBuf {
        self.data.join("containers")
    }

    /// The container's `config.json`, `state.json`, `log` and upper layer.
    pub fn container(&self, id: &ContainerId) -> PathBuf {
        self.data.join("containers").join(id.as_str())
    }

    /// The container's log, in the shape that [`crate::logs`] writes.
    pub fn container_log(&self, id: &ContainerId) -> PathBuf {
        self.container(id).join("log")
    }

    /// Names in use: `data/names/NAME` is a symbolic link to the container's directory.
    pub fn names(&self) -> PathBuf {
        self.data.join("names")
    }

    /// Live things of one container, its journal and its log pipes: `run/containers/ID`.
    pub fn container_run(&self, id: &ContainerId) -> PathBuf {
        self.run.join("containers").join(id.as_str())
    }

    /// Live things of every stack: `run/stacks`.
    pub fn stacks(&self) -> PathBuf {
        self.run.join("stacks")
    }

    /// The supervisor's lock and control socket: `run/stacks/STACK`.
    pub fn stack_run(&self, stack: &StackName) -> PathBuf {
        self.run.join("stacks").join(stack.as_str())
    }

    /// Which containers each stack has: `run/by-stack/STACK/ID`.
    pub fn by_stack(&self) -> PathBuf {
        self.run.join("by-stack")
    }

    /// Networks and their leases: `run/networks`.
    pub fn networks(&self) -> PathBuf {
        self.run.join("networks")
    }

    /// Which ranges of user ids are taken. With the data, because the files of a stopped
    /// container are owned by its range.
    pub fn id_pool(&self) -> PathBuf {
        self.data.join("id-pool")
    }

    /// The image store: `data/images`.
    pub fn images(&self) -> PathBuf {
        self.data.join("images")
    }

    /// Named volumes: `data/volumes`.
    pub fn volumes(&self) -> PathBuf {
        self.data.join("volumes")
    }
}

/// Makes a directory of mode 0700 and whatever is missing above it; one system call when
/// only the last part is missing, or nothing is.
///
/// # Errors
/// [`StoreError::Io`], among them `EACCES` when the user may not write there.
pub fn make_private_dir(path: &Path) -> Result<(), StoreError> {
    match mkdir(path, Mode::RWXU) {
        Ok(()) | Err(Errno::EXIST) => Ok(()),
        Err(Errno::NOENT) => {
            let Some(parent) = path.parent() else {
                return Err(StoreError::io("create", path)(Errno::NOENT));
            };
            make_private_dir(parent)?;
            match mkdir(path, Mode::RWXU) {
                // Another process was as quick.
                Ok(()) | Err(Errno::EXIST) => Ok(()),
                Err(errno) => Err(StoreError::io("create", path)(errno)),
            }
        }
        Err(errno) => Err(StoreError::io("create", path)(errno)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(vars: &[(&str, &str)]) -> Result<Dirs, StoreError> {
        // An id that has no /run/user directory.
        Dirs::for_user(Uid::from_raw(4_000_000_000), |name| {
            vars.iter()
                .find(|(key, _)| *key == name)
                .map(|(_, value)| value.into())
        })
    }

    #[test]
    fn root_uses_the_system_directories_whatever_its_environment_says() {
        let dirs = Dirs::for_user(Uid::ROOT, |_| Some("/elsewhere".into())).unwrap();
        assert_eq!(dirs.data, Path::new("/var/lib/coop"));
        assert_eq!(dirs.run, Path::new("/run/coop"));
    }

    #[test]
    fn a_user_gets_xdg_directories() {
        let dirs = user(&[("XDG_DATA_HOME", "/d"), ("XDG_RUNTIME_DIR", "/r")]).unwrap();
        assert_eq!(
            (dirs.data.to_str(), dirs.run.to_str()),
            (Some("/d/coop"), Some("/r/coop"))
        );
        let dirs = user(&[("HOME", "/home/u"), ("XDG_RUNTIME_DIR", "/r")]).unwrap();
        assert_eq!(dirs.data, Path::new("/home/u/.local/share/coop"));
    }

    #[test]
    fn relative_xdg_paths_are_ignored_and_missing_ones_are_named() {
        let dirs = user(&[
            ("XDG_DATA_HOME", "d"),
            ("HOME", "/h"),
            ("XDG_RUNTIME_DIR", "/r"),
        ])
        .unwrap();
        assert_eq!(dirs.data, Path::new("/h/.local/share/coop"));
        assert!(matches!(user(&[]), Err(StoreError::NoDataDir)));
        let no_runtime = user(&[("HOME", "/h")]).unwrap_err().to_string();
        assert!(no_runtime.contains("XDG_RUNTIME_DIR"), "{no_runtime}");
        assert!(no_runtime.contains("/run/user/4000000000"), "{no_runtime}");
    }

    #[test]
    fn an_override_holds_both_roots_and_becomes_absolute() {
        let dirs = Dirs::discover(Some(Path::new("some/root"))).unwrap();
        assert!(dirs.data.is_absolute() && dirs.data.ends_with("some/root/data"));
        assert!(dirs.run.ends_with("some/root/run"));
    }

    #[test]
    fn private_directories_are_made_with_their_parents_and_closed_to_others() {
        use std::os::unix::fs::PermissionsExt;
        let temp = tempfile::tempdir().unwrap();
        let deep = temp.path().join("a/b/c");
        make_private_dir(&deep).unwrap();
        make_private_dir(&deep).unwrap();
        for dir in ["a", "a/b", "a/b/c"] {
            let mode = temp
                .path()
                .join(dir)
                .metadata()
                .unwrap()
                .permissions()
                .mode();
            assert_eq!(mode & 0o777, 0o700, "{dir}");
        }
    }

    #[test]
    fn a_file_in_the_way_is_an_error_that_names_the_path() {
        let temp = tempfile::tempdir().unwrap();
        std::fs::write(temp.path().join("a"), "").unwrap();
        let error = make_private_dir(&temp.path().join("a/b")).unwrap_err();
        assert_eq!(error.errno(), Some(Errno::NOTDIR));
        assert!(error.to_string().contains("a/b"));
    }
}
