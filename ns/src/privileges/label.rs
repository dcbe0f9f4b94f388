//! Labels of the security modules `AppArmor` and `SELinux`, which decide what a program may do.
//!
//! A label is asked for before `execve` and holds from then on. It is asked for through `/proc`,
//! and a write that somebody has led elsewhere leaves a container without one (CVE-2019-16884,
//! CVE-2019-19921, CVE-2025-52881). So [`Procfs`] is opened before anything of a container is
//! mounted, is known to be the kernel's own, and is walked without a step to another mount.

use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{
    CWD, FsWord, Mode, OFlags, PROC_SUPER_MAGIC, ResolveFlags, fstatfs, openat, openat2, statfs,
};
use rustix::io::{Errno, retry_on_intr, write};
use serde::{Deserialize, Serialize};

use super::Error;

/// `SELINUX_MAGIC` of `linux/magic.h`.
const SELINUX_MAGIC: FsWord = 0xf97c_ff8c;

/// The kernel's own `/proc`, held open.
#[derive(Debug)]
pub struct Procfs(OwnedFd);

impl Procfs {
    /// Opens `/proc`, and checks that it is one.
    ///
    /// # Errors
    /// [`Error::NoProcfs`].
    pub fn open() -> Result<Self, Error> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let dir = openat(CWD, c"/proc", flags, Mode::empty()).map_err(Error::NoProcfs)?;
        is_procfs(&dir)?;
        Ok(Self(dir))
    }

    /// Writes a file of the calling thread's own.
    fn write_own(&self, name: &str, content: &str) -> Result<(), Errno> {
        let path = Path::new("thread-self").join(name);
        let how = ResolveFlags::BENEATH | ResolveFlags::NO_XDEV | ResolveFlags::NO_MAGICLINKS;
        let flags = OFlags::WRONLY | OFlags::CLOEXEC;
        let file = openat2(&self.0, &path, flags, Mode::empty(), how)?;
        let written = retry_on_intr(|| write(&file, content.as_bytes()))?;
        // The kernel takes a label whole or not at all.
        if written == content.len() {
            Ok(())
        } else {
            Err(Errno::IO)
        }
    }
}

fn is_procfs(dir: &OwnedFd) -> Result<(), Error> {
    match fstatfs(dir).map_err(Error::NoProcfs)?.f_type {
        PROC_SUPER_MAGIC => Ok(()),
        _ => Err(Error::NoProcfs(Errno::NODEV)),
    }
}

/// What the program shall be held to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Label {
    /// The name of an `AppArmor` profile that is loaded.
    AppArmor(String),
    /// An `SELinux` context, such as `system_u:system_r:container_t:s0:c1,c2`.
    SeLinux(String),
}

impl Label {
    /// The module that the label is of.
    pub const fn module(&self) -> &'static str {
        match self {
            Self::AppArmor(_) => "AppArmor",
            Self::SeLinux(_) => "SELinux",
        }
    }

    /// Whether the running kernel has the module, and uses it.
    pub fn is_enforceable(&self) -> bool {
        match self {
            Self::AppArmor(_) => apparmor_is_enabled(),
            Self::SeLinux(_) => selinux_is_enabled(),
        }
    }

    /// Has the next `execve` of this thread take on the label, and with `SELinux` also the keys
    /// that it makes until then. To be called while the process has its capabilities.
    ///
    /// # Errors
    /// [`Error::SetLabel`]: `ENOENT` when no such profile is loaded, `EINVAL` for a context that
    /// the policy does not know or a kernel without the module.
    pub fn set_on_exec(&self, proc: &Procfs) -> Result<(), Error> {
        let set = match self {
            Self::AppArmor(profile) => {
                let request = format!("exec {profile}");
                match proc.write_own("attr/apparmor/exec", &request) {
                    // Before Linux 5.8 the modules shared one directory.
                    Err(Errno::NOENT) if !has_own_directory(proc) => {
                        proc.write_own("attr/exec", &request)
                    }
                    set => set,
                }
            }
            Self::SeLinux(context) => proc
                .write_own("attr/keycreate", context)
                .and_then(|()| proc.write_own("attr/exec", context)),
        };
        set.map_err(|source| Error::SetLabel {
            label: self.clone(),
            source,
        })
    }
}

fn has_own_directory(proc: &Procfs) -> bool {
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    openat(&proc.0, c"thread-self/attr/apparmor", flags, Mode::empty()).is_ok()
}

/// Whether `AppArmor` is among the security modules of this boot.
pub fn apparmor_is_enabled() -> bool {
    let enabled = std::fs::read("/sys/module/apparmor/parameters/enabled");
    enabled.is_ok_and(|text| text.first() == Some(&b'Y'))
}

/// Whether `SELinux` is among the security modules of this boot, with a policy.
pub fn selinux_is_enabled() -> bool {
    let is_mounted = |path| statfs(path).is_ok_and(|stat| stat.f_type == SELINUX_MAGIC);
    ["/sys/fs/selinux", "/selinux"].into_iter().any(is_mounted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_in_the_place_of_proc_is_none() {
        let dir = tempfile::tempdir().unwrap();
        let flags = OFlags::PATH | OFlags::DIRECTORY;
        let fake = openat(CWD, dir.path(), flags, Mode::empty()).unwrap();
        assert_eq!(is_procfs(&fake), Err(Error::NoProcfs(Errno::NODEV)));
        Procfs::open().unwrap();
    }

    #[test]
    fn nothing_but_the_threads_own_files_is_written() {
        let proc = Procfs::open().unwrap();
        // As a profile would be written through a link or a mount that is not of this /proc.
        for name in ["../../etc/passwd", "root/etc/passwd", "cwd/x", "fd/0"] {
            let errno = proc.write_own(name, "").unwrap_err();
            assert!(
                matches!(errno, Errno::LOOP | Errno::XDEV | Errno::NOENT),
                "{name}: {errno}"
            );
        }
        // One that may be written by its owner, and takes what it has.
        let own = std::fs::read_to_string("/proc/thread-self/comm").unwrap();
        proc.write_own("comm", own.trim_end()).unwrap();
    }

    #[test]
    fn a_label_of_a_module_that_is_not_there_is_refused_by_the_kernel() {
        let proc = Procfs::open().unwrap();
        for label in [
            Label::AppArmor("no-such-profile".into()),
            Label::SeLinux("a:b:c:s0".into()),
        ] {
            let error = label.set_on_exec(&proc).unwrap_err();
            assert!(error.to_string().contains(label.module()), "{error}");
        }
    }
}
