//! What may be called: the input of the compiler.
//!
//! # What a policy means
//!
//! A call has an architecture, a number and six arguments. A policy is compiled for a *target*,
//! the ABI of the kernel that the program is for. What happens to a call is found so:
//!
//! 1. **Architecture.** The target and those [`Policy::architectures`] that the kernel of the
//!    target may serve ([`Arch::family`]) are *covered*. A call of any other gets
//!    [`Policy::foreign`]. With the `AUDIT_ARCH` of `x86_64`, numbers from [`Arch::X32_BIT`] on are
//!    of x32, except `u32::MAX` (-1), which a tracer writes to skip a call: that is `x86_64`'s.
//! 2. **Name.** The number is looked up in the table of its architecture. Rules that name the
//!    call are tried **in the order of [`Policy::rules`]: the first whose conditions all hold
//!    decides.** A rule without conditions always holds. A name that an architecture does not
//!    have is skipped there.
//! 3. **Rest.** When no rule decides and the number is newer than [`Policy::unknown`] knows, its
//!    action is taken; else [`Policy::default`].
//!
//! On 32-bit x86, `socketcall` and `ipc` are a second way to call `socket`, `connect`, `semget`
//! and others. What is said about those holds on that way, too: after the rules that name
//! `socketcall` itself come the rules of the call that its first argument selects. Its real
//! arguments lie in memory, where a filter does not see them. So where conditions would decide,
//! the strictest ([`Action::precedence`]) of the actions that could come of them is taken.
//!
//! # Other readings
//!
//! The OCI runtime-spec does not say what happens when several entries name one call. What
//! container runtimes do is what libseccomp does: an entry without conditions silently
//! replaces those with conditions, before and after it, and an entry with the default's action is
//! not even handed over to it. [`Policy::in_libseccomp_order`] makes of a list that is meant to
//! be read so one that means the same here.

use bitflags::bitflags;
use serde::{Deserialize, Serialize};

use crate::{Action, Arch};

/// Which calls may be made, and what happens to the others. See the [module](self) for what it
/// means exactly.
///
/// ```
/// use coop_seccomp::{Action, Condition, Policy, Rule};
///
/// const EPERM: u16 = 1;
/// let mut policy = Policy::new(Action::Errno(EPERM));
/// policy.rules.push(Rule::new(["read", "write", "exit_group"], Action::Allow));
/// // AF_UNIX sockets only.
/// policy.rules.push(Rule::new(["socket"], Action::Allow).when(Condition::equal(0, 1)));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Policy {
    /// What happens to a call that no rule decides.
    pub default: Action,
    /// What happens to a call that is newer than the policy, in place of the default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unknown: Option<Unknown>,
    /// The ABIs beside the target's own whose calls the rules are about, too. Those that the
    /// target's kernel never serves are without effect, so one policy may list many.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub architectures: Vec<Arch>,
    /// What happens to a call of an ABI that is not covered.
    #[serde(default = "kill_process")]
    pub foreign: Action,
    /// The rules: the first that fits decides.
    #[serde(default)]
    pub rules: Vec<Rule>,
    /// How the filter is to be loaded.
    #[serde(default, skip_serializing_if = "Flags::is_empty")]
    pub flags: Flags,
}

fn kill_process() -> Action {
    Action::KillProcess
}

/// What is done with a call that did not exist when the policy was written.
///
/// A C library tries a new call and falls back to an older one on `ENOSYS`; on `EPERM` it
/// gives up. So container runtimes answer `ENOSYS` there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Unknown {
    /// What happens.
    pub action: Action,
    /// Which calls are meant.
    #[serde(default)]
    pub newer_than: Newest,
}

/// The call above whose number all are unknown, for each architecture on its own.
///
/// The numbers of x32 from 512 on and the private ones of ARM are no measure of what is new:
/// they do not count as newest, and those of them that the table has (or a rule names) are not
/// unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Newest {
    /// The newest that this library has in its tables. For a policy that is maintained together
    /// with it.
    #[default]
    InTable,
    /// The newest that a rule names, as runc does it. For a policy from elsewhere, which may be
    /// older: a call that the library knows and the policy never heard of is unknown, too.
    /// When no rule names a call of the architecture, none is unknown.
    InRules,
}

