//! The container's `/dev`.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{
    AtFlags, CWD, Dev, FileType, Gid, Mode, OFlags, Uid, chmodat, chownat, makedev, mkdirat,
    mknodat, openat, statat, symlinkat,
};
use rustix::io::Errno;
use rustix::mount::{MoveMountFlags, OpenTreeFlags, move_mount, open_tree};
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::detached::{attach, new_filesystem};
use crate::error::{Operation, at};
use crate::options::MountAttributes;
use crate::path::normalize_target;

/// A device in a container, besides the standard ones.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Device {
    /// The path in the container, below `/dev`.
    pub target: PathBuf,
    /// Which device it is.
    pub node: DeviceNode,
}

/// Which device a node stands for.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum DeviceNode {
    /// The same as a node of the host, with its mode. Looked up at each start, because
    /// device numbers may change with a reboot.
    Host(PathBuf),
    /// By number, as in the OCI runtime specification.
    Number {
        /// Character or block device.
        kind: DeviceKind,
        /// The major number.
        major: u32,
        /// The minor number.
        minor: u32,
        /// Permission bits.
        mode: u32,
        /// The owner, as an id inside the container.
        uid: u32,
        /// The group, as an id inside the container.
        gid: u32,
    },
}

/// The two kinds of device nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DeviceKind {
    /// A character device.
    Char,
    /// A block device.
    Block,
}

/// The character devices of every container with their numbers, as the OCI runtime
/// specification lists them: `devices.txt` of the kernel.
const STANDARD: [(&str, u32, u32); 6] = [
    ("null", 1, 3),
    ("zero", 1, 5),
    ("full", 1, 7),
    ("random", 1, 8),
    ("urandom", 1, 9),
    ("tty", 5, 0),
];

const LINKS: [(&str, &str); 6] = [
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
    ("core", "/proc/kcore"),
    ("ptmx", "pts/ptmx"),
];

const MOUNT_POINTS: [&str; 3] = ["pts", "shm", "mqueue"];

/// Makes a `/dev` as a detached tmpfs, with real device nodes.
///
/// Made by the host's root, the filesystem belongs to the initial user namespace, and so
/// its nodes work in a container that could not make them: one mount is attached there
/// and not one for each node.
pub(crate) fn prepare(devices: &[Device], context: Option<&str>) -> Result<OwnedFd, Error> {
    let dev = new_tmpfs(context)?;
    let _umask = Umask::none();
    for (name, major, minor) in STANDARD {
        let mode = Mode::from_raw_mode(0o666);
        mknodat(
            &dev,
            name,
            FileType::CharacterDevice,
            mode,
            makedev(major, minor),
        )
        .map_err(|errno| at(Operation::Create, &in_dev(name))(errno))?;
    }
    links_and_mount_points(dev.as_fd())?;
    for device in devices {
        make_node(dev.as_fd(), device)?;
    }
    Ok(dev)
}

/// Mounts a `/dev` on `target` without privilege on the host: its nodes are bind mounts
/// of the host's.
pub(crate) fn attach_unprivileged(
    devices: &[Device],
    context: Option<&str>,
    target: BorrowedFd<'_>,
) -> Result<(), Error> {
    let dev = new_tmpfs(context)?;
    attach(dev.as_fd(), target).map_err(at(Operation::Attach, "/dev"))?;
    let dev = dev.as_fd();
    for (name, ..) in STANDARD {
        bind_node(dev, &Path::new("/dev").join(name), Path::new(name))?;
    }
    links_and_mount_points(dev)?;
    for device in devices {
        match &device.node {
            DeviceNode::Host(source) => bind_node(dev, source, &below_dev(device)?)?,
            // Only the host's root can make a node by its number.
            DeviceNode::Number { .. } => {
                return Err(at(Operation::Create, &device.target)(Errno::PERM));
            }
        }
    }
    Ok(())
}

fn new_tmpfs(context: Option<&str>) -> Result<OwnedFd, Error> {
    // Not noexec: programs map /dev/zero to get memory for code.
    // As many files as KiB: an empty one is not part of the size, but takes as much memory.
    let mut options = vec![("mode", "755"), ("size", "64m"), ("nr_inodes", "64k")];
    options.extend(context.map(|context| ("context", context)));
    new_filesystem("tmpfs", &options, MountAttributes::NOSUID).map_err(at(Operation::Mount, "/dev"))
}

