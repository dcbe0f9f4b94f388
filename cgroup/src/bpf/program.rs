//! Compiles device rules to a program of type `BPF_PROG_TYPE_CGROUP_DEVICE`.

use super::insn::{Insn, Reg};
use crate::device::{Access, DeviceKind, DeviceRule};

// `struct bpf_cgroup_dev_ctx`: the access in the high and the kind in the low half of the
// first word, then major and minor number.
const ACCESS_TYPE: i16 = 0;
const MAJOR: i16 = 4;
const MINOR: i16 = 8;

// `BPF_DEVCG_DEV_BLOCK` and `BPF_DEVCG_DEV_CHAR`. The access bits (mknod 1, read 2, write 4)
// are those of `Access`.
const BLOCK: i32 = 1;
const CHAR: i32 = 2;

/// Compiles an allow list. The program returns 1 at the first rule that covers the whole
/// of the access asked for, else 0.
pub(super) fn compile(rules: &[DeviceRule]) -> Vec<Insn> {
    let mut program = vec![
        Insn::load(Reg::R2, Reg::R1, ACCESS_TYPE),
        Insn::copy(Reg::R3, Reg::R2),
        Insn::and(Reg::R2, 0xffff),
        Insn::shift_right(Reg::R3, 16),
        Insn::load(Reg::R4, Reg::R1, MAJOR),
        Insn::load(Reg::R5, Reg::R1, MINOR),
    ];
    for rule in rules {
        program.extend(compile_rule(rule));
        // The verifier refuses code that nothing can reach.
        if *rule == DeviceRule::ALL {
            return program;
        }
    }
    program.extend([Insn::set(Reg::R0, 0), Insn::exit()]);
    program
}

// Kind in r2, access in r3, major in r4, minor in r5; r1 is free by now.
fn compile_rule(rule: &DeviceRule) -> Vec<Insn> {
    // The conditions in turn; each that does not hold jumps behind the rule.
    let mut conditions: Vec<Vec<Insn>> = Vec::new();
    match rule.kind {
        DeviceKind::All => {}
        DeviceKind::Block => conditions.push(vec![Insn::jump_unless(Reg::R2, BLOCK)]),
        DeviceKind::Char => conditions.push(vec![Insn::jump_unless(Reg::R2, CHAR)]),
    }
    if rule.access != Access::all() {
        // Nothing may be asked for beyond what the rule gives.
        conditions.push(vec![
            Insn::copy(Reg::R1, Reg::R3),
            Insn::and(Reg::R1, rule.access.bits() as i32),
            Insn::jump_unless_equal(Reg::R1, Reg::R3),
        ]);
    }
    // Device numbers have at most 20 bits, so they keep their sign as immediates.
    if let Some(major) = rule.major {
        conditions.push(vec![Insn::jump_unless(Reg::R4, major as i32)]);
    }
    if let Some(minor) = rule.minor {
        conditions.push(vec![Insn::jump_unless(Reg::R5, minor as i32)]);
    }
    let mut code: Vec<Insn> = conditions.into_iter().flatten().collect();
    code.extend([Insn::set(Reg::R0, 1), Insn::exit()]);
    let end = code.len();
    for (at, insn) in code.iter_mut().enumerate() {
        insn.aim((end - at - 1) as i16);
    }
    code
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::default_devices;
    use proptest::prelude::*;

    fn listing(rules: &[DeviceRule]) -> String {
        let lines = compile(rules).into_iter().enumerate();
        let lines: Vec<String> = lines
            .map(|(at, insn)| format!("{at:3}: {insn:?}"))
            .collect();
        lines.join("\n")
    }

    #[test]
    fn the_default_list_compiles_to_this() {
        insta::assert_snapshot!(listing(&default_devices()));
    }

    #[test]
    fn a_partial_access_is_compared_as_a_subset() {
        insta::assert_snapshot!(listing(&["b 8:* r".parse().unwrap()]));
    }

    #[test]
    fn everything_and_nothing() {
        insta::assert_snapshot!(listing(&[
            DeviceRule::ALL,
            DeviceRule::char(1, 3, Access::READ)
        ]));
        insta::assert_snapshot!(listing(&[]));
    }

    /// Runs a program as the kernel would.
    fn run(program: &[Insn], kind: i32, access: u32, major: u32, minor: u32) -> bool {
        let context = [access << 16 | kind as u32, major, minor];
        let mut regs = [0_u64; 6];
        let mut at = 0;
        loop {
            let (code, dst, src, off, imm) = program[at].parts();
            at += 1;
            match code {
                0x61 => regs[dst] = u64::from(context[off as usize / 4]),
                0xbf => regs[dst] = regs[src],
                0xb7 => regs[dst] = imm as u64,
                0x57 => regs[dst] &= imm as u64,
                0x77 => regs[dst] >>= imm,
                0x55 if regs[dst] != imm as u64 => at += off as usize,
                0x5d if regs[dst] != regs[src] => at += off as usize,
                0x55 | 0x5d => {}
                0x95 => return regs[0] == 1,
                code => panic!("unknown code {code:#x}"),
            }
        }
    }

    fn any_rule() -> impl Strategy<Value = DeviceRule> {
        let kind = prop::sample::select(vec![DeviceKind::All, DeviceKind::Block, DeviceKind::Char]);
        let number = || proptest::option::of(0_u32..3);
        (kind, number(), number(), 1_u32..8).prop_map(|(kind, major, minor, access)| DeviceRule {
            kind,
            major,
            minor,
            access: Access::from_bits_truncate(access),
        })
    }

    proptest! {
        #[test]
        fn the_program_decides_as_the_rules_say(
            rules in proptest::collection::vec(any_rule(), 0..6),
            block in any::<bool>(),
            access in 1_u32..8,
            major in 0_u32..3,
            minor in 0_u32..3,
        ) {
            let kind = if block { DeviceKind::Block } else { DeviceKind::Char };
            let allowed = rules.iter().any(|rule| {
                (rule.kind == DeviceKind::All || rule.kind == kind)
                    && rule.major.is_none_or(|wanted| wanted == major)
                    && rule.minor.is_none_or(|wanted| wanted == minor)
                    && rule.access.bits() & access == access
            });
            let kind = if block { BLOCK } else { CHAR };
            prop_assert_eq!(run(&compile(&rules), kind, access, major, minor), allowed);
        }
    }
}
