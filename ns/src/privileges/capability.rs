//! The names of capabilities.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A capability, see `capabilities(7)`. Displayed and serialised as `CAP_NAME`; read in any
/// case, with or without `CAP_`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Capability(u8);

macro_rules! capabilities {
    ($($number:literal $name:ident $doc:literal)*) => {
        impl Capability {
            $(#[doc = $doc] pub const $name: Self = Self($number);)*
        }

        /// The names, in the order of their numbers.
        const NAMES: &[&str] = &[$(concat!("CAP_", stringify!($name))),*];
    };
}

capabilities! {
    0 CHOWN "Give files to other users and groups."
    1 DAC_OVERRIDE "Read, write and execute files whatever their permissions."
    2 DAC_READ_SEARCH "Read files and search directories whatever their permissions."
    3 FOWNER "Do to files what only their owner may."
    4 FSETID "Keep set-user-id and set-group-id bits when changing a file."
    5 KILL "Send signals to processes of other users."
    6 SETGID "Change groups."
    7 SETUID "Change user."
    8 SETPCAP "Drop capabilities from the bounding set, change secure bits."
    9 LINUX_IMMUTABLE "Set the append-only and immutable flags of files."
    10 NET_BIND_SERVICE "Listen on ports below 1024."
    11 NET_BROADCAST "Unused by the kernel."
    12 NET_ADMIN "Configure interfaces, routes, firewalls."
    13 NET_RAW "Use raw and packet sockets."
    14 IPC_LOCK "Lock memory."
    15 IPC_OWNER "Use System V IPC objects whatever their permissions."
    16 SYS_MODULE "Load kernel modules."
    17 SYS_RAWIO "Access I/O ports and raw memory."
    18 SYS_CHROOT "Use `chroot(2)`, enter mount namespaces."
    19 SYS_PTRACE "Trace any process."
    20 SYS_PACCT "Switch process accounting."
    21 SYS_ADMIN "Mount, set up namespaces and many other things."
    22 SYS_BOOT "Reboot, load a new kernel."
    23 SYS_NICE "Raise priorities, set scheduling and affinity of any process."
    24 SYS_RESOURCE "Exceed quotas, raise resource limits."
    25 SYS_TIME "Set the clock."
    26 SYS_TTY_CONFIG "Hang up terminals."
    27 MKNOD "Make device nodes."
    28 LEASE "Take leases on any file."
    29 AUDIT_WRITE "Write to the audit log."
    30 AUDIT_CONTROL "Configure the audit log."
    31 SETFCAP "Set capabilities of files."
    32 MAC_OVERRIDE "Override mandatory access control (Smack)."
    33 MAC_ADMIN "Configure mandatory access control (Smack)."
    34 SYSLOG "Read kernel messages and addresses."
    35 WAKE_ALARM "Set timers that wake the system up."
    36 BLOCK_SUSPEND "Keep the system from suspending."
    37 AUDIT_READ "Read the audit log."
    38 PERFMON "Monitor performance (Linux 5.8)."
    39 BPF "Load BPF programs (Linux 5.8)."
    40 CHECKPOINT_RESTORE "Checkpoint and restore processes (Linux 5.9)."
}

impl Capability {
    /// How many this crate knows: those of Linux 5.9 and, so far, of all later ones.
    pub(super) const COUNT: u8 = NAMES.len() as u8;

    /// The capability with this number, if it is known.
    pub const fn new(number: u8) -> Option<Self> {
        if number < Self::COUNT {
            Some(Self(number))
        } else {
            None
        }
    }

    /// Its number in `linux/capability.h`.
    pub const fn number(self) -> u8 {
        self.0
    }

    /// All of them, by number.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..Self::COUNT).map(Self)
    }
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(NAMES[usize::from(self.0)])
    }
}

/// Not a capability's name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown capability {0:?}")]
pub struct ParseCapabilityError(pub String);

impl FromStr for Capability {
    type Err = ParseCapabilityError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let upper = text.to_ascii_uppercase();
        let name = upper.strip_prefix("CAP_").unwrap_or(&upper);
        Self::all()
            .find(|capability| NAMES[usize::from(capability.0)].strip_prefix("CAP_") == Some(name))
            .ok_or_else(|| ParseCapabilityError(text.to_owned()))
    }
}

impl Serialize for Capability {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Capability {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn numbers_are_those_of_the_kernel() {
        use rustix::thread::CapabilitySet as Kernel;
        for (ours, kernel) in [
            (Capability::CHOWN, Kernel::CHOWN),
            (Capability::NET_BIND_SERVICE, Kernel::NET_BIND_SERVICE),
            (Capability::SYS_ADMIN, Kernel::SYS_ADMIN),
            (Capability::SETFCAP, Kernel::SETFCAP),
            (Capability::CHECKPOINT_RESTORE, Kernel::CHECKPOINT_RESTORE),
        ] {
            assert_eq!(1 << ours.number(), kernel.bits());
        }
        for capability in Capability::all() {
            let name = capability.to_string();
            let kernel = Kernel::from_name(name.trim_start_matches("CAP_")).unwrap();
            assert_eq!(1 << capability.number(), kernel.bits(), "{name}");
        }
        assert_eq!(Capability::COUNT, 41);
    }

    #[test]
    fn names_are_read_with_and_without_prefix_in_any_case() {
        for text in ["CAP_NET_RAW", "NET_RAW", "cap_net_raw", "Net_Raw"] {
            assert_eq!(text.parse(), Ok(Capability::NET_RAW), "{text}");
        }
        for text in ["", "CAP_", "CAP_CAP_CHOWN", "ALL", "NETRAW", "0"] {
            assert!(text.parse::<Capability>().is_err(), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text in "\\PC{0,30}") {
            let _ = text.parse::<Capability>();
        }
    }
}
