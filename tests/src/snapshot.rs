//! The state of a host, to compare before and after.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::process::Command;

use crate::{Host, cgroup};

/// Everything on a [`Host`] that a container could leave behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// Sorted lines by what they are about.
    sections: BTreeMap<&'static str, Vec<String>>,
}

impl Snapshot {
    pub(crate) fn take(host: &Host) -> Self {
        let sections = [
            ("cgroup", cgroups()),
            ("file", files(&host.coop_root())),
            ("link", links()),
            ("address", addresses()),
            ("memory", memory()),
            ("mount", mounts()),
            ("process", host.processes()),
            ("route", shown_by("ip", &["route"])),
            ("rule", rules()),
        ];
        Self {
            sections: sections.into(),
        }
    }

    /// What `after` has more (`+`) or less (`-`), a line each; nothing when they are equal.
    pub fn difference(&self, after: &Self) -> String {
        let mut text = String::new();
        for (kind, now) in &after.sections {
            let before = &self.sections[kind];
            for line in now.iter().filter(|line| !before.contains(line)) {
                let _ = writeln!(text, "  + {kind}: {line}");
            }
            for line in before.iter().filter(|line| !now.contains(line)) {
                let _ = writeln!(text, "  - {kind}: {line}");
            }
        }
        text
    }
}

/// Cgroup directories. `coop` itself stays: an empty parent for the next stack.
fn cgroups() -> Vec<String> {
    cgroup::hierarchies()
        .iter()
        .flat_map(|hierarchy| {
            cgroup::below(hierarchy)
                .into_iter()
                .filter(|path| *path != hierarchy.join("coop"))
        })
        .map(|path| path.display().to_string())
        .collect()
}

/// The mount table without the numbers that the kernel hands out.
fn mounts() -> Vec<String> {
    let table = fs::read_to_string("/proc/thread-self/mountinfo").expect("the mount table");
    let essence = |line: &str| {
        let (mount, filesystem) = line.split_once(" - ")?;
        let point = mount.split(' ').nth(4)?;
        let mut fields = filesystem.split(' ');
        Some(format!("{point} ({} {})", fields.next()?, fields.next()?))
    };
    // A test may add hierarchies or directories of its own, so the order is no matter.
    let mut mounts: Vec<_> = table.lines().filter_map(essence).collect();
    mounts.sort();
    mounts
}

/// The links without what the kernel finds out about their carrier in its own time.
fn links() -> Vec<String> {
    let essence = |line: String| {
        let line = line.replace("NO-CARRIER,", "").replace(",LOWER_UP", "");
        let Some((before, after)) = line.split_once(" state ") else {
            return line;
        };
        let rest = after.split_once(' ').map_or("", |(_state, rest)| rest);
        format!("{before} {rest}")
    };
    let links = shown_by("ip", &["-o", "link"]);
    links.into_iter().map(essence).collect()
}

/// The addresses without those that the kernel gives a link by itself, some time later.
fn addresses() -> Vec<String> {
    let mut addresses = shown_by("ip", &["-o", "address"]);
    addresses.retain(|line| !line.contains(" inet6 fe80:"));
    addresses
}

/// The packet filter's rules without what they have counted; none on a host without `nft`.
fn rules() -> Vec<String> {
    use rustix::fs::{Access, access};
    let is_there = |directory| access(Path::new(directory).join("nft"), Access::EXEC_OK).is_ok();
    if ["/usr/sbin", "/usr/bin", "/sbin", "/bin"]
        .into_iter()
        .any(is_there)
    {
        shown_by("nft", &["--stateless", "list", "ruleset"])
    } else {
        Vec::new()
    }
}

/// The output of a program that runs here, on this thread's host, but in no test's cgroup.
fn shown_by(program: &str, args: &[&str]) -> Vec<String> {
    let output = Command::new(program).args(args).output();
    let output = output.unwrap_or_else(|error| panic!("{program}: {error}"));
    assert!(output.status.success(), "{program} {args:?}: {output:?}");
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .map(|line| line.trim().to_owned())
        .collect()
}

/// What is in Coop's directory, as far as it belongs to a container, network or stack.
fn files(root: &Path) -> Vec<String> {
    let mut found = Vec::new();
    walk(root, root, &mut found);
    found.sort();
    found
}

/// What lies in shared memory, where secrets are kept from the disk.
fn memory() -> Vec<String> {
    let mut found = Vec::new();
    walk(Path::new("/"), Path::new("/dev/shm"), &mut found);
    found.sort();
    found
}

