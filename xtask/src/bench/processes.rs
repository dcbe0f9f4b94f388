//! Processes of the machine, as far as they belong to what is measured.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// A process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Process(PathBuf);

/// What a process holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Held {
    /// Its share of memory, in bytes: pages that several have count in part.
    pub(crate) proportional: u64,
    /// All its memory, in bytes.
    pub(crate) resident: u64,
    /// Open descriptors.
    pub(crate) descriptors: u64,
}

impl std::ops::AddAssign for Held {
    fn add_assign(&mut self, other: Self) {
        self.proportional += other.proportional;
        self.resident += other.resident;
        self.descriptors += other.descriptors;
    }
}

/// The processes whose program is called `name`, and whose arguments name the directory `site`.
///
/// # Errors
/// When the list cannot be read.
pub(crate) fn of(name: &str, site: &Path) -> Result<Vec<Process>> {
    let entries = fs::read_dir("/proc").context("list processes")?;
    let ours = |process: &PathBuf| {
        let Ok(program) = fs::read_link(process.join("exe")) else {
            return false;
        };
        let words = fs::read(process.join("cmdline")).unwrap_or_default();
        let site = site.as_os_str().as_bytes();
        program.file_name().is_some_and(|it| it == name)
            && words.windows(site.len()).any(|part| part == site)
    };
    let all = entries.flatten().map(|entry| entry.path());
    Ok(all.filter(ours).map(Process).collect())
}

/// What all of them hold together.
///
/// # Errors
/// When one is gone meanwhile.
pub(crate) fn held(processes: &[Process]) -> Result<Held> {
    let mut sum = Held::default();
    for Process(process) in processes {
        let file = process.join("smaps_rollup");
        let text = fs::read_to_string(&file).with_context(|| format!("read {}", file.display()))?;
        sum += Held {
            proportional: kibibytes(&text, "Pss:").context("no Pss in smaps_rollup")? << 10,
            resident: kibibytes(&text, "Rss:").context("no Rss in smaps_rollup")? << 10,
            descriptors: fs::read_dir(process.join("fd"))?.count() as u64,
        };
    }
    Ok(sum)
}

fn kibibytes(text: &str, key: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(key))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_read_from_the_sums_of_a_process() {
        let text = "00400000-7ff [rollup]\nRss:    1280 kB\nPss:    1276 kB\nPss_Dirty:  9 kB\n";
        assert_eq!(kibibytes(text, "Pss:"), Some(1276));
        assert_eq!(kibibytes(text, "Rss:"), Some(1280));
        assert_eq!(kibibytes(text, "Swap:"), None);
    }

    #[test]
    fn this_process_holds_something() {
        let held = held(&[Process("/proc/self".into())]).unwrap();
        assert!(held.proportional > 0 && held.resident >= held.proportional);
        assert!(held.descriptors > 2);
    }
}
