//! The eight kinds of namespace, one by one and as a set.

use std::fmt;

use bitflags::bitflags;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// One kind of namespace, see `namespaces(7)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Namespace {
    /// User and group ids, capabilities: `user_namespaces(7)`.
    #[serde(rename = "user")]
    User,
    /// Process ids: `pid_namespaces(7)`.
    #[serde(rename = "pid")]
    Pid,
    /// Host name and NIS domain name: `uts_namespaces(7)`.
    #[serde(rename = "uts")]
    Uts,
    /// System V IPC and POSIX message queues: `ipc_namespaces(7)`.
    #[serde(rename = "ipc")]
    Ipc,
    /// Network devices, addresses, ports: `network_namespaces(7)`.
    #[serde(rename = "net", alias = "network")]
    Net,
    /// Mount points: `mount_namespaces(7)`.
    #[serde(rename = "mnt", alias = "mount")]
    Mount,
    /// The cgroup root that a process sees: `cgroup_namespaces(7)`.
    #[serde(rename = "cgroup")]
    Cgroup,
    /// Offsets of the monotonic and boot-time clocks: `time_namespaces(7)`.
    #[serde(rename = "time")]
    Time,
}

impl Namespace {
    /// Every kind, in the order in which a container's namespaces are listed.
    pub const ALL: [Self; 8] = [
        Self::User,
        Self::Pid,
        Self::Uts,
        Self::Ipc,
        Self::Net,
        Self::Mount,
        Self::Cgroup,
        Self::Time,
    ];

    /// The name of its file in `/proc/PID/ns/`, which is also its short name.
    pub const fn file_name(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Pid => "pid",
            Self::Uts => "uts",
            Self::Ipc => "ipc",
            Self::Net => "net",
            Self::Mount => "mnt",
            Self::Cgroup => "cgroup",
            Self::Time => "time",
        }
    }
}

impl fmt::Display for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.file_name())
    }
}

bitflags! {
    /// A set of namespaces; the bits are the kernel's `CLONE_NEW*` flags.
    ///
    /// Displayed, and serialised as a list, by the names of `/proc/PID/ns/`:
    /// `user pid uts ipc net mnt cgroup time`.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
    pub struct Namespaces: u32 {
        /// `CLONE_NEWUSER`
        const USER = libc::CLONE_NEWUSER as u32;
        /// `CLONE_NEWPID`
        const PID = libc::CLONE_NEWPID as u32;
        /// `CLONE_NEWUTS`
        const UTS = libc::CLONE_NEWUTS as u32;
        /// `CLONE_NEWIPC`
        const IPC = libc::CLONE_NEWIPC as u32;
        /// `CLONE_NEWNET`
        const NET = libc::CLONE_NEWNET as u32;
        /// `CLONE_NEWNS`
        const MOUNT = libc::CLONE_NEWNS as u32;
        /// `CLONE_NEWCGROUP` (Linux 4.6)
        const CGROUP = libc::CLONE_NEWCGROUP as u32;
        /// `CLONE_NEWTIME` (Linux 5.6)
        const TIME = libc::CLONE_NEWTIME as u32;
    }
}

impl Namespaces {
    /// The namespaces of the set one by one, in the order of [`Namespace::ALL`].
    pub fn kinds(self) -> impl Iterator<Item = Namespace> {
        Namespace::ALL
            .into_iter()
            .filter(move |kind| self.contains((*kind).into()))
    }

    /// Those that the running kernel has, by the presence of their files in `/proc/self/ns`.
    pub fn supported() -> Self {
        Namespace::ALL
            .into_iter()
            .filter(|kind| {
                let path = format!("/proc/self/ns/{kind}");
                rustix::fs::access(path.as_str(), rustix::fs::Access::EXISTS).is_ok()
            })
            .collect()
    }
}

impl From<Namespace> for Namespaces {
    fn from(kind: Namespace) -> Self {
        match kind {
            Namespace::User => Self::USER,
            Namespace::Pid => Self::PID,
            Namespace::Uts => Self::UTS,
            Namespace::Ipc => Self::IPC,
            Namespace::Net => Self::NET,
            Namespace::Mount => Self::MOUNT,
            Namespace::Cgroup => Self::CGROUP,
            Namespace::Time => Self::TIME,
        }
    }
}

impl FromIterator<Namespace> for Namespaces {
    fn from_iter<I: IntoIterator<Item = Namespace>>(kinds: I) -> Self {
        kinds.into_iter().map(Self::from).collect()
    }
}

impl fmt::Display for Namespaces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, kind) in self.kinds().enumerate() {
            if position > 0 {
                f.write_str(" ")?;
            }
            write!(f, "{kind}")?;
        }
        Ok(())
    }
}

impl Serialize for Namespaces {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.kinds())
    }
}

impl<'de> Deserialize<'de> for Namespaces {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let kinds = Vec::<Namespace>::deserialize(deserializer)?;
        Ok(kinds.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn are_listed_in_a_fixed_order_by_their_proc_names() {
        let all_but_time = Namespaces::all() - Namespaces::TIME;
        assert_eq!(all_but_time.to_string(), "user pid uts ipc net mnt cgroup");
        assert_eq!(Namespaces::empty().to_string(), "");
    }

    #[test]
    fn are_saved_as_a_list_of_names_and_read_with_oci_names_too() {
        let set = Namespaces::MOUNT | Namespaces::NET;
        let json = serde_json::to_string(&set).unwrap();
        assert_eq!(json, r#"["net","mnt"]"#);
        assert_eq!(serde_json::from_str::<Namespaces>(&json).unwrap(), set);
        let oci: Namespaces = serde_json::from_str(r#"["mount","network"]"#).unwrap();
        assert_eq!(oci, set);
        assert!(serde_json::from_str::<Namespaces>(r#"["nett"]"#).is_err());
    }

    #[test]
    fn this_kernel_has_the_classic_ones() {
        let classic = Namespaces::PID | Namespaces::MOUNT | Namespaces::UTS;
        assert!(Namespaces::supported().contains(classic));
    }
}
