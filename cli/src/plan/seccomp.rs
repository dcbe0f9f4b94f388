//! A container's system-call filter, from what is said about it to the program.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use coop_seccomp::docker::Profile;
use coop_seccomp::{
    Action, Arch, Call, Capabilities, Context, Filter, Filtered, KernelVersion, Policy, oci,
};

use super::PrivilegesPlan;
use crate::stack::value::{CallName, CompatArch, SeccompProfile, SecurityOpt};
use crate::stack::{Isolation, SeccompKeys};

const EPERM: Action = Action::Errno(1);

/// The filter that a service asks for, with these privileges.
pub(super) fn filter(isolation: &Isolation, privileges: &PrivilegesPlan) -> Result<Filter> {
    if privileges.privileged {
        return Ok(Filter::Unconfined);
    }
    let bits = privileges.capabilities.bits();
    let context = context(Capabilities::from_bits(bits));
    let (name, policy) = if let Some(keys) = &isolation.seccomp {
        (shown(keys), Some(customised(keys, &context)?))
    } else {
        let profile = asked(isolation);
        (profile.to_string(), policy(&profile, &context)?)
    };
    let Some(policy) = policy else {
        return Ok(Filter::Unconfined);
    };
    check(&policy, context.arch).with_context(|| format!("seccomp profile {name}"))?;
    let program = policy
        .compile(context.arch)
        .with_context(|| format!("compile seccomp profile {name}"))?;
    Ok(Filter::Filtered(Filtered {
        profile: name,
        flags: policy.flags,
        program,
    }))
}

/// A digest of the file that the filter is made of, if there is one: when what stands in it has
/// changed, the container has to be made anew.
pub(super) fn file_digest(isolation: &Isolation) -> Result<Vec<String>> {
    let profile = match &isolation.seccomp {
        Some(keys) => keys.base.clone(),
        None => asked(isolation),
    };
    Ok(match profile {
        SeccompProfile::File(path) if !isolation.privileged => {
            vec![coop_image::Digest::of(&text(&path)?).to_string()]
        }
        _ => Vec::new(),
    })
}

/// For whom a profile is resolved on this machine.
pub(crate) fn context(capabilities: Capabilities) -> Context {
    Context {
        arch: Arch::native(),
        capabilities,
        kernel: KernelVersion::running(),
    }
}

fn asked(isolation: &Isolation) -> SeccompProfile {
    let asked = isolation.security_opt.iter().rev().find_map(|it| match it {
        SecurityOpt::Seccomp(profile) => Some(profile.clone()),
        _ => None,
    });
    asked.unwrap_or_default()
}

/// `strict +mknod -mkdir`
fn shown(keys: &SeccompKeys) -> String {
    let architectures = keys.architectures.iter().map(|arch| format!("+{arch}"));
    let allowed = keys.allow.iter().map(|call| format!("+{call}"));
    let denied = keys.deny.iter().map(|call| format!("-{call}"));
    let words: Vec<_> = std::iter::once(keys.base.to_string())
        .chain(architectures)
        .chain(allowed)
        .chain(denied)
        .collect();
    words.join(" ")
}

/// What a profile means; none without a filter.
pub(crate) fn policy(profile: &SeccompProfile, context: &Context) -> Result<Option<Policy>> {
    Ok(match profile {
        SeccompProfile::BuiltIn(profile) => Some(profile.policy(context)),
        SeccompProfile::Unconfined => None,
        SeccompProfile::File(path) => Some(read(path, context)?),
    })
}

/// Reads a profile from its file.
fn read(path: &Path, context: &Context) -> Result<Policy> {
    let named = || format!("seccomp profile {}", path.display());
    let profile = Profile::from_json(&text(path)?).with_context(named)?;
    profile.resolve(context).with_context(named)
}

/// What stands in a profile's file, as far as it is looked at.
fn text(path: &Path) -> Result<Vec<u8>> {
    let mut text = Vec::new();
    // One byte more tells that it is too long.
    let limit = oci::MAX_LENGTH as u64 + 1;
    match File::open(path).and_then(|file| file.take(limit).read_to_end(&mut text)) {
        Ok(_) => Ok(text),
        Err(error) => bail!(
            "read seccomp profile {}: {error}\n  \
             help: name a profile's file, default, strict or unconfined",
            path.display()
        ),
    }
}

/// What it is like without a filter, as a policy. It is about all ABIs, so that what is denied
/// on top of it is denied by all ways.
pub(crate) fn open_policy(context: &Context) -> Policy {
    let mut open = Policy::new(Action::Allow);
    open.architectures = context.arch.family().to_vec();
    open.foreign = Action::Allow;
    open
}

/// A profile, and what is different from it.
fn customised(keys: &SeccompKeys, context: &Context) -> Result<Policy> {
    let architectures: Vec<Arch> = keys
        .architectures
        .iter()
        .map(|CompatArch(it)| *it)
        .collect();
    let mut policy = match &keys.base {
        SeccompProfile::BuiltIn(profile) => profile.policy_with(context, &architectures),
        base => {
            let policy = policy(base, context)?;
            let mut policy = policy.unwrap_or_else(|| open_policy(context));
            policy.architectures.extend(architectures);
            policy
        }
    };
    // The first that fits decides.
    for (calls, action) in [(&keys.allow, Action::Allow), (&keys.deny, EPERM)] {
        let names: Vec<_> = { calls.iter() }
            .map(|CallName(name)| name.as_str())
            .collect();
        policy.decide_first(&names, action);
    }
    Ok(policy)
}

/// Refuses what no container could begin with.
fn check(policy: &Policy, arch: Arch) -> Result<()> {
    if policy.notifies() {
        bail!(
            "SCMP_ACT_NOTIFY needs somebody who answers, and Coop hands the listener to nobody\n  \
             help: write another action for these calls"
        );
    }
    let execve = arch
        .number_of("execve")
        .map(|number| Call::new(arch, number));
    if execve.is_some_and(|call| !policy.evaluate(arch, &call).lets_pass()) {
        bail!("it refuses execve, so no program can be started\n  help: allow execve");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_denied_by_name_is_denied_to_32_bit_programs_by_their_way_too() {
        let context = Context {
            arch: Arch::X86_64,
            capabilities: Capabilities::NONE,
            kernel: KernelVersion { major: 6, minor: 1 },
        };
        let keys = SeccompKeys {
            architectures: vec!["x86".parse().unwrap()],
            allow: vec!["keyctl".parse().unwrap()],
            deny: vec!["connect".parse().unwrap(), "keyctl".parse().unwrap()],
            ..SeccompKeys::default()
        };
        let policy = customised(&keys, &context).unwrap();
        let does = |arch: Arch, name: &str, first| {
            let call = Call::new(arch, arch.number_of(name).unwrap());
            policy.evaluate(context.arch, &call.with([first, 0, 0, 0, 0, 0]))
        };
        assert_eq!(does(Arch::X86_64, "connect", 0), EPERM);
        assert_eq!(does(Arch::X86_64, "keyctl", 0), EPERM);
        assert_eq!(does(Arch::X86, "connect", 0), EPERM);
        // `SYS_CONNECT` of linux/net.h, and `SYS_BIND`.
        assert_eq!(does(Arch::X86, "socketcall", 3), EPERM);
        assert_eq!(does(Arch::X86, "socketcall", 2), Action::Allow);
    }
}
