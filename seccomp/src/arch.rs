//! The system call ABIs that are known, and how others name them.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A system call ABI: its own table of numbers, and its own width of arguments.
///
/// A kernel serves more than one: that of `x86_64` serves programs of [`X86`](Self::X86) and, where
/// it was built for it, of [`X32`](Self::X32). A filter that thinks of one alone is passed by
/// with the numbers of another, so each is either listed in a policy or refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Arch {
    /// 64-bit x86: amd64.
    #[serde(rename = "x86_64")]
    X86_64,
    /// 32-bit x86: i386 and later, also on a 64-bit kernel by `int 0x80`.
    X86,
    /// `x86_64` with pointers of 32 bits. It shares its `AUDIT_ARCH` with [`X86_64`](Self::X86_64);
    /// its numbers have the bit [`X32_BIT`](Self::X32_BIT).
    X32,
    /// 64-bit ARM: arm64.
    Aarch64,
    /// 32-bit ARM, EABI.
    Arm,
    /// 64-bit RISC-V.
    Riscv64,
}

/// The ABIs that one kernel can serve.
const X86_FAMILY: &[Arch] = &[Arch::X86_64, Arch::X86, Arch::X32];
const ARM_FAMILY: &[Arch] = &[Arch::Aarch64, Arch::Arm];
const RISCV_FAMILY: &[Arch] = &[Arch::Riscv64];

impl Arch {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::X86_64,
        Self::X86,
        Self::X32,
        Self::Aarch64,
        Self::Arm,
        Self::Riscv64,
    ];

    /// The bit that tells a number of x32 from one of `x86_64`: `__X32_SYSCALL_BIT` of
    /// `asm/unistd.h`.
    pub const X32_BIT: u32 = 0x4000_0000;

    /// The ABI that this library is built for.
    ///
    /// A 32-bit build tells its own ABI also on a 64-bit kernel.
    pub const fn native() -> Self {
        #[cfg(all(target_arch = "x86_64", target_pointer_width = "64"))]
        return Self::X86_64;
        #[cfg(all(target_arch = "x86_64", target_pointer_width = "32"))]
        return Self::X32;
        #[cfg(target_arch = "x86")]
        return Self::X86;
        #[cfg(target_arch = "aarch64")]
        return Self::Aarch64;
        #[cfg(target_arch = "arm")]
        return Self::Arm;
        #[cfg(target_arch = "riscv64")]
        return Self::Riscv64;
        #[cfg(not(any(
            target_arch = "x86_64",
            target_arch = "x86",
            target_arch = "aarch64",
            target_arch = "arm",
            target_arch = "riscv64"
        )))]
        compile_error!("coop-seccomp has no system call table for this architecture");
    }

    /// The value of `seccomp_data.arch`: `AUDIT_ARCH_*` of `linux/audit.h`.
    pub const fn audit(self) -> u32 {
        match self {
            Self::X86_64 | Self::X32 => 0xC000_003E,
            Self::X86 => 0x4000_0003,
            Self::Aarch64 => 0xC000_00B7,
            Self::Arm => 0x4000_0028,
            Self::Riscv64 => 0xC000_00F3,
        }
    }

    /// The name of the OCI runtime-spec and of libseccomp: `SCMP_ARCH_X86_64`.
    pub const fn oci_name(self) -> &'static str {
        match self {
            Self::X86_64 => "SCMP_ARCH_X86_64",
            Self::X86 => "SCMP_ARCH_X86",
            Self::X32 => "SCMP_ARCH_X32",
            Self::Aarch64 => "SCMP_ARCH_AARCH64",
            Self::Arm => "SCMP_ARCH_ARM",
            Self::Riscv64 => "SCMP_ARCH_RISCV64",
        }
    }

    /// The ABI of a name of the OCI runtime-spec, where it is one of those that are known.
    pub fn from_oci_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|arch| arch.oci_name() == name)
    }

    /// Go's name, by which Docker's profiles tell architectures (`"arches": ["amd64"]`).
    /// Docker writes `x32` for the one that Go does not have.
    pub const fn go_name(self) -> &'static str {
        match self {
            Self::X86_64 => "amd64",
            Self::X86 => "386",
            Self::X32 => "x32",
            Self::Aarch64 => "arm64",
            Self::Arm => "arm",
            Self::Riscv64 => "riscv64",
        }
    }

    /// The ABI of a name of Go's or Docker's, where it is one of those that are known.
    pub fn from_go_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|arch| arch.go_name() == name)
    }

    /// What a kernel of this architecture may serve beside it: `x86` and `x32` on `x86_64`, `arm`
    /// on aarch64.
    pub const fn compat(self) -> &'static [Self] {
        match self {
            Self::X86_64 => &[Self::X86, Self::X32],
            Self::Aarch64 => &[Self::Arm],
            Self::X86 | Self::X32 | Self::Arm | Self::Riscv64 => &[],
        }
    }

    /// The ABIs that may be met on one kernel with this one, itself among them.
    pub const fn family(self) -> &'static [Self] {
        match self {
            Self::X86_64 | Self::X86 | Self::X32 => X86_FAMILY,
            Self::Aarch64 | Self::Arm => ARM_FAMILY,
            Self::Riscv64 => RISCV_FAMILY,
        }
    }

    /// The bits of an argument: 32 on [`X86`](Self::X86) and [`Arm`](Self::Arm), else 64.
    pub const fn argument_bits(self) -> u32 {
        match self {
            Self::X86 | Self::Arm => 32,
            Self::X86_64 | Self::X32 | Self::Aarch64 | Self::Riscv64 => 64,
        }
    }

    /// The name that is shown, and saved: `x86_64`, `aarch64`, as `uname -m` tells it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64",
            Self::X86 => "x86",
            Self::X32 => "x32",
            Self::Aarch64 => "aarch64",
            Self::Arm => "arm",
            Self::Riscv64 => "riscv64",
        }
    }
}

impl fmt::Display for Arch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What is no name of an [`Arch`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no known architecture: x86_64, x86, x32, aarch64, arm, riscv64")]
pub struct UnknownArch(pub String);

impl std::str::FromStr for Arch {
    type Err = UnknownArch;

    /// Takes what [`name`](Self::name), [`oci_name`](Self::oci_name) and
    /// [`go_name`](Self::go_name) tell.
    fn from_str(name: &str) -> Result<Self, UnknownArch> {
        Self::ALL
            .into_iter()
            .find(|arch| [arch.name(), arch.oci_name(), arch.go_name()].contains(&name))
            .ok_or_else(|| UnknownArch(name.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_leads_back_to_its_architecture() {
        for arch in Arch::ALL {
            assert_eq!(Arch::from_oci_name(arch.oci_name()), Some(arch));
            assert_eq!(Arch::from_go_name(arch.go_name()), Some(arch));
            assert_eq!(arch.name().parse(), Ok(arch));
            let json = serde_json::to_string(&arch).unwrap();
            assert_eq!(json, format!("{:?}", arch.name()));
            assert_eq!(serde_json::from_str::<Arch>(&json).unwrap(), arch);
        }
        assert_eq!(
            "sparc".parse::<Arch>(),
            Err(UnknownArch(String::from("sparc")))
        );
    }

    #[test]
    fn compat_abis_are_of_the_family() {
        for arch in Arch::ALL {
            assert!(arch.family().contains(&arch));
            for other in arch.compat() {
                assert!(arch.family().contains(other) && *other != arch);
            }
        }
    }
}
