//! The profiles that come with this library: `default` and `strict`.
//!
//! Both are lists of what is allowed; each group of calls has its reason beside it. What is
//! allowed follows the capabilities, as with Docker: to grant one and to refuse the calls that
//! it is about would be of no use to anyone. Nothing is allowed that Docker's profile refuses
//! to who has the same capabilities, and these are refused beyond it:
//!
//! | refused | why |
//! |---|---|
//! | sockets of all families but `UNIX`, `INET`, `INET6`, `NETLINK`, `PACKET`; pairs of all but `UNIX` | old protocols, whose modules the kernel loads for who asks, are where its holes are found |
//! | netlink's audit without `CAP_AUDIT_WRITE` | answered by `EINVAL`, as by a kernel without audit: `useradd`, `sshd` and PAM go on then, where they fail on the error that a container gets |
//! | `ioctl` with `TIOCSTI` and `TIOCLINUX` | types into the terminal of others (CVE-2016-2568 and many alike) |
//! | `vmsplice`, `modify_ldt`, `fanotify_mark` | attack surface with hardly a use: Podman refuses the first, Wine needs the second for 16 bits, the third is of no use without `fanotify_init` |
//! | the 32-bit ABI (`x86`, `arm`), and x32 | see below |
//!
//! # Other ABIs
//!
//! A kernel for 64 bits serves 32-bit programs by other numbers and other code: that of i386 by
//! `int 0x80` to everyone, whether the image has such programs or not. Hardly an image has; the
//! kernel's second, less used half would be open to all for nothing; and on i386 `socketcall`
//! takes its arguments from memory, past what is said about `socket` here. So these ABIs are
//! refused with `ENOSYS`, as by a kernel that was built without them, unless they are asked for
//! by name ([`BuiltIn::policy_with`]). x32 is always refused: no distribution uses it, most
//! kernels do not have it, and filters that forgot it were passed by with its numbers.

mod default;
mod strict;
#[cfg(test)]
mod tests;

use std::fmt;
use std::str::FromStr;

use crate::oci::{ENOSYS, EPERM};
use crate::{Action, Arch, Comparison, Condition, Context, Flags, Newest, Policy, Rule, Unknown};

/// A profile of this library.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BuiltIn {
    /// For everyday images: shells, package managers, languages, servers.
    Default,
    /// For servers and tools that do their work and nothing else: no debugging, no special
    /// files, no special sockets, and nothing for the sake of a capability.
    Strict,
}

impl BuiltIn {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Default, Self::Strict];

    /// What the profile means for one context.
    pub fn policy(self, context: &Context) -> Policy {
        self.policy_with(context, &[])
    }

    /// The same with 32-bit ABIs beside the kernel's own. With that of i386 comes `socketcall`,
    /// and with it sockets of every family.
    pub fn policy_with(self, context: &Context, architectures: &[Arch]) -> Policy {
        let mut policy = Policy::new(Action::Errno(EPERM));
        policy.architectures = { architectures.iter().copied() }
            .filter(|arch| *arch != Arch::X32 && *arch != context.arch)
            .collect();
        policy.foreign = Action::Errno(ENOSYS);
        policy.unknown = Some(Unknown {
            action: Action::Errno(ENOSYS),
            newer_than: Newest::InTable,
        });
        // The kernel's mitigation of speculative store bypass makes every program slower; it is
        // off for filtered processes since Linux 5.16 anyway, and who needs it can switch it on
        // by prctl(2). As runc has it.
        policy.flags = Flags::SPEC_ALLOW;
        match self {
            Self::Default => default::rules(context, &mut policy.rules),
            Self::Strict => strict::rules(&mut policy.rules),
        }
        policy
    }

    /// Its name: `default`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::Strict => "strict",
        }
    }
}

impl fmt::Display for BuiltIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What is no name of a [`BuiltIn`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no profile of this library: default, strict")]
pub struct UnknownProfile(pub String);

impl FromStr for BuiltIn {
    type Err = UnknownProfile;

    fn from_str(name: &str) -> Result<Self, UnknownProfile> {
        let found = Self::ALL.into_iter().find(|it| it.name() == name);
        found.ok_or_else(|| UnknownProfile(name.to_owned()))
    }
}

/// Some calls, whatever their arguments: each group is a list of names, with spaces between.
fn allow<'a>(groups: impl IntoIterator<Item = &'a &'a str>) -> Rule {
    let names = groups
        .into_iter()
        .flat_map(|group| group.split_ascii_whitespace());
    Rule::new(names, Action::Allow)
}

/// `sys/socket.h`
const AF_UNIX: u64 = 1;
const AF_INET: u64 = 2;
const AF_INET6: u64 = 10;
const AF_NETLINK: u64 = 16;
/// `linux/netlink.h`
const NETLINK_AUDIT: u32 = 9;

/// The families of everyone: local, internet. A pair is local, but asked for one of another
/// family the kernel makes its sockets first, with the module that they take; and TIPC has pairs.
fn plain_sockets(rules: &mut Vec<Rule>) {
    for family in [AF_UNIX, AF_INET, AF_INET6] {
        rules.push(Rule::new(["socket"], Action::Allow).when(Condition::equal(0, family)));
    }
    rules.push(Rule::new(["socketpair"], Action::Allow).when(Condition::equal(0, AF_UNIX)));
}

/// There is no audit, says the answer to who asks for it: also by a number with bits above the 32
/// that the kernel looks at.
fn no_audit() -> Rule {
    const EINVAL: u16 = 22;
    Rule::new(["socket"], Action::Errno(EINVAL))
        .when(Condition::equal(0, AF_NETLINK))
        .when(Condition::equal_int(2, NETLINK_AUDIT))
}

/// What a process may do to its terminal: anything but to type into it. The kernel looks at the
/// low 32 bits of the request alone, and so must the filter (CVE-2019-7303).
fn ioctls(rules: &mut Vec<Rule>) {
    const LOW_HALF: Comparison = Comparison::MaskedEq { mask: 0xffff_ffff };
    const TIOCSTI: u64 = 0x5412;
    const TIOCLINUX: u64 = 0x541c;
    for request in [TIOCSTI, TIOCLINUX] {
        let is_it = Condition::new(1, LOW_HALF, request);
        rules.push(Rule::new(["ioctl"], Action::Errno(EPERM)).when(is_it));
    }
    rules.push(Rule::new(["ioctl"], Action::Allow));
}

/// New processes, without new namespaces: as root of a user namespace of its own a process
/// reaches the parts of the kernel that are else for root alone, and that is how most of the
/// kernel's holes of the last years were used. The flags of `clone3` lie in memory, out of the
/// filter's sight: on `ENOSYS` C libraries fall back to `clone`.
fn processes_without_namespaces(rules: &mut Vec<Rule>) {
    const NAMESPACES: u64 = 0x7e02_0000; // CLONE_NEWNS, CGROUP, UTS, IPC, USER, PID, NET
    let none = Condition::no_bits(0, NAMESPACES);
    rules.push(Rule::new(["clone"], Action::Allow).when(none));
    rules.push(Rule::new(["clone3"], Action::Errno(ENOSYS)));
}