/// What happens to some calls, under conditions or without.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Rule {
    /// The calls, by name: `openat`.
    pub names: Vec<String>,
    /// What happens to them.
    pub action: Action,
    /// When: all must hold. None: always.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
}

/// A comparison of an argument with a number, both unsigned.
///
/// The whole register is compared, and the kernel cuts off what does not fit the argument's type:
/// of `socket(2)`'s `int domain` it looks at 32 bits. A rule that *allows* a value is safe all the
/// same. One that *refuses* a value is passed by with a bit above, unless it compares under a mask
/// ([`Condition::equal_int`]).
///
/// On an ABI with arguments of 32 bits ([`Arch::argument_bits`]) the kernel uses the low half
/// of a register alone, so nothing else is looked at: [`Eq`](Comparison::Eq),
/// [`Ne`](Comparison::Ne) and [`MaskedEq`](Comparison::MaskedEq) compare the low halves of both
/// sides, so a sign-extended -100 is found; for the others, a value above `u32::MAX` is greater than
/// every argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Condition {
    /// Which argument: 0 to 5.
    pub index: u8,
    /// How it is compared.
    pub comparison: Comparison,
    /// What it is compared with.
    pub value: u64,
}

/// How an argument (left) is compared with a value (right).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Comparison {
    /// `argument != value`
    Ne,
    /// `argument < value`
    Lt,
    /// `argument <= value`
    Le,
    /// `argument == value`
    Eq,
    /// `argument >= value`
    Ge,
    /// `argument > value`
    Gt,
    /// `argument & mask == value`. It never holds for a value with bits outside the mask.
    MaskedEq {
        /// The bits that are looked at.
        mask: u64,
    },
}

bitflags! {
    /// How a filter is loaded: `SECCOMP_FILTER_FLAG_*` of `seccomp(2)`.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
    pub struct Flags: u32 {
        /// In all threads of the process, not in the calling one alone.
        const TSYNC = 1;
        /// Actions other than allow are logged, where `actions_logged` of the host says so.
        const LOG = 1 << 1;
        /// The process keeps speculative store bypass, for speed.
        const SPEC_ALLOW = 1 << 2;
        /// A call whose notification was received waits through signals that do not kill, from
        /// Linux 5.19. For a filter with [`Action::Notify`].
        const WAIT_KILLABLE_RECV = 1 << 5;
    }
}

impl Policy {
    /// One without rules: calls of the target's own ABI get `default`, others kill the process.
    pub const fn new(default: Action) -> Self {
        Self {
            default,
            unknown: None,
            architectures: Vec::new(),
            foreign: Action::KillProcess,
            rules: Vec::new(),
            flags: Flags::empty(),
        }
    }

    /// The ABIs that a program for `target` decides by rules: `target` first, and those listed
    /// that its kernel may serve, each once.
    pub fn covered(&self, target: Arch) -> Vec<Arch> {
        let listed = |arch: &&Arch| **arch != target && self.architectures.contains(arch);
        std::iter::once(target)
            .chain(target.family().iter().filter(listed).copied())
            .collect()
    }

    /// Whether an action may come of it that needs a listener.
    pub fn notifies(&self) -> bool {
        let rules = self.rules.iter().map(|rule| rule.action);
        rules
            .chain([self.default, self.foreign])
            .chain(self.unknown.map(|unknown| unknown.action))
            .any(|action| action == Action::Notify)
    }

    /// The names in rules that no architecture has: a slip of the pen, or a call that is newer
    /// than this library. Each once, in the order of the rules.
    pub fn unknown_names(&self) -> Vec<&str> {
        let mut unknown = Vec::new();
        for name in self.rules.iter().flat_map(|rule| &rule.names) {
            if !crate::table::is_known(name) && !unknown.contains(&name.as_str()) {
                unknown.push(name);
            }
        }
        unknown
    }

    /// A policy that means here what this one means to libseccomp, as container runtimes use
    /// it: rules with the default's action are left out, and those without conditions come
    /// before those with.
    ///
    /// Of several rules without conditions the first decides, there as here. Of several *with*
    /// conditions that hold together and have different actions, libseccomp does not say which
    /// decides; here it is the first.
    pub fn in_libseccomp_order(mut self) -> Self {
        let default = self.default;
        self.rules.retain(|rule| rule.action != default);
        self.rules.sort_by_key(|rule| !rule.conditions.is_empty());
        self
    }
}

