//! What the kernel asks of a filter: `bpf_check_classic` of `net/core/filter.c`, and what
//! `seccomp_check_filter` of `kernel/seccomp.c` leaves of the instruction set.

use crate::Call;
use crate::instruction::{Instruction, code};

/// The kernel's `BPF_MAXINSNS`.
pub const MAX_INSTRUCTIONS: usize = 4096;

/// `BPF_MEMWORDS`: the words of scratch memory.
pub(crate) const MEMORY: usize = 16;

/// Why the kernel would refuse a program.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Invalid {
    /// It has no instruction.
    #[error("the program is empty")]
    Empty,
    /// It has more than [`MAX_INSTRUCTIONS`].
    #[error("{0} instructions are more than the {MAX_INSTRUCTIONS} that the kernel takes")]
    TooLong(usize),
    /// The bytes do not divide into instructions.
    #[error("the last instruction is incomplete")]
    PartOfInstruction,
    /// No filter may have this code.
    #[error("instruction {at}: code {code:#x} is not allowed in a seccomp filter")]
    Code {
        /// Which instruction.
        at: usize,
        /// Its code.
        code: u16,
    },
    /// A load from outside of `struct seccomp_data`, or not of one whole word of it.
    #[error("instruction {at}: offset {offset} is no word of struct seccomp_data")]
    Offset {
        /// Which instruction.
        at: usize,
        /// From where it loads.
        offset: u32,
    },
    /// A jump to behind the end.
    #[error("instruction {at}: jumps out of the program")]
    Jump {
        /// Which instruction.
        at: usize,
    },
    /// A division by the constant 0 or a shift by more than 31.
    #[error("instruction {at}: operand {operand} makes no sense there")]
    Operand {
        /// Which instruction.
        at: usize,
        /// Its operand.
        operand: u32,
    },
    /// Scratch memory that does not exist, or is read before it is written on some path.
    #[error("instruction {at}: memory word {word} does not exist or was not written")]
    Memory {
        /// Which instruction.
        at: usize,
        /// Which word.
        word: u32,
    },
    /// The program may run over its end.
    #[error("the last instruction is no return")]
    NoReturn,
}

/// Checks a program as strictly as the kernel does before it takes a filter.
///
/// # Errors
/// [`Invalid`]: the first fault, with its place.
pub fn verify(program: &[Instruction]) -> Result<(), Invalid> {
    let Some(last) = program.last() else {
        return Err(Invalid::Empty);
    };
    if program.len() > MAX_INSTRUCTIONS {
        return Err(Invalid::TooLong(program.len()));
    }
    for (at, instruction) in program.iter().enumerate() {
        check(*instruction, at, program.len())?;
    }
    if !last.is_return() {
        return Err(Invalid::NoReturn);
    }
    check_memory(program)
}

fn check(instruction: Instruction, at: usize, length: usize) -> Result<(), Invalid> {
    use code::*;
    let operand = instruction.operand;
    let fault = |broken: bool, invalid: Invalid| if broken { Err(invalid) } else { Ok(()) };
    match instruction.code {
        LD_W_ABS => fault(
            operand >= Call::SIZE || !operand.is_multiple_of(4),
            Invalid::Offset {
                at,
                offset: operand,
            },
        ),
        DIV_K => fault(operand == 0, Invalid::Operand { at, operand }),
        LSH_K | RSH_K => fault(operand >= 32, Invalid::Operand { at, operand }),
        LD_MEM | LDX_MEM | ST | STX => fault(
            operand as usize >= MEMORY,
            Invalid::Memory { at, word: operand },
        ),
        JA => fault(operand as usize >= length - at - 1, Invalid::Jump { at }),
        _ if instruction.is_conditional() => {
            let farthest = instruction.jump_true.max(instruction.jump_false);
            fault(
                at + usize::from(farthest) + 1 >= length,
                Invalid::Jump { at },
            )
        }
        LD_W_LEN | LDX_W_LEN | LD_IMM | LDX_IMM | ADD_K | ADD_X | SUB_K | SUB_X | MUL_K | MUL_X
        | DIV_X | OR_K | OR_X | AND_K | AND_X | LSH_X | RSH_X | NEG | XOR_K | XOR_X | RET_K
        | RET_A | TAX | TXA => Ok(()),
        code => Err(Invalid::Code { at, code }),
    }
}