fn walk(root: &Path, directory: &Path, found: &mut Vec<String>) {
    let Ok(entries) = fs::read_dir(directory) else {
        return;
    };
    for entry in entries.flatten() {
        let (Ok(kind), path) = (entry.file_type(), entry.path()) else {
            continue;
        };
        let name = path.strip_prefix(root).unwrap_or(&path);
        // data/images holds what was imported; it stays until `image rm`.
        if name == Path::new("data/images") {
            continue;
        }
        // What happened is remembered, up to a limit.
        if [Path::new("run/events"), Path::new("run/events.1")].contains(&name) {
            continue;
        }
        let depth = name.components().count();
        let structure = depth <= 2 && (kind.is_dir() || !holds_anything(&path));
        if !structure {
            found.push(name.display().to_string());
        }
        if kind.is_dir() {
            walk(root, &path, found);
        }
    }
}

/// False for a lock file and for a table (JSON) with no entry: they are there to be used.
fn holds_anything(file: &Path) -> bool {
    let text = fs::read(file).unwrap_or_default();
    if text.is_empty() {
        // A socket or a named pipe has no content either, but it has an owner.
        return !fs::symlink_metadata(file).is_ok_and(|meta| meta.is_file());
    }
    serde_json::from_slice(&text).map_or(true, |json| has_entries(&json))
}

fn has_entries(json: &serde_json::Value) -> bool {
    match json {
        serde_json::Value::Null => false,
        serde_json::Value::Array(list) => !list.is_empty(),
        serde_json::Value::Object(map) => map.values().any(has_entries),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The difference that `change` makes.
    fn difference_after(change: impl FnOnce(&Host)) -> String {
        let host = Host::new();
        let before = host.snapshot();
        change(&host);
        before.difference(&host.snapshot())
    }

    #[test]
    fn nothing_done_is_no_difference() {
        assert_eq!(difference_after(|_| ()), "");
    }

    #[test]
    fn a_link_left_over_is_seen() {
        let difference = difference_after(|host| {
            host.tool("ip")
                .args(["link", "add", "cooptest0", "type", "bridge"])
                .run()
                .success();
        });
        assert!(
            difference.contains("+ link:") && difference.contains("cooptest0"),
            "{difference}"
        );
    }

    #[test]
    fn an_address_left_over_is_seen() {
        let difference = difference_after(|host| {
            host.tool("ip")
                .args(["address", "add", "10.1.2.3/24", "dev", "lo"])
                .run()
                .success();
        });
        assert!(
            difference.contains("+ address:") && difference.contains("10.1.2.3"),
            "{difference}"
        );
    }

    #[test]
    fn a_rule_left_over_is_seen() {
        let difference = difference_after(|host| {
            host.tool("nft")
                .args(["add", "table", "inet", "cooptest"])
                .run()
                .success();
        });
        assert!(
            difference.contains("+ rule: table inet cooptest"),
            "{difference}"
        );
    }

    #[test]
    fn a_cgroup_left_over_is_seen_but_not_the_common_parent() {
        let difference = difference_after(|_| {
            let hierarchy = &cgroup::hierarchies()[0];
            fs::create_dir_all(hierarchy.join("coop/web/123")).unwrap();
        });
        assert!(difference.contains("+ cgroup:"), "{difference}");
        assert!(difference.contains("/coop/web/123"), "{difference}");
        assert!(
            difference.lines().all(|line| !line.ends_with("/coop")),
            "{difference}"
        );
    }

    #[test]
    fn a_mount_left_over_is_seen() {
        let difference = difference_after(|host| {
            let directory = host.work().join("mnt");
            fs::create_dir(&directory).unwrap();
            host.tool("mount")
                .args(["-t", "tmpfs", "left"])
                .arg(directory)
                .run()
                .success();
        });
        assert!(
            difference.contains("/work/mnt (tmpfs left)"),
            "{difference}"
        );
    }

    #[test]
    fn a_process_left_over_is_seen() {
        let difference = difference_after(|host| {
            let script = "sleep 1000 >/dev/null 2>&1 &";
            host.tool("sh").args(["-c", script]).run().success();
        });
        assert!(difference.contains("+ process:"), "{difference}");
        assert!(difference.contains("sleep 1000"), "{difference}");
    }

    #[test]
    fn files_of_containers_are_seen_but_not_images_locks_and_empty_tables() {
        let difference = difference_after(|host| {
            let root = host.coop_root();
            for directory in ["data/images/x", "data/containers/1", "run/stacks"] {
                fs::create_dir_all(root.join(directory)).unwrap();
            }
            fs::write(root.join("data/images/x/layer"), "image").unwrap();
            fs::write(root.join("run/lock"), "").unwrap();
            fs::write(root.join("data/ids.json"), r#"{"leases":[]}"#).unwrap();
            fs::write(root.join("data/net.json"), r#"{"leases":["10.0.0.2"]}"#).unwrap();
        });
        assert_eq!(
            difference,
            "  + file: data/containers/1\n  + file: data/net.json\n"
        );
    }

    #[test]
    fn something_lost_is_a_difference_too() {
        let host = Host::new();
        let before = host.snapshot();
        host.tool("ip")
            .args(["link", "set", "lo", "down"])
            .run()
            .success();
        assert!(before.difference(&host.snapshot()).contains("- link:"));
    }
}
