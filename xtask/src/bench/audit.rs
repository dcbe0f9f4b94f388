//! What a contender's container is, looked at from inside: who does less has an easier race.

use std::fmt;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use super::measure::{Words, succeed};

const NAMESPACES: [&str; 7] = ["cgroup", "ipc", "mnt", "net", "pid", "user", "uts"];

/// For a shell that has busybox.
pub(crate) const SCRIPT: &str = "\
b=/bin/busybox
$b grep -E '^(CapEff|NoNewPrivs|Seccomp):' /proc/self/status
echo mounts: $($b wc -l < /proc/self/mountinfo)
echo pids: $($b cat /sys/fs/cgroup/pids/pids.max /sys/fs/cgroup/pids.max 2>/dev/null)
echo ids: $($b awk '{ n += $3 } END { print n }' /proc/self/uid_map)
for n in cgroup ipc mnt net pid user uts; do echo $n: $($b readlink /proc/self/ns/$n); done";

/// What was found.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Inside {
    /// Namespaces that are not the host's.
    namespaces: usize,
    mounts: u64,
    capabilities: u32,
    no_new_privs: bool,
    seccomp: bool,
    /// The limit of processes.
    pids: Option<u64>,
    /// How many ids its user namespace has.
    ids: u64,
}

impl Inside {
    /// Runs `words`, a container with a shell that runs [`SCRIPT`].
    ///
    /// # Errors
    /// When it fails, or says something else.
    pub(crate) fn look(words: &Words) -> Result<Self> {
        let output = succeed(words)?.output;
        let host = NAMESPACES.map(|kind| {
            let link = fs::read_link(Path::new("/proc/self/ns").join(kind)).unwrap_or_default();
            (kind, link.to_string_lossy().into_owned())
        });
        Self::read(&output, &host).with_context(|| format!("{words} printed:\n{output}"))
    }

    fn read(output: &str, host: &[(&str, String)]) -> Option<Self> {
        let value = |key: &str| {
            let mut values = output.lines().filter_map(|line| line.split_once(':'));
            values.find_map(|(name, value)| (name == key).then_some(value.trim()))
        };
        let new = |(kind, id): &&(&str, String)| value(kind).is_some_and(|inside| inside != id);
        Some(Self {
            namespaces: host.iter().filter(new).count(),
            mounts: value("mounts")?.parse().ok()?,
            capabilities: u64::from_str_radix(value("CapEff")?, 16).ok()?.count_ones(),
            no_new_privs: value("NoNewPrivs")? == "1",
            seccomp: value("Seccomp")? != "0",
            pids: value("pids")?.parse().ok(),
            ids: value("ids")?.parse().ok()?,
        })
    }
}

impl fmt::Display for Inside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} namespaces, {} mounts, {} capabilities, {} ids, ",
            self.namespaces, self.mounts, self.capabilities, self.ids
        )?;
        match self.pids {
            Some(pids) => write!(f, "at most {pids} processes")?,
            None => f.write_str("no limit of processes")?,
        }
        if self.no_new_privs {
            f.write_str(", no_new_privs")?;
        }
        if self.seccomp {
            f.write_str(", seccomp")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_container_has_is_counted() {
        let host = NAMESPACES.map(|kind| (kind, format!("{kind}:[1]")));
        let output = "\
CapEff:\t00000000800404fb
NoNewPrivs:\t1
Seccomp:\t0
mounts: 27
pids: 2048
ids: 65536
cgroup: cgroup:[1]
ipc: ipc:[2]
mnt: mnt:[2]
net: net:[2]
pid: pid:[2]
user: user:[2]
uts: uts:[2]
";
        let inside = Inside::read(output, &host).unwrap();
        insta::assert_snapshot!(inside, @"6 namespaces, 27 mounts, 10 capabilities, 65536 ids, at most 2048 processes, no_new_privs");
    }

    #[test]
    fn a_container_that_says_nothing_is_not_understood() {
        assert_eq!(Inside::read("", &[]), None);
    }
}
