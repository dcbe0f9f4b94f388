//! The few eBPF instructions that device programs need.
//!
//! See the kernel's `Documentation/bpf/standardization/instruction-set.rst`.

use std::fmt;

/// A register.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Reg {
    R0 = 0,
    R1 = 1,
    R2 = 2,
    R3 = 3,
    R4 = 4,
    R5 = 5,
}

/// One instruction, laid out as `struct bpf_insn`.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub(crate) struct Insn {
    code: u8,
    // Destination register in the low half, source in the high half.
    regs: u8,
    off: i16,
    imm: i32,
}

// Classes, operations and operand kinds; the kernel's names in lower case.
const LDX: u8 = 0x01;
const MEM_W: u8 = 0x60;
const JMP: u8 = 0x05;
const ALU64: u8 = 0x07;
const X: u8 = 0x08;
const AND: u8 = 0x50;
const RSH: u8 = 0x70;
const MOV: u8 = 0xb0;
const JNE: u8 = 0x50;
const EXIT: u8 = 0x90;

impl Insn {
    #[cfg(target_endian = "little")]
    const fn new(code: u8, dst: Reg, src: Reg, off: i16, imm: i32) -> Self {
        Self {
            code,
            regs: dst as u8 | (src as u8) << 4,
            off,
            imm,
        }
    }

    #[cfg(target_endian = "big")]
    const fn new(code: u8, dst: Reg, src: Reg, off: i16, imm: i32) -> Self {
        Self {
            code,
            regs: (dst as u8) << 4 | src as u8,
            off,
            imm,
        }
    }

    /// `dst = *(u32 *)(src + off)`
    pub(super) const fn load(dst: Reg, src: Reg, off: i16) -> Self {
        Self::new(LDX | MEM_W, dst, src, off, 0)
    }

    /// `dst = src`
    pub(super) const fn copy(dst: Reg, src: Reg) -> Self {
        Self::new(ALU64 | MOV | X, dst, src, 0, 0)
    }

    /// `dst = imm`
    pub(super) const fn set(dst: Reg, imm: i32) -> Self {
        Self::new(ALU64 | MOV, dst, Reg::R0, 0, imm)
    }

    /// `dst &= imm`
    pub(super) const fn and(dst: Reg, imm: i32) -> Self {
        Self::new(ALU64 | AND, dst, Reg::R0, 0, imm)
    }

    /// `dst >>= imm`
    pub(super) const fn shift_right(dst: Reg, imm: i32) -> Self {
        Self::new(ALU64 | RSH, dst, Reg::R0, 0, imm)
    }

    /// `if dst != imm goto ...`; see [`Self::aim`].
    pub(super) const fn jump_unless(dst: Reg, imm: i32) -> Self {
        Self::new(JMP | JNE, dst, Reg::R0, 0, imm)
    }

    /// `if dst != src goto ...`; see [`Self::aim`].
    pub(super) const fn jump_unless_equal(dst: Reg, src: Reg) -> Self {
        Self::new(JMP | JNE | X, dst, src, 0, 0)
    }

    /// `exit`
    pub(super) const fn exit() -> Self {
        Self::new(JMP | EXIT, Reg::R0, Reg::R0, 0, 0)
    }

    /// Points a jump `off` instructions past the next one; other instructions stay.
    pub(super) const fn aim(&mut self, off: i16) {
        if self.code == JMP | JNE || self.code == JMP | JNE | X {
            self.off = off;
        }
    }

    const fn dst(self) -> u8 {
        if cfg!(target_endian = "little") {
            self.regs & 0xf
        } else {
            self.regs >> 4
        }
    }

    const fn src(self) -> u8 {
        if cfg!(target_endian = "little") {
            self.regs >> 4
        } else {
            self.regs & 0xf
        }
    }

    /// What [`fmt::Debug`] prints, taken apart for the interpreter of the tests.
    #[cfg(test)]
    pub(super) const fn parts(self) -> (u8, usize, usize, i16, i32) {
        (
            self.code,
            self.dst() as usize,
            self.src() as usize,
            self.off,
            self.imm,
        )
    }
}

/// As bpftool prints it.
impl fmt::Debug for Insn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (dst, src, off, imm) = (self.dst(), self.src(), self.off, self.imm);
        match self.code {
            code if code == LDX | MEM_W => write!(f, "r{dst} = *(u32 *)(r{src} + {off})"),
            code if code == ALU64 | MOV | X => write!(f, "r{dst} = r{src}"),
            code if code == ALU64 | MOV => write!(f, "r{dst} = {imm}"),
            code if code == ALU64 | AND => write!(f, "r{dst} &= {imm:#x}"),
            code if code == ALU64 | RSH => write!(f, "r{dst} >>= {imm}"),
            code if code == JMP | JNE => write!(f, "if r{dst} != {imm} goto +{off}"),
            code if code == JMP | JNE | X => write!(f, "if r{dst} != r{src} goto +{off}"),
            code if code == JMP | EXIT => f.write_str("exit"),
            code => write!(f, "{code:#04x}"),
        }
    }
}
