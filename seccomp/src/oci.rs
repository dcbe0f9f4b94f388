//! The OCI runtime-spec's `linux.seccomp` object, to a [`Policy`] and back.
//!
//! See `config-linux.md` of the runtime-spec, "Seccomp". Where it is silent, the meaning is what
//! runc and crun make of it: see [`Policy::in_libseccomp_order`], and for several comparisons of
//! one argument [`Syscall::args`].

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::profile_error::{Place, ProfileError};
use crate::{Action, Arch, Comparison, Condition, Flags, Newest, Policy, Rule, Unknown, is_known};

/// The most bytes of a profile that are read: Docker's default has 15,000.
pub const MAX_LENGTH: usize = 1 << 20;

pub(crate) const EPERM: u16 = 1;
pub(crate) const ENOSYS: u16 = 38;

/// The kernel takes more for this.
const MAX_ERRNO: u32 = 4095;

/// `linux.seccomp`, as it is written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Seccomp {
    /// What happens to a call that no entry names: `SCMP_ACT_ERRNO`.
    pub default_action: String,
    /// The number of that error, or of the message to a tracer; `EPERM` without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_errno_ret: Option<u32>,
    /// ABIs beside the kernel's own: `SCMP_ARCH_X86`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub architectures: Vec<String>,
    /// How it is loaded: `SECCOMP_FILTER_FLAG_LOG`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub flags: Vec<String>,
    /// The socket on which somebody takes the listener for `SCMP_ACT_NOTIFY`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listener_path: Option<String>,
    /// What they are told with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listener_metadata: Option<String>,
    /// The entries.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub syscalls: Vec<Syscall>,
}

/// An entry of `linux.seccomp.syscalls`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Syscall {
    /// The calls.
    pub names: Vec<String>,
    /// What happens to them.
    pub action: String,
    /// The number of the error, or of the message to a tracer; `EPERM` without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub errno_ret: Option<u32>,
    /// When: all must hold. But libseccomp cannot compare one argument twice in a rule, so where
    /// that is asked for, runc and crun make of each comparison a rule of its own, and one that
    /// holds is enough. So it is here.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub args: Vec<Arg>,
}

/// A comparison of an argument.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Arg {
    /// Which argument: 0 to 5.
    pub index: u32,
    /// What it is compared with; the mask of `SCMP_CMP_MASKED_EQ`.
    pub value: u64,
    /// What the masked argument is compared with.
    #[serde(default)]
    pub value_two: u64,
    /// `SCMP_CMP_EQ`
    pub op: String,
}

impl Seccomp {
    /// Reads the object from JSON.
    ///
    /// # Errors
    /// [`ProfileError::TooLong`], [`ProfileError::Json`]. Its values are looked at by
    /// [`policy`](Self::policy).
    pub fn from_json(text: &[u8]) -> Result<Self, ProfileError> {
        from_json(text)
    }

    /// What the object means.
    ///
    /// # Errors
    /// [`ProfileError::Invalid`].
    pub fn policy(&self) -> Result<Policy, ProfileError> {
        let mut policy = head(&self.default_action, self.default_errno_ret, &self.flags)?;
        let at = Place::key("architectures");
        for (index, name) in self.architectures.iter().enumerate() {
            policy.architectures.extend(arch(&at.item(index), name)?);
        }
        let at = Place::key("syscalls");
        for (index, entry) in self.syscalls.iter().enumerate() {
            let rules = rules(&at.item(index), entry, policy.default)?;
            policy.rules.extend(rules);
        }
        Ok(policy.in_libseccomp_order())
    }

    /// The object that means what `policy` means, for programs that read it as runc does.
    ///
    /// # Errors
    /// [`ProfileError::Invalid`] where the object has no words for it: a call that is decided by
    /// conditions first and else by another action than the default.
    pub fn from_policy(policy: &Policy) -> Result<Self, ProfileError> {
        let (default_action, default_errno_ret) = action_words(policy.default);
        let mut syscalls = Vec::with_capacity(policy.rules.len());
        // Who comes after a rule without conditions says nothing any more.
        let mut settled: BTreeMap<&str, Action> = BTreeMap::new();
        let mut conditional: BTreeMap<&str, Action> = BTreeMap::new();
        for (index, rule) in policy.rules.iter().enumerate() {
            let at = Place::key("rules").item(index);
            let mut names = Vec::new();
            for name in &rule.names {
                if settled.contains_key(name.as_str()) {
                    continue;
                }
                let before = conditional.get(name.as_str());
                if before.is_some_and(|before| *before != rule.action) {
                    let why = format!(
                        "{name}: what happens by conditions and what happens else are not told \
                         apart by libseccomp"
                    );
                    return Err(at.wrong(why));
                }
                if rule.conditions.is_empty() {
                    settled.insert(name, rule.action);
                } else {
                    conditional.insert(name, rule.action);
                }
                names.push(name.clone());
            }
            if names.is_empty() {
                continue;
            }
            let (action, errno_ret) = action_words(rule.action);
            syscalls.push(Syscall {
                names,
                action: action.to_owned(),
                errno_ret,
                args: rule.conditions.iter().map(arg).collect(),
            });
        }
        Ok(Self {
            default_action: default_action.to_owned(),
            default_errno_ret,
            architectures: policy
                .architectures
                .iter()
                .map(|arch| arch.oci_name().to_owned())
                .collect(),
            flags: { FLAGS.iter() }
                .filter(|(_, flag)| policy.flags.contains(*flag))
                .map(|(name, _)| (*name).to_owned())
                .collect(),
            listener_path: None,
            listener_metadata: None,
            syscalls,
        })
    }
}