impl Rule {
    /// One that always holds.
    pub fn new(names: impl IntoIterator<Item = impl Into<String>>, action: Action) -> Self {
        Self {
            names: names.into_iter().map(Into::into).collect(),
            action,
            conditions: Vec::new(),
        }
    }

    /// The same under one condition more.
    pub fn when(mut self, condition: Condition) -> Self {
        self.conditions.push(condition);
        self
    }
}

impl Condition {
    /// The greatest [`index`](Self::index).
    pub const LAST_INDEX: u8 = 5;

    /// A comparison of the argument `index` (0 to 5).
    pub const fn new(index: u8, comparison: Comparison, value: u64) -> Self {
        Self {
            index,
            comparison,
            value,
        }
    }

    /// The argument is `value`.
    pub const fn equal(index: u8, value: u64) -> Self {
        Self::new(index, Comparison::Eq, value)
    }

    /// The argument is `value` as the kernel sees one of 32 bits: `int`, `unsigned int`.
    pub const fn equal_int(index: u8, value: u32) -> Self {
        let mask = u32::MAX as u64;
        Self::new(index, Comparison::MaskedEq { mask }, value as u64)
    }

    /// The argument has none of the bits of `mask`.
    pub const fn no_bits(index: u8, mask: u64) -> Self {
        Self::new(index, Comparison::MaskedEq { mask }, 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_target_is_always_covered_and_strangers_never() {
        let mut policy = Policy::new(Action::Allow);
        assert_eq!(policy.covered(Arch::Riscv64), [Arch::Riscv64]);
        policy.architectures = vec![Arch::X32, Arch::Arm, Arch::X86_64, Arch::X32];
        assert_eq!(policy.covered(Arch::X86_64), [Arch::X86_64, Arch::X32]);
        assert_eq!(policy.covered(Arch::Aarch64), [Arch::Aarch64, Arch::Arm]);
    }

    #[test]
    fn libseccomp_drops_the_default_and_prefers_what_has_no_conditions() {
        let mut policy = Policy::new(Action::Errno(1));
        policy.rules = vec![
            Rule::new(["a"], Action::Errno(1)).when(Condition::equal(0, 0)),
            Rule::new(["a"], Action::Trap).when(Condition::equal(0, 1)),
            Rule::new(["a"], Action::Allow),
            Rule::new(["a"], Action::Errno(1)),
        ];
        let rules = policy.in_libseccomp_order().rules;
        let actions: Vec<_> = rules.iter().map(|rule| rule.action).collect();
        assert_eq!(actions, [Action::Allow, Action::Trap]);
    }

    #[test]
    fn a_policy_is_saved_in_words_and_read_again() {
        let mut policy = Policy::new(Action::Errno(1));
        policy.unknown = Some(Unknown {
            action: Action::Errno(38),
            newer_than: Newest::InRules,
        });
        policy.architectures.push(Arch::X86);
        policy.flags = Flags::LOG | Flags::SPEC_ALLOW;
        policy
            .rules
            .push(Rule::new(["clone"], Action::Allow).when(Condition::no_bits(0, 0x7e02_0000)));
        let json = serde_json::to_string_pretty(&policy).unwrap();
        insta::assert_snapshot!(json);
        assert_eq!(serde_json::from_str::<Policy>(&json).unwrap(), policy);
    }

    #[test]
    fn names_that_nobody_has_are_told() {
        let mut policy = Policy::new(Action::Allow);
        policy.rules = vec![
            Rule::new(["opennat", "set_tls", "semop", "read"], Action::Allow),
            Rule::new(["opennat", ""], Action::Trap),
        ];
        assert_eq!(policy.unknown_names(), ["opennat", ""]);
    }

    #[test]
    fn what_is_left_out_is_the_plain_and_the_strict() {
        let read: Policy = serde_json::from_str(r#"{"default": "allow"}"#).unwrap();
        assert_eq!(read, Policy::new(Action::Allow));
    }
}
