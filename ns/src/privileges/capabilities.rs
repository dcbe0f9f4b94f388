//! The five capability sets of a process and the order in which they can be set.

use rustix::io::Errno;
use rustix::thread::{
    CapabilitySet as KernelSet, CapabilitySets, capabilities, capability_is_in_ambient_set,
    capability_is_in_bounding_set, clear_ambient_capability_set,
    configure_capability_in_ambient_set, remove_capability_from_bounding_set, set_capabilities,
    set_keep_capabilities,
};
use serde::{Deserialize, Serialize};

use super::{CapabilitySet, Error};

/// The capability sets of a process, see `capabilities(7)`, with the meaning that the OCI
/// runtime specification gives them: what the process has when the program starts is what is
/// written here, as far as `execve` carries it over. For root that is the bounding set
/// within the permitted one; for another user the ambient set and what files grant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Capabilities {
    /// What the process and its children can ever get.
    pub bounding: CapabilitySet,
    /// What the process can do.
    pub effective: CapabilitySet,
    /// What the process can make effective.
    pub permitted: CapabilitySet,
    /// What files with inheritable capabilities can grant.
    pub inheritable: CapabilitySet,
    /// What programs get that are not privileged by user or file; within permitted and
    /// inheritable.
    pub ambient: CapabilitySet,
}

impl Capabilities {
    /// For a process that runs as root in its user namespace. Nothing is inheritable:
    /// inheritable capabilities would let any user run files that carry them
    /// (CVE-2022-24769).
    pub const fn for_root(set: CapabilitySet) -> Self {
        Self {
            bounding: set,
            effective: set,
            permitted: set,
            inheritable: CapabilitySet::EMPTY,
            ambient: CapabilitySet::EMPTY,
        }
    }

    /// For a process that runs as another user: it has none, and its children can get those
    /// of `set` through set-user-id programs and file capabilities, unless `no_new_privs`
    /// prevents it. What Docker gives.
    pub const fn for_user(set: CapabilitySet) -> Self {
        Self {
            bounding: set,
            effective: CapabilitySet::EMPTY,
            permitted: CapabilitySet::EMPTY,
            inheritable: CapabilitySet::EMPTY,
            ambient: CapabilitySet::EMPTY,
        }
    }

    /// The same, with those of `ambient` that are within the bounding set for the process
    /// itself, over each `execve`: permitted, effective, inheritable and ambient. What Podman
    /// gives another user than root by `--cap-add`.
    #[must_use]
    pub const fn with_ambient(self, ambient: CapabilitySet) -> Self {
        let ambient = ambient.intersection(self.bounding);
        Self {
            bounding: self.bounding,
            effective: self.effective.union(ambient),
            permitted: self.permitted.union(ambient),
            inheritable: self.inheritable.union(ambient),
            ambient: self.ambient.union(ambient),
        }
    }

    /// Those of the calling thread.
    ///
    /// # Errors
    /// [`Error::ReadCapabilities`].
    pub fn current() -> Result<Self, Error> {
        let CapabilitySets {
            effective,
            permitted,
            inheritable,
        } = capabilities(None).map_err(Error::ReadCapabilities)?;
        let mut bounding = 0;
        let mut ambient = 0;
        for capability in kernel_capabilities(capability_is_in_bounding_set) {
            let (capability, bounded) = capability.map_err(Error::ReadCapabilities)?;
            if bounded {
                bounding |= capability.bits();
            }
            if capability_is_in_ambient_set(capability).map_err(Error::ReadCapabilities)? {
                ambient |= capability.bits();
            }
        }
        Ok(Self {
            bounding: CapabilitySet::from_bits_truncate(bounding),
            effective: from_kernel(effective),
            permitted: from_kernel(permitted),
            inheritable: from_kernel(inheritable),
            ambient: CapabilitySet::from_bits_truncate(ambient),
        })
    }

    /// The same without what is not in `set`: to ask for "all" where a kernel or a
    /// restricted root has fewer, see [`Capabilities::current`].
    pub const fn within(self, set: CapabilitySet) -> Self {
        Self {
            bounding: self.bounding.intersection(set),
            effective: self.effective.intersection(set),
            permitted: self.permitted.intersection(set),
            inheritable: self.inheritable.intersection(set),
            ambient: self.ambient.intersection(set),
        }
    }

    /// Checks what would not be kept: the effective set must be within the permitted one, the
    /// ambient set within the permitted and the inheritable one, and the inheritable set
    /// within the bounding one.
    ///
    /// # Errors
    /// [`Error::ContradictingSets`].
    pub fn validate(&self) -> Result<(), Error> {
        let within = |set, inner: CapabilitySet, not_in, outer: CapabilitySet| {
            let capabilities = inner.difference(outer);
            if capabilities.is_empty() {
                Ok(())
            } else {
                Err(Error::ContradictingSets {
                    capabilities,
                    set,
                    not_in,
                })
            }
        };
        within("effective", self.effective, "permitted", self.permitted)?;
        within("ambient", self.ambient, "permitted", self.permitted)?;
        within("ambient", self.ambient, "inheritable", self.inheritable)?;
        within("inheritable", self.inheritable, "bounding", self.bounding)
    }

