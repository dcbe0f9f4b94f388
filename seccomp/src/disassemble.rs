//! Programs as text.

use std::fmt;

use crate::instruction::{Instruction, code};
use crate::{Action, Arch, Call, Program};

/// What is known before an instruction, on every way to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Known {
    holds: Holds,
    /// The `AUDIT_ARCH` that was found.
    audit_arch: Option<u32>,
}

/// What the accumulator holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Holds {
    Arch,
    Number,
    Other,
}

impl Known {
    fn and(self, other: Self) -> Self {
        Self {
            holds: if self.holds == other.holds {
                self.holds
            } else {
                Holds::Other
            },
            audit_arch: self
                .audit_arch
                .filter(|_| self.audit_arch == other.audit_arch),
        }
    }
}

/// Jumps go forward, so one pass tells what is known where. `None`: it is never met.
fn known(instructions: &[Instruction]) -> Vec<Option<Known>> {
    let mut known: Vec<Option<Known>> = vec![None; instructions.len()];
    let nothing = Known {
        holds: Holds::Other,
        audit_arch: None,
    };
    if let Some(first) = known.first_mut() {
        *first = Some(nothing);
    }
    for (at, instruction) in instructions.iter().enumerate() {
        let Some(before) = known[at] else { continue };
        let mut arrive = |to: usize, with: Known| {
            if let Some(there) = known.get_mut(to) {
                *there = Some(there.map_or(with, |there| there.and(with)));
            }
        };
        match instruction.code {
            _ if instruction.is_return() => {}
            code::JA => arrive(at + 1 + instruction.operand as usize, before),
            _ if instruction.is_conditional() => {
                let found = before.holds == Holds::Arch && instruction.code == code::JEQ_K;
                let equal = Known {
                    audit_arch: found.then_some(instruction.operand).or(before.audit_arch),
                    ..before
                };
                arrive(at + 1 + instruction.jump_by(true), equal);
                arrive(at + 1 + instruction.jump_by(false), before);
            }
            other => {
                let holds = match (other, instruction.operand) {
                    (code::LD_W_ABS, Call::ARCH) => Holds::Arch,
                    (code::LD_W_ABS, Call::NUMBER) => Holds::Number,
                    // These leave the accumulator as it is.
                    (
                        code::LDX_W_LEN
                        | code::LDX_IMM
                        | code::LDX_MEM
                        | code::ST
                        | code::STX
                        | code::TAX,
                        _,
                    ) => before.holds,
                    _ => Holds::Other,
                };
                arrive(at + 1, Known { holds, ..before });
            }
        }
    }
    known
}

impl fmt::Display for Program {
    /// One instruction a line. `A` is what was loaded last.
    ///
    /// ```text
    ///   0  A = arch
    ///   1  if A != x86_64 goto 9
    ///   2  A = number
    ///   3  if A >= 60 (exit) goto 7
    /// ```
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = known(self.instructions());
        for (at, instruction) in self.instructions().iter().enumerate() {
            write!(f, "{at:4}  ")?;
            write_instruction(f, *instruction, at, known[at])?;
            writeln!(f)?;
        }
        Ok(())
    }
}

fn write_instruction(
    f: &mut fmt::Formatter<'_>,
    instruction: Instruction,
    at: usize,
    known: Option<Known>,
) -> fmt::Result {
    use code::*;
    let k = instruction.operand;
    match instruction.code {
        LD_W_ABS => write!(f, "A = {}", word_name(k)),
        LD_W_LEN => write!(f, "A = {}", Call::SIZE),
        LDX_W_LEN => write!(f, "X = {}", Call::SIZE),
        LD_IMM => write!(f, "A = {k:#x}"),
        LDX_IMM => write!(f, "X = {k:#x}"),
        LD_MEM => write!(f, "A = M[{k}]"),
        LDX_MEM => write!(f, "X = M[{k}]"),
        ST => write!(f, "M[{k}] = A"),
        STX => write!(f, "M[{k}] = X"),
        NEG => write!(f, "A = -A"),
        TAX => write!(f, "X = A"),
        TXA => write!(f, "A = X"),
        RET_K => write!(f, "return {}", Action::from_return_value(k)),
        RET_A => write!(f, "return A"),
        JA => write!(f, "goto {}", at + 1 + k as usize),
        _ if instruction.is_conditional() => write_jump(f, instruction, at, known),
        // Class, operation and source of the operand: `BPF_OP`, `BPF_SRC`.
        other => {
            let operation = match other & 0xf0 {
                0x00 => "+",
                0x10 => "-",
                0x20 => "*",
                0x30 => "/",
                0x40 => "|",
                0x50 => "&",
                0x60 => "<<",
                0x70 => ">>",
                _ => "^",
            };
            match other & 0x08 {
                0 => write!(f, "A {operation}= {k:#x}"),
                _ => write!(f, "A {operation}= X"),
            }
        }
    }
}

