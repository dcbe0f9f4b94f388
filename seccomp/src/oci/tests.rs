use super::*;
use crate::Call;

fn read(text: &str) -> Result<Policy, ProfileError> {
    Seccomp::from_json(text.as_bytes())?.policy()
}

/// What the user reads, with the cause behind it.
fn refused(text: &str) -> String {
    let error = read(text).unwrap_err();
    let source = std::error::Error::source(&error);
    source.map_or(error.to_string(), |source| format!("{error}: {source}"))
}

fn action_of(policy: &Policy, name: &str, arguments: [u64; 6]) -> Action {
    let arch = Arch::X86_64;
    let number = arch.number_of(name).unwrap();
    policy.evaluate(arch, &Call::new(arch, number).with(arguments))
}

#[test]
fn the_object_means_what_runc_makes_of_it() {
    let policy = read(
        r#"{
            "defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 13,
            "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_S390X"],
            "flags": ["SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_SPEC_ALLOW"],
            "syscalls": [
                {"names": ["read"], "action": "SCMP_ACT_ALLOW"},
                {"names": ["read"], "action": "SCMP_ACT_KILL",
                 "args": [{"index": 0, "value": 3, "op": "SCMP_CMP_EQ"}]},
                {"names": ["clone"], "action": "SCMP_ACT_ALLOW",
                 "args": [{"index": 0, "value": 15, "valueTwo": 1, "op": "SCMP_CMP_MASKED_EQ"}]},
                {"names": ["write"], "action": "SCMP_ACT_ERRNO", "errnoRet": 5},
                {"names": ["openat2"], "action": "SCMP_ACT_TRAP"}
            ]
        }"#,
    )
    .unwrap();
    assert_eq!(policy.flags, Flags::LOG | Flags::SPEC_ALLOW);
    assert_eq!(policy.covered(Arch::X86_64), [Arch::X86_64, Arch::X86]);
    let is = |name, first, expected| {
        assert_eq!(
            action_of(&policy, name, [first, 0, 0, 0, 0, 0]),
            expected,
            "{name}"
        );
    };
    // What has no conditions wins over what has.
    is("read", 3, Action::Allow);
    is("clone", 0xf1, Action::Allow);
    is("clone", 0xf2, Action::Errno(13));
    is("write", 0, Action::Errno(5));
    is("openat2", 0, Action::Trap);
    is("mount", 0, Action::Errno(13));
    // Newer than all that are named.
    is("mseal", 0, Action::Errno(ENOSYS));
}

#[test]
fn an_argument_that_is_compared_twice_makes_two_rules() {
    let policy = read(
        r#"{"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [
            {"names": ["socket"], "action": "SCMP_ACT_ALLOW", "args": [
                {"index": 0, "value": 1, "op": "SCMP_CMP_EQ"},
                {"index": 0, "value": 2, "op": "SCMP_CMP_EQ"}]}]}"#,
    )
    .unwrap();
    for (family, expected) in [
        (1, Action::Allow),
        (2, Action::Allow),
        (3, Action::Errno(EPERM)),
    ] {
        assert_eq!(
            action_of(&policy, "socket", [family, 0, 0, 0, 0, 0]),
            expected
        );
    }
}

#[test]
fn what_is_wrong_is_told_with_its_place() {
    let entry =
        |entry: &str| format!(r#"{{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{entry}]}}"#);
    let arg = |arg: &str| {
        entry(&format!(
            r#"{{"names": ["read"], "action": "SCMP_ACT_TRAP", "args": [{arg}]}}"#
        ))
    };
    let trials = [
        String::new(),
        "[]".into(),
        "{}".into(),
        r#"{"defaultAction": 5}"#.into(),
        r#"{"defaultAction": "ALLOW"}"#.into(),
        r#"{"defaultAction": "SCMP_ACT_ALLOW", "defaultErrnoRet": 1}"#.into(),
        r#"{"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 4096}"#.into(),
        r#"{"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": -1}"#.into(),
        r#"{"defaultAction": "SCMP_ACT_ALLOW", "default": 1}"#.into(),
        r#"{"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["amd64"]}"#.into(),
        r#"{"defaultAction": "SCMP_ACT_ALLOW", "flags": ["LOG"]}"#.into(),
        entry(r#"{"names": ["read"]}"#),
        entry(r#"{"names": [], "action": "SCMP_ACT_TRAP"}"#),
        entry(r#"{"names": ["read", ""], "action": "SCMP_ACT_TRAP"}"#),
        entry(r#"{"names": ["reed"], "action": "SCMP_ACT_TRAP"}"#),
        entry(r#"{"names": ["read"], "action": "SCMP_ACT_STOP"}"#),
        entry(r#"{"names": ["read"], "action": "SCMP_ACT_TRAP", "errnoRet": 1}"#),
        entry(r#"{"names": ["read"], "action": "SCMP_ACT_TRAP", "includes": {}}"#),
        arg(r#"{"index": 6, "value": 0, "op": "SCMP_CMP_EQ"}"#),
        arg(r#"{"index": 0, "value": -1, "op": "SCMP_CMP_EQ"}"#),
        arg(r#"{"index": 0, "value": 0, "op": "SCMP_CMP_IN"}"#),
        arg(r#"{"index": 0, "value": 0}"#),
        "x".repeat(MAX_LENGTH + 1),
    ];
    let told: Vec<_> = trials
        .iter()
        .map(|text| {
            let text_shown: String = text.chars().take(150).collect();
            format!("{text_shown}\n    {}\n", refused(text))
        })
        .collect();
    insta::assert_snapshot!(told.join("\n"));
}

#[test]
fn to_allow_a_call_that_nobody_knows_is_harmless() {
    let text = r#"{"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [
        {"names": ["read", "teleport"], "action": "SCMP_ACT_ALLOW"}]}"#;
    assert_eq!(
        action_of(&read(text).unwrap(), "read", [0; 6]),
        Action::Allow
    );
}

#[test]
fn a_policy_comes_back_from_its_own_words() {
    let mut policy = Policy::new(Action::Errno(EPERM));
    policy.unknown = Some(Unknown {
        action: Action::Errno(ENOSYS),
        newer_than: Newest::InRules,
    });
    policy.architectures = vec![Arch::X86];
    policy.flags = Flags::LOG;
    policy.rules = vec![
        Rule::new(["read", "write"], Action::Allow),
        Rule::new(["clone3"], Action::Errno(ENOSYS)),
        Rule::new(["ptrace"], Action::Trace(7)),
        Rule::new(["mount"], Action::KillProcess),
        Rule::new(["clone"], Action::Allow).when(Condition::no_bits(0, 0x7e02_0000)),
        Rule::new(["socket"], Action::Allow)
            .when(Condition::new(0, Comparison::Lt, 12))
            .when(Condition::new(2, Comparison::Ne, 9)),
    ];
    let object = Seccomp::from_policy(&policy).unwrap();
    let text = serde_json::to_string_pretty(&object).unwrap();
    insta::assert_snapshot!(text);
    assert_eq!(read(&text).unwrap(), policy);
}

/// `ioctl` is refused for some requests, and else allowed: libseccomp would allow it for all.
#[test]
fn what_the_object_cannot_say_is_refused() {
    let mut policy = Policy::new(Action::Errno(EPERM));
    policy.rules = vec![
        Rule::new(["ioctl"], Action::Errno(EPERM)).when(Condition::equal(1, 0x5412)),
        Rule::new(["ioctl"], Action::Allow),
    ];
    let error = Seccomp::from_policy(&policy).unwrap_err();
    assert!(error.to_string().contains("rules[1]: ioctl"), "{error}");
}
