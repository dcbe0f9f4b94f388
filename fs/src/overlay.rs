//! The root filesystem, built by the host as a mount that is attached nowhere yet.

use std::ffi::CString;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Gid, Mode, OFlags, Uid, fchmod, fchown, fstat, mkdirat, openat};
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MountFlags, OpenTreeFlags, fsconfig_create,
    fsconfig_set_fd, fsconfig_set_flag, fsconfig_set_string, fsmount, fsopen, open_tree,
};
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::error::{Operation, at};
use crate::options::{MountAttributes, Propagation};
use crate::sys::{Change, RECURSIVE, mount_setattr};

/// Read-only layers with one writable directory on top.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Overlay {
    /// The image's unpacked layers, top first.
    pub lowers: Vec<PathBuf>,
    /// Where the container's changes go.
    pub upper: PathBuf,
    /// The kernel's scratch directory, on the same filesystem as `upper`.
    pub work: PathBuf,
}

/// What becomes the container's `/`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum RootSource {
    /// Layers with a writable directory on top.
    Overlay(Overlay),
    /// A directory of the host, as it is.
    Bind {
        /// The directory.
        dir: PathBuf,
        /// Whether nothing can be written through it.
        readonly: bool,
    },
}

impl RootSource {
    /// Builds the root as a detached mount: [`build_overlay`], or a clone of the
    /// directory's mount. With `userns` it is id-mapped.
    ///
    /// # Errors
    /// Those of [`build_overlay`].
    pub fn build(&self, userns: Option<BorrowedFd<'_>>) -> Result<OwnedFd, Error> {
        match self {
            Self::Overlay(overlay) => build_overlay(overlay, userns),
            Self::Bind { dir, readonly } => bind_root(dir, *readonly, userns),
        }
    }
}

/// Makes the upper and the work directory (and what is above them), owned by the host
/// ids that are root in the container. An id-mapped upper would come up read-only, so
/// the upper is owned by the mapped root instead. Directories that are there already stay
/// as the container left them.
///
/// # Errors
/// [`Error::System`] naming the directory.
pub fn prepare_upper(overlay: &Overlay, owner_uid: u32, owner_gid: u32) -> Result<(), Error> {
    for dir in [&overlay.upper, &overlay.work] {
        if let Some(parent) = dir.parent() {
            std::fs::create_dir_all(parent)
                .map_err(|error| at(Operation::Create, parent)(errno_of(&error)))?;
        }
        let is_new = match mkdirat(CWD, dir, Mode::from_raw_mode(0o755)) {
            Ok(()) => true,
            Err(Errno::EXIST) => false,
            Err(errno) => return Err(at(Operation::Create, dir)(errno)),
        };
        // The descriptor, not the path: mkdir's result may not be what chown would find.
        let fd = open_dir(dir)?;
        // No container can have left it to the host's root: who made it did not get to
        // the next line.
        let is_unfinished =
            owner_uid != 0 && fstat(&fd).map_err(at(Operation::Inspect, dir))?.st_uid == 0;
        if is_new || is_unfinished {
            // The root of the container must be readable by everybody, whatever the umask.
            fchmod(&fd, Mode::from_raw_mode(0o755)).map_err(at(Operation::ChangeMode, dir))?;
            let (uid, gid) = (Uid::from_raw(owner_uid), Gid::from_raw(owner_gid));
            fchown(&fd, Some(uid), Some(gid)).map_err(at(Operation::ChangeOwner, dir))?;
        }
    }
    Ok(())
}

/// Builds the overlay as a detached mount that appears in no mount table.
///
/// With `userns`, a descriptor of the container's user namespace, every lower is
/// id-mapped: the image's files belong to the container's ids without being copied.
/// Needs `CAP_SYS_ADMIN` in the initial user namespace.
///
/// Layers are passed as descriptors (Linux 6.13; id-mapped ones from 6.15), before that
/// as paths. See `Documentation/filesystems/overlayfs.rst` and `mount_setattr(2)`.
///
/// # Errors
/// [`Error::IdMapUnsupported`] when kernel or filesystem cannot id-map the lowers;
/// [`Error::Overlay`] with the kernel's own words when it refuses the overlay.
pub fn build_overlay(overlay: &Overlay, userns: Option<BorrowedFd<'_>>) -> Result<OwnedFd, Error> {
    let lowers = overlay
        .lowers
        .iter()
        .map(|lower| match userns {
            Some(userns) => id_mapped_lower(lower, userns),
            None => open_dir(lower),
        })
        .collect::<Result<Vec<_>, _>>()?;
    match mount_detached(overlay, &lowers, Xattr::Trusted, root_attributes(userns)) {
        // What kernels before 6.15 say to layers that are attached nowhere, and kernels
        // before 5.19 to id-mapped layers.
        Err(Error::Overlay {
            errno: errno @ (Errno::INVAL | Errno::PERM),
            ..
        }) if userns.is_some() => Err(Error::IdMapUnsupported {
            object: overlay.lowers.first().cloned().unwrap_or_default(),
            errno,
        }),
        other => other,
    }
}

