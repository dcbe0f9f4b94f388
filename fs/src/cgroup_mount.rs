//! `/sys/fs/cgroup` in a container, of the kind that the host has.

use std::ffi::CString;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;

use rustix::buffer::spare_capacity;
use rustix::fs::{AtFlags, CWD, FsWord, Mode, OFlags, mkdirat, openat, statfs, symlinkat};
use rustix::io::{Errno, read};
use rustix::mount::{MountFlags, mount};
use rustix::process::fchdir;

use crate::Error;
use crate::detached::{self, new_filesystem};
use crate::error::{Operation, at};
use crate::options::MountAttributes;
use crate::sys::{Change, mount_setattr};

/// `CGROUP2_SUPER_MAGIC` of `statfs(2)`.
const CGROUP2_MAGIC: FsWord = 0x6367_7270;
const ROOT: &str = "/sys/fs/cgroup";

/// How the host mounts its control groups: `cgroups(7)`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum CgroupLayout {
    /// One hierarchy, version 2.
    Unified,
    /// A directory of hierarchies of version 1, perhaps with one of version 2.
    Hierarchies(Vec<Hierarchy>),
}

/// One hierarchy of version 1 or 2.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Hierarchy {
    /// The directory's name: `cpu,cpuacct`.
    name: String,
    /// Whether it is of version 2.
    unified: bool,
    /// Its controllers or its name, as `mount(2)` wants them.
    options: String,
}

impl CgroupLayout {
    pub(crate) fn of_host() -> Result<Self, Error> {
        if statfs(ROOT).is_ok_and(|stat| stat.f_type == CGROUP2_MAGIC) {
            return Ok(Self::Unified);
        }
        let path = "/proc/self/mountinfo";
        let text = read_table(path).map_err(at(Operation::Read, path))?;
        Ok(Self::Hierarchies(
            text.lines().filter_map(hierarchy).collect(),
        ))
    }
}

/// Reads in large pieces: the kernel writes the whole table anew for each small one.
fn read_table(path: &str) -> Result<String, Errno> {
    let file = openat(CWD, path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    let mut text = Vec::with_capacity(32 << 10);
    while read(&file, spare_capacity(&mut text))? > 0 {
        text.reserve(16 << 10);
    }
    Ok(String::from_utf8_lossy(&text).into_owned())
}

/// Reads one line of `proc_pid_mountinfo(5)`.
fn hierarchy(line: &str) -> Option<Hierarchy> {
    let (place, kind) = line.split_once(" - ")?;
    let target = place.split(' ').nth(4)?;
    let name = target.strip_prefix(ROOT)?.strip_prefix('/')?;
    if name.contains('/') {
        return None;
    }
    let mut kind = kind.split(' ');
    let unified = match kind.next()? {
        "cgroup" => false,
        "cgroup2" => true,
        _ => return None,
    };
    let super_options = kind.nth(1)?;
    let is_hierarchy = |option: &&str| {
        let flag = [
            "rw",
            "ro",
            "xattr",
            "noprefix",
            "clone_children",
            "cpuset_v2_mode",
        ];
        !flag.contains(option) && !option.starts_with("release_agent=")
    };
    let controllers = super_options.split(',').filter(is_hierarchy);
    let options = if unified {
        String::new()
    } else {
        controllers.collect::<Vec<_>>().join(",")
    };
    Some(Hierarchy {
        name: name.to_owned(),
        unified,
        options,
    })
}

/// Mounts the container's view on the directory `target`. The process must be in the
/// container's cgroup namespace.
pub(crate) fn attach(
    layout: &CgroupLayout,
    target: BorrowedFd<'_>,
    readonly: bool,
) -> Result<(), Error> {
    let mut attributes = MountAttributes::INERT;
    attributes.set(MountAttributes::RDONLY, readonly);
    let flags = attributes.mount_flags();
    let failed = at(Operation::Mount, ROOT);
    fchdir(target).map_err(at(Operation::ChangeDirectory, ROOT))?;
    let hierarchies = match layout {
        CgroupLayout::Unified => {
            return match mount(c"cgroup2", c".", c"cgroup2", flags, None) {
                // The host's is here already, for it came with the host's /sys: `mount(2)`
                // refuses the same filesystem on top, `move_mount(2)` does not.
                Err(Errno::BUSY) => {
                    let unified = new_filesystem("cgroup2", &[], attributes).map_err(&failed)?;
                    detached::attach(unified.as_fd(), target).map_err(at(Operation::Attach, ROOT))
                }
                done => done.map_err(failed),
            };
        }
        CgroupLayout::Hierarchies(hierarchies) => hierarchies,
    };
    let options = [("mode", "755"), ("size", "64k")];
    let top = new_filesystem("tmpfs", &options, MountAttributes::INERT).map_err(&failed)?;
    detached::attach(top.as_fd(), target).map_err(at(Operation::Attach, ROOT))?;
    fchdir(&top).map_err(&failed)?;
    for hierarchy in hierarchies {
        let place = Path::new(ROOT).join(&hierarchy.name);
        mount_hierarchy(top.as_fd(), hierarchy, flags).map_err(at(Operation::Mount, &place))?;
    }
    if readonly {
        mount_setattr(
            &top,
            c"",
            AtFlags::EMPTY_PATH,
            Change::set(MountAttributes::RDONLY),
        )
        .map_err(at(Operation::MakeReadOnly, ROOT))?;
    }
    Ok(())
}

fn mount_hierarchy(
    top: BorrowedFd<'_>,
    hierarchy: &Hierarchy,
    flags: MountFlags,
) -> Result<(), Errno> {
    let name = hierarchy.name.as_str();
    mkdirat(top, name, Mode::from_raw_mode(0o755))?;
    if hierarchy.unified {
        return mount(c"cgroup2", name, c"cgroup2", flags, None);
    }
    let options = CString::new(hierarchy.options.as_str()).map_err(|_| Errno::INVAL)?;
    mount(c"cgroup", name, c"cgroup", flags, options.as_c_str())?;
    // `cpu` and `cpuacct` lead to `cpu,cpuacct`.
    if name.contains(',') {
        name.split(',')
            .try_for_each(|controller| symlinkat(name, top, controller))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_a_hierarchy_of_each_kind() {
        let line = "33 24 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,nosuid shared:9 - cgroup cgroup rw,cpu,cpuacct";
        let it = hierarchy(line).unwrap();
        assert_eq!(
            (it.name.as_str(), it.options.as_str()),
            ("cpu,cpuacct", "cpu,cpuacct")
        );
        let line = "30 24 0:26 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,release_agent=/x,name=systemd";
        assert_eq!(hierarchy(line).unwrap().options, "name=systemd");
        let line = "41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw";
        assert!(hierarchy(line).unwrap().unified);
    }

    #[test]
    fn leaves_out_what_is_no_hierarchy() {
        for line in [
            "31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755",
            "22 27 0:21 / /proc rw,relatime - proc proc rw",
            "41 31 0:38 /a /sys/fs/cgroup/x/y rw - cgroup cgroup rw,cpu",
            "",
        ] {
            assert_eq!(hierarchy(line), None, "{line}");
        }
    }
}
