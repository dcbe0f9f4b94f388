//! System calls by name and number, up to Linux 7.0.
//!
//! Calls that are numbered and were never made or are gone (`tuxcall`, `_sysctl`) are there: a
//! profile may name them.

mod aarch64;
mod arm;
mod riscv64;
mod x32;
mod x86;
mod x86_64;

use crate::Arch;

/// Numbers of x32 from here on belong to calls that x32 has in a form of its own; new calls are
/// numbered below.
const X32_SPECIAL: u32 = 512;

/// `__ARM_NR_BASE`: from here on the numbers of ARM's private calls.
const ARM_PRIVATE: u32 = 0x000f_0000;

impl Arch {
    /// Its calls, in the order of their numbers, each number and each name once. Those of x32
    /// are without [`X32_BIT`](Self::X32_BIT).
    pub(crate) const fn table(self) -> &'static [(u32, &'static str)] {
        match self {
            Self::X86_64 => x86_64::CALLS,
            Self::X86 => x86::CALLS,
            Self::X32 => x32::CALLS,
            Self::Aarch64 => aarch64::CALLS,
            Self::Arm => arm::CALLS,
            Self::Riscv64 => riscv64::CALLS,
        }
    }

    /// The bits that all numbers of this ABI have beside those of its table.
    pub(crate) const fn number_base(self) -> u32 {
        match self {
            Self::X32 => Self::X32_BIT,
            _ => 0,
        }
    }

    /// Its calls as pairs of number and name, in the order of their numbers.
    pub fn calls(self) -> impl ExactSizeIterator<Item = (u32, &'static str)> {
        let base = self.number_base();
        self.table().iter().map(move |(n, name)| (n | base, *name))
    }

    /// The number of a call, with [`X32_BIT`](Self::X32_BIT) for x32. It looks at one name after
    /// the other: for many, go through [`calls`](Self::calls).
    pub fn number_of(self, name: &str) -> Option<u32> {
        self.calls()
            .find_map(|(number, known)| (known == name).then_some(number))
    }

    /// The name of the call with this number.
    pub fn name_of(self, number: u32) -> Option<&'static str> {
        let table = self.table();
        let number = number.checked_sub(self.number_base())?;
        let found = table.binary_search_by_key(&number, |(known, _)| *known);
        found.ok().map(|index| table[index].1)
    }

    /// Whether new calls may get the number: it is not among those of old blocks that lie above.
    pub(crate) const fn is_in_sequence(self, number: u32) -> bool {
        match self {
            Self::X32 => number < Self::X32_BIT | X32_SPECIAL,
            Self::Arm => number < ARM_PRIVATE,
            _ => true,
        }
    }

    /// The number of the newest call that the table has.
    pub fn newest(self) -> u32 {
        self.calls()
            .map(|(number, _)| number)
            .filter(|number| self.is_in_sequence(*number))
            .max()
            .unwrap_or(0)
    }
}

/// Whether any of the known architectures has a call of this name.
pub fn is_known(name: &str) -> bool {
    Arch::ALL
        .iter()
        .any(|arch| arch.number_of(name).is_some() || crate::multiplexed::knows(*arch, name))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn numbers_rise_and_names_are_there_once() {
        for arch in Arch::ALL {
            let calls: Vec<_> = arch.calls().collect();
            assert!(calls.is_sorted_by(|a, b| a.0 < b.0), "{arch}");
            let names: HashSet<_> = calls.iter().map(|(_, name)| name).collect();
            assert_eq!(names.len(), calls.len(), "{arch}");
            for (number, name) in calls {
                assert_eq!(arch.number_of(name), Some(number));
                assert_eq!(arch.name_of(number), Some(name));
            }
        }
    }

    #[test]
    fn well_known_numbers() {
        for (arch, name, number) in [
            (Arch::X86_64, "read", 0),
            (Arch::X86_64, "openat", 257),
            (Arch::X86_64, "uprobe", 336),
            (Arch::X86, "socketcall", 102),
            (Arch::X86, "openat", 295),
            (Arch::X32, "openat", 0x4000_0101),
            (Arch::X32, "ioctl", 0x4000_0202),
            (Arch::Aarch64, "read", 63),
            (Arch::Arm, "set_tls", 0xf0005),
            (Arch::Arm, "openat", 322),
            (Arch::Riscv64, "riscv_hwprobe", 258),
        ] {
            assert_eq!(arch.number_of(name), Some(number), "{arch} {name}");
        }
        assert_eq!(Arch::Aarch64.number_of("open"), None);
        assert_eq!(Arch::X32.name_of(0), None);
        assert_eq!(Arch::X86_64.name_of(u32::MAX), None);
    }

    /// From 424 on a call has the same number everywhere.
    #[test]
    fn new_calls_are_numbered_alike() {
        for arch in Arch::ALL {
            assert_eq!(arch.newest() - arch.number_base(), 471, "{arch}");
            for (number, name) in arch.calls() {
                let plain = number - arch.number_base();
                if (424..512).contains(&plain) {
                    assert_eq!(Arch::X86_64.name_of(plain), Some(name), "{arch}");
                }
            }
        }
    }

    /// Lines such as `#define __NR_read 0`, of headers that may be older than the tables.
    fn compare_with_header(arch: Arch, path: &str) {
        let Ok(header) = std::fs::read_to_string(path) else {
            eprintln!("no {path} here: not compared");
            return;
        };
        let mut compared = 0;
        for line in header.lines() {
            let Some((name, number)) = line
                .strip_prefix("#define __NR_")
                .and_then(|rest| rest.split_once(' '))
            else {
                continue;
            };
            let number = number
                .trim_start_matches("(__X32_SYSCALL_BIT + ")
                .trim_end_matches(')');
            let Ok(number) = number.parse::<u32>() else {
                continue;
            };
            compared += 1;
            let expected = Some(number | arch.number_base());
            assert_eq!(arch.number_of(name), expected, "{arch} {name}");
        }
        assert!(compared > 300, "{path}: only {compared} calls");
    }

    #[test]
    fn tables_agree_with_the_headers_of_this_machine() {
        let directory = "/usr/include/x86_64-linux-gnu/asm";
        compare_with_header(Arch::X86_64, &format!("{directory}/unistd_64.h"));
        compare_with_header(Arch::X86, &format!("{directory}/unistd_32.h"));
        compare_with_header(Arch::X32, &format!("{directory}/unistd_x32.h"));
    }
}
