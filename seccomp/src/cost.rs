//! How long the ways through a program are.

use std::ops::RangeInclusive;

use crate::instruction::code;
use crate::{Arch, Call, Program};

/// The ways to an instruction: how many are executed before it, and what was loaded, where that
/// does not depend on arguments.
#[derive(Debug, Clone, Copy)]
struct Ways {
    fewest: usize,
    most: usize,
    loaded: Option<u32>,
}

impl Program {
    /// How many instructions are executed for a call: fewest and most, over all that its
    /// arguments may be.
    ///
    /// Ways are counted that no arguments take because one test contradicts an earlier one.
    /// [Running](Self::run) the program tells for certain arguments.
    pub fn cost(&self, arch: Arch, number: u32) -> RangeInclusive<usize> {
        let instructions = self.instructions();
        let call = Call::new(arch, number);
        let mut ways: Vec<Option<Ways>> = vec![None; instructions.len()];
        ways[0] = Some(Ways {
            fewest: 0,
            most: 0,
            loaded: Some(0),
        });
        let (mut fewest, mut most) = (usize::MAX, 0);
        for (at, instruction) in instructions.iter().enumerate() {
            let Some(before) = ways[at] else { continue };
            let after = Ways {
                fewest: before.fewest + 1,
                most: before.most + 1,
                ..before
            };
            let mut arrive = |to: usize, with: Ways| {
                let Some(there) = ways.get_mut(to) else {
                    return;
                };
                *there = Some(there.map_or(with, |there| Ways {
                    fewest: there.fewest.min(with.fewest),
                    most: there.most.max(with.most),
                    loaded: there.loaded.filter(|_| there.loaded == with.loaded),
                }));
            };
            let k = instruction.operand;
            let test = |loaded: u32| match instruction.code {
                code::JEQ_K => Some(loaded == k),
                code::JGT_K => Some(loaded > k),
                code::JGE_K => Some(loaded >= k),
                code::JSET_K => Some(loaded & k != 0),
                _ => None,
            };
            match instruction.code {
                _ if instruction.is_return() => {
                    fewest = fewest.min(after.fewest);
                    most = most.max(after.most);
                }
                code::JA => arrive(at + 1 + k as usize, after),
                _ if instruction.is_conditional() => {
                    let known = before.loaded.and_then(test);
                    for holds in [true, false] {
                        if known.is_none_or(|known| known == holds) {
                            arrive(at + 1 + instruction.jump_by(holds), after);
                        }
                    }
                }
                other => {
                    let loaded = match other {
                        code::LD_W_ABS if k == Call::NUMBER || k == Call::ARCH => call.word(k),
                        code::AND_K => before.loaded.map(|loaded| loaded & k),
                        _ => None,
                    };
                    arrive(at + 1, Ways { loaded, ..after });
                }
            }
        }
        fewest.min(most)..=most
    }
}

#[cfg(test)]
mod tests {
    use crate::{Action, Arch, Condition, Policy, Rule};

    #[test]
    fn the_cost_is_what_runs_need() {
        let mut policy = Policy::new(Action::Errno(1));
        policy.rules = vec![
            Rule::new(["read"], Action::Allow),
            Rule::new(["ioctl"], Action::Allow).when(Condition::equal(1, 0x5401)),
        ];
        let program = policy.compile(Arch::X86_64).unwrap();
        let call = |number, argument| {
            let call = crate::Call::new(Arch::X86_64, number).with([0, argument, 0, 0, 0, 0]);
            program.run(&call).executed
        };
        let read = call(0, 0);
        assert_eq!(program.cost(Arch::X86_64, 0), read..=read);
        let (wrong, right) = (call(16, 0), call(16, 0x5401));
        assert_eq!(program.cost(Arch::X86_64, 16), wrong..=right);
    }
}