pub(crate) fn from_json<'a, T: Deserialize<'a>>(text: &'a [u8]) -> Result<T, ProfileError> {
    if text.len() > MAX_LENGTH {
        return Err(ProfileError::TooLong { limit: MAX_LENGTH });
    }
    serde_json::from_slice(text).map_err(ProfileError::Json)
}

/// A policy without rules.
pub(crate) fn head(
    default_action: &str,
    default_errno_ret: Option<u32>,
    flags: &[String],
) -> Result<Policy, ProfileError> {
    let at = (Place::key("defaultAction"), Place::key("defaultErrnoRet"));
    let default = action(&at.0, default_action, &at.1, default_errno_ret)?;
    let mut policy = Policy::new(default);
    // As runc: it answers ENOSYS for what is newer than the profile, unless that would forbid
    // what is allowed.
    if !default.lets_pass() && default != Action::Errno(ENOSYS) {
        policy.unknown = Some(Unknown {
            action: Action::Errno(ENOSYS),
            newer_than: Newest::InRules,
        });
    }
    let at = Place::key("flags");
    for (index, name) in flags.iter().enumerate() {
        let known = FLAGS.iter().find(|(known, _)| known == name);
        let Some((_, flag)) = known else {
            return Err(at.item(index).wrong(format!("unknown flag {name:?}")));
        };
        policy.flags |= *flag;
    }
    Ok(policy)
}

const FLAGS: [(&str, Flags); 4] = [
    ("SECCOMP_FILTER_FLAG_TSYNC", Flags::TSYNC),
    ("SECCOMP_FILTER_FLAG_LOG", Flags::LOG),
    ("SECCOMP_FILTER_FLAG_SPEC_ALLOW", Flags::SPEC_ALLOW),
    (
        "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV",
        Flags::WAIT_KILLABLE_RECV,
    ),
];

/// ABIs of kernels that Coop does not run on: they may be listed, and are without effect.
const OTHER_ARCHITECTURES: [&str; 18] = [
    "SCMP_ARCH_MIPS",
    "SCMP_ARCH_MIPS64",
    "SCMP_ARCH_MIPS64N32",
    "SCMP_ARCH_MIPSEL",
    "SCMP_ARCH_MIPSEL64",
    "SCMP_ARCH_MIPSEL64N32",
    "SCMP_ARCH_PPC",
    "SCMP_ARCH_PPC64",
    "SCMP_ARCH_PPC64LE",
    "SCMP_ARCH_S390",
    "SCMP_ARCH_S390X",
    "SCMP_ARCH_PARISC",
    "SCMP_ARCH_PARISC64",
    "SCMP_ARCH_LOONGARCH64",
    "SCMP_ARCH_M68K",
    "SCMP_ARCH_SH",
    "SCMP_ARCH_SHEB",
    "SCMP_ARCH_NATIVE",
];

/// The ABI of this name; `None` for one of a kernel that is not supported.
pub(crate) fn arch(at: &Place, name: &str) -> Result<Option<Arch>, ProfileError> {
    match Arch::from_oci_name(name) {
        None if OTHER_ARCHITECTURES.contains(&name) => Ok(None),
        None => Err(at.clone().wrong(format!("unknown architecture {name:?}"))),
        found => Ok(found),
    }
}

/// The action of these words.
pub(crate) fn action(
    at: &Place,
    name: &str,
    errno_at: &Place,
    errno: Option<u32>,
) -> Result<Action, ProfileError> {
    let number = || match errno {
        None => Ok(EPERM),
        Some(number) if number <= MAX_ERRNO => Ok(number as u16),
        Some(number) => {
            let why = format!("{number} is no error number: 0 to {MAX_ERRNO}");
            Err(errno_at.clone().wrong(why))
        }
    };
    let action = match name {
        "SCMP_ACT_ERRNO" => return number().map(Action::Errno),
        "SCMP_ACT_TRACE" => return number().map(Action::Trace),
        "SCMP_ACT_ALLOW" => Action::Allow,
        "SCMP_ACT_LOG" => Action::Log,
        "SCMP_ACT_KILL" | "SCMP_ACT_KILL_THREAD" => Action::KillThread,
        "SCMP_ACT_KILL_PROCESS" => Action::KillProcess,
        "SCMP_ACT_TRAP" => Action::Trap,
        "SCMP_ACT_NOTIFY" => Action::Notify,
        _ => return Err(at.clone().wrong(format!("unknown action {name:?}"))),
    };
    // The spec: a number with an action that has no use for it is an error.
    if errno.is_some_and(|number| number != 0) {
        let why = format!("{name} has no error number");
        return Err(errno_at.clone().wrong(why));
    }
    Ok(action)
}

