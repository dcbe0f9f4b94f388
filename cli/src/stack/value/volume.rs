//! Mounts of a container: `-v SOURCE:TARGET:OPTIONS` and the long form.

use super::tmpfs::TmpfsOptions;
use super::{ParseError, serde_as_text};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// One mount of a service's `volumes`.
///
/// Serialises as compose's long syntax.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Mount {
    /// What is mounted.
    #[serde(flatten)]
    pub kind: MountKind,
    /// Absolute path in the container.
    pub target: String,
    /// Nothing may be written through it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub read_only: bool,
}

/// What a [`Mount`] mounts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub(crate) enum MountKind {
    /// A file or directory of the host.
    Bind {
        /// Path on the host, absolute once the stack is loaded.
        source: PathBuf,
        /// How it is bound.
        #[serde(default)]
        bind: BindOptions,
    },
    /// A volume of Coop's own.
    Volume {
        /// Its key in the stack's `volumes`; `None` is an anonymous volume, which
        /// goes when the container goes.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        source: Option<String>,
        /// How it is used.
        #[serde(default)]
        volume: VolumeOptions,
    },
    /// Memory.
    Tmpfs {
        /// How it is mounted.
        #[serde(default)]
        tmpfs: TmpfsOptions,
    },
}

/// How a path of the host is bound.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct BindOptions {
    /// Whether mounts made later pass between host and container; `None` is private.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub propagation: Option<Propagation>,
    /// Make a directory on the host when the source does not exist. The short syntax
    /// does, the long one only when it says so.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub create_host_path: bool,
    /// Relabel the source for `SELinux`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub selinux: Option<Selinux>,
}

/// How a volume is used.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct VolumeOptions {
    /// Do not fill a new volume with what the image has at the target.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub nocopy: bool,
}

/// Mount propagation, `mount_namespaces(7)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub(crate) enum Propagation {
    Private,
    RPrivate,
    Shared,
    RShared,
    Slave,
    RSlave,
}

serde_as_text!(Propagation);

const PROPAGATIONS: [(&str, Propagation); 6] = [
    ("private", Propagation::Private),
    ("rprivate", Propagation::RPrivate),
    ("shared", Propagation::Shared),
    ("rshared", Propagation::RShared),
    ("slave", Propagation::Slave),
    ("rslave", Propagation::RSlave),
];

impl FromStr for Propagation {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let found = PROPAGATIONS.iter().find(|(name, _)| *name == text);
        found.map(|(_, propagation)| *propagation).ok_or_else(|| {
            ParseError::new(
                "not a propagation",
                "write private, rprivate, shared, rshared, slave or rslave",
            )
        })
    }
}

impl fmt::Display for Propagation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let found = PROPAGATIONS
            .iter()
            .find(|(_, propagation)| propagation == self);
        f.write_str(found.map_or("", |(name, _)| name))
    }
}

/// An `SELinux` label for the source of a bind mount.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Selinux {
    /// Shared between containers.
    #[serde(rename = "z")]
    Shared,
    /// Of this container alone.
    #[serde(rename = "Z")]
    Private,
}

const FORM: &str = "write SOURCE:TARGET or SOURCE:TARGET:OPTIONS, such as ./site:/srv/www:ro";

/// Refuses a mount target that is no absolute path of the container.
pub(crate) fn check_target(target: &str, form: &'static str) -> Result<(), ParseError> {
    let why = if target.is_empty() {
        "the path in the container is missing"
    } else if !target.starts_with('/') {
        "the path in the container must be absolute"
    } else if target.trim_end_matches('/').is_empty() {
        "the container's root cannot be a mount target"
    } else if target.contains('\0') {
        "the path holds a NUL byte"
    } else if target.split('/').any(|part| part == "..") {
        "the path in the container must not hold .."
    } else {
        return Ok(());
    };
    Err(ParseError::new(why, form))
}

/// A host path rather than the name of a volume: what compose takes for one.
fn is_path(source: &str) -> bool {
    source.starts_with(['/', '.', '~'])
}

