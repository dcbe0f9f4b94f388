//! How many containers a service has, which, and when.

use super::super::model::Instances;
use super::super::value::ParseError;
use super::{At, Fields, Problems, Read};
use coop_launcher::store::Name;

/// Reads the keys of a service.
pub(super) fn instances(f: &mut Fields<'_>, out: &mut Problems) -> Instances {
    Instances {
        attach: f.get("attach", out),
        container_name: f.get("container_name", out).map(|ContainerName(name)| name),
        platform: f.get("platform", out).map(|Platform(platform)| platform),
        profiles: f
            .or_default::<Vec<Profile>>("profiles", out)
            .into_iter()
            .map(|Profile(name)| name)
            .collect(),
        pull_policy: f.get("pull_policy", out).map(|PullPolicy(policy)| policy),
        scale: f.get("scale", out),
    }
}

/// Texts of a form of their own, read by parsing.
macro_rules! texts {
    ($($name:ident),*) => {
        $(impl Read for $name {
            fn read(at: At<'_>, out: &mut Problems) -> Option<Self> {
                at.parse("a string", out)
            }
        })*
    };
}

texts!(ContainerName, Platform, Profile, PullPolicy);

struct ContainerName(String);

impl std::str::FromStr for ContainerName {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        match Name::parse(text) {
            Ok(_) => Ok(Self(text.to_owned())),
            Err(_) => Err(ParseError::new(
                "not a name of a container",
                "write letters, digits, _, . and -, a letter or digit first",
            )),
        }
    }
}

struct Profile(String);

impl std::str::FromStr for Profile {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let first = text.starts_with(|c: char| c.is_ascii_alphanumeric());
        let rest = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
        if first && text.chars().all(rest) {
            return Ok(Self(text.to_owned()));
        }
        Err(ParseError::new(
            "not a name of a profile",
            "write letters, digits, _, . and -, a letter or digit first",
        ))
    }
}

struct PullPolicy(String);

impl std::str::FromStr for PullPolicy {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        const FORM: &str = "images are local: write never, missing or nothing, and load the image \
                            with `coop image import`";
        match text {
            "never" | "missing" | "if_not_present" => Ok(Self(text.to_owned())),
            _ => Err(ParseError::new("Coop does not pull images yet", FORM)),
        }
    }
}

struct Platform(String);

impl std::str::FromStr for Platform {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let machine = match std::env::consts::ARCH {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            other => other,
        };
        let own = format!("linux/{machine}");
        let fits = text == own
            || text == "linux"
            || (machine == "arm64" && text == "linux/arm64/v8")
            || text == format!("linux/{}", std::env::consts::ARCH);
        if fits {
            return Ok(Self(text.to_owned()));
        }
        Err(ParseError::new(
            format!("this machine is {own}"),
            "Coop runs programs of this machine only: remove it",
        ))
    }
}
