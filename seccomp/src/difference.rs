//! Where two policies differ.

use std::fmt;

use crate::compile::same_outcome;
use crate::explain::{Case, Reason, cases};
use crate::policy::Policy;
use crate::resolve::{ByName, Resolved};
use crate::{Action, Arch};

/// Something that happens under one policy and not under another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The ABI, or `None`: all that neither policy covers.
    pub arch: Option<Arch>,
    /// The calls.
    pub subject: Subject,
    /// What the first policy says.
    pub before: Decision,
    /// What the second policy says.
    pub after: Decision,
}

/// What a [`Difference`] is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    /// The call of this name.
    Call(&'static str),
    /// Numbers that no call has, below that of the newest.
    Unassigned,
    /// Numbers above that of the newest call that this library knows.
    Newer,
    /// All calls of the ABI.
    All,
}

/// What a policy says of a [`Subject`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// The first whose conditions hold. The last has none.
    Cases(Vec<Case>),
    /// The ABI is covered: it is decided call by call.
    Covered,
}

impl Policy {
    /// Where another policy says something different, in a kernel of `target`: in the order of
    /// ABIs and numbers.
    ///
    /// Calls are compared by what happens for which arguments, not by how rules are written. Only
    /// for rules with masks that overlap may a difference be told that no call can show.
    pub fn difference(&self, other: &Self, target: Arch) -> Vec<Difference> {
        let (mine, others) = (ByName::new(self), ByName::new(other));
        let mut differences = Vec::new();
        for arch in target.family() {
            let covered = [self, other].map(|policy| policy.covered(target).contains(arch));
            match covered {
                [true, true] => {
                    compare(
                        &mine.resolve(*arch),
                        &others.resolve(*arch),
                        &mut differences,
                    );
                }
                [false, false] => {}
                [first, second] => differences.push(Difference {
                    arch: Some(*arch),
                    subject: Subject::All,
                    before: self.about_abi(first),
                    after: other.about_abi(second),
                }),
            }
        }
        if self.foreign != other.foreign {
            differences.push(Difference {
                arch: None,
                subject: Subject::All,
                before: self.about_abi(false),
                after: other.about_abi(false),
            });
        }
        differences
    }

    fn about_abi(&self, covered: bool) -> Decision {
        if covered {
            Decision::Covered
        } else {
            one(self.foreign)
        }
    }
}

fn one(action: Action) -> Decision {
    Decision::Cases(vec![Case {
        conditions: Vec::new(),
        action,
        reason: Reason::Default,
    }])
}

fn compare(mine: &Resolved<'_>, others: &Resolved<'_>, differences: &mut Vec<Difference>) {
    let arch = mine.arch;
    // The same table is behind both.
    for (mine, other) in mine.calls.iter().zip(&others.calls) {
        if !same_outcome(arch, mine, other) {
            differences.push(Difference {
                arch: Some(arch),
                subject: Subject::Call(mine.name),
                before: Decision::Cases(cases(mine)),
                after: Decision::Cases(cases(other)),
            });
        }
    }
    let is_free = |number: &u32| arch.name_of(*number).is_none();
    let gap = (arch.number_base()..arch.newest()).rev().find(is_free);
    let newer = arch.newest() + 1;
    for (number, subject) in [(gap, Subject::Unassigned), (Some(newer), Subject::Newer)] {
        let Some(number) = number else { continue };
        let [before, after] = [mine, others].map(|resolved| resolved.without_call(number));
        if before != after {
            differences.push(Difference {
                arch: Some(arch),
                subject,
                before: one(before),
                after: one(after),
            });
        }
    }
}

impl fmt::Display for Difference {
    /// `x86_64 ptrace: errno EPERM -> allow`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.arch {
            Some(arch) => write!(f, "{arch} {}", self.subject)?,
            None => f.write_str("other architectures")?,
        }
        write!(f, ": {} -> {}", self.before, self.after)
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Call(name) => name,
            Self::Unassigned => "unassigned numbers",
            Self::Newer => "newer calls",
            Self::All => "all calls",
        })
    }
}

impl fmt::Display for Decision {
    /// `allow if arg0 == 1, else errno EPERM`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::Cases(cases) = self else {
            return f.write_str("call by call");
        };
        for (at, case) in cases.iter().enumerate() {
            let between = if at == 0 { "" } else { ", else " };
            write!(f, "{between}{case}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Comparison, Condition, Newest, Rule, Unknown};

    fn listed(before: &Policy, after: &Policy) -> String {
        let differences = before.difference(after, Arch::X86_64);
        let lines = differences
            .iter()
            .map(|difference| format!("{difference}\n"));
        lines.collect()
    }

    #[test]
    fn what_is_written_otherwise_and_means_the_same_is_no_difference() {
        let mut before = Policy::new(Action::Errno(1));
        let mut after = before.clone();
        before.rules = vec![
            Rule::new(["read", "write"], Action::Allow),
            Rule::new(["ioctl"], Action::Allow).when(Condition::equal(1, 5)),
            Rule::new(["ioctl"], Action::Allow).when(Condition::equal(1, 6)),
            Rule::new(["dup"], Action::Errno(1)),
        ];
        let between = |rule: Rule| {
            rule.when(Condition::new(1, Comparison::Ge, 5))
                .when(Condition::new(1, Comparison::Lt, 7))
        };
        after.rules = vec![
            between(Rule::new(["ioctl"], Action::Allow)),
            Rule::new(["write"], Action::Allow).when(Condition::equal(0, 1)),
            Rule::new(["read", "write"], Action::Allow),
        ];
        assert_eq!(listed(&before, &after), "");
    }

    #[test]
    fn differences_are_told_by_call_and_condition() {
        let mut before = Policy::new(Action::Errno(1));
        before.rules = vec![
            Rule::new(["read", "clone"], Action::Allow),
            Rule::new(["ioctl"], Action::Allow).when(Condition::equal(1, 0x5401)),
        ];
        let mut after = before.clone();
        after.architectures = vec![Arch::X32];
        after.foreign = Action::KillThread;
        after.unknown = Some(Unknown {
            action: Action::Errno(38),
            newer_than: Newest::InTable,
        });
        after.rules[0] = Rule::new(["read"], Action::Allow);
        after.rules[1].conditions[0].value = 0x5402;
        after
            .rules
            .push(Rule::new(["clone"], Action::Allow).when(Condition::no_bits(0, 0x7e02_0000)));
        insta::assert_snapshot!(listed(&before, &after));
    }
}
