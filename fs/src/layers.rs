//! Telling the kernel which directories make up an overlay.

use std::ffi::CString;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MountFlags, OpenTreeFlags, fsconfig_create,
    fsconfig_set_fd, fsconfig_set_flag, fsconfig_set_string, fsmount, fsopen, mount, open_tree,
};
use rustix::process::{chdir, fchdir};
use serde::{Deserialize, Serialize};

use crate::detached::proc_path;

/// Longest string that `fsconfig(2)` takes, without the NUL.
const MAX_STRING: usize = 255;

/// A layer is hostile: its own redirect and metacopy marks must not be followed. The
/// index would refuse an upper whose layers have moved, as restored ones have.
const OPTIONS: [(&str, &str); 3] = [
    ("redirect_dir", "nofollow"),
    ("metacopy", "off"),
    ("index", "off"),
];

/// Where overlay keeps its own marks on files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Marks {
    /// In `trusted.*` extended attributes, which only the host's root can write.
    #[default]
    Trusted,
    /// In `user.*` extended attributes (Linux 5.11).
    User,
}

impl Marks {
    /// For serde, which passes a reference.
    #[allow(clippy::trivially_copy_pass_by_ref)]
    pub(crate) fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// What becomes of what the container writes into its root.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Changes {
    /// It stays when the container has ended.
    #[default]
    Kept,
    /// It goes with the container. Without this the kernel writes the *whole* filesystem that
    /// the upper directory is on to the disk whenever a container ends (`volatile` in
    /// `Documentation/filesystems/overlayfs.rst`).
    Discarded,
}

/// The directories of one overlay, open.
#[derive(Debug)]
pub(crate) struct Layers {
    /// Top first.
    pub(crate) lowers: Vec<OwnedFd>,
    /// The upper and the work directory.
    pub(crate) writable: Option<(OwnedFd, OwnedFd)>,
    pub(crate) marks: Marks,
    pub(crate) context: Option<String>,
    pub(crate) changes: Changes,
    pub(crate) attributes: MountAttrFlags,
}

/// What the kernel said instead of mounting.
#[derive(Debug)]
pub(crate) struct Refused {
    pub(crate) errno: Errno,
    pub(crate) detail: String,
}

impl From<Errno> for Refused {
    fn from(errno: Errno) -> Self {
        Self {
            errno,
            detail: String::new(),
        }
    }
}

impl Layers {
    /// With the marks where an unprivileged user may keep them.
    pub(crate) fn marked_for_users(self) -> Self {
        Self {
            marks: Marks::User,
            ..self
        }
    }

    /// A detached mount, the layers given as descriptors, or as names where the kernel
    /// does not take those.
    pub(crate) fn mount(&self) -> Result<OwnedFd, Refused> {
        self.mount_by_descriptor()
            .unwrap_or_else(|| self.mount_by_name())
    }

