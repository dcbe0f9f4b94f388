//! What a program or a library says about the libraries that it needs.

use object::Endianness;
use object::elf;
use object::read::StringTable;
use object::read::elf::{Dyn as _, FileHeader, ProgramHeader as _};

/// The parts of an ELF file that the dynamic loader reads, see `ld.so(8)` and `elf(5)`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Elf {
    pub(super) machine: Machine,
    /// The loader; a program without one is static, a library has none either.
    pub(super) interpreter: Option<String>,
    /// Names of libraries (`DT_NEEDED`).
    pub(super) needed: Vec<String>,
    /// `DT_RPATH`: for this file and for what it loads, unless it has a `runpath`.
    pub(super) rpath: Vec<String>,
    /// `DT_RUNPATH`: for this file only.
    pub(super) runpath: Vec<String>,
}

/// Files of different machines do not load each other.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Machine {
    id: u16,
    is_64: bool,
}

impl Elf {
    pub(crate) fn parse(data: &[u8]) -> Result<Self, String> {
        // EI_CLASS
        let parsed = match data.get(4) {
            Some(&elf::ELFCLASS32) => parse::<elf::FileHeader32<Endianness>>(data),
            Some(&elf::ELFCLASS64) => parse::<elf::FileHeader64<Endianness>>(data),
            _ => return Err("not an ELF file of 32 or 64 bits".to_owned()),
        };
        parsed.map_err(|e| e.to_string())
    }

    /// Needs nothing but the kernel.
    pub(crate) fn is_static(&self) -> bool {
        self.interpreter.is_none() && self.needed.is_empty()
    }
}

fn parse<H: FileHeader<Endian = Endianness>>(data: &[u8]) -> object::Result<Elf> {
    let header = H::parse(data)?;
    let endian = header.endian()?;
    let machine = Machine {
        id: header.e_machine(endian),
        is_64: header.is_type_64(),
    };
    let mut found = Elf {
        machine,
        ..Elf::default()
    };
    let segments = header.program_headers(endian, data)?;
    for segment in segments {
        if let Some(interpreter) = segment.interpreter(endian, data)? {
            found.interpreter = Some(String::from_utf8_lossy(interpreter).into_owned());
        }
    }
    let mut entries = Vec::new();
    for segment in segments {
        for entry in segment.dynamic(endian, data)?.unwrap_or_default() {
            match entry.tag(endian) {
                elf::DT_NULL => break,
                _ => entries.push(entry),
            }
        }
    }
    let value = |tag| {
        entries
            .iter()
            .find(|entry| entry.tag(endian) == tag)
            .map(|e| e.val(endian))
    };
    let Some(address) = value(elf::DT_STRTAB) else {
        return Ok(found);
    };
    // The table is named by its address in memory: find the file's part with it.
    let offset = segments
        .iter()
        .filter(|s| s.p_type(endian) == elf::PT_LOAD)
        .find_map(|segment| {
            let within = address.checked_sub(segment.p_vaddr(endian).into())?;
            (within < segment.p_filesz(endian).into())
                .then(|| within.checked_add(segment.p_offset(endian).into()))?
        });
    let Some(start) = offset else {
        return Ok(found);
    };
    let end = start.saturating_add(value(elf::DT_STRSZ).unwrap_or(0));
    let strings = StringTable::new(data, start, end);
    let paths = |text: &str| {
        text.split(':')
            .filter(|p| !p.is_empty())
            .map(str::to_owned)
            .collect()
    };
    for entry in entries {
        let tag = entry.tag(endian);
        if !matches!(tag, elf::DT_NEEDED | elf::DT_RPATH | elf::DT_RUNPATH) {
            continue;
        }
        let text = String::from_utf8_lossy(entry.string(endian, strings)?).into_owned();
        match tag {
            elf::DT_NEEDED => found.needed.push(text),
            elf::DT_RPATH => found.rpath = paths(&text),
            _ => found.runpath = paths(&text),
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A little-endian 64-bit file with a loader, a dynamic and a loaded segment.
    fn sample() -> Vec<u8> {
        let strings = b"\0libc.so.6\0$ORIGIN/../lib:/opt/lib\0";
        let interpreter = b"/lib64/ld.so\0";
        let (base, at) = (0x40_0000_u64, 64 + 3 * 56);
        let dynamic_at = at + interpreter.len() as u64 + strings.len() as u64;
        let strings_at = at + interpreter.len() as u64;
        let entries = [
            (1, 1),
            (29, 11),
            (5, base + strings_at),
            (10, strings.len() as u64),
            (0, 0),
        ];
        let total = dynamic_at + 16 * entries.len() as u64;
        let mut file = b"\x7fELF\x02\x01\x01".to_vec();
        file.resize(16, 0);
        file.extend([2, 0, 62, 0, 1, 0, 0, 0]);
        for word in [0_u64, 64, 0] {
            file.extend(word.to_le_bytes());
        }
        file.extend([0; 4]);
        for half in [64_u16, 56, 3, 0, 0, 0] {
            file.extend(half.to_le_bytes());
        }
        let segments = [
            (3_u32, at, interpreter.len() as u64),
            (2, dynamic_at, total - dynamic_at),
            (1, 0, total),
        ];
        for (kind, offset, size) in segments {
            file.extend(kind.to_le_bytes());
            file.extend(4_u32.to_le_bytes());
            for word in [offset, base + offset, base + offset, size, size, 1] {
                file.extend(word.to_le_bytes());
            }
        }
        file.extend(interpreter);
        file.extend(strings);
        for (tag, value) in entries {
            file.extend(u64::to_le_bytes(tag));
            file.extend(value.to_le_bytes());
        }
        file
    }

    #[test]
    fn what_the_loader_reads_is_found() {
        let elf = Elf::parse(&sample()).unwrap();
        assert_eq!(elf.interpreter.as_deref(), Some("/lib64/ld.so"));
        assert_eq!(elf.needed, ["libc.so.6"]);
        assert_eq!(elf.runpath, ["$ORIGIN/../lib", "/opt/lib"]);
        assert!(elf.rpath.is_empty());
        assert!(!elf.is_static());
        assert_eq!(
            elf.machine,
            Machine {
                id: 62,
                is_64: true
            }
        );
    }

    #[test]
    fn damage_is_an_error_or_something_else_but_no_panic() {
        let sample = sample();
        for cut in 0..sample.len() {
            let _ = Elf::parse(&sample[..cut]);
        }
        for at in 0..sample.len() {
            for flip in [1, 0x80, 0xff] {
                let mut damaged = sample.clone();
                damaged[at] ^= flip;
                let _ = Elf::parse(&damaged);
            }
        }
    }
}
