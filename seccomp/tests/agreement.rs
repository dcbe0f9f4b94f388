//! The compiled program and the policy, read word by word, say the same about every call.
//!
//! `PROPTEST_CASES` sets how many policies are tried: the default is a matter of seconds,
//!
//! ```text
//! PROPTEST_CASES=100000 cargo test --release -p coop-seccomp --test agreement
//! ```
//!
//! of minutes.

use coop_seccomp::{
    Action, Arch, Call, Comparison, CompileError, Condition, MAX_INSTRUCTIONS, Newest, Policy,
    Program, Rule, Unknown, verify,
};
use proptest::prelude::*;
use proptest::sample::{Index, select};

/// Few, so that rules meet: calls that some ABIs lack, that come by `socketcall` and `ipc`, that
/// are first, last, beyond the rest, or no call at all.
const NAMES: &[&str] = &[
    "read",
    "write",
    "open",
    "clone",
    "personality",
    "ioctl",
    "socket",
    "connect",
    "socketcall",
    "ipc",
    "semop",
    "shmat",
    "execveat",
    "set_tls",
    "riscv_hwprobe",
    "openat2",
    "mseal",
    "rseq_slice_yield",
    "no_such_call",
];

/// Values that lie close together, or share a half.
const VALUES: &[u64] = &[
    0,
    1,
    2,
    7,
    8,
    0x7e02_0000,
    0xffff_fffe,
    0xffff_ffff,
    0x1_0000_0000,
    0x1_0000_0001,
    0x7_0000_0007,
    0xffff_ffff_0000_0000,
    u64::MAX - 1,
    u64::MAX,
];

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        3 => Just(Action::Allow),
        3 => (1_u16..4).prop_map(Action::Errno),
        1 => Just(Action::Errno(u16::MAX)),
        1 => any::<u16>().prop_map(Action::Trace),
        1 => select(vec![
            Action::Log,
            Action::KillThread,
            Action::KillProcess,
            Action::Trap,
            Action::Notify,
        ]),
    ]
}

fn value() -> impl Strategy<Value = u64> {
    prop_oneof![
        6 => select(VALUES),
        1 => any::<u64>(),
        1 => any::<u32>().prop_map(u64::from),
        1 => (0_u32..64).prop_map(|bit| 1 << bit),
    ]
}

fn comparison() -> impl Strategy<Value = Comparison> {
    prop_oneof![
        Just(Comparison::Ne),
        Just(Comparison::Lt),
        Just(Comparison::Le),
        Just(Comparison::Eq),
        Just(Comparison::Ge),
        Just(Comparison::Gt),
        value().prop_map(|mask| Comparison::MaskedEq { mask }),
    ]
}

fn condition() -> impl Strategy<Value = Condition> {
    let index = prop_oneof![3 => Just(0_u8), 2 => Just(1), 1 => 2_u8..=5];
    // A masked comparison with a value outside the mask never holds, which is dull.
    (index, comparison(), value(), any::<bool>()).prop_map(|(index, comparison, value, fits)| {
        match comparison {
            Comparison::MaskedEq { mask } if fits => {
                Condition::new(index, comparison, value & mask)
            }
            _ => Condition::new(index, comparison, value),
        }
    })
}

fn rule() -> impl Strategy<Value = Rule> {
    let names = prop::collection::vec(select(NAMES), 1..4);
    let conditions = prop_oneof![
        1 => Just(Vec::new()),
        3 => prop::collection::vec(condition(), 1..4),
    ];
    (names, action(), conditions).prop_map(|(names, action, conditions)| {
        let mut rule = Rule::new(names, action);
        rule.conditions = conditions;
        rule
    })
}

/// A rule about many calls, as those of profiles are.
fn wide_rule() -> impl Strategy<Value = Rule> {
    (any::<[bool; 512]>(), select(Arch::ALL.as_slice()), action()).prop_map(
        |(chosen, arch, action)| {
            let names = arch.calls().zip(chosen).filter(|(_, chosen)| *chosen);
            Rule::new(names.map(|((_, name), _)| name), action)
        },
    )
}

fn unknown() -> impl Strategy<Value = Option<Unknown>> {
    let newer_than = select(vec![Newest::InTable, Newest::InRules]);
    prop::option::of(
        (action(), newer_than).prop_map(|(action, newer_than)| Unknown { action, newer_than }),
    )
}

fn policy() -> impl Strategy<Value = Policy> {
    let rules = (
        prop::collection::vec(rule(), 0..12),
        prop::collection::vec(wide_rule(), 0..2),
    );
    let architectures = prop::collection::vec(select(Arch::ALL.as_slice()), 0..4);
    (action(), unknown(), architectures, action(), rules).prop_map(
        |(default, unknown, architectures, foreign, (mut rules, wide))| {
            rules.extend(wide);
            let mut policy = Policy::new(default);
            policy.unknown = unknown;
            policy.architectures = architectures;
            policy.foreign = foreign;
            policy.rules = rules;
            policy
        },
    )
}

