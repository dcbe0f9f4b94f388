//! The profile `strict`: what is left when a program does its work and nothing else.

use super::default::ALWAYS;
use super::{AF_NETLINK, allow, ioctls, no_audit, plain_sockets, processes_without_namespaces};
use crate::{Action, Condition, Rule};

/// The rules, for every context: what a capability is about is refused, whoever has it.
///
/// Refused beside what `default` refuses to all are debugging, special files, asynchronous input
/// and output, message queues, real time, `chroot`, execution domains but the present one, and
/// of netlink all but what a C library asks for the host's addresses.
pub(super) fn rules(rules: &mut Vec<Rule>) {
    const NETLINK_ROUTE: u64 = 0;
    const ASK: u64 = 0xffff_ffff;
    rules.push(allow(ALWAYS));
    processes_without_namespaces(rules);
    plain_sockets(rules);
    rules.push(no_audit());
    rules.push(
        Rule::new(["socket"], Action::Allow)
            .when(Condition::equal(0, AF_NETLINK))
            .when(Condition::equal(2, NETLINK_ROUTE)),
    );
    ioctls(rules);
    for domain in [0, ASK] {
        rules.push(Rule::new(["personality"], Action::Allow).when(Condition::equal(0, domain)));
    }
}
