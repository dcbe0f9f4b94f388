use super::*;
use crate::docker::Profile;
use crate::{Call, Capabilities, KernelVersion};

/// Arguments that tell the conditions of any of the profiles apart.
const ARGUMENTS: [u64; 24] = [
    0,
    1,
    2,
    3,
    8,
    9,
    10,
    11,
    12,
    13,
    16,
    17,
    18,
    38,
    40,
    44,
    46,
    0x5412,
    0x541c,
    0x2_0000,
    0x2_0008,
    0x1000_0011,
    0xffff_ffff,
    u64::MAX,
];

fn docker(context: &Context) -> Policy {
    Profile::from_json(include_bytes!("../../fixtures/docker-default.json"))
        .and_then(|profile| profile.resolve(context))
        .unwrap()
}

fn contexts() -> Vec<Context> {
    let capabilities = [
        "CAP_SYS_ADMIN",
        "CAP_BPF",
        "CAP_DAC_READ_SEARCH",
        "CAP_PERFMON",
        "CAP_SYS_BOOT",
        "CAP_SYS_CHROOT",
        "CAP_SYS_MODULE",
        "CAP_SYS_NICE",
        "CAP_SYS_PACCT",
        "CAP_SYS_PTRACE",
        "CAP_SYS_RAWIO",
        "CAP_SYS_TIME",
        "CAP_SYS_TTY_CONFIG",
        "CAP_SYSLOG",
        "CAP_AUDIT_WRITE",
        "CAP_NET_RAW",
    ];
    let (old, new) = (
        KernelVersion { major: 4, minor: 4 },
        KernelVersion { major: 6, minor: 1 },
    );
    let mut contexts = Vec::new();
    for arch in [Arch::X86_64, Arch::Aarch64, Arch::Riscv64] {
        let mut add = |capabilities, kernel| {
            contexts.push(Context {
                arch,
                capabilities,
                kernel,
            });
        };
        add(Capabilities::NONE, old);
        add(Capabilities::NONE, new);
        add(Capabilities::ALL, new);
        if arch == Arch::X86_64 {
            for name in capabilities {
                add(Capabilities::NONE.with(name).unwrap(), new);
            }
        }
    }
    contexts
}

/// Every call with arguments that matter, on every ABI that the kernel may serve.
fn calls(target: Arch) -> impl Iterator<Item = Call> {
    { target.family().iter() }.flat_map(|arch| {
        arch.calls().flat_map(move |(number, _)| {
            ARGUMENTS.iter().flat_map(move |value| {
                let call = Call::new(*arch, number);
                [
                    call.with([*value, 0, 0, 0, 0, 0]),
                    call.with([0, *value, 0, 0, 0, 0]),
                    call.with([16, 3, *value, 0, 0, 0]),
                ]
            })
        })
    })
}

#[test]
fn nothing_is_allowed_that_docker_refuses() {
    for context in contexts() {
        let theirs = docker(&context).compile(context.arch).unwrap();
        let mut profiles: Vec<_> = { BuiltIn::ALL.iter() }
            .map(|profile| (*profile, profile.policy(&context)))
            .collect();
        let compat = BuiltIn::Default.policy_with(&context, context.arch.compat());
        profiles.push((BuiltIn::Default, compat));
        for (profile, policy) in profiles {
            let ours = policy.compile(context.arch).unwrap();
            for call in calls(context.arch) {
                let allowed = ours.run(&call).action().lets_pass();
                assert!(
                    !allowed || theirs.run(&call).action().lets_pass(),
                    "{profile} allows {call:?} for {context:?}"
                );
            }
        }
    }
}

#[test]
fn strict_allows_nothing_that_default_refuses() {
    for context in contexts() {
        let policy = |profile: BuiltIn| profile.policy(&context).compile(context.arch).unwrap();
        let (strict, default) = (policy(BuiltIn::Strict), policy(BuiltIn::Default));
        for call in calls(context.arch) {
            let allowed = strict.run(&call).action().lets_pass();
            assert!(
                !allowed || default.run(&call).action().lets_pass(),
                "{call:?} for {context:?}"
            );
        }
    }
}

