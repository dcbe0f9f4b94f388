//! What profiles say.

use anyhow::{Context as _, Result, bail};
use coop_seccomp::{Arch, Call, Context, Policy};

use super::context;
use crate::args::{DiffProfilesArgs, DumpArgs, ExplainArgs};
use crate::plan::{open_policy, seccomp_policy};
use crate::stack::value::SeccompProfile;
use crate::ui::lines;

/// `coop seccomp explain`.
pub(super) fn explain(args: &ExplainArgs) -> Result<String> {
    let context = context(&args.context)?;
    let policy = policy(&args.profile, &context)?;
    let name = name(&args.call, context.arch)?;
    let explained = policy.explain(context.arch, name);
    let mut text = explained
        .with_context(|| failed(&args.profile))?
        .to_string();
    if !args.arguments.is_empty() {
        text += &with_arguments(&policy, &context, name, &args.arguments)?;
    }
    Ok(text)
}

fn with_arguments(policy: &Policy, context: &Context, name: &str, given: &[u64]) -> Result<String> {
    let arch = context.arch;
    let Some(number) = arch.number_of(name) else {
        bail!("{arch} has no system call {name}");
    };
    let mut arguments = [0; 6];
    for (argument, given) in arguments.iter_mut().zip(given) {
        *argument = *given;
    }
    let action = policy.evaluate(arch, &Call::new(arch, number).with(arguments));
    let shown: Vec<_> = given.iter().map(|value| format!("{value:#x}")).collect();
    Ok(format!("  {name}({}): {action}\n", shown.join(", ")))
}

/// The name of a call that is told by name or number.
fn name(call: &str, arch: Arch) -> Result<&str> {
    if let Ok(number) = call.parse() {
        return arch.name_of(number).with_context(|| {
            format!("{arch} has no system call with the number {number}, as far as Coop knows")
        });
    }
    if !coop_seccomp::is_known(call) {
        bail!("no system call is named {call:?}\n  help: write it as in the manual pages");
    }
    Ok(call)
}

/// `coop seccomp dump`.
pub(super) fn dump(args: &DumpArgs) -> Result<String> {
    let context = context(&args.context)?;
    let program = policy(&args.profile, &context)?.compile(context.arch);
    Ok(program.with_context(|| failed(&args.profile))?.to_string())
}

/// `coop seccomp diff`: nothing when both mean the same.
pub(super) fn diff(args: &DiffProfilesArgs) -> Result<String> {
    let context = context(&args.context)?;
    let (a, b) = (policy(&args.a, &context)?, policy(&args.b, &context)?);
    let differences = a.difference(&b, context.arch);
    Ok(lines(differences.iter().map(ToString::to_string)))
}

fn policy(profile: &SeccompProfile, context: &Context) -> Result<Policy> {
    Ok(seccomp_policy(profile, context)?.unwrap_or_else(|| open_policy(context)))
}

fn failed(profile: &SeccompProfile) -> String {
    format!("seccomp profile {profile}")
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use insta::assert_snapshot;

    use super::*;
    use crate::args::{Cli, Command, SeccompCommand};

    /// What the command prints; on `x86_64`, whatever this machine is.
    fn told(line: &str) -> Result<String> {
        let words = shlex::split(&format!("coop seccomp {line} --arch x86_64")).unwrap();
        let Command::Seccomp(args) = Cli::try_parse_from(words).unwrap().command else {
            panic!("{line} is not seccomp")
        };
        match &args.command {
            SeccompCommand::Explain(args) => explain(args),
            SeccompCommand::Dump(args) => dump(args),
            SeccompCommand::Diff(args) => diff(args),
            SeccompCommand::Record(_) => panic!("{line} runs something"),
        }
    }

    #[test]
    fn a_call_is_explained_by_name_by_number_and_with_arguments() {
        for line in [
            "explain default openat",
            "explain default socket",
            "explain default clone 0x10000011",
            "explain default clone --cap-add SYS_ADMIN",
            "explain strict 101",
            "explain unconfined mount",
        ] {
            assert_snapshot!(line.replace([' ', '-'], "_"), told(line).unwrap());
        }
        let minus_one = told("explain default openat -1 0x10").unwrap();
        assert!(minus_one.contains("openat(0xffffffffffffffff, 0x10): allow"));
        for (line, why) in [
            ("explain default opennat", "no system call is named"),
            ("explain default 9999", "no system call with the number"),
            ("explain ./missing.json read", "No such file"),
        ] {
            let error = format!("{:#}", told(line).unwrap_err());
            assert!(error.contains(why), "{error}");
        }
    }

    #[test]
    fn a_profile_of_a_file_is_dumped() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("p.json");
        let profile = r#"{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
            {"names": ["mkdir"], "action": "SCMP_ACT_ERRNO"},
            {"names": ["socket"], "action": "SCMP_ACT_KILL_PROCESS",
             "args": [{"index": 0, "value": 38, "op": "SCMP_CMP_EQ"}]}]}"#;
        std::fs::write(&file, profile).unwrap();
        assert_snapshot!(told(&format!("dump {}", file.display())).unwrap());
    }

    #[test]
    fn profiles_are_compared() {
        assert_eq!(told("diff default default").unwrap(), "");
        assert_snapshot!("diff_default_strict", told("diff default strict").unwrap());
    }
}
