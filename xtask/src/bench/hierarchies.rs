//! The cgroup hierarchies of the machine, and a `/sys` that has those that all peers can use.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use rustix::fs::CWD;
use rustix::mount::{
    MountFlags, MoveMountFlags, OpenTreeFlags, UnmountFlags, mount, move_mount, open_tree, unmount,
};

/// Where hierarchies are mounted.
const ROOT: &str = "/sys/fs/cgroup";

/// One hierarchy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Hierarchy {
    /// Its mount point.
    pub(crate) point: PathBuf,
    /// Controllers or name of one of version 1, as `mount(2)` wants them; none for version 2.
    pub(crate) options: Option<String>,
}

/// Mounts a `/sys` that fits the network namespace, with the hierarchies that all peers can
/// use: version 2 alone, or version 1 alone.
pub(crate) fn mount_usable() -> Result<Vec<Hierarchy>> {
    let table = fs::read_to_string("/proc/self/mountinfo").context("read the mount table")?;
    let usable = usable(&table);
    if usable.is_empty() {
        bail!("no cgroup hierarchy is mounted below {ROOT}");
    }
    let clone = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    let trees = usable
        .iter()
        .map(|it| open_tree(CWD, &it.point, clone))
        .collect::<Result<Vec<_>, _>>()
        .context("clone the mounts of the cgroup hierarchies")?;
    let links = symlinks_in(Path::new(ROOT));
    unmount("/sys", UnmountFlags::DETACH).context("unmount the machine's")?;
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    mount("sysfs", "/sys", "sysfs", flags, None)?;
    if usable.iter().all(|it| it.options.is_some()) {
        mount("tmpfs", ROOT, "tmpfs", flags, Some(c"mode=755"))?;
    }
    for (hierarchy, tree) in usable.iter().zip(trees) {
        let point = &hierarchy.point;
        fs::create_dir_all(point)?;
        let by_descriptor = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH;
        move_mount(tree, "", CWD, point, by_descriptor)
            .with_context(|| format!("attach {}", point.display()))?;
    }
    for (name, target) in links {
        symlink(target, Path::new(ROOT).join(name))?;
    }
    Ok(usable)
}

/// The cgroup version in words.
pub(crate) fn version(hierarchies: &[Hierarchy]) -> &'static str {
    match hierarchies {
        [Hierarchy { options: None, .. }] => "v2",
        _ => "v1",
    }
}

/// The hierarchies in the words of the floor program.
pub(crate) fn words(hierarchies: &[Hierarchy]) -> String {
    let options: Option<Vec<_>> = hierarchies.iter().map(|it| it.options.as_deref()).collect();
    options.map_or_else(|| "v2".into(), |options| options.join(":"))
}

fn usable(table: &str) -> Vec<Hierarchy> {
    let all: Vec<_> = table.lines().filter_map(hierarchy).collect();
    let hybrid = all.iter().any(|it| it.options.is_some());
    all.into_iter()
        .filter(|it| !hybrid || it.options.is_some())
        .collect()
}

/// Reads one line of `proc_pid_mountinfo(5)`.
fn hierarchy(line: &str) -> Option<Hierarchy> {
    let (place, kind) = line.split_once(" - ")?;
    let point = place.split(' ').nth(4)?;
    if !Path::new(point).starts_with(ROOT) {
        return None;
    }
    let mut kind = kind.split(' ');
    let options = match (kind.next()?, kind.nth(1)?) {
        ("cgroup2", _) => None,
        ("cgroup", options) => Some(controllers(options)),
        _ => return None,
    };
    let point = point.into();
    Some(Hierarchy { point, options })
}

/// What of the options of a mount says which hierarchy it is.
fn controllers(options: &str) -> String {
    let others = [
        "rw",
        "ro",
        "xattr",
        "noprefix",
        "clone_children",
        "cpuset_v2_mode",
    ];
    let wanted = options
        .split(',')
        .filter(|it| !others.contains(it) && !it.starts_with("release_agent="));
    wanted.collect::<Vec<_>>().join(",")
}

/// Names and targets of links such as `cpu -> cpu,cpuacct`.
fn symlinks_in(directory: &Path) -> Vec<(OsString, PathBuf)> {
    let Ok(entries) = fs::read_dir(directory) else {
        return Vec::new();
    };
    entries
        .flatten()
        .filter_map(|entry| Some((entry.file_name(), fs::read_link(entry.path()).ok()?)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HYBRID: &str = "\
31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
34 31 0:32 / /sys/fs/cgroup/cpu,cpuacct rw,relatime - cgroup cgroup rw,cpu,cpuacct
35 31 0:33 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,release_agent=/x,name=systemd
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
";

    #[test]
    fn a_hybrid_host_is_used_as_one_of_version_1() {
        let usable = usable(HYBRID);
        assert_eq!(words(&usable), "cpu,cpuacct:name=systemd");
        assert_eq!(version(&usable), "v1");
    }

    #[test]
    fn a_host_of_version_2_is_used_as_it_is() {
        let usable = usable("30 24 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw\n");
        assert_eq!(usable[0].point, Path::new("/sys/fs/cgroup"));
        assert_eq!((words(&usable).as_str(), version(&usable)), ("v2", "v2"));
    }

    #[test]
    fn a_hierarchy_that_is_elsewhere_is_somebody_elses() {
        let table = "41 31 0:38 / /mnt/x rw - cgroup2 cgroup2 rw\n";
        assert_eq!(usable(table), []);
    }
}