/// What Docker allows and this does not, by name: a list to be looked at, not to grow by itself.
#[test]
fn what_is_refused_beyond_docker_is_known() {
    let context = Context {
        arch: Arch::X86_64,
        capabilities: Capabilities::NONE,
        kernel: KernelVersion { major: 6, minor: 1 },
    };
    let theirs = docker(&context).compile(context.arch).unwrap();
    let ours = BuiltIn::Default
        .policy(&context)
        .compile(context.arch)
        .unwrap();
    let refused: std::collections::BTreeSet<_> = calls(context.arch)
        .filter(|call| call.arch() == Some(Arch::X86_64))
        .filter(|call| theirs.run(call).action().lets_pass())
        .filter(|call| !ours.run(call).action().lets_pass())
        .filter_map(|call| Arch::X86_64.name_of(call.number))
        .collect();
    let refused: Vec<_> = refused.into_iter().collect();
    assert_eq!(
        refused,
        [
            "epoll_ctl_old",
            "epoll_wait_old",
            "fanotify_mark",
            "ioctl",
            "modify_ldt",
            "socket",
            "socketpair",
            "vmsplice",
        ]
    );
}

#[test]
fn every_name_is_that_of_a_call() {
    for context in contexts() {
        for profile in BuiltIn::ALL {
            for rule in profile.policy(&context).rules {
                for name in rule.names {
                    let known = crate::is_known(&name);
                    assert!(known, "{profile}: {name}");
                }
            }
        }
    }
}

#[test]
fn what_is_refused_is_refused_by_the_right_error() {
    let context = Context {
        arch: Arch::X86_64,
        capabilities: Capabilities::NONE,
        kernel: KernelVersion {
            major: 6,
            minor: 12,
        },
    };
    let policy = BuiltIn::Default.policy(&context);
    let is = |arch: Arch, name: &str, arguments, expected| {
        let call = Call::new(arch, arch.number_of(name).unwrap()).with(arguments);
        assert_eq!(
            policy.evaluate(Arch::X86_64, &call),
            expected,
            "{arch} {name}"
        );
    };
    let native = |name, first, expected| {
        is(Arch::X86_64, name, [first, 0, 0, 0, 0, 0], expected);
    };
    let (eperm, enosys) = (Action::Errno(EPERM), Action::Errno(ENOSYS));
    for name in [
        "mount",
        "unshare",
        "bpf",
        "io_uring_setup",
        "keyctl",
        "add_key",
        "request_key",
        "userfaultfd",
        "perf_event_open",
        "kexec_load",
        "pivot_root",
        "init_module",
        "reboot",
        "chroot",
        "open_by_handle_at",
        "swapon",
        "setns",
    ] {
        native(name, 0, eperm);
    }
    native("clone", 0x1000_0000, eperm);
    native("clone3", 0, enosys);
    native("file_getattr", 0, enosys);
    for family in [38, 40] {
        native("socket", family, eperm);
    }
    for audit in [9, 0x1_0000_0009, 0xffff_ffff_0000_0009] {
        let arguments = [16, 3, audit, 0, 0, 0];
        is(Arch::X86_64, "socket", arguments, Action::Errno(22));
    }
    is(Arch::X86_64, "socket", [16, 3, 0, 0, 0, 0], Action::Allow);
    // Packets, TIPC, which has pairs, ALG, and VSOCK.
    for family in [17, 30, 38, 40] {
        native("socketpair", family, eperm);
    }
    native("socketpair", 1, Action::Allow);
    is(Arch::X86_64, "ioctl", [0, 0x5412, 0, 0, 0, 0], eperm);
    is(Arch::X86_64, "ioctl", [0, 0x1_0000_5412, 0, 0, 0, 0], eperm);
    is(
        Arch::X86_64,
        "ioctl",
        [0, 0x5413, 0, 0, 0, 0],
        Action::Allow,
    );
    is(Arch::X32, "read", [0; 6], enosys);
    is(Arch::X86, "read", [0; 6], enosys);
    let newer = Call::new(Arch::X86_64, Arch::X86_64.newest() + 1);
    assert_eq!(policy.evaluate(Arch::X86_64, &newer), enosys);
}
