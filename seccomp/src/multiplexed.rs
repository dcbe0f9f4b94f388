//! `socketcall(2)` and `ipc(2)`: one number for many calls, on 32-bit x86.
//!
//! The first argument selects the call; the others are in memory (`socketcall`) or in places of
//! their own (`ipc`), where a filter cannot tell what the call would see.

use crate::policy::{Comparison, Condition, Policy, Rule};
use crate::{Action, Arch};

/// Such a call.
pub(crate) struct Multiplexer {
    pub(crate) name: &'static str,
    /// The bits of the first argument that select.
    mask: u64,
    /// What they select, by name: numbers and names.
    calls: &'static [(u64, &'static str)],
}

/// See `linux/net.h`.
const SOCKETCALL: Multiplexer = Multiplexer {
    name: "socketcall",
    mask: u32::MAX as u64,
    calls: &[
        (1, "socket"),
        (2, "bind"),
        (3, "connect"),
        (4, "listen"),
        (5, "accept"),
        (6, "getsockname"),
        (7, "getpeername"),
        (8, "socketpair"),
        (9, "send"),
        (10, "recv"),
        (11, "sendto"),
        (12, "recvfrom"),
        (13, "shutdown"),
        (14, "setsockopt"),
        (15, "getsockopt"),
        (16, "sendmsg"),
        (17, "recvmsg"),
        (18, "accept4"),
        (19, "recvmmsg"),
        (20, "sendmmsg"),
    ],
};

/// See `linux/ipc.h`. The upper half of the argument is a version.
const IPC: Multiplexer = Multiplexer {
    name: "ipc",
    mask: 0xffff,
    calls: &[
        (1, "semop"),
        (2, "semget"),
        (3, "semctl"),
        (4, "semtimedop"),
        (11, "msgsnd"),
        (12, "msgrcv"),
        (13, "msgget"),
        (14, "msgctl"),
        (21, "shmat"),
        (22, "shmdt"),
        (23, "shmget"),
        (24, "shmctl"),
    ],
};

/// Those of an architecture.
pub(crate) const fn of(arch: Arch) -> &'static [Multiplexer] {
    match arch {
        Arch::X86 => &[SOCKETCALL, IPC],
        _ => &[],
    }
}

/// Whether the call can be made by one of them.
pub(crate) fn knows(arch: Arch, name: &str) -> bool {
    of(arch)
        .iter()
        .any(|multiplexer| multiplexer.calls().any(|(call, _)| call == name))
}

impl Multiplexer {
    /// The calls by name, and when each is selected.
    pub(crate) fn calls(&self) -> impl Iterator<Item = (&'static str, Condition)> {
        self.calls.iter().map(|(number, name)| {
            let comparison = Comparison::MaskedEq { mask: self.mask };
            (*name, Condition::new(0, comparison, *number))
        })
    }

    /// The call that a first argument selects.
    pub(crate) fn selected(&self, argument: u64) -> Option<&'static str> {
        let number = argument & self.mask;
        self.calls
            .iter()
            .find_map(|(known, name)| (*known == number).then_some(*name))
    }
}

impl Policy {
    /// Decides about calls before all rules that there are, on every way by which the policy's ABIs
    /// make them: also where a rule names `socketcall` or `ipc` and so speaks for all of its calls.
    pub fn decide_first(&mut self, names: &[&str], action: Action) {
        let by_number = { self.architectures.iter() }
            .flat_map(|arch| of(*arch))
            .flat_map(|multiplexer| multiplexer.calls().map(|call| (multiplexer.name, call)))
            .filter(|(_, (call, _))| names.contains(call))
            .map(|(multiplexer, (_, selected))| Rule::new([multiplexer], action).when(selected));
        let by_name = (!names.is_empty()).then(|| Rule::new(names.iter().copied(), action));
        let first: Vec<_> = by_name.into_iter().chain(by_number).collect();
        self.rules.splice(0..0, first);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Call;

    #[test]
    fn the_first_argument_selects() {
        let [socketcall, ipc] = of(Arch::X86) else {
            panic!("x86 has two");
        };
        assert_eq!(socketcall.selected(3), Some("connect"));
        assert_eq!(socketcall.selected(0x1_0000_0003), Some("connect"));
        assert_eq!(socketcall.selected(21), None);
        assert_eq!(ipc.selected(0x0001_000b), Some("msgsnd"));
        assert!(of(Arch::Arm).is_empty());
    }

    #[test]
    fn calls_that_x86_has_in_no_other_way_are_known() {
        assert_eq!(Arch::X86.number_of("semop"), None);
        assert!(knows(Arch::X86, "semop"));
    }

    #[test]
    fn what_is_decided_first_is_decided_on_every_way() {
        let mut policy = Policy::new(Action::Errno(1));
        policy.architectures = vec![Arch::X86];
        policy.rules = vec![Rule::new(["connect", "socketcall", "ipc"], Action::Allow)];
        policy.decide_first(&["connect", "shmat"], Action::Errno(13));
        let does = |arch: Arch, name: &str, first, action| {
            let call = Call::new(arch, arch.number_of(name).unwrap()).with([first, 0, 0, 0, 0, 0]);
            assert_eq!(
                policy.evaluate(Arch::X86_64, &call),
                action,
                "{arch} {name}"
            );
            let program = policy.compile(Arch::X86_64).unwrap();
            assert_eq!(program.run(&call).action(), action, "{arch} {name}");
        };
        let refused = Action::Errno(13);
        does(Arch::X86_64, "connect", 0, refused);
        does(Arch::X86, "connect", 0, refused);
        does(Arch::X86, "socketcall", 3, refused);
        does(Arch::X86, "socketcall", 0x1_0000_0003, refused);
        does(Arch::X86, "socketcall", 1, Action::Allow);
        does(Arch::X86, "ipc", 0x0001_0015, refused);
        does(Arch::X86, "ipc", 22, Action::Allow);
        let before = policy.clone();
        policy.decide_first(&[], Action::Trap);
        assert_eq!(policy, before);
    }
}
