//! What a policy says about one call, found by reading it: the yardstick of the compiler.
//!
//! This follows the words of [`crate::policy`] as plainly as can be and shares nothing with the
//! compiler.

use crate::policy::{Comparison, Condition, Newest, Policy, Rule};
use crate::{Action, Arch, Call, multiplexed};

impl Policy {
    /// What happens to a call in a kernel of `target`: what the program that is compiled of
    /// this policy says, by reading the policy itself.
    ///
    /// This is slow. To ask often, [`compile`](Self::compile) it and [run](crate::Program::run)
    /// the program.
    pub fn evaluate(&self, target: Arch, call: &Call) -> Action {
        let Some(arch) = call
            .arch()
            .filter(|arch| self.covered(target).contains(arch))
        else {
            return self.foreign;
        };
        arch.name_of(call.number)
            .and_then(|name| {
                self.decided_by_name(arch, name, call)
                    .or_else(|| self.decided_by_selected(arch, name, call))
            })
            .unwrap_or_else(|| self.undecided(arch, call.number))
    }

    fn rules_of<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Rule> {
        self.rules
            .iter()
            .filter(move |rule| rule.names.iter().any(|known| known == name))
    }

    fn decided_by_name(&self, arch: Arch, name: &str, call: &Call) -> Option<Action> {
        self.rules_of(name)
            .find(|rule| {
                let mut conditions = rule.conditions.iter();
                conditions.all(|condition| condition.holds(arch, call))
            })
            .map(|rule| rule.action)
    }

    /// For `socketcall` and `ipc`: the strictest that rules of the selected call may say.
    fn decided_by_selected(&self, arch: Arch, name: &str, call: &Call) -> Option<Action> {
        let multiplexer = multiplexed::of(arch).iter().find(|m| m.name == name)?;
        let selected = multiplexer.selected(call.arguments[0])?;
        let certain = |rule: &&Rule| rule.conditions.is_empty();
        let last = self.rules_of(selected).find(certain);
        let possible = self.rules_of(selected).take_while(|rule| !certain(rule));
        let strictest = possible
            .chain(last)
            .map(|rule| rule.action)
            .reduce(Action::stricter)?;
        Some(match last {
            Some(_) => strictest,
            None => strictest.stricter(self.default),
        })
    }

    fn undecided(&self, arch: Arch, number: u32) -> Action {
        let Some(unknown) = self.unknown else {
            return self.default;
        };
        let heard_of = |name: &str| match unknown.newer_than {
            Newest::InTable => true,
            Newest::InRules => self.rules_of(name).next().is_some(),
        };
        let newest = arch
            .calls()
            .filter(|(number, name)| arch.is_in_sequence(*number) && heard_of(name))
            .map(|(number, _)| number)
            .max();
        let is_known = arch.name_of(number).is_some_and(heard_of);
        match newest {
            Some(newest) if number > newest && !is_known => unknown.action,
            _ => self.default,
        }
    }
}

