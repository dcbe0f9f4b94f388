//! Removing what a scenario has left that failed or was stopped by a signal.
//!
//! Nothing here fails: what cannot be removed is told, and the rest goes on.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;
use rustix::mount::{UnmountFlags, unmount};

use super::engine::Engine;
use super::hierarchies::Hierarchy;
use super::measure::{run, succeed};
use super::stand::{CGROUP, Stand};

/// The containers of all engines.
pub(super) fn containers(stand: &Stand<'_>) {
    for engine in Engine::ALL {
        if engine.is_there(stand) {
            told(remove_all(stand, engine), engine.name());
        }
    }
}

fn remove_all(stand: &Stand<'_>, engine: Engine) -> Result<()> {
    match engine {
        Engine::Coop => {
            let left = succeed(&stand.coop(&["ps", "--all", "--quiet"]))?.output;
            if !left.trim().is_empty() {
                let remove = stand.coop(&["rm", "--force"]);
                succeed(&remove.with(left.split_whitespace()))?;
            }
        }
        Engine::Oci(peer) => {
            for name in names_in(&stand.site.run().join(peer.program())) {
                // One that was half made, or half removed, may be none any more.
                let _ = run(&engine.remove(stand, &name));
            }
        }
        // To ask takes as long as a container does.
        Engine::Podman if !stand.site.path("podman").exists() => {}
        Engine::Podman => {
            let all = ["rm", "--all", "--force", "--time", "0"];
            succeed(&stand.podman().with(all))?;
        }
    }
    Ok(())
}

fn names_in(directory: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(directory) else {
        return Vec::new();
    };
    entries
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect()
}

/// The cgroups of the other engines, which remove those of containers and leave the ones above.
pub(super) fn cgroups(hierarchies: &[Hierarchy]) {
    for hierarchy in hierarchies {
        remove_cgroup(&hierarchy.point.join(CGROUP));
    }
}

fn remove_cgroup(directory: &Path) {
    let Ok(entries) = fs::read_dir(directory) else {
        return;
    };
    for entry in entries.flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_cgroup(&entry.path());
        }
    }
    let _ = fs::remove_dir(directory);
}

/// What is mounted below the site's directory, the last one first.
pub(super) fn mounts(directory: &Path) {
    let table = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    for point in below(&table, directory).iter().rev() {
        let _ = unmount(point, UnmountFlags::DETACH);
    }
}

fn below(table: &str, directory: &Path) -> Vec<PathBuf> {
    let points = table.lines().filter_map(|line| line.split(' ').nth(4));
    let points = points.map(PathBuf::from);
    points.filter(|it| it.starts_with(directory)).collect()
}

fn told(done: Result<()>, who: &str) {
    if let Err(error) = done {
        eprintln!("bench: cannot remove what {who} has left: {error:#}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_mounts_of_the_site_are_unmounted() {
        let table = "\
22 1 254:0 / / rw - ext4 /dev/vda rw
40 22 0:40 / /t/bench-1/overlay/root rw - overlay overlay rw
41 22 0:41 / /t/bench-10/x rw - overlay overlay rw
";
        assert_eq!(
            below(table, Path::new("/t/bench-1")),
            [PathBuf::from("/t/bench-1/overlay/root")]
        );
    }
}
