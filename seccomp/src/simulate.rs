//! What a program does, without a kernel.

use crate::instruction::code;
use crate::verify::MEMORY;
use crate::{Action, Arch, Call, Program};

/// How a run of a program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outcome {
    /// What the program returned.
    pub value: u32,
    /// How many instructions were executed, the return among them.
    pub executed: usize,
}

impl Outcome {
    /// What the kernel does for it.
    pub const fn action(&self) -> Action {
        Action::from_return_value(self.value)
    }
}

impl Program {
    /// Runs the program for one call, as the kernel does, and counts.
    pub fn run(&self, call: &Call) -> Outcome {
        use code::*;
        let mut memory = [0_u32; MEMORY];
        let (mut a, mut x) = (0_u32, 0_u32);
        let mut at = 0;
        let mut executed = 0;
        // `verify` has seen to it that jumps, memory and loads stay inside. Should it be wrong,
        // the call is refused in the strictest way.
        let returned = |value, executed| Outcome { value, executed };
        loop {
            let Some(instruction) = self.instructions().get(at) else {
                return returned(Action::KillProcess.return_value(), executed);
            };
            let k = instruction.operand;
            let word = k as usize % MEMORY;
            at += 1;
            executed += 1;
            let mut branch = |holds: bool| {
                at += instruction.jump_by(holds);
            };
            match instruction.code {
                LD_W_ABS => a = call.word(k).unwrap_or(0),
                LD_W_LEN => a = Call::SIZE,
                LDX_W_LEN => x = Call::SIZE,
                LD_IMM => a = k,
                LDX_IMM => x = k,
                LD_MEM => a = memory[word],
                LDX_MEM => x = memory[word],
                ST => memory[word] = a,
                STX => memory[word] = x,
                ADD_K => a = a.wrapping_add(k),
                ADD_X => a = a.wrapping_add(x),
                SUB_K => a = a.wrapping_sub(k),
                SUB_X => a = a.wrapping_sub(x),
                MUL_K => a = a.wrapping_mul(k),
                MUL_X => a = a.wrapping_mul(x),
                // A division by zero ends the program with 0: the thread is killed.
                DIV_K | DIV_X => match a.checked_div(if instruction.code == DIV_K { k } else { x })
                {
                    Some(quotient) => a = quotient,
                    None => return returned(0, executed),
                },
                OR_K => a |= k,
                OR_X => a |= x,
                AND_K => a &= k,
                AND_X => a &= x,
                XOR_K => a ^= k,
                XOR_X => a ^= x,
                // The kernel takes a shift by 32 or more, which only X can be, modulo 32.
                LSH_K => a = a.wrapping_shl(k),
                LSH_X => a = a.wrapping_shl(x),
                RSH_K => a = a.wrapping_shr(k),
                RSH_X => a = a.wrapping_shr(x),
                NEG => a = a.wrapping_neg(),
                TAX => x = a,
                TXA => a = x,
                JA => at += k as usize,
                JEQ_K => branch(a == k),
                JEQ_X => branch(a == x),
                JGT_K => branch(a > k),
                JGT_X => branch(a > x),
                JGE_K => branch(a >= k),
                JGE_X => branch(a >= x),
                JSET_K => branch(a & k != 0),
                JSET_X => branch(a & x != 0),
                RET_A => return returned(a, executed),
                RET_K => return returned(k, executed),
                _ => return returned(Action::KillProcess.return_value(), executed),
            }
        }
    }

    /// Whether the kernel lets this call pass without running the program: from Linux 5.11 on it
    /// finds out, when a filter is loaded, which calls the filter allows whatever their
    /// arguments are, and keeps them in a bitmap.
    ///
    /// See `seccomp_is_const_allow` of `kernel/seccomp.c`. The kernel does so for its own ABI
    /// and the 32-bit one beside it, not for x32.
    pub fn allows_always(&self, arch: Arch, number: u32) -> bool {
        use code::*;
        let call = Call::new(arch, number);
        let mut a = 0;
        let mut at = 0;
        if arch == Arch::X32 {
            return false;
        }
        while let Some(instruction) = self.instructions().get(at) {
            let k = instruction.operand;
            at += 1;
            let holds = match instruction.code {
                LD_W_ABS if k == Call::NUMBER || k == Call::ARCH => {
                    a = call.word(k).unwrap_or(0);
                    continue;
                }
                AND_K => {
                    a &= k;
                    continue;
                }
                JA => {
                    at += k as usize;
                    continue;
                }
                RET_K => return k == Action::Allow.return_value(),
                JEQ_K => a == k,
                JGT_K => a > k,
                JGE_K => a >= k,
                JSET_K => a & k != 0,
                _ => return false,
            };
            at += instruction.jump_by(holds);
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Instruction;

    fn run(instructions: &[(u16, u32)], call: &Call) -> Outcome {
        let instructions = instructions.iter();
        let instructions = instructions.map(|(code, k)| Instruction::new(*code, *k));
        let ret = Instruction::new(code::RET_A, 0);
        let program = Program::new(instructions.chain([ret]).collect()).unwrap();
        program.run(call)
    }

    #[test]
    fn arithmetic_is_that_of_32_bits() {
        use code::*;
        let value = |instructions: &[(u16, u32)]| run(instructions, &Call::default()).value;
        assert_eq!(value(&[(LD_IMM, 3), (SUB_K, 5)]), u32::MAX - 1);
        assert_eq!(value(&[(LD_IMM, u32::MAX), (ADD_K, 2)]), 1);
        assert_eq!(value(&[(LD_IMM, 1), (LDX_IMM, 33), (LSH_X, 0)]), 2);
        assert_eq!(value(&[(LD_IMM, 6), (TAX, 0), (MUL_X, 0), (XOR_K, 1)]), 37);
        assert_eq!(value(&[(LD_IMM, 7), (ST, 3), (LDX_MEM, 3), (TXA, 0)]), 7);
        assert_eq!(value(&[(LD_IMM, 1), (NEG, 0), (DIV_K, 2)]), u32::MAX / 2);
        assert_eq!(value(&[(LD_W_LEN, 0)]), 64);
    }

    #[test]
    fn a_division_by_zero_kills_the_thread() {
        let program = [(code::LD_IMM, 9), (code::LDX_IMM, 0), (code::DIV_X, 0)];
        let outcome = run(&program, &Call::default());
        assert_eq!(outcome.action(), Action::KillThread);
        assert_eq!(outcome.executed, 3);
    }

    #[test]
    fn what_depends_on_an_argument_is_not_always_allowed() {
        let allow = Instruction::new(code::RET_K, Action::Allow.return_value());
        let test = Instruction::jump(code::JEQ_K, 0, 0, 1);
        let trap = Instruction::new(code::RET_K, Action::Trap.return_value());
        for (offset, expected) in [(Call::NUMBER, true), (16, false)] {
            let load = Instruction::new(code::LD_W_ABS, offset);
            let program = Program::new(vec![load, test, allow, trap]).unwrap();
            assert_eq!(program.allows_always(Arch::X86_64, 0), expected);
            assert!(!program.allows_always(Arch::X86_64, 1));
        }
    }
}
