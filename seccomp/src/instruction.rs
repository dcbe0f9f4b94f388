//! One instruction of classic BPF.

/// `struct sock_filter` of `linux/filter.h`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(C)]
pub struct Instruction {
    /// What is done: a class, with size and mode, or operation and source.
    pub code: u16,
    /// How many instructions a conditional jump passes over when its test holds.
    pub jump_true: u8,
    /// And when it does not.
    pub jump_false: u8,
    /// The operand.
    pub operand: u32,
}

/// The codes by name: `BPF_LD | BPF_W | BPF_ABS` is `LD_W_ABS`.
///
/// See `linux/bpf_common.h` and `linux/filter.h`; these are all that a seccomp filter may have.
pub(crate) mod code {
    pub(crate) const LD_W_ABS: u16 = 0x20;
    pub(crate) const LD_W_LEN: u16 = 0x80;
    pub(crate) const LDX_W_LEN: u16 = 0x81;
    pub(crate) const LD_IMM: u16 = 0x00;
    pub(crate) const LDX_IMM: u16 = 0x01;
    pub(crate) const LD_MEM: u16 = 0x60;
    pub(crate) const LDX_MEM: u16 = 0x61;
    pub(crate) const ST: u16 = 0x02;
    pub(crate) const STX: u16 = 0x03;
    pub(crate) const ADD_K: u16 = 0x04;
    pub(crate) const ADD_X: u16 = 0x0c;
    pub(crate) const SUB_K: u16 = 0x14;
    pub(crate) const SUB_X: u16 = 0x1c;
    pub(crate) const MUL_K: u16 = 0x24;
    pub(crate) const MUL_X: u16 = 0x2c;
    pub(crate) const DIV_K: u16 = 0x34;
    pub(crate) const DIV_X: u16 = 0x3c;
    pub(crate) const OR_K: u16 = 0x44;
    pub(crate) const OR_X: u16 = 0x4c;
    pub(crate) const AND_K: u16 = 0x54;
    pub(crate) const AND_X: u16 = 0x5c;
    pub(crate) const LSH_K: u16 = 0x64;
    pub(crate) const LSH_X: u16 = 0x6c;
    pub(crate) const RSH_K: u16 = 0x74;
    pub(crate) const RSH_X: u16 = 0x7c;
    pub(crate) const NEG: u16 = 0x84;
    pub(crate) const XOR_K: u16 = 0xa4;
    pub(crate) const XOR_X: u16 = 0xac;
    pub(crate) const JA: u16 = 0x05;
    pub(crate) const JEQ_K: u16 = 0x15;
    pub(crate) const JEQ_X: u16 = 0x1d;
    pub(crate) const JGT_K: u16 = 0x25;
    pub(crate) const JGT_X: u16 = 0x2d;
    pub(crate) const JGE_K: u16 = 0x35;
    pub(crate) const JGE_X: u16 = 0x3d;
    pub(crate) const JSET_K: u16 = 0x45;
    pub(crate) const JSET_X: u16 = 0x4d;
    pub(crate) const RET_K: u16 = 0x06;
    pub(crate) const RET_A: u16 = 0x16;
    pub(crate) const TAX: u16 = 0x07;
    pub(crate) const TXA: u16 = 0x87;
}

impl Instruction {
    /// The size of one in bytes.
    pub const SIZE: usize = 8;

    pub(crate) const fn new(code: u16, operand: u32) -> Self {
        Self::jump(code, operand, 0, 0)
    }

    pub(crate) const fn jump(code: u16, operand: u32, jump_true: u8, jump_false: u8) -> Self {
        Self {
            code,
            jump_true,
            jump_false,
            operand,
        }
    }

    /// Whether it goes on at one of two places by a test.
    pub(crate) const fn is_conditional(self) -> bool {
        use code::*;
        matches!(
            self.code,
            JEQ_K | JEQ_X | JGT_K | JGT_X | JGE_K | JGE_X | JSET_K | JSET_X
        )
    }

    /// How many instructions a conditional jump passes over.
    pub(crate) fn jump_by(self, holds: bool) -> usize {
        usize::from(if holds {
            self.jump_true
        } else {
            self.jump_false
        })
    }

    /// Whether it ends the program.
    pub(crate) const fn is_return(self) -> bool {
        matches!(self.code, code::RET_K | code::RET_A)
    }

    /// As the kernel reads it: fields in the byte order of this machine.
    pub fn to_bytes(self) -> [u8; Self::SIZE] {
        let [c0, c1] = self.code.to_ne_bytes();
        let [k0, k1, k2, k3] = self.operand.to_ne_bytes();
        [c0, c1, self.jump_true, self.jump_false, k0, k1, k2, k3]
    }

    /// The way back.
    pub fn from_bytes(bytes: [u8; Self::SIZE]) -> Self {
        let [c0, c1, jump_true, jump_false, k0, k1, k2, k3] = bytes;
        Self {
            code: u16::from_ne_bytes([c0, c1]),
            jump_true,
            jump_false,
            operand: u32::from_ne_bytes([k0, k1, k2, k3]),
        }
    }
}
