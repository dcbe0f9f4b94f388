//! The layers of an image with a container's changes on top.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Gid, Mode, Uid, fchmod, fchown, fstat, mkdirat};
use rustix::io::Errno;
use rustix::mount::{MountAttrFlags, MoveMountFlags, OpenTreeFlags, move_mount};
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::detached::{clone_tree, id_map_layer, open_dir};
use crate::error::{Operation, at, errno_of};
use crate::layers::{Changes, Layers, Marks, Refused};
use crate::private_mounts::with_private_mounts;
use crate::remove::remove_tree;
use crate::root::Root;

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
    /// Where the kernel keeps its marks on files in `upper`.
    #[serde(default, skip_serializing_if = "Marks::is_default")]
    pub marks: Marks,
    /// The `SELinux` context of all files in it, on a host that has `SELinux`: `context=` of
    /// `mount(8)`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context: Option<String>,
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
/// as paths, id-mapped ones by [`build_overlay_attached`]. See
/// `Documentation/filesystems/overlayfs.rst` and `mount_setattr(2)`.
///
/// # Errors
/// [`Error::IdMapUnsupported`] when kernel or filesystem cannot id-map the lowers;
/// [`Error::Overlay`] with the kernel's own words when it refuses the overlay.
pub fn build_overlay(overlay: &Overlay, userns: Option<BorrowedFd<'_>>) -> Result<OwnedFd, Error> {
    Ok(build_root(overlay, userns, Changes::Kept)?.mount)
}

/// [`build_overlay`], with its layers still open.
pub(crate) fn build_root(
    overlay: &Overlay,
    userns: Option<BorrowedFd<'_>>,
    changes: Changes,
) -> Result<Root, Error> {
    overlay.remove_volatile_mark(changes)?;
    let Some(userns) = userns else {
        let layers = Layers {
            changes,
            ..overlay.layers(open_dirs(&overlay.lowers)?, MountAttrFlags::empty())?
        };
        let mount = match layers.mount() {
            Err(refused) if refused.errno == Errno::INVAL && layers.are_many() => {
                overlay.mount_many(&overlay.upper, changes, MountAttrFlags::empty())?
            }
            mounted => mounted.map_err(|refused| overlay.error(refused))?,
        };
        return Ok(Root {
            mount,
            layers: layers.lowers,
        });
    };
    let layers = Layers {
        changes,
        ..overlay.layers(id_mapped_lowers(overlay, userns)?, IN_USER_NAMESPACE)?
    };
    match layers.mount_by_descriptor() {
        Some(Ok(mount)) => Ok(Root {
            mount,
            layers: layers.lowers,
        }),
        // Kernels before 6.15 take no layers that are attached nowhere.
        Some(Err(Refused {
            errno: Errno::INVAL,
            ..
        }))
        | None => attach_and_mount(overlay, layers.lowers, changes).map(Root::from),
        Some(Err(refused)) => Err(overlay.error(refused)),
    }
}

/// Builds the same overlay for Linux 5.19 to 6.14, where id-mapped layers must be attached
/// somewhere: in a mount namespace that exists for the length of this call.
///
/// The calling thread alone moves there and back. It must be allowed to make mount
/// namespaces, that is be root on the host.
///
/// # Errors
/// Those of [`build_overlay`], and [`Error::System`] when the thread cannot move.
pub fn build_overlay_attached(overlay: &Overlay, userns: BorrowedFd<'_>) -> Result<OwnedFd, Error> {
    attach_and_mount(overlay, id_mapped_lowers(overlay, userns)?, Changes::Kept)
}

fn attach_and_mount(
    overlay: &Overlay,
    lowers: Vec<OwnedFd>,
    changes: Changes,
) -> Result<OwnedFd, Error> {
    // A refused mount leaves the mark as well.
    overlay.remove_volatile_mark(changes)?;
    let mounted = with_private_mounts(|| {
        for (lower, path) in lowers.iter().zip(&overlay.lowers) {
            // Stacked on "/", which always exists. The descriptors say which is which.
            move_mount(
                lower,
                c"",
                CWD,
                c"/",
                MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH,
            )
            .map_err(at(Operation::Attach, path))?;
        }
        // The upper is opened here, for it has to be of this namespace as well.
        let layers = Layers {
            changes,
            ..overlay.layers(lowers, IN_USER_NAMESPACE)?
        };
        Ok(match layers.mount_by_name() {
            Err(refused) if refused.errno == Errno::INVAL && layers.are_many() => {
                layers.mount_and_detach(&overlay.upper)
            }
            mounted => mounted,
        })
    });
    mounted?.map_err(|refused| match refused.errno {
        // What kernels before 5.19 say to id-mapped layers.
        errno @ (Errno::INVAL | Errno::PERM) => {
            let object = overlay.lowers.first().cloned().unwrap_or_default();
            Error::IdMapUnsupported { object, errno }
        }
        _ => overlay.error(refused),
    })
}