/// Numbers at which something may change: of calls that rules name, around the ends of tables,
/// and where x32 begins and ends.
fn numbers(policy: &Policy, arch: Arch) -> Vec<u32> {
    let named = policy.rules.iter().flat_map(|rule| &rule.names);
    let mut numbers: Vec<u32> = named
        .filter_map(|name| arch.number_of(name))
        .chain([0, arch.newest(), 512, 547, 0xf_0000, 0xf_0007])
        .chain([Arch::X32_BIT, Arch::X32_BIT + 512, 1 << 31, u32::MAX - 1])
        .chain(
            (arch == Arch::X86)
                .then_some([102, 117])
                .into_iter()
                .flatten(),
        )
        .flat_map(|number| [number.wrapping_sub(1), number, number.wrapping_add(1)])
        .collect();
    numbers.sort_unstable();
    numbers.dedup();
    numbers
}

/// Values at which a comparison with `constant` may turn, in each half.
fn around(condition: &Condition) -> Vec<u64> {
    let constant = condition.value;
    let mask = match condition.comparison {
        Comparison::MaskedEq { mask } => mask,
        _ => u64::MAX,
    };
    let half = 1_u64 << 32;
    [
        constant,
        constant.wrapping_sub(1),
        constant.wrapping_add(1),
        constant.wrapping_sub(half),
        constant.wrapping_add(half),
        constant & 0xffff_ffff,
        constant & !0xffff_ffff,
        constant ^ (mask & mask.wrapping_neg()),
        constant | !mask,
        constant & mask,
        !constant,
        mask,
    ]
    .into()
}

/// Arguments for calls with this name: each value of interest once, among others at random.
fn arguments(policy: &Policy, name: Option<&str>, picks: &[Index]) -> Vec<[u64; 6]> {
    let about = |rule: &&Rule| match name {
        // Any rule may be about what these stand for.
        Some("socketcall" | "ipc") => true,
        Some(name) => rule.names.iter().any(|known| known == name),
        None => false,
    };
    let mut pools: [Vec<u64>; 6] = std::array::from_fn(|_| vec![0, u64::MAX]);
    for condition in policy
        .rules
        .iter()
        .filter(about)
        .flat_map(|rule| &rule.conditions)
    {
        pools[usize::from(condition.index)].extend(around(condition));
    }
    if matches!(name, Some("socketcall" | "ipc")) {
        pools[0].extend(0..26);
        pools[0].extend([0x0001_0001, 0x1_0000_0001, 0x0001_000b]);
    }
    if pools.iter().all(|pool| pool.len() == 2) {
        // Nothing looks at them.
        return vec![[0; 6], [u64::MAX; 6]];
    }
    let mut picks = picks.iter().cycle();
    let mut vectors = Vec::new();
    for (index, pool) in pools.iter().enumerate() {
        for value in pool {
            for _ in 0..2 {
                let mut vector = std::array::from_fn(|other| {
                    let pick = picks
                        .next()
                        .map_or(0, |pick| pick.index(pools[other].len()));
                    pools[other][pick]
                });
                vector[index] = *value;
                vectors.push(vector);
            }
        }
    }
    vectors
}

fn check(policy: &Policy, target: Arch, program: &Program, picks: &[Index]) {
    for arch in Arch::ALL {
        for number in numbers(policy, arch) {
            for arguments in arguments(policy, arch.name_of(number), picks) {
                let call = Call::new(arch, number).with(arguments);
                let expected = policy.evaluate(target, &call);
                let outcome = program.run(&call);
                assert_eq!(
                    outcome.action(),
                    expected,
                    "{arch} {number} {arguments:x?} on {target}\n{program:?}"
                );
                // The kernel's bitmap may only hold what is always allowed.
                if program.allows_always(arch, number) {
                    assert_eq!(expected, Action::Allow);
                }
            }
        }
    }
    let unheard = Call {
        audit_arch: 0x1234,
        ..Call::default()
    };
    assert_eq!(program.run(&unheard).action(), policy.foreign);
}

fn config() -> ProptestConfig {
    let usual = ProptestConfig::default();
    ProptestConfig {
        // An integration test has no place of its own in the source tree for failures.
        failure_persistence: None,
        // Each case is some ten thousand calls.
        cases: match std::env::var_os("PROPTEST_CASES") {
            Some(_) => usual.cases,
            None => 48,
        },
        ..usual
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn a_program_says_what_its_policy_says(
        policy in policy(),
        target in select(Arch::ALL.as_slice()),
        picks in prop::collection::vec(any::<Index>(), 97),
    ) {
        match policy.compile(target) {
            Ok(program) => {
                prop_assert_eq!(verify(program.instructions()), Ok(()));
                prop_assert_eq!(policy.compile(target), Ok(program.clone()));
                check(&policy, target, &program, &picks);
            }
            Err(CompileError::TooLong(_)) => {
                // A dozen rules never are.
                prop_assert!(policy.rules.len() > 12, "too long for {MAX_INSTRUCTIONS}");
            }
            Err(error) => prop_assert!(false, "{error}: {error:?}"),
        }
    }
}
