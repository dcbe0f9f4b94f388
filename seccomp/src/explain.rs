//! Why something happens to a call.

use std::fmt;
use std::ops::RangeInclusive;

use crate::policy::{Comparison, Condition, Policy};
use crate::resolve::{ByName, CallRules};
use crate::{Action, Arch, Call, CompileError, multiplexed};

/// What a policy does about one call, on each ABI that it covers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// The name of the call.
    pub name: String,
    /// One for each ABI that is covered, the target's own first.
    pub architectures: Vec<ArchExplanation>,
    /// What happens to the call on ABIs that are not covered.
    pub foreign: Action,
}

/// What a policy does about one call on one ABI.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArchExplanation {
    /// The ABI.
    pub arch: Arch,
    /// The call's number there, where it has one.
    pub call: Option<NumberedCall>,
    /// The other way to make it, `socketcall` or `ipc`, and what happens there.
    pub multiplexed: Option<(&'static str, Action)>,
}

/// What happens to a call that has a number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NumberedCall {
    /// The number, with [`Arch::X32_BIT`] for x32.
    pub number: u32,
    /// The first whose conditions hold decides. The last has none.
    pub cases: Vec<Case>,
    /// How many instructions are executed for it, fewest and most.
    pub instructions: RangeInclusive<usize>,
    /// The kernel lets it pass without executing any, see
    /// [`Program::allows_always`](crate::Program::allows_always).
    pub without_program: bool,
}

/// What happens under some conditions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Case {
    /// All must hold.
    pub conditions: Vec<Condition>,
    /// What happens.
    pub action: Action,
    /// Who says so.
    pub reason: Reason,
}

/// Why something happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// The rule with this place in [`Policy::rules`] says so.
    Rule(usize),
    /// No rule decides: [`Policy::default`].
    Default,
    /// No rule decides, and the call is newer than the policy: [`Policy::unknown`].
    Unknown,
}

impl Policy {
    /// Tells what happens to a call in a kernel of `target`, and why.
    ///
    /// # Errors
    /// [`CompileError`], as the instructions of the program are counted.
    pub fn explain(&self, target: Arch, name: &str) -> Result<Explanation, CompileError> {
        let program = self.compile(target)?;
        let by_name = ByName::new(self);
        let architectures = self.covered(target).into_iter().map(|arch| {
            let resolved = by_name.resolve(arch);
            let call = resolved.calls.iter().find(|call| call.name == name);
            ArchExplanation {
                arch,
                call: call.map(|call| NumberedCall {
                    number: call.number,
                    cases: cases(call),
                    instructions: program.cost(arch, call.number),
                    without_program: program.allows_always(arch, call.number),
                }),
                multiplexed: self.by_multiplexer(target, arch, name),
            }
        });
        Ok(Explanation {
            name: name.into(),
            architectures: architectures.collect(),
            foreign: self.foreign,
        })
    }

    fn by_multiplexer(
        &self,
        target: Arch,
        arch: Arch,
        name: &str,
    ) -> Option<(&'static str, Action)> {
        multiplexed::of(arch).iter().find_map(|multiplexer| {
            let (_, selected) = multiplexer.calls().find(|(call, _)| *call == name)?;
            let number = arch.number_of(multiplexer.name)?;
            let call = Call::new(arch, number).with([selected.value, 0, 0, 0, 0, 0]);
            Some((multiplexer.name, self.evaluate(target, &call)))
        })
    }
}

/// The rules of a call up to the one that always holds.
pub(crate) fn cases(call: &CallRules<'_>) -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    for rule in &call.rules {
        let conditions = rule.conditions.as_slice().to_vec();
        let is_certain = conditions.is_empty();
        cases.push(Case {
            conditions,
            action: rule.action,
            reason: Reason::Rule(rule.rule),
        });
        if is_certain {
            return cases;
        }
    }
    let reason = if call.is_unknown {
        Reason::Unknown
    } else {
        Reason::Default
    };
    cases.push(Case {
        conditions: Vec::new(),
        action: call.otherwise,
        reason,
    });
    cases
}

impl fmt::Display for Condition {
    /// `arg1 == 0x5401`, `arg0 & 0x7e020000 == 0`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (index, value) = (self.index, self.value);
        let sign = match self.comparison {
            Comparison::Ne => "!=",
            Comparison::Lt => "<",
            Comparison::Le => "<=",
            Comparison::Eq => "==",
            Comparison::Ge => ">=",
            Comparison::Gt => ">",
            Comparison::MaskedEq { mask } => {
                return write!(f, "arg{index} & {mask:#x} == {}", Number(value));
            }
        };
        write!(f, "arg{index} {sign} {}", Number(value))
    }
}

/// Small numbers are more readable as such.
struct Number(u64);

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            small @ 0..100 => write!(f, "{small}"),
            large => write!(f, "{large:#x}"),
        }
    }
}

impl fmt::Display for Case {
    /// `allow if arg0 == 1 and arg1 == 2`, `errno EPERM`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.action)?;
        for (at, condition) in self.conditions.iter().enumerate() {
            let word = if at == 0 { "if" } else { "and" };
            write!(f, " {word} {condition}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rule(index) => write!(f, "rule {index}"),
            Self::Default => f.write_str("default"),
            Self::Unknown => f.write_str("unknown to the policy"),
        }
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.name)?;
        for arch in &self.architectures {
            match &arch.call {
                Some(call) => write_call(f, arch.arch, call)?,
                None => writeln!(f, "  {}: no such call", arch.arch)?,
            }
            if let Some((multiplexer, action)) = arch.multiplexed {
                writeln!(f, "  {} by {multiplexer}: {action}", arch.arch)?;
            }
        }
        writeln!(f, "  other architectures: {}", self.foreign)
    }
}

fn write_call(f: &mut fmt::Formatter<'_>, arch: Arch, call: &NumberedCall) -> fmt::Result {
    writeln!(f, "  {arch}, number {}", call.number & !Arch::X32_BIT)?;
    for case in &call.cases {
        writeln!(f, "    {case} ({})", case.reason)?;
    }
    let (fewest, most) = (call.instructions.start(), call.instructions.end());
    match (call.without_program, fewest == most) {
        (true, _) => writeln!(f, "    {most} instructions, none from Linux 5.11 on"),
        (false, true) => writeln!(f, "    {most} instructions"),
        (false, false) => writeln!(f, "    {fewest} to {most} instructions"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Newest, Rule, Unknown};

    fn policy() -> Policy {
        let mut policy = Policy::new(Action::Errno(1));
        policy.architectures = vec![Arch::X86];
        policy.unknown = Some(Unknown {
            action: Action::Errno(38),
            newer_than: Newest::InRules,
        });
        policy.rules = vec![
            Rule::new(["read", "write", "openat2"], Action::Allow),
            Rule::new(["socket"], Action::Trap)
                .when(Condition::equal(0, 16))
                .when(Condition::equal(2, 9)),
            Rule::new(["socket"], Action::Allow).when(Condition::new(0, Comparison::Ne, 40)),
            Rule::new(["write"], Action::Log),
        ];
        policy
    }

    #[test]
    fn it_is_told_which_rule_decides_and_what_it_costs() {
        let explain = |name| policy().explain(Arch::X86_64, name).unwrap().to_string();
        let names = ["write", "socket", "ptrace", "mseal", "semop", "nonsense"];
        insta::assert_snapshot!(names.map(explain).join("\n"));
    }
}
