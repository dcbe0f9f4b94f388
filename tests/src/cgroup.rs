//! The kernel's view of a container's cgroups, read on the host.

use std::fs;
use std::path::{Path, PathBuf};

/// Where the hierarchies are mounted.
pub(crate) const ROOT: &str = "/sys/fs/cgroup";

/// Which cgroup interface carries the controllers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// One hierarchy per controller, with or without an empty unified one besides.
    V1,
    /// The unified hierarchy only.
    V2,
}

/// The version of this machine.
pub fn version() -> Version {
    if Path::new(ROOT).join("cgroup.controllers").exists() {
        Version::V2
    } else {
        Version::V1
    }
}

/// The mount points of the hierarchies that the calling thread sees, sorted.
pub fn hierarchies() -> Vec<PathBuf> {
    let mounts = fs::read_to_string("/proc/thread-self/mountinfo").expect("the mount table");
    let mut points: Vec<_> = mounts.lines().filter_map(hierarchy).collect();
    points.sort();
    points.dedup();
    points
}

/// The mount point, when the line of mountinfo is about a cgroup hierarchy.
fn hierarchy(line: &str) -> Option<PathBuf> {
    let (mount, filesystem) = line.split_once(" - ")?;
    let kind = filesystem.split(' ').next()?;
    let point = mount.split(' ').nth(4)?;
    matches!(kind, "cgroup" | "cgroup2").then(|| PathBuf::from(point))
}

/// The directory of the cgroup in which `pid` is, for one controller.
///
/// # Panics
/// When the process is gone or the controller is not mounted.
pub fn of(pid: u32, controller: &str) -> PathBuf {
    let file = format!("/proc/{pid}/cgroup");
    let memberships = fs::read_to_string(&file).unwrap_or_else(|e| panic!("{file}: {e}"));
    let (mount, path) = memberships
        .lines()
        .find_map(|line| membership(line, controller))
        .unwrap_or_else(|| panic!("{file} has no controller {controller}:\n{memberships}"));
    Path::new(ROOT)
        .join(mount)
        .join(path.trim_start_matches('/'))
}

/// Mount directory and path, when the line of `/proc/PID/cgroup` carries `controller`.
fn membership<'a>(line: &'a str, controller: &str) -> Option<(&'a str, &'a str)> {
    let mut fields = line.splitn(3, ':');
    let (hierarchy, controllers, path) = (fields.next()?, fields.next()?, fields.next()?);
    match version() {
        Version::V2 => (hierarchy == "0").then_some(("", path)),
        Version::V1 => controllers
            .split(',')
            .any(|name| name == controller)
            .then_some((controllers, path)),
    }
}

/// One value of a flat keyed file (`cpu.stat`, `memory.events`, …).
///
/// # Panics
/// When file or key is missing, or the value is no number.
pub fn value(file: &Path, key: &str) -> u64 {
    let text = fs::read_to_string(file).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
    text.lines()
        .find_map(|line| line.strip_prefix(key)?.trim().parse().ok())
        .unwrap_or_else(|| panic!("{} has no number {key}:\n{text}", file.display()))
}

/// Every cgroup directory below `root`, `root` not included, parents first.
pub(crate) fn below(root: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![root.to_path_buf()];
    while let Some(directory) = open.pop() {
        // A cgroup may go away while we look.
        let Ok(entries) = fs::read_dir(&directory) else {
            continue;
        };
        let children = entries
            .flatten()
            .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
            .map(|entry| entry.path());
        for child in children {
            open.push(child.clone());
            found.push(child);
        }
    }
    found.sort();
    found
}

/// The processes in the cgroup `directory` itself.
pub(crate) fn members(directory: &Path) -> Vec<u32> {
    let Ok(list) = fs::read_to_string(directory.join("cgroup.procs")) else {
        return Vec::new();
    };
    // 0 is a process of another pid namespace: not ours to name.
    list.lines()
        .filter_map(|line| line.parse().ok())
        .filter(|pid| *pid != 0)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_cgroup_lines_of_mountinfo_count() {
        let v1 = "34 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory";
        let v2 = "41 31 0:38 /x /sys/fs/cgroup rw shared:4 - cgroup2 cgroup2 rw";
        let other = "31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755";
        assert_eq!(hierarchy(v1), Some("/sys/fs/cgroup/memory".into()));
        assert_eq!(hierarchy(v2), Some("/sys/fs/cgroup".into()));
        assert_eq!(hierarchy(other), None);
    }

    #[test]
    fn a_key_is_read_from_a_flat_keyed_file() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), "nr_periods 12\nnr_throttled 7\n").unwrap();
        assert_eq!(value(file.path(), "nr_throttled"), 7);
    }
}
