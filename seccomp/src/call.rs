//! A system call as a filter sees it.

use crate::Arch;

/// `struct seccomp_data` of `linux/seccomp.h`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(C)]
pub struct Call {
    /// The number, with [`Arch::X32_BIT`] for x32. The kernel has it signed: -1 is `u32::MAX`.
    pub number: u32,
    /// `AUDIT_ARCH_*`, see [`Arch::audit`].
    pub audit_arch: u32,
    /// Where the call was made.
    pub instruction_pointer: u64,
    /// The arguments, as they are in the registers.
    pub arguments: [u64; 6],
}

impl Call {
    /// The size of `struct seccomp_data` in bytes.
    pub const SIZE: u32 = 64;

    /// Where the number is.
    pub(crate) const NUMBER: u32 = 0;
    /// Where the architecture is.
    pub(crate) const ARCH: u32 = 4;

    /// A call of this number, with arguments of 0.
    pub const fn new(arch: Arch, number: u32) -> Self {
        Self {
            number,
            audit_arch: arch.audit(),
            instruction_pointer: 0,
            arguments: [0; 6],
        }
    }

    /// The same with these arguments.
    pub const fn with(mut self, arguments: [u64; 6]) -> Self {
        self.arguments = arguments;
        self
    }

    /// The ABI by which the call was made, where it is one that is known. x32 begins with
    /// [`Arch::X32_BIT`] and goes up to `u32::MAX - 1`.
    pub fn arch(&self) -> Option<Arch> {
        let is_x32 = (Arch::X32_BIT..u32::MAX).contains(&self.number);
        Arch::ALL.into_iter().find(|arch| {
            arch.audit() == self.audit_arch
                && (arch.audit() != Arch::X32.audit() || (*arch == Arch::X32) == is_x32)
        })
    }

    /// The 32 bits at `offset`, which is a multiple of 4 below [`SIZE`](Self::SIZE).
    pub(crate) fn word(&self, offset: u32) -> Option<u32> {
        let half = |value: u64, offset: u32| match offset % 8 {
            HIGH_HALF => (value >> 32) as u32,
            _ => value as u32,
        };
        match offset {
            _ if !offset.is_multiple_of(4) => None,
            0 => Some(self.number),
            4 => Some(self.audit_arch),
            8 | 12 => Some(half(self.instruction_pointer, offset)),
            16..64 => {
                let index = (offset - 16) / 8;
                Some(half(*self.arguments.get(index as usize)?, offset))
            }
            _ => None,
        }
    }
}

/// Where in a value of 64 bits its upper half lies. All known architectures are little-endian.
const HIGH_HALF: u32 = 4;

/// Half of an argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Half {
    Low,
    High,
}

/// Where half of the argument `index` is.
pub(crate) const fn argument_offset(index: u8, half: Half) -> u32 {
    let start = 16 + 8 * index as u32;
    match half {
        Half::Low => start,
        Half::High => start + HIGH_HALF,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_laid_out_as_the_kernel_has_it() {
        assert_eq!(size_of::<Call>() as u32, Call::SIZE);
        assert_eq!(std::mem::offset_of!(Call, number) as u32, Call::NUMBER);
        assert_eq!(std::mem::offset_of!(Call, audit_arch) as u32, Call::ARCH);
        let first = std::mem::offset_of!(Call, arguments) as u32;
        assert_eq!(argument_offset(0, Half::Low), first);
        let call = Call::new(Arch::X86_64, 7).with([0, 0, 0, 0, 0, 0x1122_3344_5566_7788]);
        assert_eq!(call.word(0), Some(7));
        assert_eq!(call.word(argument_offset(5, Half::Low)), Some(0x5566_7788));
        assert_eq!(call.word(argument_offset(5, Half::High)), Some(0x1122_3344));
        assert_eq!(call.word(64), None);
        assert_eq!(call.word(6), None);
    }

    #[test]
    fn x32_is_told_by_its_numbers() {
        let arch = |number| Call::new(Arch::X86_64, number).arch();
        assert_eq!(arch(0), Some(Arch::X86_64));
        assert_eq!(arch(0x4000_0000), Some(Arch::X32));
        assert_eq!(arch(u32::MAX - 1), Some(Arch::X32));
        assert_eq!(arch(u32::MAX), Some(Arch::X86_64));
        for arch in Arch::ALL {
            assert_eq!(Call::new(arch, arch.number_base()).arch(), Some(arch));
        }
        let unheard = Call {
            audit_arch: 1,
            ..Call::default()
        };
        assert_eq!(unheard.arch(), None);
    }
}
