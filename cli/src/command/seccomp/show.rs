//! What profiles say.

use anyhow::{Context as _, Result, bail};
use coop_seccomp::{Arch, Call, Context, Policy};

use super::context;
use crate::args::{DiffProfilesArgs, DumpArgs, ExplainArgs};
use crate::plan::{open_policy, seccomp_policy};
use crate::stack::value::SeccompProfile;
use crate::ui::{lines, print};

/// `coop seccomp explain`.
pub(super) fn explain(args: &ExplainArgs) -> Result<i32> {
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
    print(&text)?;
    Ok(0)
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
pub(super) fn dump(args: &DumpArgs) -> Result<i32> {
    let context = context(&args.context)?;
    let program = policy(&args.profile, &context)?.compile(context.arch);
    print(&program.with_context(|| failed(&args.profile))?.to_string())?;
    Ok(0)
}

/// `coop seccomp diff`. Its exit status is that of diff(1).
pub(super) fn diff(args: &DiffProfilesArgs) -> Result<i32> {
    let context = context(&args.context)?;
    let (a, b) = (policy(&args.a, &context)?, policy(&args.b, &context)?);
    let differences = a.difference(&b, context.arch);
    print(&lines(differences.iter().map(ToString::to_string)))?;
    Ok(i32::from(!differences.is_empty()))
}

fn policy(profile: &SeccompProfile, context: &Context) -> Result<Policy> {
    Ok(seccomp_policy(profile, context)?.unwrap_or_else(|| open_policy(context)))
}

fn failed(profile: &SeccompProfile) -> String {
    format!("seccomp profile {profile}")
}