fn links_and_mount_points(dev: BorrowedFd<'_>) -> Result<(), Error> {
    for (name, target) in LINKS {
        symlinkat(target, dev, name)
            .map_err(|errno| at(Operation::Create, &in_dev(name))(errno))?;
    }
    for name in MOUNT_POINTS {
        mkdirat(dev, name, Mode::from_raw_mode(0o755))
            .map_err(|errno| at(Operation::Create, &in_dev(name))(errno))?;
    }
    Ok(())
}

fn make_node(dev: BorrowedFd<'_>, device: &Device) -> Result<(), Error> {
    let name = below_dev(device)?;
    let (kind, number, mode, uid, gid) = match &device.node {
        DeviceNode::Host(source) => {
            let (kind, number, mode) = host_node(source)?;
            (kind, number, mode, 0, 0)
        }
        DeviceNode::Number {
            kind,
            major,
            minor,
            mode,
            uid,
            gid,
        } => (*kind, makedev(*major, *minor), *mode, *uid, *gid),
    };
    let file_type = match kind {
        DeviceKind::Char => FileType::CharacterDevice,
        DeviceKind::Block => FileType::BlockDevice,
    };
    let failed = at(Operation::Create, &device.target);
    make_parents(dev, &name).map_err(&failed)?;
    let mode = Mode::from_raw_mode(mode & 0o777);
    match mknodat(dev, &name, file_type, mode, number) {
        // One of the standard nodes, asked for once more: the plan's is the one wanted.
        Err(Errno::EXIST) => {
            rustix::fs::unlinkat(dev, &name, AtFlags::empty()).map_err(&failed)?;
            mknodat(dev, &name, file_type, mode, number)
        }
        done => done,
    }
    .map_err(&failed)?;
    if (uid, gid) != (0, 0) {
        let owner = (Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)));
        chownat(dev, &name, owner.0, owner.1, AtFlags::SYMLINK_NOFOLLOW)
            .map_err(at(Operation::ChangeOwner, &device.target))?;
        // Some filesystems drop bits when the owner changes.
        chmodat(dev, &name, mode, AtFlags::empty())
            .map_err(at(Operation::ChangeMode, &device.target))?;
    }
    Ok(())
}

fn host_node(source: &Path) -> Result<(DeviceKind, Dev, u32), Error> {
    let stat = statat(CWD, source, AtFlags::empty()).map_err(at(Operation::Inspect, source))?;
    let kind = match FileType::from_raw_mode(stat.st_mode) {
        FileType::CharacterDevice => DeviceKind::Char,
        FileType::BlockDevice => DeviceKind::Block,
        _ => {
            return Err(Error::NotADevice {
                path: source.to_owned(),
            });
        }
    };
    Ok((kind, stat.st_rdev, stat.st_mode))
}

fn bind_node(dev: BorrowedFd<'_>, source: &Path, name: &Path) -> Result<(), Error> {
    let target = in_dev(name);
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    let tree = open_tree(CWD, source, flags).map_err(at(Operation::Open, source))?;
    let failed = at(Operation::Create, &target);
    make_parents(dev, name).map_err(&failed)?;
    let flags = OFlags::RDONLY | OFlags::CREATE | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    openat(dev, name, flags, Mode::from_raw_mode(0o666)).map_err(&failed)?;
    move_mount(
        &tree,
        c"",
        dev,
        name,
        MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH,
    )
    .map_err(at(Operation::Attach, &target))
}

/// The directories above a node. Nobody else can write to this tmpfs yet.
fn make_parents(dev: BorrowedFd<'_>, name: &Path) -> Result<(), Errno> {
    let parents: Vec<_> = name
        .ancestors()
        .skip(1)
        .filter(|it| !it.as_os_str().is_empty())
        .collect();
    for parent in parents.into_iter().rev() {
        match mkdirat(dev, parent, Mode::from_raw_mode(0o755)) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

/// The device's path relative to `/dev`.
fn below_dev(device: &Device) -> Result<PathBuf, Error> {
    let target = normalize_target(&device.target)?;
    match target.strip_prefix("/dev") {
        Ok(name) if !name.as_os_str().as_bytes().is_empty() => Ok(name.to_owned()),
        _ => Err(Error::DeviceOutsideDev { target }),
    }
}

fn in_dev(name: impl AsRef<Path>) -> PathBuf {
    Path::new("/dev").join(name)
}

/// Puts the umask back when dropped: the modes of nodes must be as given.
struct Umask(Mode);

impl Umask {
    fn none() -> Self {
        Self(rustix::process::umask(Mode::empty()))
    }
}

impl Drop for Umask {
    fn drop(&mut self) {
        rustix::process::umask(self.0);
    }
}