/// No word of memory may be read that was not written on every path: the kernel's
/// `check_load_and_stores`. Jumps go forward only, so one pass sees all.
fn check_memory(program: &[Instruction]) -> Result<(), Invalid> {
    use code::*;
    const EVERYTHING: u16 = u16::MAX;
    let mut written = 0;
    let mut arriving = vec![EVERYTHING; program.len()];
    for (at, instruction) in program.iter().enumerate() {
        written &= arriving[at];
        match instruction.code {
            ST | STX => written |= 1 << instruction.operand,
            LD_MEM | LDX_MEM if written & 1 << instruction.operand == 0 => {
                let word = instruction.operand;
                return Err(Invalid::Memory { at, word });
            }
            JA => {
                arriving[at + 1 + instruction.operand as usize] &= written;
                written = EVERYTHING;
            }
            _ if instruction.is_conditional() => {
                arriving[at + 1 + usize::from(instruction.jump_true)] &= written;
                arriving[at + 1 + usize::from(instruction.jump_false)] &= written;
                written = EVERYTHING;
            }
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const RET: Instruction = Instruction::new(code::RET_K, 0);

    fn of(codes: &[(u16, u32)]) -> Vec<Instruction> {
        let instructions = codes.iter().map(|(code, k)| Instruction::new(*code, *k));
        instructions.chain([RET]).collect()
    }

    #[test]
    fn what_the_kernel_takes_is_taken() {
        assert_eq!(verify(&[RET]), Ok(()));
        assert_eq!(verify(&of(&[(code::LD_W_ABS, 60), (code::JA, 0)])), Ok(()));
        assert_eq!(verify(&of(&[(code::ST, 15), (code::LD_MEM, 15)])), Ok(()));
        assert_eq!(verify(&vec![RET; MAX_INSTRUCTIONS]), Ok(()));
    }

    #[test]
    fn what_the_kernel_refuses_is_refused() {
        const MOD_K: u16 = 0x94;
        const LD_B_ABS: u16 = 0x30;
        let load = Instruction::new(code::LD_W_ABS, 0);
        assert_eq!(verify(&[]), Err(Invalid::Empty));
        let long = MAX_INSTRUCTIONS + 1;
        assert_eq!(verify(&vec![RET; long]), Err(Invalid::TooLong(long)));
        assert_eq!(verify(&[RET, load]), Err(Invalid::NoReturn));
        for (code, operand, expected) in [
            (MOD_K, 3, Invalid::Code { at: 0, code: MOD_K }),
            (
                LD_B_ABS,
                0,
                Invalid::Code {
                    at: 0,
                    code: LD_B_ABS,
                },
            ),
            (code::LD_W_ABS, 64, Invalid::Offset { at: 0, offset: 64 }),
            (code::LD_W_ABS, 2, Invalid::Offset { at: 0, offset: 2 }),
            (code::DIV_K, 0, Invalid::Operand { at: 0, operand: 0 }),
            (code::LSH_K, 32, Invalid::Operand { at: 0, operand: 32 }),
            (code::ST, 16, Invalid::Memory { at: 0, word: 16 }),
            (code::LD_MEM, 1, Invalid::Memory { at: 0, word: 1 }),
            (code::JA, 1, Invalid::Jump { at: 0 }),
            (code::JA, u32::MAX, Invalid::Jump { at: 0 }),
        ] {
            assert_eq!(verify(&of(&[(code, operand)])), Err(expected));
        }
        let jump = Instruction::jump(code::JEQ_K, 0, 0, 1);
        assert_eq!(verify(&[jump, RET]), Err(Invalid::Jump { at: 0 }));
    }

    #[test]
    fn memory_must_be_written_on_every_path() {
        let skip = Instruction::jump(code::JEQ_K, 0, 0, 1);
        let store = Instruction::new(code::ST, 0);
        let load = Instruction::new(code::LD_MEM, 0);
        let word = Invalid::Memory { at: 2, word: 0 };
        assert_eq!(verify(&[skip, store, load, RET]), Err(word));
        assert_eq!(verify(&[store, skip, store, load, RET]), Ok(()));
    }
}