fn action_words(action: Action) -> (&'static str, Option<u32>) {
    match action {
        Action::Allow => ("SCMP_ACT_ALLOW", None),
        Action::Errno(number) => ("SCMP_ACT_ERRNO", Some(number.into())),
        Action::Trace(number) => ("SCMP_ACT_TRACE", Some(number.into())),
        Action::Log => ("SCMP_ACT_LOG", None),
        Action::KillThread => ("SCMP_ACT_KILL_THREAD", None),
        Action::KillProcess => ("SCMP_ACT_KILL_PROCESS", None),
        Action::Trap => ("SCMP_ACT_TRAP", None),
        Action::Notify => ("SCMP_ACT_NOTIFY", None),
    }
}

/// What one entry means: a rule, or several where an argument is compared twice.
pub(crate) fn rules(
    at: &Place,
    entry: &Syscall,
    default: Action,
) -> Result<Vec<Rule>, ProfileError> {
    let errno_at = at.then("errnoRet");
    let action = action(
        &at.then("action"),
        &entry.action,
        &errno_at,
        entry.errno_ret,
    )?;
    check_names(&at.then("names"), &entry.names, action, default)?;
    let at = at.then("args");
    let conditions = { entry.args.iter().enumerate() }
        .map(|(index, arg)| condition(&at.item(index), arg))
        .collect::<Result<Vec<_>, _>>()?;
    let rule = |conditions| Rule {
        names: entry.names.clone(),
        action,
        conditions,
    };
    let twice = { conditions.iter().enumerate() }
        .any(|(place, one)| conditions[..place].iter().any(|it| it.index == one.index));
    Ok(if twice {
        let alone = conditions
            .into_iter()
            .map(|condition| rule(vec![condition]));
        alone.collect()
    } else {
        vec![rule(conditions)]
    })
}

/// A name that nobody knows is that of a call of another kernel, or misspelt. To allow such a
/// call is harmless; to forbid it would be believed, and forbid nothing.
fn check_names(
    at: &Place,
    names: &[String],
    action: Action,
    default: Action,
) -> Result<(), ProfileError> {
    if names.is_empty() {
        return Err(at.clone().wrong("no system call is named"));
    }
    for (index, name) in names.iter().enumerate() {
        if name.is_empty() {
            return Err(at.item(index).wrong("an empty name"));
        }
        if default.lets_pass() && !action.lets_pass() && !is_known(name) {
            let why = format!("unknown system call {name:?}, which would stay allowed");
            return Err(at.item(index).wrong(why));
        }
    }
    Ok(())
}

fn condition(at: &Place, arg: &Arg) -> Result<Condition, ProfileError> {
    let index = u8::try_from(arg.index).unwrap_or(u8::MAX);
    if index > Condition::LAST_INDEX {
        let why = format!("{}: a call has the arguments 0 to 5", arg.index);
        return Err(at.then("index").wrong(why));
    }
    let plain = |comparison| Condition::new(index, comparison, arg.value);
    Ok(match arg.op.as_str() {
        "SCMP_CMP_NE" => plain(Comparison::Ne),
        "SCMP_CMP_LT" => plain(Comparison::Lt),
        "SCMP_CMP_LE" => plain(Comparison::Le),
        "SCMP_CMP_EQ" => plain(Comparison::Eq),
        "SCMP_CMP_GE" => plain(Comparison::Ge),
        "SCMP_CMP_GT" => plain(Comparison::Gt),
        "SCMP_CMP_MASKED_EQ" => {
            let mask = arg.value;
            Condition::new(index, Comparison::MaskedEq { mask }, arg.value_two)
        }
        other => {
            let why = format!("unknown comparison {other:?}");
            return Err(at.then("op").wrong(why));
        }
    })
}

fn arg(condition: &Condition) -> Arg {
    let (op, value, value_two) = match condition.comparison {
        Comparison::Ne => ("SCMP_CMP_NE", condition.value, 0),
        Comparison::Lt => ("SCMP_CMP_LT", condition.value, 0),
        Comparison::Le => ("SCMP_CMP_LE", condition.value, 0),
        Comparison::Eq => ("SCMP_CMP_EQ", condition.value, 0),
        Comparison::Ge => ("SCMP_CMP_GE", condition.value, 0),
        Comparison::Gt => ("SCMP_CMP_GT", condition.value, 0),
        Comparison::MaskedEq { mask } => ("SCMP_CMP_MASKED_EQ", mask, condition.value),
    };
    Arg {
        index: condition.index.into(),
        value,
        value_two,
        op: op.to_owned(),
    }
}

#[cfg(test)]
mod tests;