    /// Drops what is not in [`bounding`](Self::bounding) from the bounding set, also
    /// capabilities of later kernels that this crate has no names for. Needs `CAP_SETPCAP`,
    /// so it comes before anything else is given up.
    ///
    /// # Errors
    /// [`Error::NotHeld`] for capabilities that the bounding set has lost before,
    /// [`Error::ReadCapabilities`], [`Error::DropBounding`].
    pub fn limit_bounding(&self) -> Result<(), Error> {
        let mut missing = self.bounding;
        for capability in kernel_capabilities(capability_is_in_bounding_set) {
            let (capability, bounded) = capability.map_err(Error::ReadCapabilities)?;
            if !bounded {
                continue;
            }
            missing = missing.difference(from_kernel(capability));
            if self.bounding.bits() & capability.bits() == 0 {
                remove_capability_from_bounding_set(capability).map_err(|source| {
                    Error::DropBounding {
                        capability: capability.bits().trailing_zeros(),
                        source,
                    }
                })?;
            }
        }
        if missing.is_empty() {
            Ok(())
        } else {
            Err(Error::NotHeld(missing))
        }
    }

    /// Sets the effective, permitted, inheritable and ambient sets, after the change of user.
    ///
    /// # Errors
    /// [`Error::NotHeld`], [`Error::ReadCapabilities`], [`Error::SetCapabilities`],
    /// [`Error::ClearAmbient`], [`Error::SetAmbient`].
    pub fn set(&self) -> Result<(), Error> {
        let held = capabilities(None).map_err(Error::ReadCapabilities)?;
        let missing = self.permitted.difference(from_kernel(held.permitted));
        if !missing.is_empty() {
            return Err(Error::NotHeld(missing));
        }
        let sets = CapabilitySets {
            effective: to_kernel(self.effective),
            permitted: to_kernel(self.permitted),
            inheritable: to_kernel(self.inheritable),
        };
        set_capabilities(None, sets).map_err(Error::SetCapabilities)?;
        clear_ambient_capability_set().map_err(Error::ClearAmbient)?;
        for capability in self.ambient.iter() {
            let bit = to_kernel(CapabilitySet::of(&[capability]));
            configure_capability_in_ambient_set(bit, true)
                .map_err(|source| Error::SetAmbient { capability, source })?;
        }
        Ok(())
    }
}

/// Runs a change of user without losing the permitted set, which `setresuid(2)` from root to
/// another user clears otherwise.
pub(super) fn keep_over_user_change(
    change: impl FnOnce() -> Result<(), Error>,
) -> Result<(), Error> {
    set_keep_capabilities(true).map_err(Error::KeepCapabilities)?;
    change()?;
    set_keep_capabilities(false).map_err(Error::KeepCapabilities)
}

/// Asks a question about every capability of the running kernel, whose number of
/// capabilities is told by `EINVAL`: `/proc/sys/kernel/cap_last_cap` may not be mounted.
fn kernel_capabilities<T>(
    ask: impl Fn(KernelSet) -> Result<T, Errno>,
) -> impl Iterator<Item = Result<(KernelSet, T), Errno>> {
    (0..u64::BITS)
        .map(move |number| {
            let capability = KernelSet::from_bits_retain(1 << number);
            ask(capability).map(|answer| (capability, answer))
        })
        .take_while(|answer| !matches!(answer, Err(Errno::INVAL)))
}

fn to_kernel(set: CapabilitySet) -> KernelSet {
    KernelSet::from_bits_retain(set.bits())
}

fn from_kernel(set: KernelSet) -> CapabilitySet {
    CapabilitySet::from_bits_truncate(set.bits())
}

#[cfg(test)]
mod tests {
    use super::super::Capability;
    use super::*;

    const KILL: CapabilitySet = CapabilitySet::of(&[Capability::KILL]);

    #[test]
    fn sets_that_the_kernel_would_cut_are_refused() {
        Capabilities::for_root(KILL).validate().unwrap();
        Capabilities::for_user(KILL).validate().unwrap();
        let ambient = Capabilities::for_user(KILL).with_ambient(CapabilitySet::ALL);
        ambient.validate().unwrap();
        assert_eq!((ambient.ambient, ambient.inheritable), (KILL, KILL));
        let effective_only = Capabilities {
            effective: KILL,
            ..Capabilities::default()
        };
        assert_eq!(
            effective_only.validate().unwrap_err().to_string(),
            "capabilities CAP_KILL are effective but not permitted"
        );
        let ambient_not_inheritable = Capabilities {
            ambient: KILL,
            ..Capabilities::for_root(KILL)
        };
        assert!(ambient_not_inheritable.validate().is_err());
        let inheritable_not_bounding = Capabilities {
            inheritable: KILL,
            ..Capabilities::default()
        };
        assert!(inheritable_not_bounding.validate().is_err());
    }

    #[test]
    fn our_own_sets_are_consistent_and_the_same_as_proc_says() {
        let current = Capabilities::current().unwrap();
        current.validate().unwrap();
        let status = std::fs::read_to_string("/proc/thread-self/status").unwrap();
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("CapBnd:"))
            .unwrap();
        let bounding = u64::from_str_radix(line.trim(), 16).unwrap();
        assert_eq!(
            current.bounding,
            CapabilitySet::from_bits_truncate(bounding)
        );
    }
}
