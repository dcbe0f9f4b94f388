//! `security_opt`: what is loosened, and what is tightened.

use super::{ParseError, SeccompProfile, serde_as_text};
use std::fmt;
use std::str::FromStr;

/// One entry of `security_opt`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum SecurityOpt {
    /// Whether `execve` can gain rights, for example by set-user-ID programs.
    NoNewPrivileges(bool),
    /// The system-call filter.
    Seccomp(SeccompProfile),
    /// Nothing of `/proc` and `/sys` is hidden or read-only.
    SystemPathsUnconfined,
    /// A loaded `AppArmor` profile.
    AppArmor(String),
    /// No `AppArmor` profile, as without the option.
    AppArmorUnconfined,
    /// Part of an `SELinux` label; those that are not given are those of the host's containers.
    Label(ContextPart, String),
    /// No `SELinux` label, as without the option.
    LabelDisable,
}

/// The parts of an `SELinux` context, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ContextPart {
    /// The `SELinux` user.
    User,
    /// The role.
    Role,
    /// The type: what decides most.
    Type,
    /// Sensitivity and categories, which keep containers from each other.
    Level,
}

impl ContextPart {
    const NAMES: [(&str, Self); 4] = [
        ("user", Self::User),
        ("role", Self::Role),
        ("type", Self::Type),
        ("level", Self::Level),
    ];
}

serde_as_text!(SecurityOpt);

const FORM: &str = "write no-new-privileges[:true|:false], seccomp=FILE|default|strict|unconfined, \
                    systempaths=unconfined, apparmor=PROFILE, apparmor=unconfined, label=disable, \
                    or label= with user:, role:, type: or level:";

impl FromStr for SecurityOpt {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        // Docker takes both, the colon being the older one.
        let (name, value) = text
            .split_once(['=', ':'])
            .map_or((text, None), |(name, value)| (name, Some(value)));
        match (name, value) {
            ("no-new-privileges", None | Some("true")) => Ok(Self::NoNewPrivileges(true)),
            ("no-new-privileges", Some("false")) => Ok(Self::NoNewPrivileges(false)),
            ("seccomp", Some(profile)) => profile.parse().map(Self::Seccomp),
            ("systempaths", Some("unconfined")) => Ok(Self::SystemPathsUnconfined),
            ("apparmor", Some("unconfined")) => Ok(Self::AppArmorUnconfined),
            ("apparmor", Some(profile)) => apparmor(profile),
            ("label", Some("disable")) => Ok(Self::LabelDisable),
            ("label", Some(part)) => label(part),
            _ => Err(ParseError::new("not a security option", FORM)),
        }
    }
}

/// The name is part of a request to the kernel: a line, with no blank to end the name.
fn apparmor(profile: &str) -> Result<SecurityOpt, ParseError> {
    let plain = |c: char| !c.is_whitespace() && !c.is_control();
    if profile.is_empty() || profile.len() > 255 || !profile.chars().all(plain) {
        return Err(ParseError::new("not the name of an AppArmor profile", FORM));
    }
    Ok(SecurityOpt::AppArmor(profile.to_owned()))
}

fn label(text: &str) -> Result<SecurityOpt, ParseError> {
    let (name, value) = text.split_once([':', '=']).unwrap_or((text, ""));
    let part = ContextPart::NAMES.into_iter().find(|(it, _)| *it == name);
    let Some((_, part)) = part else {
        return Err(ParseError::new("not a part of an SELinux label", FORM));
    };
    let plain = |c: char| {
        let of_level = part == ContextPart::Level && ":,.-".contains(c);
        c.is_ascii_alphanumeric() || c == '_' || of_level
    };
    if value.is_empty() || value.len() > 255 || !value.chars().all(plain) {
        return Err(ParseError::new("not a part of an SELinux label", FORM));
    }
    Ok(SecurityOpt::Label(part, value.to_owned()))
}

impl fmt::Display for SecurityOpt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AppArmor(profile) => return write!(f, "apparmor={profile}"),
            Self::Label(part, value) => {
                let mut names = ContextPart::NAMES.iter();
                let name = names
                    .find(|(_, it)| it == part)
                    .map_or("", |(name, _)| name);
                return write!(f, "label={name}:{value}");
            }
            Self::Seccomp(profile) => return write!(f, "seccomp={profile}"),
            Self::NoNewPrivileges(true) => "no-new-privileges:true",
            Self::NoNewPrivileges(false) => "no-new-privileges:false",
            Self::SystemPathsUnconfined => "systempaths=unconfined",
            Self::AppArmorUnconfined => "apparmor=unconfined",
            Self::LabelDisable => "label=disable",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_known_in_both_spellings_and_others_refused() {
        let shown = |text: &str| text.parse::<SecurityOpt>().map(|it| it.to_string());
        assert_eq!(
            shown("no-new-privileges").unwrap(),
            "no-new-privileges:true"
        );
        assert_eq!(
            shown("no-new-privileges=false").unwrap(),
            "no-new-privileges:false"
        );
        assert_eq!(shown("seccomp:unconfined").unwrap(), "seccomp=unconfined");
        for text in [
            "apparmor=docker-default",
            "apparmor=:other://profile",
            "label=type:svirt_t",
            "label=level:s0:c1,c2",
        ] {
            assert_eq!(shown(text).unwrap(), text);
        }
        assert_eq!(shown("label=type=spc_t").unwrap(), "label=type:spc_t");
        assert_eq!(shown("seccomp=./a:b").unwrap(), "seccomp=./a:b");
        for bad in [
            "",
            "apparmor=",
            "apparmor=a b",
            "apparmor=a\nexec b",
            "label",
            "label=svirt_t",
            "label=type:",
            "label=type:a:b",
            "label=level:s0 c1",
            "no-new-privileges:maybe",
            "seccomp=",
            "seccomp",
            "systempaths=all",
            "nonewprivs",
        ] {
            assert!(shown(bad).is_err(), "{bad}");
        }
    }
}