impl Condition {
    /// Whether it holds for a call of this ABI.
    pub fn holds(&self, arch: Arch, call: &Call) -> bool {
        let Some(&argument) = call.arguments.get(usize::from(self.index)) else {
            return false;
        };
        let all = u64::MAX >> (64 - arch.argument_bits());
        let argument = argument & all;
        match self.comparison {
            Comparison::Ne => argument != self.value & all,
            Comparison::Lt => argument < self.value,
            Comparison::Le => argument <= self.value,
            Comparison::Eq => argument == self.value & all,
            Comparison::Ge => argument >= self.value,
            Comparison::Gt => argument > self.value,
            Comparison::MaskedEq { mask } => argument & mask == self.value & all,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Unknown;

    const EPERM: Action = Action::Errno(1);
    const ENOSYS: Action = Action::Errno(38);

    fn number(arch: Arch, name: &str) -> Call {
        Call::new(arch, arch.number_of(name).unwrap())
    }

    #[test]
    fn the_first_rule_that_holds_decides() {
        let mut policy = Policy::new(EPERM);
        policy.rules = vec![
            Rule::new(["personality"], Action::Allow).when(Condition::equal(0, 8)),
            Rule::new(["personality"], Action::Trap),
            Rule::new(["personality"], Action::Log),
        ];
        let call = number(Arch::X86_64, "personality");
        assert_eq!(policy.evaluate(Arch::X86_64, &call), Action::Trap);
        let call = call.with([8, 0, 0, 0, 0, 0]);
        assert_eq!(policy.evaluate(Arch::X86_64, &call), Action::Allow);
    }

    #[test]
    fn what_is_not_covered_is_foreign() {
        let policy = Policy::new(Action::Allow);
        let on = |arch, name| policy.evaluate(Arch::X86_64, &number(arch, name));
        assert_eq!(on(Arch::X86_64, "read"), Action::Allow);
        assert_eq!(on(Arch::X32, "read"), Action::KillProcess);
        assert_eq!(on(Arch::X86, "read"), Action::KillProcess);
        let skipped = Call::new(Arch::X86_64, u32::MAX);
        assert_eq!(policy.evaluate(Arch::X86_64, &skipped), Action::Allow);
    }

    #[test]
    fn calls_newer_than_the_policy_are_unknown() {
        let mut policy = Policy::new(EPERM);
        policy.architectures = vec![Arch::X32, Arch::X86];
        policy.rules = vec![Rule::new(["openat2", "execveat"], Action::Allow)];
        let on = |policy: &Policy, call: Call| policy.evaluate(Arch::X86_64, &call);
        let newest = Arch::X86_64.newest();
        let beyond = Call::new(Arch::X86_64, newest + 1);
        assert_eq!(on(&policy, beyond), EPERM);

        policy.unknown = Some(Unknown {
            action: ENOSYS,
            newer_than: Newest::InTable,
        });
        assert_eq!(on(&policy, beyond), ENOSYS);
        assert_eq!(on(&policy, Call::new(Arch::X86_64, newest)), EPERM);
        assert_eq!(on(&policy, Call::new(Arch::X86_64, 400)), EPERM, "a gap");
        assert_eq!(on(&policy, number(Arch::X32, "ioctl")), EPERM);
        assert_eq!(on(&policy, Call::new(Arch::X32, 0x4000_0000 + 548)), ENOSYS);

        policy.unknown = Some(Unknown {
            action: ENOSYS,
            newer_than: Newest::InRules,
        });
        assert_eq!(on(&policy, number(Arch::X86_64, "mseal")), ENOSYS);
        assert_eq!(on(&policy, number(Arch::X86_64, "clone3")), EPERM);
        assert_eq!(on(&policy, number(Arch::X32, "execveat")), Action::Allow);
        assert_eq!(on(&policy, number(Arch::X32, "ioctl")), ENOSYS);
        policy.rules.clear();
        assert_eq!(on(&policy, beyond), EPERM, "nothing is newer than no rule");
    }

    #[test]
    fn socketcall_is_no_way_round_a_rule_about_socket() {
        let mut policy = Policy::new(Action::Allow);
        policy.rules = vec![
            Rule::new(["socket"], EPERM).when(Condition::equal(0, 40)),
            Rule::new(["bind"], Action::Trap),
        ];
        let socketcall = |policy: &Policy, call| {
            let call = number(Arch::X86, "socketcall").with([call, 0, 0, 0, 0, 0]);
            policy.evaluate(Arch::X86, &call)
        };
        assert_eq!(socketcall(&policy, 1), EPERM, "socket: it may be 40");
        assert_eq!(socketcall(&policy, 2), Action::Trap);
        assert_eq!(socketcall(&policy, 3), Action::Allow);
        policy.rules.push(Rule::new(["socketcall"], Action::Log));
        assert_eq!(
            socketcall(&policy, 1),
            Action::Log,
            "its own rule goes first"
        );

        policy.default = EPERM;
        policy.rules = vec![Rule::new(["socket"], Action::Allow).when(Condition::equal(0, 1))];
        assert_eq!(socketcall(&policy, 1), EPERM, "it may be another than 1");
    }

    #[test]
    fn arguments_of_32_bits_are_taken_as_such() {
        let holds = |comparison, value, argument| {
            let call = Call::new(Arch::X86, 1).with([argument, 0, 0, 0, 0, 0]);
            Condition::new(0, comparison, value).holds(Arch::X86, &call)
        };
        let minus_100 = -100_i64 as u64;
        assert!(holds(Comparison::Eq, minus_100, minus_100 & 0xffff_ffff));
        assert!(holds(Comparison::Eq, 5, 0x1_0000_0005), "garbage above");
        assert!(holds(Comparison::Lt, 0x1_0000_0000, 0xffff_ffff));
        assert!(!holds(Comparison::Gt, 0x1_0000_0000, 0xffff_ffff));
        let masked = Comparison::MaskedEq {
            mask: 0x1_0000_000f,
        };
        assert!(holds(masked, 0x1_0000_0005, 0x35));
    }
}