fn write_jump(
    f: &mut fmt::Formatter<'_>,
    instruction: Instruction,
    at: usize,
    known: Option<Known>,
) -> fmt::Result {
    use code::*;
    let operand = match instruction.code & 0x08 {
        0 => operand_name(instruction.operand, known),
        _ => String::from("X"),
    };
    let (holds, fails) = match instruction.code {
        JEQ_K | JEQ_X => (format!("A == {operand}"), format!("A != {operand}")),
        JGE_K | JGE_X => (format!("A >= {operand}"), format!("A < {operand}")),
        JGT_K | JGT_X => (format!("A > {operand}"), format!("A <= {operand}")),
        _ => (format!("A & {operand}"), format!("!(A & {operand})")),
    };
    let then = at + 1 + instruction.jump_by(true);
    let otherwise = at + 1 + instruction.jump_by(false);
    match (instruction.jump_true, instruction.jump_false) {
        (_, 0) => write!(f, "if {holds} goto {then}"),
        (0, _) => write!(f, "if {fails} goto {otherwise}"),
        _ => write!(f, "if {holds} goto {then} else {otherwise}"),
    }
}

/// A word of `struct seccomp_data`.
fn word_name(offset: u32) -> String {
    match offset {
        Call::NUMBER => String::from("number"),
        Call::ARCH => String::from("arch"),
        8 => String::from("instruction_pointer.low"),
        12 => String::from("instruction_pointer.high"),
        _ => {
            let half = if offset.is_multiple_of(8) {
                "low"
            } else {
                "high"
            };
            format!("args[{}].{half}", offset.saturating_sub(16) / 8)
        }
    }
}

/// What is compared with, by name where it is that of an architecture or a call.
fn operand_name(operand: u32, known: Option<Known>) -> String {
    let Some(known) = known else {
        return format!("{operand:#x}");
    };
    match known.holds {
        Holds::Arch => Arch::ALL
            .iter()
            .find(|arch| arch.audit() == operand)
            .map_or_else(|| format!("{operand:#x}"), Arch::to_string),
        Holds::Number => {
            let call = Call {
                number: operand,
                audit_arch: known.audit_arch.unwrap_or(0),
                ..Call::default()
            };
            let arch = call.arch().filter(|_| known.audit_arch.is_some());
            match (arch, arch.and_then(|arch| arch.name_of(operand))) {
                (Some(Arch::X32), Some(name)) => format!("{operand:#x} (x32 {name})"),
                (_, Some(name)) => format!("{operand} ({name})"),
                _ if operand >= Arch::X32_BIT => format!("{operand:#x}"),
                _ => operand.to_string(),
            }
        }
        Holds::Other => format!("{operand:#x}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_instruction_has_a_text() {
        use code::*;
        let codes = [
            LD_W_LEN, LDX_W_LEN, LD_IMM, LDX_IMM, ST, STX, LD_MEM, LDX_MEM, ADD_K, ADD_X, SUB_K,
            MUL_X, DIV_K, OR_X, AND_K, LSH_K, RSH_X, XOR_K, NEG, TAX, TXA, JA, JEQ_X, JGT_K,
            JSET_K,
        ];
        let mut program: Vec<_> = codes.map(|code| Instruction::new(code, 1)).into();
        program.push(Instruction::new(LD_W_ABS, 12));
        program.push(Instruction::jump(JGE_K, 7, 0, 1));
        program.push(Instruction::jump(JSET_K, 7, 1, 1));
        program.push(Instruction::new(RET_A, 0));
        program.push(Instruction::new(RET_K, Action::Trap.return_value()));
        insta::assert_snapshot!(Program::new(program).unwrap());
    }
}
