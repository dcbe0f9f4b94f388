//! What stops an attack, and how it is turned off by name.

use std::fmt;

/// A guard of a row.
#[derive(Debug, Clone, Copy)]
pub struct Guard {
    /// What it is.
    pub by: By,
    /// How the attack is denied when all other guards of the row are off. `None` where it
    /// cannot be told: it opens with another guard, or is there on some kernels only.
    pub alone: Option<&'static str>,
    /// The flags that put it in force, where a default container has none.
    pub on: &'static [&'static str],
    /// The flags that turn it off.
    off: &'static [&'static str],
}

/// The kinds of guards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// The container's own network, pid, mount... namespace.
    Namespace(&'static str),
    /// The container's root is nobody on the host: its capabilities are those of its own user
    /// namespace, and what belongs to the host's root does not belong to it.
    UserNamespace,
    /// A capability that the container does not have.
    Capability(&'static str),
    /// The system-call filter.
    Seccomp,
    /// Something is mounted over the file, or the directory.
    Mask,
    /// The file is on a mount that is read-only.
    ReadOnly,
    /// The cgroup's list of devices.
    Devices,
    /// `no_new_privs`.
    NoNewPrivileges,
    /// A limit.
    Limit(&'static str),
    /// What is named.
    Other(&'static str),
}

impl Guard {
    /// A guard that goes by these flags.
    pub const fn new(by: By, off: &'static [&'static str]) -> Self {
        Self {
            by,
            alone: None,
            on: &[],
            off,
        }
    }

    /// The same; alone it denies the attack in this way.
    pub const fn alone(self, denial: &'static str) -> Self {
        Self {
            alone: Some(denial),
            ..self
        }
    }

    /// The same, in force only with these flags.
    pub const fn on(self, flags: &'static [&'static str]) -> Self {
        Self { on: flags, ..self }
    }

    /// The flags that turn it off.
    pub fn off(&self) -> Vec<&'static str> {
        match self.by {
            By::Capability(name) => vec!["--cap-add", name],
            _ => self.off.to_vec(),
        }
    }
}

impl fmt::Display for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.by {
            By::Namespace(kind) => write!(f, "{kind} namespace"),
            By::UserNamespace => f.write_str("user namespace"),
            By::Capability(name) => write!(f, "no {name}"),
            By::Seccomp => f.write_str("seccomp"),
            By::Mask => f.write_str("mask"),
            By::ReadOnly => f.write_str("read-only path"),
            By::Devices => f.write_str("device list"),
            By::NoNewPrivileges => f.write_str("no_new_privs"),
            By::Limit(name) => write!(f, "{name} limit"),
            By::Other(name) => f.write_str(name),
        }
    }
}
