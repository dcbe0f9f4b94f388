use super::*;
use crate::instruction::code;
use crate::policy::{Comparison, Newest, Rule, Unknown};
use crate::verify::MAX_INSTRUCTIONS;

const EPERM: Action = Action::Errno(1);

fn policy(default: Action, rules: Vec<Rule>) -> Policy {
    let mut policy = Policy::new(default);
    policy.rules = rules;
    policy
}

fn compiled(rules: Vec<Rule>) -> Program {
    policy(EPERM, rules).compile(Arch::X86_64).unwrap()
}

/// The instructions that look at arguments and end, of a program with one call in it.
fn checks_of(rules: Vec<Rule>) -> String {
    let text = compiled(rules).to_string();
    let from = text
        .find("= args")
        .map_or(0, |at| text[..at].rfind('\n').unwrap_or(0) + 1);
    text[from..].to_string()
}

#[test]
fn a_policy_without_rules_looks_at_the_architecture_alone() {
    let program = policy(Action::Allow, Vec::new())
        .compile(Arch::Riscv64)
        .unwrap();
    insta::assert_snapshot!(program);
}

#[test]
fn neighbours_that_are_treated_alike_are_one_range() {
    // 0, 1 and 3 to 5; hot ones are asked for first.
    let names = ["read", "write", "close", "stat", "fstat", "openat"];
    let mut policy = policy(EPERM, vec![Rule::new(names, Action::Allow)]);
    policy.architectures = vec![Arch::X32];
    policy.unknown = Some(Unknown {
        action: Action::Errno(38),
        newer_than: Newest::InTable,
    });
    insta::assert_snapshot!(policy.compile(Arch::X86_64).unwrap());
}

#[test]
fn each_kernel_has_its_own_second_abi() {
    let rules = vec![Rule::new(["read"], Action::Allow)];
    let mut policy = policy(EPERM, rules);
    policy.architectures = Arch::ALL.to_vec();
    insta::assert_snapshot!(policy.compile(Arch::Aarch64).unwrap());
}

#[test]
fn flags_are_tested_by_one_instruction() {
    let clone = Rule::new(["clone"], Action::Allow);
    insta::assert_snapshot!(checks_of(vec![
        clone.when(Condition::no_bits(0, 0x7e02_0000))
    ]));
}

#[test]
fn several_values_of_an_argument_are_one_tree() {
    let personality =
        |value| Rule::new(["personality"], Action::Allow).when(Condition::equal(0, value));
    let values = [0, 8, 0x20000, 0x20008, 0xffff_ffff];
    insta::assert_snapshot!(checks_of(values.map(personality).into()));
}

#[test]
fn masks_of_one_word_share_its_load() {
    let masked = |mask, value| Condition::new(2, Comparison::MaskedEq { mask }, value);
    let rule = |mask, value| Rule::new(["mmap"], Action::Trap).when(masked(mask, value));
    insta::assert_snapshot!(checks_of(vec![
        rule(6, 6),
        rule(6, 2),
        rule(1, 0),
        rule(9, 9)
    ]));
}

#[test]
fn an_order_is_decided_by_the_lower_half_where_it_can() {
    let rule = |comparison, value| {
        Rule::new(["mmap"], Action::Allow).when(Condition::new(1, comparison, value))
    };
    let small = checks_of(vec![rule(Comparison::Le, 0xffff)]);
    let large = checks_of(vec![rule(Comparison::Gt, 0x5_0000_0007)]);
    insta::assert_snapshot!(format!("{small}\n{large}"));
}

/// `read` needs fewer instructions than what nobody calls.
#[test]
fn hot_calls_come_first() {
    let every_other = Arch::X86_64.calls().step_by(2).map(|(_, name)| name);
    let program = compiled(vec![Rule::new(every_other, Action::Allow)]);
    let cost = |name| {
        *program
            .cost(Arch::X86_64, Arch::X86_64.number_of(name).unwrap())
            .end()
    };
    assert!(
        cost("read") < cost("quotactl"),
        "{} {}",
        cost("read"),
        cost("quotactl")
    );
}