/// Builds the overlay without privilege on the host: to be called by the child, as root
/// of its own user and mount namespace. Keeps the overlay's marks in `user.*` extended
/// attributes (Linux 5.11).
///
/// # Errors
/// [`Error::Overlay`] with the kernel's own words.
pub fn build_overlay_unprivileged(overlay: &Overlay) -> Result<OwnedFd, Error> {
    let lowers = overlay
        .lowers
        .iter()
        .map(|lower| open_dir(lower))
        .collect::<Result<Vec<_>, _>>()?;
    mount_detached(overlay, &lowers, Xattr::User, MountAttrFlags::empty())
}

/// Mounts the overlay on the directory `target` with `mount(2)`, in the child: for
/// kernels, or filters around this process, where `fsopen(2)` is `ENOSYS`. The layers
/// cannot be id-mapped this way.
///
/// # Errors
/// [`Error::Overlay`]: `EINVAL` too when the names of the layers exceed one page.
pub fn mount_overlay_classic(overlay: &Overlay, target: BorrowedFd<'_>) -> Result<(), Error> {
    let lowers = overlay
        .lowers
        .iter()
        .map(|lower| open_dir(lower))
        .collect::<Result<Vec<_>, _>>()?;
    let upper = open_dir(&overlay.upper)?;
    let work = open_dir(&overlay.work)?;
    // Names through /proc have no ':' or ',' that would need escaping, and are short.
    let options = format!(
        "lowerdir={},upperdir={},workdir={},index=off,metacopy=off,redirect_dir=nofollow",
        joined(&lowers),
        proc_path(&upper),
        proc_path(&work),
    );
    let options = CString::new(options).map_err(|_| refused(overlay, Errno::INVAL))?;
    let target = proc_path(target);
    rustix::mount::mount(
        "overlay",
        target,
        "overlay",
        MountFlags::empty(),
        options.as_c_str(),
    )
    .map_err(|errno| refused(overlay, errno))
}

/// The layers merged into one read-only detached mount; for looking at an image's files.
pub(crate) fn merge_readonly(lowers: &[PathBuf]) -> Result<OwnedFd, Error> {
    let [lower] = lowers else {
        let overlay = Overlay {
            lowers: lowers.to_vec(),
            upper: PathBuf::new(),
            work: PathBuf::new(),
        };
        let lowers = lowers
            .iter()
            .map(|lower| open_dir(lower))
            .collect::<Result<Vec<_>, _>>()?;
        return mount_detached(
            &overlay,
            &lowers,
            Xattr::Trusted,
            MountAttrFlags::MOUNT_ATTR_RDONLY,
        );
    };
    open_dir(lower)
}

#[derive(Clone, Copy)]
enum Xattr {
    Trusted,
    User,
}

fn mount_detached(
    overlay: &Overlay,
    lowers: &[OwnedFd],
    xattr: Xattr,
    attributes: MountAttrFlags,
) -> Result<OwnedFd, Error> {
    if lowers.is_empty() {
        return Err(Error::LayerCount { count: 0 });
    }
    let writable = if overlay.upper.as_os_str().is_empty() {
        None
    } else {
        Some((open_dir(&overlay.upper)?, open_dir(&overlay.work)?))
    };
    let context =
        fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC).map_err(|errno| refused(overlay, errno))?;
    let configure = || -> Result<OwnedFd, Errno> {
        // What `df` and `findmnt` call the filesystem.
        fsconfig_set_string(&context, "source", "overlay")?;
        add_lowers(&context, lowers)?;
        if let Some((upper, work)) = &writable {
            set_dir(&context, "upperdir", upper)?;
            set_dir(&context, "workdir", work)?;
        }
        // A layer is hostile: its own redirect and metacopy marks must not be followed.
        fsconfig_set_string(&context, "redirect_dir", "nofollow")?;
        fsconfig_set_string(&context, "metacopy", "off")?;
        // The index would refuse an upper whose layers have moved, as restored ones have.
        fsconfig_set_string(&context, "index", "off")?;
        if matches!(xattr, Xattr::User) {
            fsconfig_set_flag(&context, "userxattr")?;
        }
        fsconfig_create(&context)?;
        fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, attributes)
    };
    configure().map_err(|errno| Error::Overlay {
        upper: overlay.upper.clone(),
        detail: kernel_log(&context),
        errno,
    })
}

