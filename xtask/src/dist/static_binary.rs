//! Whether a program needs nothing but the kernel.

/// `PT_INTERP` of `elf(5)`: the segment that names the dynamic loader.
const INTERPRETER: u32 = 3;

/// Whether a 64-bit program of this machine's byte order names no dynamic loader. What is no
/// such program is not static.
pub(super) fn is_static(elf: &[u8]) -> bool {
    segment_types(elf).is_some_and(|types| !types.is_empty() && !types.contains(&INTERPRETER))
}

fn segment_types(elf: &[u8]) -> Option<Vec<u32>> {
    // EI_CLASS: 64 bits.
    if !elf.starts_with(b"\x7fELF\x02") {
        return None;
    }
    let half = |at: usize| {
        Some(usize::from(u16::from_ne_bytes(
            *elf.get(at..)?.first_chunk()?,
        )))
    };
    let start = usize::try_from(u64::from_ne_bytes(*elf.get(32..)?.first_chunk()?)).ok()?;
    let (size, count) = (half(54)?, half(56)?);
    (0..count)
        .map(|index| {
            let at = start.checked_add(size.checked_mul(index)?)?;
            Some(u32::from_ne_bytes(*elf.get(at..)?.first_chunk()?))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn program(segments: &[u32]) -> Vec<u8> {
        let mut elf = b"\x7fELF\x02".to_vec();
        elf.resize(64, 0);
        elf[32..40].copy_from_slice(&64_u64.to_ne_bytes());
        elf[54..56].copy_from_slice(&56_u16.to_ne_bytes());
        let count = u16::try_from(segments.len()).unwrap();
        elf[56..58].copy_from_slice(&count.to_ne_bytes());
        for kind in segments {
            elf.extend(kind.to_ne_bytes());
            elf.extend([0; 52]);
        }
        elf
    }

    #[test]
    fn a_program_with_a_loader_is_not_static() {
        assert!(is_static(&program(&[1, 2, 7])));
        assert!(!is_static(&program(&[1, INTERPRETER])));
    }

    #[test]
    fn what_is_no_whole_program_is_not_static() {
        assert!(!is_static(b""));
        assert!(!is_static(b"#!/bin/sh\n"));
        assert!(!is_static(&program(&[])));
        assert!(!is_static(&program(&[1, 2])[..122]));
    }
}
