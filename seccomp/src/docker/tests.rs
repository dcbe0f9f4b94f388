use super::*;
use crate::{Action, Call};

const EPERM: Action = Action::Errno(1);
const ENOSYS: Action = Action::Errno(38);

pub(crate) fn context(capabilities: &[&str]) -> Context {
    let set = { capabilities.iter() }.fold(Capabilities::NONE, |set, name| set.with(name).unwrap());
    Context {
        arch: Arch::X86_64,
        capabilities: set,
        kernel: KernelVersion { major: 6, minor: 1 },
    }
}

fn docker() -> Profile {
    Profile::from_json(include_bytes!("../../fixtures/docker-default.json")).unwrap()
}

fn of(policy: &Policy, arch: Arch, name: &str, arguments: [u64; 6]) -> Action {
    let number = arch
        .number_of(name)
        .unwrap_or_else(|| panic!("{arch} has no {name}"));
    policy.evaluate(Arch::X86_64, &Call::new(arch, number).with(arguments))
}

#[test]
fn dockers_default_says_what_docker_says() {
    let policy = docker().resolve(&context(&["CAP_CHOWN"])).unwrap();
    let is = |name, first, expected| {
        let call = of(&policy, Arch::X86_64, name, [first, 0, 0, 0, 0, 0]);
        assert_eq!(call, expected, "{name} {first:#x}");
    };
    is("openat", 0, Action::Allow);
    is("ptrace", 0, Action::Allow);
    is("mount", 0, EPERM);
    is("chroot", 0, EPERM);
    is("io_uring_setup", 0, EPERM);
    is("clone", 0x11, Action::Allow);
    is("clone", 0x1000_0011, EPERM);
    is("clone3", 0, ENOSYS);
    is("socket", 2, Action::Allow);
    is("socket", 38, EPERM);
    is("socket", 40, EPERM);
    is("socket", 44, Action::Allow);
    is("personality", 0x2_0008, Action::Allow);
    is("personality", 0x4_0000, EPERM);
    is("arch_prctl", 0, Action::Allow);
    let x86 = of(&policy, Arch::X86, "openat", [0; 6]);
    assert_eq!(x86, Action::Allow);
}

#[test]
fn entries_are_for_those_with_the_capability_the_kernel_and_the_architecture() {
    let with = |capabilities: &[&str], name| {
        let policy = docker().resolve(&context(capabilities)).unwrap();
        of(&policy, Arch::X86_64, name, [0x1000_0000, 0, 0, 0, 0, 0])
    };
    for (capability, name) in [
        ("CAP_SYS_ADMIN", "mount"),
        ("CAP_SYS_ADMIN", "clone"),
        ("CAP_SYS_ADMIN", "clone3"),
        ("CAP_BPF", "bpf"),
        ("CAP_SYS_TIME", "clock_settime"),
    ] {
        assert_ne!(with(&[], name), Action::Allow, "{name}");
        assert_eq!(with(&[capability], name), Action::Allow, "{name}");
    }
    let mut old = context(&[]);
    old.kernel = KernelVersion { major: 4, minor: 7 };
    let policy = docker().resolve(&old).unwrap();
    assert_eq!(of(&policy, Arch::X86_64, "ptrace", [0; 6]), EPERM);

    let mut arm = context(&[]);
    arm.arch = Arch::Aarch64;
    let policy = docker().resolve(&arm).unwrap();
    assert_eq!(policy.architectures, [Arch::Arm]);
    let set_tls = Call::new(Arch::Arm, Arch::Arm.number_of("set_tls").unwrap());
    assert_eq!(policy.evaluate(Arch::Aarch64, &set_tls), Action::Allow);
}

#[test]
fn podmans_own_profile_is_read_where_it_is_installed() {
    let Ok(text) = std::fs::read("/usr/share/containers/seccomp.json") else {
        eprintln!("skipped: no /usr/share/containers/seccomp.json");
        return;
    };
    let profile = Profile::from_json(&text).unwrap();
    let policy = profile.resolve(&context(&["CAP_CHOWN"])).unwrap();
    let is = |name, arguments, expected| {
        assert_eq!(
            of(&policy, Arch::X86_64, name, arguments),
            expected,
            "{name}"
        );
    };
    is("openat", [0; 6], Action::Allow);
    is("userfaultfd", [0; 6], EPERM);
    is("bpf", [0; 6], EPERM);
    is("socket", [16, 3, 9, 0, 0, 0], Action::Errno(22));
    is("socket", [16, 3, 0, 0, 0, 0], Action::Allow);
    is("io_uring_setup", [0; 6], ENOSYS);
    assert!(policy.compile(Arch::X86_64).is_ok());
}

#[test]
fn an_object_of_the_runtime_spec_is_a_profile_too() {
    let text = br#"{"defaultAction": "SCMP_ACT_ERRNO", "architectures": ["SCMP_ARCH_X86"],
        "syscalls": [{"names": ["read"], "action": "SCMP_ACT_ALLOW"}]}"#;
    let as_docker = Profile::from_json(text).unwrap();
    let as_oci = oci::Seccomp::from_json(text).unwrap();
    assert_eq!(
        as_docker.resolve(&context(&[])).unwrap(),
        as_oci.policy().unwrap()
    );
}

#[test]
fn what_is_wrong_is_told_with_its_place_whoever_it_is_for() {
    let entry = |more: &str| {
        format!(
            r#"{{"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [
                {{"names": ["read"], "action": "SCMP_ACT_ALLOW"}},
                {{"names": ["write"], "action": "SCMP_ACT_ALLOW", {more}}}]}}"#
        )
    };
    let trials = [
        r#"{"defaultAction": "SCMP_ACT_ERRNO", "defaultErrno": "EWRONG"}"#.to_owned(),
        r#"{"defaultAction": "SCMP_ACT_ERRNO", "defaultErrno": "EPERM", "defaultErrnoRet": 2}"#
            .to_owned(),
        r#"{"defaultAction": "SCMP_ACT_ERRNO", "architectures": ["SCMP_ARCH_X86"],
            "archMap": [{"architecture": "SCMP_ARCH_X86_64"}]}"#
            .to_owned(),
        r#"{"defaultAction": "SCMP_ACT_ERRNO", "archMap": [{"architecture": "SCMP_ARCH_S390X",
            "subArchitectures": ["SCMP_ARCH_S391"]}]}"#
            .to_owned(),
        entry(r#""name": "read""#),
        entry(r#""includes": {"caps": ["SYS_ADMIN"]}"#),
        entry(r#""includes": {"arches": ["x86_64"]}"#),
        entry(r#""excludes": {"minKernel": "5"}"#),
        entry(r#""includes": {"arches": ["s390x"]}, "errno": "EWRONG""#),
        entry(
            r#""includes": {"arches": ["s390x"]}, "args": [{"index": 9, "value": 0, "op": "x"}]"#,
        ),
        entry(r#""include": {}"#),
    ];
    let told: Vec<_> = trials
        .iter()
        .map(|text| {
            let profile = Profile::from_json(text.as_bytes());
            let error = profile
                .and_then(|profile| profile.resolve(&context(&[])))
                .unwrap_err();
            let source = std::error::Error::source(&error);
            let source = source.map(|source| format!(": {source}"));
            format!("{text}\n    {error}{}\n", source.unwrap_or_default())
        })
        .collect();
    insta::assert_snapshot!(told.join("\n"));
}
