//! Sets of capabilities.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Capability;

/// A set of capabilities; serialised as a list of names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct CapabilitySet(u64);

impl CapabilitySet {
    /// None.
    pub const EMPTY: Self = Self(0);

    /// All that this crate knows. The running kernel may have fewer.
    pub const ALL: Self = Self((1 << Capability::COUNT) - 1);

    /// What root in a container has unless asked otherwise: enough for everyday images,
    /// which install packages, create and drop to service users, and listen on low ports.
    ///
    /// | kept | for |
    /// |---|---|
    /// | `CHOWN`, `DAC_OVERRIDE`, `FOWNER` | package managers and entry points that own and fix files of their users |
    /// | `FSETID`, `SETFCAP` | unpacking set-id programs and programs with file capabilities |
    /// | `SETUID`, `SETGID` | servers and entry points that drop to their user |
    /// | `KILL` | supervisors that stop what runs as another user |
    /// | `NET_BIND_SERVICE` | servers on port 80 and the like |
    /// | `SYS_CHROOT` | servers that confine their workers (`sshd`, `apt`) |
    ///
    /// Docker's default has four more, which few images need: `NET_RAW` forges packets on
    /// the container's network (`ping` works without, through
    /// `net.ipv4.ping_group_range`), `MKNOD` makes device nodes, `AUDIT_WRITE` writes to the
    /// host's audit log, and `SETPCAP` changes capability sets.
    pub const DEFAULT: Self = Self::of(&[
        Capability::CHOWN,
        Capability::DAC_OVERRIDE,
        Capability::FOWNER,
        Capability::FSETID,
        Capability::KILL,
        Capability::NET_BIND_SERVICE,
        Capability::SETFCAP,
        Capability::SETGID,
        Capability::SETUID,
        Capability::SYS_CHROOT,
    ]);

    /// The set of these.
    pub const fn of(capabilities: &[Capability]) -> Self {
        let mut bits = 0;
        let mut index = 0;
        while index < capabilities.len() {
            bits |= 1 << capabilities[index].number();
            index += 1;
        }
        Self(bits)
    }

    /// From the kernel's bits, without those that this crate has no names for.
    pub const fn from_bits_truncate(bits: u64) -> Self {
        Self(bits & Self::ALL.0)
    }

    /// The kernel's bits: 1 shifted by [`Capability::number`].
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// Whether the capability is in the set.
    pub const fn contains(self, capability: Capability) -> bool {
        self.0 & (1 << capability.number()) != 0
    }

    /// Adds a capability.
    pub fn insert(&mut self, capability: Capability) {
        self.0 |= 1 << capability.number();
    }

    /// Takes a capability away.
    pub fn remove(&mut self, capability: Capability) {
        self.0 &= !(1 << capability.number());
    }

    /// Those in one or the other.
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Those in both.
    pub const fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Those that are not in the other.
    pub const fn difference(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether there are none.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// One by one, by number.
    pub fn iter(self) -> impl Iterator<Item = Capability> {
        Capability::all().filter(move |capability| self.contains(*capability))
    }
}

impl FromIterator<Capability> for CapabilitySet {
    fn from_iter<I: IntoIterator<Item = Capability>>(capabilities: I) -> Self {
        let mut set = Self::EMPTY;
        set.extend(capabilities);
        set
    }
}

impl Extend<Capability> for CapabilitySet {
    fn extend<I: IntoIterator<Item = Capability>>(&mut self, capabilities: I) {
        for capability in capabilities {
            self.insert(capability);
        }
    }
}

impl fmt::Display for CapabilitySet {
    /// Names separated by spaces, or `none`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.write_str("none");
        }
        for (position, capability) in self.iter().enumerate() {
            if position > 0 {
                f.write_str(" ")?;
            }
            write!(f, "{capability}")?;
        }
        Ok(())
    }
}

impl Serialize for CapabilitySet {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}

impl<'de> Deserialize<'de> for CapabilitySet {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let capabilities = Vec::<Capability>::deserialize(deserializer)?;
        Ok(capabilities.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_default_lets_nothing_dangerous_through() {
        assert_eq!(CapabilitySet::DEFAULT.iter().count(), 10);
        for capability in [
            Capability::SYS_ADMIN,
            Capability::NET_ADMIN,
            Capability::NET_RAW,
            Capability::MKNOD,
            Capability::SYS_PTRACE,
            Capability::SYS_MODULE,
        ] {
            assert!(!CapabilitySet::DEFAULT.contains(capability));
        }
    }

    #[test]
    fn is_saved_as_a_list_of_names() {
        let set = CapabilitySet::of(&[Capability::KILL, Capability::CHOWN]);
        let json = serde_json::to_string(&set).unwrap();
        assert_eq!(json, r#"["CAP_CHOWN","CAP_KILL"]"#);
        assert_eq!(set.to_string(), "CAP_CHOWN CAP_KILL");
        assert_eq!(CapabilitySet::EMPTY.to_string(), "none");
    }

    proptest! {
        #[test]
        fn any_set_survives_saving(bits in any::<u64>()) {
            let set = CapabilitySet::from_bits_truncate(bits);
            let json = serde_json::to_string(&set).unwrap();
            prop_assert_eq!(serde_json::from_str::<CapabilitySet>(&json).unwrap(), set);
        }

        #[test]
        fn sets_behave_as_sets(a in any::<u64>(), b in any::<u64>()) {
            let a = CapabilitySet::from_bits_truncate(a);
            let b = CapabilitySet::from_bits_truncate(b);
            prop_assert_eq!(a.difference(b).union(a.intersection(b)), a);
            prop_assert!(a.difference(b).intersection(b).is_empty());
            prop_assert_eq!(a.iter().collect::<CapabilitySet>(), a);
        }
    }
}
