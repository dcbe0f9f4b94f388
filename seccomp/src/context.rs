//! What a profile depends on beside its own text: architecture, capabilities, kernel.

use std::fmt;
use std::str::FromStr;

use crate::Arch;

/// For whom a profile is resolved.
///
/// A profile of Docker's kind says "this call for who has that capability", "on that
/// architecture", "from that kernel on". A [`Policy`](crate::Policy) has no such words: it is made
/// for one context.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Context {
    /// The ABI of the kernel that the filter is for.
    pub arch: Arch,
    /// The capabilities that a process may ever have: its bounding set.
    pub capabilities: Capabilities,
    /// The kernel's version.
    pub kernel: KernelVersion,
}

/// A set of capabilities, see `capabilities(7)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Capabilities(u64);

/// In the order of their numbers.
const NAMES: [&str; 41] = [
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_DAC_READ_SEARCH",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETPCAP",
    "CAP_LINUX_IMMUTABLE",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_BROADCAST",
    "CAP_NET_ADMIN",
    "CAP_NET_RAW",
    "CAP_IPC_LOCK",
    "CAP_IPC_OWNER",
    "CAP_SYS_MODULE",
    "CAP_SYS_RAWIO",
    "CAP_SYS_CHROOT",
    "CAP_SYS_PTRACE",
    "CAP_SYS_PACCT",
    "CAP_SYS_ADMIN",
    "CAP_SYS_BOOT",
    "CAP_SYS_NICE",
    "CAP_SYS_RESOURCE",
    "CAP_SYS_TIME",
    "CAP_SYS_TTY_CONFIG",
    "CAP_MKNOD",
    "CAP_LEASE",
    "CAP_AUDIT_WRITE",
    "CAP_AUDIT_CONTROL",
    "CAP_SETFCAP",
    "CAP_MAC_OVERRIDE",
    "CAP_MAC_ADMIN",
    "CAP_SYSLOG",
    "CAP_WAKE_ALARM",
    "CAP_BLOCK_SUSPEND",
    "CAP_AUDIT_READ",
    "CAP_PERFMON",
    "CAP_BPF",
    "CAP_CHECKPOINT_RESTORE",
];

impl Capabilities {
    /// None.
    pub const NONE: Self = Self(0);

    /// All that are known.
    pub const ALL: Self = Self((1 << NAMES.len()) - 1);

    /// From the kernel's bits: 1 shifted by a capability's number. Unknown ones are left out.
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits & Self::ALL.0)
    }

    /// Whether the capability of this name (`CAP_SYS_ADMIN`) is one of them.
    pub fn contains(self, name: &str) -> bool {
        Self::number(name).is_some_and(|number| self.0 & (1 << number) != 0)
    }

    /// These and the one of this name, or `None` when there is no such capability.
    pub fn with(self, name: &str) -> Option<Self> {
        Some(Self(self.0 | 1 << Self::number(name)?))
    }

    /// Whether a capability has this name.
    pub(crate) fn is_name(name: &str) -> bool {
        Self::number(name).is_some()
    }

    fn number(name: &str) -> Option<usize> {
        NAMES.iter().position(|known| *known == name)
    }
}

/// A kernel's version, as far as profiles look at it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct KernelVersion {
    /// 6 of 6.12.3.
    pub major: u32,
    /// 12 of 6.12.3.
    pub minor: u32,
}

impl KernelVersion {
    /// The version of the running kernel; 0.0 when it tells none.
    pub fn running() -> Self {
        let uname = rustix::system::uname();
        let release = uname.release().to_string_lossy();
        // `6.12.3-amd64`, `6.12-rc1`: two numbers, and whatever follows.
        let mut numbers = release
            .split(|c: char| !c.is_ascii_digit())
            .map(|digits| digits.parse().unwrap_or(0));
        Self {
            major: numbers.next().unwrap_or(0),
            minor: numbers.next().unwrap_or(0),
        }
    }
}

impl fmt::Display for KernelVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// What is no kernel version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no kernel version such as \"5.12\"")]
pub struct NotAVersion(String);

impl FromStr for KernelVersion {
    type Err = NotAVersion;

    fn from_str(text: &str) -> Result<Self, NotAVersion> {
        let number = |digits: &str| {
            let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
            plain.then(|| digits.parse().ok()).flatten()
        };
        text.split_once('.')
            .and_then(|(major, minor)| {
                Some(Self {
                    major: number(major)?,
                    minor: number(minor)?,
                })
            })
            .ok_or_else(|| NotAVersion(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capabilities_are_known_by_name_and_by_the_kernels_bits() {
        let admin = Capabilities::from_bits(1 << 21);
        assert!(admin.contains("CAP_SYS_ADMIN"));
        assert!(!admin.contains("CAP_CHOWN"));
        assert!(!admin.contains("SYS_ADMIN"));
        assert_eq!(Capabilities::NONE.with("CAP_SYS_ADMIN"), Some(admin));
        assert_eq!(admin.with("CAP_NOTHING"), None);
        assert_eq!(Capabilities::from_bits(u64::MAX), Capabilities::ALL);
        assert!(Capabilities::ALL.contains("CAP_CHECKPOINT_RESTORE"));
    }

    #[test]
    fn versions_are_compared_as_numbers() {
        let version = |text: &str| text.parse::<KernelVersion>();
        assert!(version("4.8").unwrap() < version("4.18").unwrap());
        assert!(version("5.0").unwrap() > version("4.18").unwrap());
        for bad in [
            "",
            "4",
            "4.",
            "4.x",
            "4.8.1",
            "-4.8",
            "+4.8",
            "99999999999.1",
        ] {
            assert!(version(bad).is_err(), "{bad}");
        }
        assert!(KernelVersion::running().major > 0);
    }
}
