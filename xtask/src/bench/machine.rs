//! On what was measured.

use std::fs;
use std::process::Command;

use serde::{Deserialize, Serialize};

use super::hierarchies;
use super::site::Site;
use super::tools::Tools;
use crate::cargo::workspace;

/// A description of the machine and of what was measured on it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Machine {
    /// The processor's name.
    pub(crate) processor: String,
    /// How many of them.
    pub(crate) processors: usize,
    /// How their speed is governed, where that can be read.
    pub(crate) governor: Option<String>,
    /// The kernel's release.
    pub(crate) kernel: String,
    /// The cgroup version that was used.
    pub(crate) cgroup: String,
    /// How busy the machine was before: processes that ran, on average of a minute.
    pub(crate) load: f64,
    /// Coop's commit; with a mark when there were changes.
    pub(crate) commit: String,
    /// What all programs say of themselves.
    pub(crate) versions: Vec<String>,
}

/// Where the binary comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Built {
    /// From the tree that this program is of.
    Here,
    /// From somewhere else: it was named.
    Elsewhere,
}

impl Machine {
    /// This one.
    pub(crate) fn here(site: &Site, tools: &Tools, built: Built) -> Self {
        let read = |path: &str| fs::read_to_string(path).map(|text| text.trim().to_owned());
        let load = read("/proc/loadavg").unwrap_or_default();
        Self {
            processor: processor(&read("/proc/cpuinfo").unwrap_or_default()),
            processors: std::thread::available_parallelism().map_or(1, usize::from),
            governor: read("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor").ok(),
            kernel: read("/proc/sys/kernel/osrelease").unwrap_or_default(),
            cgroup: hierarchies::version(site.hierarchies()).into(),
            load: load
                .split(' ')
                .next()
                .and_then(|word| word.parse().ok())
                .unwrap_or_default(),
            commit: match built {
                Built::Here => commit().unwrap_or_else(|| "an unknown commit".into()),
                Built::Elsewhere => "an unknown commit, built elsewhere".into(),
            },
            versions: tools.versions(),
        }
    }
}

fn processor(cpuinfo: &str) -> String {
    let line = cpuinfo.lines().find(|line| line.starts_with("model name"));
    let name = line.and_then(|line| line.split_once(':'));
    name.map_or("unknown", |(_, name)| name.trim()).to_owned()
}

fn commit() -> Option<String> {
    let output = Command::new("git")
        .args(["describe", "--always", "--dirty", "--exclude", "*"])
        .current_dir(workspace())
        .output()
        .ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    Some(text.trim().to_owned()).filter(|text| !text.is_empty())
}
