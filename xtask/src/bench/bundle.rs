//! `config.json` of the OCI runtimes that Coop is compared with: the configuration of a default
//! container of Coop, word for word.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use coop_seccomp::oci::Seccomp;
use coop_seccomp::{Action, Arch, BuiltIn, Capabilities, Context, Flags, KernelVersion};
use serde_json::{Value, json};

/// The host's id of a container's root, as in the floor program.
pub(crate) const FIRST_ID: u32 = 0x7000_0000;
/// How many ids a container has.
pub(crate) const IDS: u32 = 65_536;

/// What differs between containers.
pub(crate) struct Bundle<'a> {
    /// The root filesystem.
    pub(crate) rootfs: &'a Path,
    /// The directory of `hosts`, `hostname` and `resolv.conf`.
    pub(crate) names: PathBuf,
    /// The container's cgroup.
    pub(crate) cgroup: &'a str,
    /// The program and its arguments.
    pub(crate) argv: &'a [&'a str],
    /// What [`seccomp`] has made.
    pub(crate) seccomp: &'a Value,
}

/// Coop's default filter in the words of the OCI runtime-spec, which has none for a call
/// that is refused under conditions and allowed else: the others get a shorter one.
pub(crate) fn seccomp() -> Result<Value> {
    let capabilities = CAPABILITIES
        .iter()
        .try_fold(Capabilities::NONE, |set, name| set.with(name))
        .context("a capability that is none")?;
    let mut policy = BuiltIn::Default.policy(&Context {
        arch: Arch::native(),
        capabilities,
        kernel: KernelVersion::running(),
    });
    policy
        .rules
        .retain(|rule| rule.conditions.is_empty() || rule.action == Action::Allow);
    // runc refused all of them until 1.2.
    policy.flags = Flags::empty();
    let object = Seccomp::from_policy(&policy).context("the default filter as an OCI runtime's")?;
    Ok(serde_json::to_value(object)?)
}

const CAPABILITIES: [&str; 10] = [
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_NET_BIND_SERVICE",
    "CAP_SETFCAP",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SYS_CHROOT",
];

const MASKED: [&str; 12] = [
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
];

const READ_ONLY: [&str; 5] = [
    "/proc/bus",
    "/proc/fs",
    "/proc/irq",
    "/proc/sys",
    "/proc/sysrq-trigger",
];

impl Bundle<'_> {
    /// The file's content.
    pub(crate) fn config(&self) -> Value {
        let namespaces: Vec<_> = ["pid", "mount", "uts", "ipc", "network", "cgroup", "user"]
            .iter()
            .map(|kind| json!({ "type": kind }))
            .collect();
        let ids = json!([{ "containerID": 0, "hostID": FIRST_ID, "size": IDS }]);
        json!({
            "ociVersion": "1.0.0",
            "process": {
                "terminal": false,
                "user": { "uid": 0, "gid": 0 },
                "args": self.argv,
                "env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
                "cwd": "/",
                "capabilities": {
                    "bounding": CAPABILITIES,
                    "effective": CAPABILITIES,
                    "permitted": CAPABILITIES,
                },
                "noNewPrivileges": true,
            },
            "root": { "path": self.rootfs, "readonly": false },
            "hostname": "bench",
            "mounts": self.mounts(),
            "linux": {
                "namespaces": namespaces,
                "uidMappings": ids,
                "gidMappings": ids,
                "cgroupsPath": self.cgroup,
                "resources": {
                    "devices": [{ "allow": false, "access": "rwm" }],
                    "pids": { "limit": 2048 },
                },
                "maskedPaths": MASKED,
                "readonlyPaths": READ_ONLY,
                "seccomp": self.seccomp,
            },
        })
    }

    fn mounts(&self) -> Value {
        let bind = |name: &str| {
            json!({
                "destination": format!("/etc/{name}"),
                "type": "bind",
                "source": self.names.join(name),
                "options": ["bind", "rprivate"],
            })
        };
        let mount = |kind: &str, place: &str, options: &[&str]| json!({ "destination": place, "type": kind, "source": kind, "options": options });
        json!([
            mount("proc", "/proc", &["nosuid", "nodev", "noexec"]),
            mount("tmpfs", "/dev", &["nosuid", "mode=755", "size=64m"]),
            mount(
                "devpts",
                "/dev/pts",
                &[
                    "nosuid",
                    "noexec",
                    "newinstance",
                    "ptmxmode=0666",
                    "mode=0620",
                    "gid=5"
                ],
            ),
            mount(
                "tmpfs",
                "/dev/shm",
                &["nosuid", "nodev", "noexec", "mode=1777", "size=64m"],
            ),
            mount("mqueue", "/dev/mqueue", &["nosuid", "nodev", "noexec"]),
            mount("sysfs", "/sys", &["nosuid", "nodev", "noexec", "ro"]),
            mount(
                "cgroup",
                "/sys/fs/cgroup",
                &["nosuid", "nodev", "noexec", "ro"]
            ),
            bind("hosts"),
            bind("hostname"),
            bind("resolv.conf"),
        ])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_configuration_is_that_of_a_default_container() {
        let bundle = Bundle {
            rootfs: Path::new("/bench/rootfs"),
            names: "/bench/names".into(),
            cgroup: "/coop-bench/one",
            argv: &["/bin/true"],
            seccomp: &json!({ "defaultAction": "SCMP_ACT_ERRNO" }),
        };
        insta::assert_json_snapshot!(bundle.config());
    }
}
