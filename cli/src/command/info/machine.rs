//! What the kernel and the system offer.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// This machine, as far as containers care.
#[derive(Debug)]
pub(in crate::command) struct Machine {
    /// Release of the kernel.
    pub kernel: String,
    /// Name and version of the distribution.
    pub system: String,
    /// Processors that can be used.
    pub cpus: usize,
    /// Bytes of memory.
    pub memory: u64,
    /// In Docker's words: `name=userns`...
    pub security: Vec<String>,
    /// Whether mounts can be id-mapped, overlay's layers included.
    pub id_mapped_mounts: bool,
    /// What overlay can do here.
    pub overlay: Vec<String>,
    /// Programs that Coop starts, with their places.
    pub tools: BTreeMap<&'static str, Option<PathBuf>>,
}

impl Machine {
    /// Looks at `/proc`, `/sys` and `PATH`. What cannot be read is not there.
    pub(in crate::command) fn look() -> Self {
        let kernel = rustix::system::uname()
            .release()
            .to_string_lossy()
            .into_owned();
        let version = release(&kernel);
        Self {
            system: system(),
            cpus: std::thread::available_parallelism().map_or(1, Into::into),
            memory: memory(),
            security: security(),
            // Overlay's id-mapped layers: `mount_setattr(2)` has it from 5.12, overlay from 5.19.
            id_mapped_mounts: version >= (5, 19),
            overlay: overlay(version),
            tools: ["ip", "nft"].map(|name| (name, find(name))).into(),
            kernel,
        }
    }

    /// Major and minor number of the kernel's release.
    pub(in crate::command) fn version(&self) -> (u32, u32) {
        release(&self.kernel)
    }

    /// What is missing, and what that means.
    pub(super) fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        for name in ["ip", "nft"] {
            if self.tools.get(name).is_none_or(Option::is_none) {
                warnings.push(format!(
                    "{name} is not installed: containers can have no network but the host's and none"
                ));
            }
        }
        if self.overlay.is_empty() {
            warnings.push("the kernel has no overlay filesystem".into());
        }
        if !self.id_mapped_mounts {
            warnings.push(format!(
                "Linux {} has no id-mapped layers (5.19 has): each container copies its image",
                self.kernel
            ));
        }
        if !self.security.iter().any(|option| option == "name=userns") {
            warnings
                .push("there are no user namespaces: containers have the host's user ids".into());
        }
        let forwarding = read("/proc/sys/net/ipv4/ip_forward");
        if forwarding.as_deref() == Some("0") {
            warnings.push("IPv4 forwarding is off until the first network needs it".into());
        }
        warnings
    }
}

fn read(path: &str) -> Option<String> {
    Some(fs::read_to_string(path).ok()?.trim().to_owned())
}

/// Major and minor number.
fn release(text: &str) -> (u32, u32) {
    let mut numbers = text
        .split(|c: char| !c.is_ascii_digit())
        .map(|part| part.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

fn system() -> String {
    let text = read("/etc/os-release").unwrap_or_default();
    let name = text
        .lines()
        .find_map(|line| line.strip_prefix("PRETTY_NAME="));
    name.map_or_else(|| "Linux".into(), |name| name.trim_matches('"').to_owned())
}

fn memory() -> u64 {
    let text = read("/proc/meminfo").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let kib: Option<u64> =
        line.and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse().ok());
    kib.unwrap_or(0) * 1024
}

/// What every container gets here: not what the kernel could do besides.
fn security() -> Vec<String> {
    let mut options = vec!["name=no-new-privileges"];
    // 0 forbids them.
    let most = read("/proc/sys/user/max_user_namespaces");
    if most.is_some_and(|most| most != "0") {
        options.push("name=userns");
    }
    if Path::new("/proc/self/ns/cgroup").exists() {
        options.push("name=cgroupns");
    }
    options.into_iter().map(str::to_owned).collect()
}

fn overlay(version: (u32, u32)) -> Vec<String> {
    let known = read("/proc/filesystems").is_some_and(|text| {
        text.lines()
            .any(|line| line.split_whitespace().last() == Some("overlay"))
    });
    if !known && !Path::new("/sys/module/overlay").exists() {
        return Vec::new();
    }
    let features = [
        ((3, 18), "overlay"),
        ((5, 10), "volatile"),
        ((5, 11), "userxattr"),
        ((5, 19), "id-mapped-layers"),
        ((6, 13), "layers-by-descriptor"),
    ];
    features
        .into_iter()
        .filter(|(since, _)| version >= *since)
        .map(|(_, feature)| feature.to_owned())
        .collect()
}

/// A program of the user's `PATH`, or where distributions keep those of the administrator.
fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let usual = ["/usr/sbin", "/sbin", "/usr/bin", "/bin"].map(PathBuf::from);
    std::env::split_paths(&path)
        .chain(usual)
        .map(|dir| dir.join(name))
        .find(|file| file.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_are_compared_by_number() {
        assert_eq!(release("6.18.5-arch1-1"), (6, 18));
        assert_eq!(release("5.4.0-150-generic"), (5, 4));
        assert!(release("6.8") > release("5.19.0"));
        assert_eq!(release("unknown"), (0, 0));
    }
}
