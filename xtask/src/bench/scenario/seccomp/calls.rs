//! The calls that are put to programs.

use coop_seccomp::{Arch, Call, Comparison, Condition, Policy, Program, Rule};

/// What programs do all day long.
const HOTTEST: [&str; 10] = [
    "read",
    "write",
    "close",
    "futex",
    "epoll_wait",
    "recvfrom",
    "sendto",
    "openat",
    "mmap",
    "clock_gettime",
];

/// A call with the arguments that are tried.
pub(super) struct Probe(Vec<Call>);

impl Probe {
    /// How many instructions are executed for it, on the average.
    pub(super) fn mean(&self, program: &Program) -> f64 {
        let executed = self.0.iter().map(|call| program.run(call).executed);
        executed.sum::<usize>() as f64 / self.0.len() as f64
    }

    /// One call: without arguments, and with those that each rule about it asks for.
    fn new(policy: &Policy, arch: Arch, number: u32, name: &str) -> Self {
        let call = Call::new(arch, number);
        let asked_for = rules(policy, name)
            .filter(|rule| !rule.conditions.is_empty())
            .map(|rule| {
                let mut arguments = [0; 6];
                for condition in &rule.conditions {
                    arguments[usize::from(condition.index)] = fitting(condition);
                }
                call.with(arguments)
            });
        Self([call].into_iter().chain(asked_for).collect())
    }
}

/// All calls of the target's own ABI.
pub(super) fn all(policy: &Policy, target: Arch) -> Vec<Probe> {
    let calls = target.calls();
    calls
        .map(|(number, name)| Probe::new(policy, target, number, name))
        .collect()
}

/// The hottest.
pub(super) fn hottest(policy: &Policy, target: Arch) -> Vec<Probe> {
    let number = |name: &&'static str| target.number_of(name).map(|number| (number, *name));
    let calls = HOTTEST.iter().filter_map(number);
    calls
        .map(|(number, name)| Probe::new(policy, target, number, name))
        .collect()
}

/// Every number that may be a call on every ABI, with arguments around every constant of its
/// rules.
pub(super) fn everything(policy: &Policy, target: Arch) -> Vec<Call> {
    let mut calls = Vec::new();
    for arch in Arch::ALL {
        let base = if arch == Arch::X32 { Arch::X32_BIT } else { 0 };
        for number in (base..base + 600).chain([0xf_0001, 0xf_0005, u32::MAX - 1, u32::MAX]) {
            let plain = Call::new(arch, number);
            calls.push(plain);
            let name = plain.arch().and_then(|arch| arch.name_of(number));
            let about = name.into_iter().flat_map(|name| rules(policy, name));
            for condition in about.flat_map(|rule| &rule.conditions) {
                for value in around(condition) {
                    // libseccomp takes the arguments of x32 for 32 bits, which they are not.
                    if arch == Arch::X32 && value > u64::from(u32::MAX) {
                        continue;
                    }
                    let mut arguments = [0; 6];
                    arguments[usize::from(condition.index)] = value;
                    calls.push(plain.with(arguments));
                }
            }
        }
    }
    // x32 numbers are met on x86_64 alone; the rest is foreign everywhere.
    calls.retain(|call| call.arch().is_some() || target == Arch::X86_64);
    calls
}

fn rules<'a>(policy: &'a Policy, name: &'a str) -> impl Iterator<Item = &'a Rule> {
    let is_about = move |rule: &&Rule| rule.names.iter().any(|known| known == name);
    policy.rules.iter().filter(is_about)
}

/// A value for which a condition holds, if there is one nearby.
fn fitting(condition: &Condition) -> u64 {
    match condition.comparison {
        Comparison::Ne | Comparison::Gt => condition.value.wrapping_add(1),
        Comparison::Lt => condition.value.saturating_sub(1),
        _ => condition.value,
    }
}

fn around(condition: &Condition) -> [u64; 8] {
    let value = condition.value;
    let mask = match condition.comparison {
        Comparison::MaskedEq { mask } => mask,
        _ => u64::MAX,
    };
    [
        value,
        value.wrapping_sub(1),
        value.wrapping_add(1),
        value ^ 1 << 32,
        value.wrapping_neg(),
        value | !mask,
        value ^ (mask & mask.wrapping_neg()),
        u64::MAX,
    ]
}