/// Refuses what cannot be the name of a volume.
pub(crate) fn check_volume_name(name: &str) -> Result<(), ParseError> {
    let mut chars = name.chars();
    let first = chars.next().is_some_and(|c| c.is_ascii_alphanumeric());
    if first && chars.all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c)) && name.len() <= 255 {
        return Ok(());
    }
    Err(ParseError::new(
        format!("{name:?} is not the name of a volume"),
        "write letters, digits, _, . and -, or a path that starts with / or ./",
    ))
}

impl FromStr for Mount {
    type Err = ParseError;

    /// The short syntax: `TARGET`, `SOURCE:TARGET` or `SOURCE:TARGET:OPTIONS`.
    fn from_str(text: &str) -> Result<Self, ParseError> {
        let parts: Vec<&str> = text.split(':').collect();
        let (source, target, options) = match parts.as_slice() {
            [target] => (None, *target, ""),
            [source, target] => (Some(*source), *target, ""),
            [source, target, options] => (Some(*source), *target, *options),
            _ => return Err(ParseError::new("too many colons", FORM)),
        };
        check_target(target, FORM)?;
        let kind = match source {
            Some("") => return Err(ParseError::new("the source is missing", FORM)),
            Some(path) if is_path(path) => MountKind::Bind {
                source: path.into(),
                bind: BindOptions {
                    create_host_path: true,
                    ..BindOptions::default()
                },
            },
            Some(name) => {
                check_volume_name(name)?;
                MountKind::Volume {
                    source: Some(name.to_owned()),
                    volume: VolumeOptions::default(),
                }
            }
            None => MountKind::Volume {
                source: None,
                volume: VolumeOptions::default(),
            },
        };
        let mut mount = Self {
            kind,
            target: target.to_owned(),
            read_only: false,
        };
        for option in options.split(',').filter(|o| !o.is_empty()) {
            mount.apply(option)?;
        }
        Ok(mount)
    }
}

impl Mount {
    fn apply(&mut self, option: &str) -> Result<(), ParseError> {
        let unknown = || {
            ParseError::new(
                format!("{option:?} is not an option of this kind of mount"),
                "the options are ro, rw, z, Z and a propagation for a path, ro, rw and nocopy \
                 for a volume",
            )
        };
        match (option, &mut self.kind) {
            ("ro", _) => self.read_only = true,
            // The three consistencies only mean something where the host is no Linux, and
            // a volume belongs to Coop, which labels it itself.
            ("rw" | "consistent" | "cached" | "delegated", _)
            | ("z" | "Z", MountKind::Volume { .. }) => {}
            ("z", MountKind::Bind { bind, .. }) => bind.selinux = Some(Selinux::Shared),
            ("Z", MountKind::Bind { bind, .. }) => bind.selinux = Some(Selinux::Private),
            ("nocopy", MountKind::Volume { volume, .. }) => volume.nocopy = true,
            (other, MountKind::Bind { bind, .. }) => {
                bind.propagation = Some(other.parse().map_err(|_| unknown())?);
            }
            _ => return Err(unknown()),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(text: &str) -> Mount {
        text.parse().unwrap()
    }

    #[test]
    fn a_path_is_bound_and_a_name_is_a_volume() {
        let mount = parse("./site:/srv:ro,z,rslave");
        assert!(mount.read_only);
        let MountKind::Bind { source, bind } = mount.kind else {
            panic!("not a bind mount")
        };
        assert_eq!(source, PathBuf::from("./site"));
        assert_eq!(bind.propagation, Some(Propagation::RSlave));
        assert_eq!(bind.selinux, Some(Selinux::Shared));
        assert!(bind.create_host_path);

        let MountKind::Volume { source, volume } = parse("data:/var/lib:nocopy").kind else {
            panic!("not a volume")
        };
        assert_eq!(source.as_deref(), Some("data"));
        assert!(volume.nocopy);
        assert!(matches!(
            parse("/cache").kind,
            MountKind::Volume { source: None, .. }
        ));
    }

    #[test]
    fn what_is_no_mount_is_refused() {
        for bad in [
            "",
            ":",
            "a:",
            ":/b",
            "a:b",
            "a:/b:c:d",
            "/x:/",
            "/x:/../etc",
            "a b:/c",
            "/x:/y:wat",
            "data:/y:rshared",
            "/x:/y:nocopy",
        ] {
            assert!(bad.parse::<Mount>().is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(text in "\\PC{0,30}") {
            let _ = text.parse::<Mount>();
        }
    }
}
