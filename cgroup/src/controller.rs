//! Names of the kernel's resource controllers.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::Version;

/// A resource controller that Coop uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Controller {
    /// Scheduling weight and bandwidth.
    Cpu,
    /// CPU time accounting; a hierarchy of its own on v1, part of v2's core.
    Cpuacct,
    /// Placement on CPUs and memory nodes.
    Cpuset,
    /// Memory and swap.
    Memory,
    /// Number of tasks.
    Pids,
    /// Block I/O: `io` on v2, `blkio` on v1.
    Io,
    /// Huge pages.
    Hugetlb,
    /// Access to device nodes: a hierarchy on v1, a BPF program on v2.
    Devices,
    /// Freezing; a hierarchy of its own on v1, part of v2's core.
    Freezer,
}

impl Controller {
    /// Every controller, in the order in which Coop joins v1 hierarchies.
    pub const ALL: [Self; 9] = [
        Self::Freezer,
        Self::Cpu,
        Self::Cpuacct,
        Self::Memory,
        Self::Pids,
        Self::Io,
        Self::Devices,
        Self::Cpuset,
        Self::Hugetlb,
    ];

    /// The kernel's name for it in the given version.
    pub fn name(self, version: Version) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Cpuacct => "cpuacct",
            Self::Cpuset => "cpuset",
            Self::Memory => "memory",
            Self::Pids => "pids",
            Self::Io if version == Version::V2 => "io",
            Self::Io => "blkio",
            Self::Hugetlb => "hugetlb",
            Self::Devices => "devices",
            Self::Freezer => "freezer",
        }
    }

    /// The controller with this name in either version.
    pub fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "cpu" => Self::Cpu,
            "cpuacct" => Self::Cpuacct,
            "cpuset" => Self::Cpuset,
            "memory" => Self::Memory,
            "pids" => Self::Pids,
            "io" | "blkio" => Self::Io,
            "hugetlb" => Self::Hugetlb,
            "devices" => Self::Devices,
            "freezer" => Self::Freezer,
            _ => return None,
        })
    }

    const fn bit(self) -> u16 {
        1 << self as u16
    }
}

impl fmt::Display for Controller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Io => "io (blkio)",
            other => other.name(Version::V2),
        })
    }
}

/// A set of [`Controller`]s.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Controllers(u16);

impl Controllers {
    /// The empty set.
    pub const NONE: Self = Self(0);

    /// Whether `controller` is in the set.
    pub const fn contains(self, controller: Controller) -> bool {
        self.0 & controller.bit() != 0
    }

    /// Whether every controller of `other` is in this set.
    pub const fn contains_all(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether the two sets share a controller.
    pub const fn intersects(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// Whether the set is empty.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The set with `controller` added.
    #[must_use]
    pub const fn with(self, controller: Controller) -> Self {
        Self(self.0 | controller.bit())
    }

    /// What is in both sets.
    #[must_use]
    pub const fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// What is in either set.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// What is in this set and not in `other`.
    #[must_use]
    pub const fn difference(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// The controllers of the set, in the order of [`Controller::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Controller> {
        Controller::ALL
            .into_iter()
            .filter(move |controller| self.contains(*controller))
    }

    /// Reads names separated by `separator`; names that Coop does not use are left out.
    pub(crate) fn parse(names: &str, separator: char) -> Self {
        names
            .trim()
            .split(separator)
            .filter_map(Controller::from_name)
            .collect()
    }
}

impl FromIterator<Controller> for Controllers {
    fn from_iter<I: IntoIterator<Item = Controller>>(iter: I) -> Self {
        iter.into_iter().fold(Self::NONE, Self::with)
    }
}

impl fmt::Debug for Controllers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}
