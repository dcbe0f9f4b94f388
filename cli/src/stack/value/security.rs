//! `security_opt`: what is loosened, and what is not there to be loosened.

use super::{ParseError, serde_as_text};
use std::fmt;
use std::str::FromStr;

/// One entry of `security_opt`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SecurityOpt {
    /// Whether `execve` can gain rights, for example by set-user-ID programs.
    NoNewPrivileges(bool),
    /// Coop's own system-call filter, as without the option.
    SeccompDefault,
    /// No system-call filter.
    SeccompUnconfined,
    /// Nothing of `/proc` and `/sys` is hidden or read-only.
    SystemPathsUnconfined,
    /// No `AppArmor` profile: Coop sets none.
    AppArmorUnconfined,
    /// No `SELinux` label: Coop sets none.
    LabelDisable,
}

serde_as_text!(SecurityOpt);

const FORM: &str = "write no-new-privileges[:true|:false], seccomp=default, seccomp=unconfined, \
                    systempaths=unconfined, apparmor=unconfined or label=disable";

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
            ("seccomp", Some("default" | "builtin")) => Ok(Self::SeccompDefault),
            ("seccomp", Some("unconfined")) => Ok(Self::SeccompUnconfined),
            ("seccomp", Some(_)) => Err(ParseError::new(
                "Coop cannot read seccomp profiles from files yet",
                "write seccomp=default or seccomp=unconfined",
            )),
            ("systempaths", Some("unconfined")) => Ok(Self::SystemPathsUnconfined),
            ("apparmor", Some("unconfined")) => Ok(Self::AppArmorUnconfined),
            ("apparmor", _) => Err(ParseError::new(
                "Coop does not set AppArmor profiles",
                "remove it, or write apparmor=unconfined, which holds anyway",
            )),
            ("label", Some("disable")) => Ok(Self::LabelDisable),
            ("label", _) => Err(ParseError::new(
                "Coop does not set SELinux labels",
                "remove it, or write label=disable, which holds anyway",
            )),
            _ => Err(ParseError::new("not a security option", FORM)),
        }
    }
}

impl fmt::Display for SecurityOpt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoNewPrivileges(true) => "no-new-privileges:true",
            Self::NoNewPrivileges(false) => "no-new-privileges:false",
            Self::SeccompDefault => "seccomp=default",
            Self::SeccompUnconfined => "seccomp=unconfined",
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
        for bad in [
            "",
            "no-new-privileges:maybe",
            "seccomp=/etc/profile.json",
            "seccomp",
            "apparmor=docker-default",
            "label=type:svirt_t",
            "systempaths=all",
            "nonewprivs",
        ] {
            assert!(shown(bad).is_err(), "{bad}");
        }
    }
}