    /// A detached mount, the layers given as descriptors; `None` when the kernel takes none.
    pub(crate) fn mount_by_descriptor(&self) -> Option<Result<OwnedFd, Refused>> {
        let context = match fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC) {
            Ok(context) => context,
            Err(errno) => return Some(Err(errno.into())),
        };
        let add_lower = |lower| fsconfig_set_fd(&context, "lowerdir+", lower);
        let (first, others) = self.lowers.split_first()?;
        let first = match add_lower(first) {
            // Linux before 6.5 takes nothing but strings, before 6.13 no descriptors here,
            // before 6.15 none made with O_PATH.
            Err(Errno::OPNOTSUPP | Errno::INVAL | Errno::BADF) => return None,
            done => done,
        };
        let add = || {
            first?;
            others.iter().try_for_each(add_lower)?;
            if let Some((upper, work)) = &self.writable {
                fsconfig_set_fd(&context, "upperdir", upper)?;
                fsconfig_set_fd(&context, "workdir", work)?;
            }
            self.create(&context)
        };
        Some(add().map_err(|errno| Refused {
            errno,
            detail: kernel_log(&context),
        }))
    }

    /// A detached mount, the layers given as names.
    pub(crate) fn mount_by_name(&self) -> Result<OwnedFd, Refused> {
        let context = fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC)?;
        let names = ShortNames::enter()?;
        let add = || {
            let lowers = self.joined();
            if lowers.len() <= MAX_STRING {
                fsconfig_set_string(&context, "lowerdir", lowers)?;
            } else {
                // Linux 6.5.
                for lower in &self.lowers {
                    fsconfig_set_string(&context, "lowerdir+", short_name(lower))?;
                }
            }
            if let Some((upper, work)) = &self.writable {
                fsconfig_set_string(&context, "upperdir", short_name(upper))?;
                fsconfig_set_string(&context, "workdir", short_name(work))?;
            }
            self.create(&context)
        };
        let mounted = add().map_err(|errno| Refused {
            errno,
            detail: kernel_log(&context),
        });
        names.leave()?;
        mounted
    }

    /// Whether their names are too many for `fsconfig(2)` before Linux 6.5.
    pub(crate) fn are_many(&self) -> bool {
        self.joined().len() > MAX_STRING
    }

    /// A detached mount by way of one on the directory `place`, which is to be in a mount
    /// namespace that nobody else sees: `mount(2)` takes a whole page of names.
    pub(crate) fn mount_and_detach(&self, place: &Path) -> Result<OwnedFd, Refused> {
        let target = open_tree(CWD, place, OpenTreeFlags::OPEN_TREE_CLOEXEC)?;
        self.mount_classic(target.as_fd())?;
        let clone = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
        Ok(open_tree(CWD, place, clone)?)
    }

    /// Mounts on the directory `target`, with `mount(2)`.
    pub(crate) fn mount_classic(&self, target: BorrowedFd<'_>) -> Result<(), Refused> {
        let mut options = format!("lowerdir={}", self.joined());
        if let Some((upper, work)) = &self.writable {
            let (upper, work) = (short_name(upper), short_name(work));
            options.push_str(&[",upperdir=", &upper, ",workdir=", &work].concat());
        }
        for (key, value) in OPTIONS {
            options.push_str(&[",", key, "=", value].concat());
        }
        if let Some(label) = &self.context {
            options.push_str(&[",context=\"", label, "\""].concat());
        }
        if self.marks == Marks::User {
            options.push_str(",userxattr");
        }
        if self.changes == Changes::Discarded {
            options.push_str(",volatile");
        }
        let options = CString::new(options).map_err(|_| Errno::INVAL)?;
        let target = proc_path(target);
        let names = ShortNames::enter()?;
        let mut flags = MountFlags::empty();
        for (attribute, flag) in [
            (MountAttrFlags::MOUNT_ATTR_NODEV, MountFlags::NODEV),
            (MountAttrFlags::MOUNT_ATTR_RDONLY, MountFlags::RDONLY),
        ] {
            flags.set(flag, self.attributes.contains(attribute));
        }
        let mounted = mount("overlay", target, "overlay", flags, options.as_c_str());
        names.leave()?;
        Ok(mounted?)
    }

    fn create(&self, context: &OwnedFd) -> Result<OwnedFd, Errno> {
        // What `df` and `findmnt` call the filesystem.
        fsconfig_set_string(context, "source", "overlay")?;
        for (key, value) in OPTIONS {
            fsconfig_set_string(context, key, value)?;
        }
        if self.marks == Marks::User {
            fsconfig_set_flag(context, "userxattr")?;
        }
        if let Some(label) = &self.context {
            fsconfig_set_string(context, "context", label)?;
        }
        if self.changes == Changes::Discarded {
            match fsconfig_set_flag(context, "volatile") {
                // Linux before 5.10.
                Ok(()) | Err(Errno::INVAL) => {}
                Err(errno) => return Err(errno),
            }
        }
        fsconfig_create(context)?;
        fsmount(context, FsMountFlags::FSMOUNT_CLOEXEC, self.attributes)
    }

    fn joined(&self) -> String {
        self.lowers
            .iter()
            .map(short_name)
            .collect::<Vec<_>>()
            .join(":")
    }
}

/// The name of a descriptor in `/proc/self/fd`: never a `:` or `,` that overlay would
/// want escaped, and short, so that many fit into one option.
fn short_name(fd: &OwnedFd) -> String {
    fd.as_raw_fd().to_string()
}

/// `/proc/self/fd` as the working directory.
struct ShortNames {
    /// None where this user may not be: nothing can be found from there, so "/" takes its place.
    before: Option<OwnedFd>,
}

impl ShortNames {
    fn enter() -> Result<Self, Errno> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let before = match openat(CWD, c".", flags, Mode::empty()) {
            Err(Errno::ACCESS) => None,
            opened => Some(opened?),
        };
        chdir("/proc/self/fd")?;
        Ok(Self { before })
    }

    fn leave(self) -> Result<(), Errno> {
        match self.before {
            Some(before) => fchdir(before),
            None => chdir("/"),
        }
    }
}

/// What the kernel has to say about the failed mount, on one line.
fn kernel_log(context: &OwnedFd) -> String {
    let mut messages = Vec::new();
    let mut buffer = [0; 512];
    while let Ok(length @ 1..) = rustix::io::read(context, &mut buffer) {
        let text = String::from_utf8_lossy(&buffer[..length]);
        // A message is `e text`, `w text` or `i text`.
        messages.push(text.get(2..).unwrap_or(&text).trim().to_owned());
    }
    messages.join("; ")
}
