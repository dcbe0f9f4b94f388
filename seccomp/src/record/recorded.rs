//! What was called, as a profile.

use std::collections::{BTreeMap, BTreeSet};

use crate::Arch;
use crate::oci::{EPERM, Seccomp, Syscall};

/// Calls that happen to a program by chance: it got a signal or it got none, was stopped while it
/// slept, had another way to its end, two threads wanted the same, or memory was given back.
const BY_CHANCE: [&str; 8] = [
    "exit",
    "exit_group",
    "futex",
    "madvise",
    "munmap",
    "restart_syscall",
    "rt_sigreturn",
    "sched_yield",
];

/// What a [`Recorder`](super::Recorder) has noted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Recorded {
    /// The names, for each ABI.
    pub calls: BTreeMap<Arch, BTreeSet<&'static str>>,
    /// Numbers that no call is known to have.
    pub unnamed: BTreeSet<(Arch, u32)>,
}

impl Recorded {
    pub(super) fn new(noted: &BTreeSet<(Arch, u32)>) -> Self {
        let mut recorded = Self::default();
        for (arch, number) in noted {
            match arch.name_of(*number) {
                Some(name) => {
                    recorded.calls.entry(*arch).or_default().insert(name);
                }
                None => {
                    recorded.unnamed.insert((*arch, *number));
                }
            }
        }
        recorded
    }

    /// Whether nothing was called at all: nobody was ever recorded.
    pub fn is_empty(&self) -> bool {
        self.calls.is_empty() && self.unnamed.is_empty()
    }

    /// The smallest profile by which the same can be called again: these calls, whatever their
    /// arguments, and the few that happen to any program by chance. All else fails with `EPERM`,
    /// and is logged where the host logs such things.
    pub fn profile(&self) -> Seccomp {
        let names: BTreeSet<&str> = { self.calls.values().flatten().copied() }
            .chain(BY_CHANCE)
            .collect();
        Seccomp {
            default_action: "SCMP_ACT_ERRNO".into(),
            default_errno_ret: Some(EPERM.into()),
            architectures: { self.calls.keys() }
                .chain([&Arch::native()])
                .collect::<BTreeSet<_>>()
                .into_iter()
                .map(|arch| arch.oci_name().to_owned())
                .collect(),
            flags: vec!["SECCOMP_FILTER_FLAG_LOG".into()],
            listener_path: None,
            listener_metadata: None,
            syscalls: vec![Syscall {
                names: names.into_iter().map(str::to_owned).collect(),
                action: "SCMP_ACT_ALLOW".into(),
                errno_ret: None,
                args: Vec::new(),
            }],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Action, Call};

    #[test]
    fn what_was_called_may_be_called_again_and_nothing_else() {
        let arch = Arch::native();
        let number = |name| arch.number_of(name).unwrap();
        let noted = [
            (arch, number("execve")),
            (arch, number("openat")),
            (arch, 9999),
        ];
        let recorded = Recorded::new(&noted.into());
        assert!(recorded.unnamed.contains(&(arch, 9999)));
        let text = serde_json::to_string(&recorded.profile()).unwrap();
        let policy = Seccomp::from_json(text.as_bytes())
            .unwrap()
            .policy()
            .unwrap();
        let of = |name| policy.evaluate(arch, &Call::new(arch, number(name)));
        for name in ["execve", "openat", "exit_group", "rt_sigreturn"] {
            assert_eq!(of(name), Action::Allow, "{name}");
        }
        assert_eq!(of("clone"), Action::Errno(EPERM));
        assert!(Recorded::new(&BTreeSet::new()).is_empty());
    }
}