fn add_lowers(context: &OwnedFd, lowers: &[OwnedFd]) -> Result<(), Errno> {
    match lowers
        .iter()
        .try_for_each(|lower| fsconfig_set_fd(context, "lowerdir+", lower))
    {
        // Linux before 6.13 takes no descriptors here, before 6.15 none made with O_PATH.
        Err(Errno::INVAL | Errno::BADF) => {}
        done => return done,
    }
    match lowers
        .iter()
        .try_for_each(|lower| fsconfig_set_string(context, "lowerdir+", proc_path(lower)))
    {
        // Linux before 6.5 has no `lowerdir+`.
        Err(Errno::INVAL) => fsconfig_set_string(context, "lowerdir", joined(lowers)),
        done => done,
    }
}

fn set_dir(context: &OwnedFd, key: &str, dir: &OwnedFd) -> Result<(), Errno> {
    match fsconfig_set_fd(context, key, dir) {
        Err(Errno::INVAL) => fsconfig_set_string(context, key, proc_path(dir)),
        done => done,
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

fn root_attributes(userns: Option<BorrowedFd<'_>>) -> MountAttrFlags {
    // Nobody can make a device node in a user namespace, so any that the image brings is
    // there to reach the host's hardware.
    if userns.is_some() {
        MountAttrFlags::MOUNT_ATTR_NODEV
    } else {
        MountAttrFlags::empty()
    }
}

fn id_mapped_lower(lower: &Path, userns: BorrowedFd<'_>) -> Result<OwnedFd, Error> {
    let tree = clone_tree(lower, OpenTreeFlags::empty())?;
    id_map_tree(tree.as_fd(), userns, lower)?;
    Ok(tree)
}

fn bind_root(dir: &Path, readonly: bool, userns: Option<BorrowedFd<'_>>) -> Result<OwnedFd, Error> {
    let tree = match clone_tree(dir, OpenTreeFlags::empty()) {
        // In a user namespace what is mounted below cannot be left behind.
        Err(Error::System {
            errno: Errno::INVAL,
            ..
        }) => clone_tree(dir, OpenTreeFlags::AT_RECURSIVE)?,
        tree => tree?,
    };
    let mut set = MountAttributes::empty();
    set.set(MountAttributes::RDONLY, readonly);
    set.set(MountAttributes::NODEV, userns.is_some());
    let change = Change {
        id_map: userns,
        propagation: Propagation::RPrivate.flags(),
        ..Change::set(set)
    };
    mount_setattr(&tree, c"", AtFlags::EMPTY_PATH, change).map_err(|errno| match userns {
        Some(_) => id_map_error(dir, errno),
        None => at(Operation::SetAttributes, dir)(errno),
    })?;
    Ok(tree)
}

/// `open_tree(2)` with `OPEN_TREE_CLONE`.
pub(crate) fn clone_tree(path: &Path, flags: OpenTreeFlags) -> Result<OwnedFd, Error> {
    let flags = flags | OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    open_tree(CWD, path, flags).map_err(at(Operation::Open, path))
}

/// Applies the id map of `userns` to a detached tree with everything below it.
pub(crate) fn id_map_tree(
    tree: BorrowedFd<'_>,
    userns: BorrowedFd<'_>,
    object: &Path,
) -> Result<(), Error> {
    let flags = AtFlags::EMPTY_PATH | RECURSIVE;
    mount_setattr(tree, c"", flags, Change::id_map(userns))
        .map_err(|errno| id_map_error(object, errno))
}

fn id_map_error(object: &Path, errno: Errno) -> Error {
    match errno {
        Errno::INVAL | Errno::PERM | Errno::OPNOTSUPP | Errno::NOSYS => Error::IdMapUnsupported {
            object: object.to_owned(),
            errno,
        },
        _ => at(Operation::SetAttributes, object)(errno),
    }
}

fn open_dir(dir: &Path) -> Result<OwnedFd, Error> {
    // Not O_PATH: overlay takes those only from Linux 6.15.
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    openat(CWD, dir, flags, Mode::empty()).map_err(at(Operation::Open, dir))
}

fn refused(overlay: &Overlay, errno: Errno) -> Error {
    Error::Overlay {
        upper: overlay.upper.clone(),
        detail: String::new(),
        errno,
    }
}

/// The name under which the kernel finds the file behind a descriptor of this process.
pub(crate) fn proc_path(fd: impl AsFd) -> String {
    format!("/proc/self/fd/{}", fd.as_fd().as_raw_fd())
}

fn joined(lowers: &[OwnedFd]) -> String {
    lowers.iter().map(proc_path).collect::<Vec<_>>().join(":")
}

pub(crate) fn errno_of(error: &std::io::Error) -> Errno {
    error
        .raw_os_error()
        .map_or(Errno::IO, Errno::from_raw_os_error)
}