#[test]
fn what_a_jump_does_not_reach_is_reached_all_the_same() {
    // More than 255 instructions of conditions between the numbers and the last call.
    let rules = Arch::X86_64.calls().zip(0..).map(|((_, name), value)| {
        Rule::new([name], Action::Errno(value % 50)).when(Condition::equal(0, value.into()))
    });
    let policy = policy(Action::Allow, rules.collect());
    let program = policy.compile(Arch::X86_64).unwrap();
    assert!(program.instructions().len() > 1000);
    assert!(program.instructions().iter().any(|i| i.code == code::JA));
    for ((number, _), value) in Arch::X86_64.calls().zip(0_u16..) {
        for argument in [
            value.into(),
            u64::from(value) + 1,
            1 << 32 | u64::from(value),
        ] {
            let call = Call::new(Arch::X86_64, number).with([argument, 0, 0, 0, 0, 0]);
            let expected = policy.evaluate(Arch::X86_64, &call);
            assert_eq!(program.run(&call).action(), expected);
        }
    }
}

#[test]
fn what_is_too_long_is_an_error() {
    let rule = |value: u64| {
        Rule::new(["ioctl"], Action::Errno(value as u16)).when(Condition::equal(1, value * value))
    };
    let policy = policy(Action::Allow, (0..4000_u64).map(rule).collect());
    let error = policy.compile(Arch::X86_64).unwrap_err();
    let CompileError::TooLong(Invalid::TooLong(length)) = error else {
        panic!("{error:?}");
    };
    assert!(length > MAX_INSTRUCTIONS);
}

/// Rules with conditions on different arguments do not multiply.
#[test]
fn rules_that_have_nothing_in_common_stay_short() {
    let rule = |seed: u64| {
        let mut rule = Rule::new(["ioctl"], Action::Errno(seed as u16));
        for index in 0..6 {
            let value = seed
                .wrapping_mul(0x9e37_79b9_7f4a_7c15)
                .rotate_left(index * 9);
            let comparison =
                [Comparison::Gt, Comparison::Lt][(seed + u64::from(index)) as usize % 2];
            rule = rule.when(Condition::new(index as u8, comparison, value));
        }
        rule
    };
    let policy = policy(Action::Allow, (1..60).map(rule).collect());
    let program = policy.compile(Arch::X86_64).unwrap();
    let length = program.instructions().len();
    assert!(length < 60 * 6 * 7, "{length}");
}

#[test]
fn an_argument_that_does_not_exist_is_an_error() {
    let rules = vec![
        Rule::new(["read"], Action::Allow),
        Rule::new(["no_such_call"], Action::Allow).when(Condition::equal(6, 0)),
    ];
    let error = policy(EPERM, rules).compile(Arch::X86_64).unwrap_err();
    assert_eq!(error, CompileError::Argument { rule: 1, index: 6 });
}

#[test]
fn a_rule_with_more_conditions_than_anyone_needs_is_an_error() {
    let conditions = |count: u64| {
        let mut rule = Rule::new(["ioctl"], Action::Allow);
        rule.conditions = (0..count)
            .map(|bit| Condition::no_bits(1, 3 << (bit % 60)))
            .collect();
        policy(EPERM, vec![rule]).compile(Arch::X86_64)
    };
    assert!(conditions(MAX_CONDITIONS as u64).is_ok());
    let count = MAX_CONDITIONS + 1;
    let error = conditions(count as u64).unwrap_err();
    assert_eq!(error, CompileError::Conditions { rule: 0, count });
}

/// Where rules have little in common, to look for it would take for ever.
#[test]
fn thousands_of_rules_about_one_call_are_refused_and_do_not_take_for_ever() {
    const KINDS: [Comparison; 4] = [
        Comparison::Eq,
        Comparison::Gt,
        Comparison::MaskedEq { mask: 0xff_ffff },
        Comparison::Ne,
    ];
    let rules = (0..4000_u64).map(|number| {
        let (index, kind) = ((number % 6) as u8, KINDS[number as usize % 4]);
        Rule::new(["ioctl"], EPERM)
            .when(Condition::new(index, kind, number * 7 + 1))
            .when(Condition::new((index + 1) % 6, Comparison::Lt, number * 3))
    });
    let compiled = policy(Action::Allow, rules.collect()).compile(Arch::X86_64);
    assert!(
        matches!(compiled, Err(CompileError::TooLong(_))),
        "{compiled:?}"
    );
}