/// Builds the overlay without privilege on the host: to be called by the child, as root
/// of its own user and mount namespace. Keeps the overlay's marks in `user.*` extended
/// attributes (Linux 5.11).
///
/// # Errors
/// [`Error::Overlay`] with the kernel's own words.
pub fn build_overlay_unprivileged(overlay: &Overlay) -> Result<OwnedFd, Error> {
    let layers = overlay.layers(open_dirs(&overlay.lowers)?, MountAttrFlags::empty())?;
    layers
        .marked_for_users()
        .mount()
        .map_err(|refused| overlay.error(refused))
}

/// Mounts the overlay on the directory `target` with `mount(2)`, in the child: for
/// kernels, or filters around this process, where `fsopen(2)` is `ENOSYS`. The layers
/// cannot be id-mapped this way.
///
/// # Errors
/// [`Error::Overlay`]: `EINVAL` too when the names of the layers exceed one page.
pub fn mount_overlay_classic(overlay: &Overlay, target: BorrowedFd<'_>) -> Result<(), Error> {
    let layers = overlay.layers(open_dirs(&overlay.lowers)?, MountAttrFlags::empty())?;
    layers
        .mount_classic(target)
        .map_err(|refused| overlay.error(refused))
}

/// The layers merged into one read-only detached mount; for looking at an image's files.
pub(crate) fn merge_readonly(lowers: &[PathBuf]) -> Result<OwnedFd, Error> {
    let Some((first, others)) = lowers.split_first() else {
        return Err(Error::LayerCount { count: 0 });
    };
    if others.is_empty() {
        return open_dir(first);
    }
    let overlay = Overlay {
        lowers: lowers.to_vec(),
        upper: PathBuf::new(),
        work: PathBuf::new(),
        marks: Marks::Trusted,
        context: None,
    };
    let readonly = MountAttrFlags::MOUNT_ATTR_RDONLY;
    let layers = overlay.layers(open_dirs(lowers)?, readonly)?;
    match layers.mount() {
        Err(refused) if refused.errno == Errno::INVAL && layers.are_many() => {
            overlay.mount_many(first, Changes::Kept, readonly)
        }
        mounted => mounted.map_err(|refused| overlay.error(refused)),
    }
}

/// Nobody can make a device node in a user namespace, so any that the image brings is
/// there to reach the host's hardware.
const IN_USER_NAMESPACE: MountAttrFlags = MountAttrFlags::MOUNT_ATTR_NODEV;

impl Overlay {
    /// The layers with the upper, if there is one, opened as well.
    fn layers(&self, lowers: Vec<OwnedFd>, attributes: MountAttrFlags) -> Result<Layers, Error> {
        if lowers.is_empty() {
            return Err(Error::LayerCount { count: 0 });
        }
        let writable = if self.upper.as_os_str().is_empty() {
            None
        } else {
            Some((open_dir(&self.upper)?, open_dir(&self.work)?))
        };
        Ok(Layers {
            lowers,
            writable,
            marks: self.marks,
            context: self.context.clone(),
            changes: Changes::Kept,
            attributes,
        })
    }

    /// As [`Layers::mount`], for more layers than `fsconfig(2)` takes before Linux 6.5. The
    /// directory `place` is covered for a moment where nobody else sees it.
    fn mount_many(
        &self,
        place: &Path,
        changes: Changes,
        attributes: MountAttrFlags,
    ) -> Result<OwnedFd, Error> {
        self.remove_volatile_mark(changes)?;
        let mounted = with_private_mounts(|| {
            let layers = Layers {
                changes,
                ..self.layers(open_dirs(&self.lowers)?, attributes)?
            };
            Ok(layers.mount_and_detach(place))
        })?;
        mounted.map_err(|refused| self.error(refused))
    }

    /// Removes the kernel's own mark of an earlier volatile mount: it refuses the next one.
    fn remove_volatile_mark(&self, changes: Changes) -> Result<(), Error> {
        match changes {
            Changes::Discarded => remove_tree(&self.work.join("work")),
            Changes::Kept => Ok(()),
        }
    }

    fn error(&self, refused: Refused) -> Error {
        let (detail, errno) = (refused.detail, refused.errno);
        Error::Overlay {
            upper: self.upper.clone(),
            detail,
            errno,
        }
    }
}

fn open_dirs(dirs: &[PathBuf]) -> Result<Vec<OwnedFd>, Error> {
    dirs.iter().map(|dir| open_dir(dir)).collect()
}

fn id_mapped_lowers(overlay: &Overlay, userns: BorrowedFd<'_>) -> Result<Vec<OwnedFd>, Error> {
    let id_mapped = |lower: &PathBuf| {
        let tree = clone_tree(lower, OpenTreeFlags::empty())?;
        id_map_layer(tree.as_fd(), userns, lower)?;
        Ok(tree)
    };
    overlay.lowers.iter().map(id_mapped).collect()
}
