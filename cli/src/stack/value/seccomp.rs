//! Which system-call filter a container has.

use super::{ParseError, serde_as_text};
use coop_seccomp::{Arch, BuiltIn};
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// A profile by its name, or the file that it is in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum SeccompProfile {
    /// One of Coop's own.
    BuiltIn(BuiltIn),
    /// No filter.
    Unconfined,
    /// In JSON, as Docker, Podman and the OCI runtime-spec have it.
    File(PathBuf),
}

serde_as_text!(SeccompProfile);

const FORM: &str = "write default, strict, unconfined, or the path of a profile in JSON";

impl Default for SeccompProfile {
    fn default() -> Self {
        Self::BuiltIn(BuiltIn::Default)
    }
}

impl FromStr for SeccompProfile {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        match text {
            "" => Err(ParseError::new("no profile is named", FORM)),
            "unconfined" => Ok(Self::Unconfined),
            // Docker's word for its own.
            "builtin" => Ok(Self::default()),
            // Docker's client sends the profile itself to its daemon, and some scripts do so, too.
            _ if text.starts_with('{') => Err(ParseError::new(
                "the text of a profile in the place of its file",
                FORM,
            )),
            _ => Ok(text
                .parse()
                .map_or_else(|_| Self::File(text.into()), Self::BuiltIn)),
        }
    }
}

impl fmt::Display for SeccompProfile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BuiltIn(profile) => profile.fmt(f),
            Self::Unconfined => f.write_str("unconfined"),
            Self::File(path) => path.display().fmt(f),
        }
    }
}

/// The name of a system call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CallName(pub(crate) String);

serde_as_text!(CallName);

impl FromStr for CallName {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        if coop_seccomp::is_known(text) {
            Ok(Self(text.to_owned()))
        } else {
            Err(ParseError::new(
                "no system call has this name",
                "write its name as in the manual pages of section 2, such as openat",
            ))
        }
    }
}

impl fmt::Display for CallName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A system call ABI beside the kernel's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CompatArch(pub(crate) Arch);

serde_as_text!(CompatArch);

impl FromStr for CompatArch {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        const FORM: &str = "write x86 (on x86_64) or arm (on aarch64)";
        match text.parse() {
            Ok(arch @ (Arch::X86 | Arch::Arm)) => Ok(Self(arch)),
            Ok(Arch::X32) => Err(ParseError::new("x32 is always refused", FORM)),
            _ => Err(ParseError::new("not a 32-bit architecture", FORM)),
        }
    }
}

impl fmt::Display for CompatArch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_is_known_by_name_and_anything_else_is_a_file() {
        let read = |text: &str| text.parse::<SeccompProfile>().unwrap();
        assert_eq!(read("default"), SeccompProfile::default());
        assert_eq!(read("builtin"), SeccompProfile::default());
        assert_eq!(read("strict").to_string(), "strict");
        assert_eq!(read("unconfined"), SeccompProfile::Unconfined);
        for file in ["p.json", "./strict", "/etc/a:b.json"] {
            assert_eq!(read(file), SeccompProfile::File(file.into()));
            assert_eq!(read(file).to_string(), file);
        }
        assert!("".parse::<SeccompProfile>().is_err());
        assert!("{}".parse::<SeccompProfile>().is_err());
    }

    #[test]
    fn misspelt_calls_and_abis_are_refused() {
        assert!("openat".parse::<CallName>().is_ok());
        assert!("opennat".parse::<CallName>().is_err());
        assert_eq!("386".parse::<CompatArch>().unwrap().to_string(), "x86");
        for bad in ["x32", "x86_64", "sparc"] {
            assert!(bad.parse::<CompatArch>().is_err(), "{bad}");
        }
    }
}
